use std::fmt::Write as _;

use serde_json::{Value, json};

use super::*;
use crate::{
    api::ScaleRun,
    decide::{self, WorkloadWrite, fixtures},
    intent::WorkloadGoal,
    view::{Charge, Workload, WorkloadId},
};

/// A ScaleRun and its workloads, with an API server, a controller and kubelets that do their part at once.
struct Walk {
    view: RolloutView,
    run: Value,
    version: u64,
    second: i64,
    /// Whether pods come up.
    healthy: bool,
    log: String,
}

impl Walk {
    /// Two workloads of three pods; the ScaleRun takes `a` to 5 first, then `b` to 1 behind a breakpoint.
    fn new(more: &Value) -> Self {
        let workload = |name: &str| Workload { rollout: None, ..fixtures::workload("east", name, 3) };
        let mut view = fixtures::view(vec![workload("a"), workload("b")]);
        view.charge = Charge::ScaleRun;
        let mut run = json!({
            "metadata": { "name": "peak", "namespace": "default", "uid": "u", "resourceVersion": "1", "generation": 1 },
            "spec": { "targetType": { "apiVersion": "apps/v1", "kind": "StatefulSet" }, "batch": { "batches": [
                { "targets": [{ "cluster": "east", "name": "a", "replicas": 5 }] },
                { "targets": [{ "cluster": "east", "name": "b", "replicas": 1 }], "breakpoint": true },
            ]}},
        });
        json_patch::merge(&mut run["spec"], more);
        let mut walk = Self { view, run, version: 100, second: 0, healthy: true, log: String::new() };
        walk.show();
        walk
    }

    fn show(&mut self) {
        self.view.scale = Some(fixtures::object::<ScaleRun>(self.run.clone()));
    }

