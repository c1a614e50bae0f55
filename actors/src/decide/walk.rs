//! Decisions walked from trigger to end in a world where every write lands and pods are ready at once. What happens
//! otherwise is the simulator's to show.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use serde_json::{Value, json};

use super::{fixtures, rollout, workload, workload::WorkloadWrite};
use crate::{
    api::{Rollout, RolloutRun, keys::ProgressingInfo},
    intent::{HubKind, HubWrite},
    view::{RolloutView, Workload, WorkloadReport},
};

/// The hub's objects as JSON, and the members' workloads.
struct Walk {
    view: RolloutView,
    hub: BTreeMap<(HubKind, String), Value>,
    version: u64,
    second: i64,
    log: String,
}

impl Walk {
    fn new(view: RolloutView) -> Self {
        let hub = BTreeMap::from([((HubKind::Rollout, "demo".into()), json!(*view.rollout))]);
        Self { view, hub, version: 100, second: 0, log: String::new() }
    }

    /// Decides and applies until nothing changes any more.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.second += 1;
            let decision = rollout(&self.view, fixtures::at(self.second));
            let mut moved = !decision.writes.is_empty();
            for notice in &decision.notices {
                writeln!(self.log, "  event {}: {}", notice.reason, notice.message).unwrap();
            }
            decision.writes.into_iter().for_each(|write| self.write(write));
            for (id, goal) in &decision.goals {
                let member = self.view.members.get_mut(&id.cluster).unwrap();
                let pods = member.reports[id].pods.clone();
                let before = member.workloads[id].clone();
                let step = workload(goal, &before, None, pods.as_deref(), None, fixtures::at(self.second));
                if let Some(WorkloadWrite::Patch { patch, .. }) = step.write {
                    let after = apply(&before, &patch, &mut self.version);
                    if after.partition != before.partition {
                        let (cluster, name) = (&id.cluster, &id.name);
                        writeln!(self.log, "  {cluster}/{name}: partition {} → {}", before.partition, after.partition)
                            .unwrap();
                    }
                    member.reports.insert(id.clone(), WorkloadReport { pods: Some(pods_of(&after)), error: None });
                    member.workloads.insert(id.clone(), Arc::new(after));
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
        panic!("never came to rest:\n{}", self.log);
    }

    fn write(&mut self, write: HubWrite) {
        let (kind, key) = write.target();
        let id = (kind, key.name.clone());
        let name = key.name.clone();
        match write {
            HubWrite::Patch { patch, .. } | HubWrite::PatchStatus { patch, .. } => {
                let object = self.hub.get_mut(&id).unwrap();
                let seen = patch.pointer("/metadata/resourceVersion").cloned();
                assert_eq!(seen.as_ref(), object.pointer("/metadata/resourceVersion"), "a write decided on old data");
                json_patch::merge(object, &patch);
            }
            HubWrite::Create { object: mut run, .. } => {
                writeln!(self.log, "  created {name}").unwrap();
                run["metadata"]["uid"] = json!("run-uid");
                self.hub.insert(id.clone(), run);
            }
            HubWrite::Delete { .. } => {
                self.hub.get_mut(&id).unwrap()["metadata"]["deletionTimestamp"] = json!("2027-01-15T08:00:00Z");
            }
        }
        self.version += 1;
        self.hub.get_mut(&id).unwrap()["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.show(kind, &name);
    }

    /// Puts the object into the view and notes where it stands.
    fn show(&mut self, kind: HubKind, name: &str) {
        let value = self.hub[&(kind, name.to_owned())].clone();
        if kind == HubKind::Rollout {
            self.view.rollout = fixtures::object::<Rollout>(value.clone());
            writeln!(self.log, "  rollout: {}", value["status"]["phase"].as_str().unwrap_or("-")).unwrap();
            return;
        }
        let run = fixtures::object::<RolloutRun>(value.clone());
        let gone = run.metadata.deletion_timestamp.is_some() && run.metadata.finalizers.iter().flatten().count() == 0;
        if gone {
            self.view.runs.remove(name);
        } else {
            self.view.runs.insert(name.to_owned(), run);
        }
        let batch = &value["status"]["batchStatus"];
        writeln!(
            self.log,
            "  run: {} batch {} {}",
            value["status"]["phase"].as_str().unwrap_or("-"),
            batch["currentBatchIndex"],
            batch["currentBatchState"].as_str().unwrap_or("-"),
        )
        .unwrap();
    }

    fn say(&mut self, what: &str) {
        writeln!(self.log, "{what}").unwrap();
    }

    /// Sets an annotation, as a user does.
    fn annotate(&mut self, kind: HubKind, annotation: &str, value: &str) {
        let name =
            if kind == HubKind::Rollout { "demo".to_owned() } else { self.view.runs.keys().next().unwrap().clone() };
        self.say(&format!("user: {annotation}={value}"));
        let version = self.hub[&(kind, name.clone())]["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let patch = super::patch::annotations(&version, [(annotation, Some(value.to_owned()))]);
        let key = crate::view::ObjectKey { namespace: "default".into(), name };
        self.write(HubWrite::Patch { kind, key, patch });
        self.settle();
    }
}

/// The workload after a patch, with a controller and kubelets that do their part at once.
fn apply(before: &Workload, patch: &Value, version: &mut u64) -> Workload {
    assert_eq!(patch["metadata"]["resourceVersion"], json!(before.resource_version), "a write decided on old data");
    *version += 1;
    let mut after = before.clone();
    after.resource_version = version.to_string();
    for (key, value) in patch["metadata"]["annotations"].as_object().into_iter().flatten() {
        let text = value.as_str().map(str::to_owned);
        match key.as_str() {
            "rollout.kusionstack.io/name" => after.rollout = text,
            "rollout.kusionstack.io/progressing-info" => {
                after.progressing = text.map(|text| Ok(serde_json::from_str::<ProgressingInfo>(&text).unwrap()));
            }
            "slipway.rollout.kusionstack.io/update-strategy" => after.recorded_strategy = text,
            other => panic!("unexpected annotation {other}"),
        }
    }
    if let Some(partition) = patch.pointer("/spec/updateStrategy/rollingUpdate/partition") {
        json_patch::merge(&mut after.update_strategy, &patch["spec"]["updateStrategy"]);
        after.partition = i32::try_from(partition.as_i64().unwrap()).unwrap();
    }
    after.updated_replicas = after.updated_replicas.max((after.desired - after.partition).max(0));
    after.current_replicas = after.desired - after.updated_replicas;
    if after.updated_replicas == after.desired {
        after.stable_revision.clone_from(&after.updated_revision);
    }
    after
}

fn pods_of(workload: &Workload) -> Vec<Arc<crate::view::Pod>> {
    let revision = |n| if n < workload.current_replicas { "v1" } else { &workload.updated_revision };
    (0..workload.desired).map(|n| fixtures::pod(&format!("{}-{n}", workload.key.name), revision(n), Some(0))).collect()
}

fn start() -> Walk {
    let walk = vec![fixtures::workload("east", "api", 5), fixtures::workload("east", "web", 5)];
    let mut walk = Walk::new(fixtures::view(walk));
    walk.say("a new template waits");
    walk.settle();
    walk
}

const COMMAND: &str = "rollout.kusionstack.io/manual-command";

#[test]
fn to_the_end_through_a_breakpoint() {
    let mut walk = start();
    walk.annotate(HubKind::Rollout, COMMAND, "continue");
    insta::assert_snapshot!(walk.log);
}

#[test]
fn cancel_parks_and_is_not_started_again() {
    let mut walk = start();
    walk.annotate(HubKind::RolloutRun, COMMAND, "cancel");
    walk.annotate(HubKind::Rollout, "rollout.kusionstack.io/trigger", "again");
    insta::assert_snapshot!(walk.log);
}

#[test]
fn deletion_cancels_the_run_and_leaves_a_pending_update_parked() {
    let mut walk = start();
    walk.say("user: delete");
    let rollout = walk.hub.get_mut(&(HubKind::Rollout, "demo".into())).unwrap();
    rollout["metadata"]["deletionTimestamp"] = json!("2027-01-15T08:00:00Z");
    walk.show(HubKind::Rollout, "demo");
    walk.settle();
    assert!(walk.view.rollout.metadata.finalizers.iter().flatten().count() == 0);
    insta::assert_snapshot!(walk.log);
}

#[test]
fn a_run_that_was_stored_unchecked_stops_with_what_is_wrong_until_it_is_corrected() {
    let mut walk = start();
    let name = walk.view.runs.keys().next().unwrap().clone();
    let id = (HubKind::RolloutRun, name.clone());
    let good = walk.hub[&id]["spec"].clone();
    let targets = &mut walk.hub.get_mut(&id).unwrap()["spec"]["batch"]["batches"][1]["targets"];
    let mut twice = targets[0].clone();
    twice["replicaSlidingWindow"] = json!(0);
    targets.as_array_mut().unwrap().push(twice);
    walk.show(HubKind::RolloutRun, &name);
    walk.annotate(HubKind::RolloutRun, COMMAND, "continue");
    let error = &walk.hub[&id]["status"]["error"];
    assert_eq!(error["reason"], "InvalidSpec");
    for part in
        ["spec.batch.batches[1].targets", "is in this step already", ".replicaSlidingWindow: is a window of no pods"]
    {
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    }
    walk.hub.get_mut(&id).unwrap()["spec"] = good;
    walk.show(HubKind::RolloutRun, &name);
    walk.annotate(HubKind::RolloutRun, COMMAND, "retry");
    assert_eq!(walk.hub[&id]["status"]["phase"], "Succeeded", "{}", walk.log);
}

#[test]
fn a_topology_that_was_stored_unchecked_is_named_and_starts_no_run() {
    let mut view = fixtures::view(vec![fixtures::workload("east", "web", 5)]);
    let mut rollout = view.rollout.as_ref().clone();
    rollout.spec.traffic_topology_refs = vec!["web".to_owned()];
    view.rollout = rollout.into();
    let topology = |traffic_type: &str| {
        fixtures::object(json!({ "metadata": { "name": "web" }, "spec": {
            "workloadRef": { "apiVersion": "apps/v1", "kind": "StatefulSet", "match": { "names": [{ "name": "web" }] } },
            "trafficType": traffic_type, "backend": { "name": "web" }, "routes": [{ "name": "web" }],
        }}))
    };
    view.topologies.insert("web".to_owned(), topology("Everywhere"));
    let mut walk = Walk::new(view);
    walk.settle();
    let available = |walk: &Walk| {
        let status = walk.view.rollout.status.clone().unwrap();
        let condition = super::condition::get(&status.conditions, "Available").unwrap();
        (condition.status.clone(), condition.reason.clone(), condition.message.clone())
    };
    let (status, reason, message) = available(&walk);
    assert_eq!((&*status, &*reason), ("False", "InvalidSpec"));
    assert!(message.starts_with("TrafficTopology web: spec.trafficType: "), "{message}");
    assert!(walk.view.runs.is_empty());
    walk.view.topologies.insert("web".to_owned(), topology("InCluster"));
    walk.settle();
    assert_eq!(available(&walk).0, "True");
}