    /// Decides and writes until nothing more is to be written.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.second += 2;
            let now = fixtures::at(self.second);
            let decision = step(&self.view, now);
            let mut wrote = !decision.writes.is_empty();
            for write in decision.writes {
                self.hub_write(write);
            }
            for (id, goal) in decision.goals {
                wrote |= self.carry_out(&id, &goal, now);
            }
            if !wrote {
                return;
            }
        }
        panic!("it never comes to rest:\n{}", self.log);
    }

    fn hub_write(&mut self, write: HubWrite) {
        let (HubWrite::Patch { patch, .. } | HubWrite::PatchStatus { patch, .. }) = write else { panic!("{write:?}") };
        assert_eq!(patch["metadata"]["resourceVersion"], self.run["metadata"]["resourceVersion"]);
        let before = self.place();
        json_patch::merge(&mut self.run, &patch);
        self.version += 1;
        self.run["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.show();
        let after = self.place();
        if before != after {
            writeln!(self.log, "  {after}").unwrap();
        }
    }

    fn place(&self) -> String {
        let status = self.run.get("status").cloned().unwrap_or_default();
        let back = status["rollback"].is_object();
        let way = if back { &status["rollback"] } else { &status["batches"] };
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let error = status["error"]["message"].as_str().map(|error| format!(": {error}")).unwrap_or_default();
        format!(
            "{} {}{} {}{error}",
            text(&status["phase"]),
            if back { "back " } else { "" },
            way["currentBatchIndex"],
            text(&way["currentBatchState"])
        )
    }

    fn carry_out(&mut self, id: &WorkloadId, goal: &WorkloadGoal, now: Timestamp) -> bool {
        let member = self.view.members.get_mut("east").unwrap();
        let workload = member.workloads[id].clone();
        let Some(WorkloadWrite::Patch { patch, .. }) = decide::workload(goal, &workload, None, None, None, now).write
        else {
            return false;
        };
        let mut after = workload.as_ref().clone();
        self.version += 1;
        after.resource_version = self.version.to_string();
        let key = "rollout.kusionstack.io/progressing-info";
        if let Some(mark) = patch["metadata"]["annotations"].get(key) {
            after.progressing = mark.as_str().map(|text| Ok(serde_json::from_str(text).unwrap()));
        }
        if let Some(replicas) = patch.pointer("/spec/replicas").and_then(Value::as_i64) {
            writeln!(self.log, "  {}: {} → {replicas}", id.name, after.desired).unwrap();
            after.desired = i32::try_from(replicas).unwrap();
        }
        self.put(after);
        true
    }

    fn put(&mut self, mut workload: Workload) {
        workload.replicas = workload.desired;
        if self.healthy {
            workload.available = workload.desired;
        }
        let member = self.view.members.get_mut("east").unwrap();
        member.workloads.insert(workload.id(), workload.into());
    }

    fn workload(&self, name: &str) -> Workload {
        let mut all = self.view.members["east"].workloads.values();
        all.find(|workload| workload.key.name == name).unwrap().as_ref().clone()
    }

    fn command(&mut self, command: &str) {
        writeln!(self.log, "user: {command}").unwrap();
        self.run["metadata"]["annotations"]["rollout.kusionstack.io/manual-command"] = json!(command);
        self.version += 1;
        self.run["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.show();
        self.settle();
    }

    fn somebody_scales(&mut self, name: &str, replicas: i32) {
        writeln!(self.log, "somebody: {name} → {replicas}").unwrap();
        let workload = Workload { desired: replicas, ..self.workload(name) };
        self.put(workload);
        self.settle();
    }

    fn assert_nothing_is_left(&self) {
        for workload in self.view.members["east"].workloads.values() {
            assert_eq!(workload.progressing, None, "{}", workload.key);
        }
        assert_eq!(self.run["metadata"]["finalizers"], json!([]));
    }
}

#[test]
fn to_the_end_through_a_breakpoint() {
    let mut walk = Walk::new(&json!({}));
    walk.settle();
    walk.command("continue");
    walk.assert_nothing_is_left();
    let record = &walk.run["status"]["batches"]["records"][0]["targets"][0];
    assert_eq!((&record["availableReplicas"], &record["currentReplicas"]), (&json!(5), &json!(5)));
    insta::assert_snapshot!(walk.log);
}

#[test]
fn the_way_back_without_a_plan_leads_to_what_was_before() {
    let mut walk = Walk::new(&json!({}));
    walk.settle();
    walk.command("rollback");
    walk.assert_nothing_is_left();
    assert_eq!((walk.workload("a").desired, walk.workload("b").desired), (3, 3));
    insta::assert_snapshot!(walk.log);
}

#[test]
fn the_way_back_goes_along_its_plan() {
    let plan = json!({ "rollback": { "batches": [
        { "targets": [{ "cluster": "east", "name": "b", "replicas": 4 }] },
        { "targets": [{ "cluster": "east", "name": "a", "replicas": 2 }] },
    ]}});
    let mut walk = Walk::new(&plan);
    walk.settle();
    walk.command("rollback");
    walk.assert_nothing_is_left();
    assert_eq!((walk.workload("a").desired, walk.workload("b").desired), (2, 4));
    insta::assert_snapshot!(walk.log);
}

#[test]
fn nobody_is_fought_over_the_size() {
    let mut walk = Walk::new(&json!({}));
    walk.healthy = false;
    walk.settle();
    walk.somebody_scales("a", 7);
    walk.healthy = true;
    walk.command("retry");
    walk.command("cancel");
    walk.assert_nothing_is_left();
    assert_eq!(walk.workload("a").desired, 5);
    insta::assert_snapshot!(walk.log);
}

#[test]
fn what_has_ended_is_counted_no_more() {
    let mut walk = Walk::new(&json!({}));
    walk.healthy = false;
    walk.settle();
    walk.command("cancel");
    let status = walk.run["status"].clone();
    assert_eq!(status["phase"], "Canceled");
    walk.somebody_scales("a", 9);
    assert_eq!(walk.run["status"], status);
}

#[test]
fn a_skipped_batch_leaves_its_workloads_as_they_are() {
    let mut walk = Walk::new(&json!({}));
    walk.healthy = false;
    walk.settle();
    walk.command("force-skip-current-batch");
    walk.command("continue");
    walk.assert_nothing_is_left();
    assert_eq!((walk.workload("a").desired, walk.workload("b").desired), (5, 1));
    insta::assert_snapshot!(walk.log);
}

#[test]
fn a_workload_that_a_run_moves_is_waited_for() {
    let mut walk = Walk::new(&json!({}));
    let mark =
        json!({ "kind": "Rollout", "rollout": "shop", "rolloutID": "shop-1", "batch": { "currentBatchIndex": 0 } });
    let mark = Some(Ok(serde_json::from_value(mark).unwrap()));
    walk.put(Workload { progressing: mark.clone(), ..walk.workload("a") });
    walk.view.other_rollouts.insert("shop".to_owned());
    walk.settle();
    assert_eq!(walk.workload("a").progressing, mark, "{}", walk.log);
    assert_eq!(walk.run["status"]["waits"][0]["condition"], "RolloutRun shop-1 to end: it moves this workload");
    // Its Rollout is gone, so nobody is left to take the mark off.
    walk.view.other_rollouts.clear();
    walk.settle();
    walk.command("continue");
    assert_eq!(walk.run["status"]["phase"], "Succeeded", "{}", walk.log);
}
