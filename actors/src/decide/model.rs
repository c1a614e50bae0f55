//! Decisions in a model world where anything may come in any order: writes that are lost, controllers and kubelets that
//! are slow, commands at any time. What must hold is checked at every pod that is made and every status that is written.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{command::Command, fixtures, rollout, run, workload, workload::WorkloadWrite};
use crate::{
    api::{Rollout, RolloutRun, RolloutRunPhase, StepState, intorpercent, keys},
    intent::{HubKind, HubWrite, WorkloadGoal},
    view::{Pod, RolloutView, Workload, WorkloadId, WorkloadReport},
};

/// A StatefulSet with its controller and kubelets.
#[derive(Clone, Debug)]
struct Set {
    desired: usize,
    partition: i32,
    template: String,
    /// The template its controller has seen.
    observed: String,
    generation: i64,
    observed_generation: i64,
    current: String,
    progressing: Option<String>,
    /// Revision and readiness, by ordinal.
    pods: Vec<(String, bool)>,
    version: u64,
}

impl Set {
    fn new(desired: usize) -> Self {
        Self {
            desired,
            partition: i32::MAX,
            template: "v2".into(),
            observed: "v2".into(),
            generation: 2,
            observed_generation: 2,
            current: "v1".into(),
            progressing: None,
            pods: vec![("v1".into(), true); desired],
            version: 1,
        }
    }

    fn count(&self, revision: &str) -> usize {
        self.pods.iter().filter(|(on, _)| on == revision).count()
    }

    /// The controller's turn: it looks at the spec, or replaces one pod, or closes the update. Says whether it made a pod.
    fn control(&mut self) -> bool {
        if self.observed_generation < self.generation {
            (self.observed, self.observed_generation) = (self.template.clone(), self.generation);
            return false;
        }
        if self.count(&self.observed) == self.desired && self.pods.iter().all(|(_, ready)| *ready) {
            self.current.clone_from(&self.observed);
        }
        for (ordinal, (revision, ready)) in self.pods.iter_mut().enumerate().rev() {
            if i32::try_from(ordinal).unwrap() < self.partition {
                return false;
            }
            if *revision != self.observed {
                (*revision, *ready) = (self.observed.clone(), false);
                return true;
            }
            if !*ready {
                return false;
            }
        }
        false
    }

    fn project(&self, name: &str) -> (Workload, Vec<Arc<Pod>>) {
        let mut workload = fixtures::workload("east", name, i32::try_from(self.desired).unwrap());
        let count = |n: usize| i32::try_from(n).unwrap();
        workload.resource_version = self.version.to_string();
        (workload.generation, workload.observed_generation) = (self.generation, self.observed_generation);
        workload.partition = self.partition;
        workload.update_strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": self.partition}});
        (workload.stable_revision, workload.updated_revision) = (self.current.clone(), self.observed.clone());
        workload.updated_replicas = count(self.count(&self.observed));
        workload.current_replicas = count(self.count(&self.current));
        workload.available = count(self.pods.iter().filter(|(_, ready)| *ready).count());
        workload.ready = workload.available;
        workload.progressing =
            self.progressing.as_ref().map(|text| serde_json::from_str(text).map_err(|_| text.clone()));
        let pod = |(ordinal, (revision, ready)): (usize, &(String, bool))| {
            fixtures::pod(&format!("{name}-{ordinal}"), revision, ready.then_some(0))
        };
        (workload, self.pods.iter().enumerate().map(pod).collect())
    }

    fn write(&mut self, write: WorkloadWrite) {
        match write {
            WorkloadWrite::Patch { patch, restore } => {
                if patch["metadata"]["resourceVersion"] != json!(self.version.to_string()) {
                    return;
                }
                if let Some(info) = patch["metadata"]["annotations"].get(keys::ANNOTATION_PROGRESSING_INFO) {
                    self.progressing = info.as_str().map(str::to_owned);
                }
                if let Some(partition) = patch.pointer("/spec/updateStrategy/rollingUpdate/partition") {
                    self.partition = i32::try_from(partition.as_i64().unwrap()).unwrap();
                    self.generation += 1;
                }
                if let Some(revision) = restore {
                    self.template = revision;
                    self.generation += 1;
                }
            }
            WorkloadWrite::DeletePod(pod) => {
                let ordinal = usize::try_from(pod.ordinal().unwrap()).unwrap();
                let below = i32::try_from(ordinal).unwrap() < self.partition;
                let revision = if below { self.current.clone() } else { self.observed.clone() };
                self.pods[ordinal] = (revision, false);
            }
            other => panic!("{other:?} was not asked for"),
        }
        self.version += 1;
    }
}

/// The hub, and the StatefulSets of one cluster.
struct Model {
    view: RolloutView,
    hub: BTreeMap<(HubKind, String), Value>,
    sets: BTreeMap<String, Set>,
    goals: BTreeMap<WorkloadId, WorkloadGoal>,
    /// The most pods of each that were ever authorised on v2: what was may still be on its way.
    ceilings: BTreeMap<String, usize>,
    version: u64,
    second: i64,
}

impl Model {
    fn new(sizes: &[usize]) -> Self {
        let view = fixtures::view(vec![fixtures::workload("east", "set-0", 1)]);
        let hub = BTreeMap::from([((HubKind::Rollout, "demo".into()), json!(*view.rollout))]);
        let sets = sizes.iter().enumerate().map(|(n, size)| (format!("set-{n}"), Set::new(*size))).collect();
        let mut model =
            Self { view, hub, sets, goals: BTreeMap::new(), ceilings: BTreeMap::new(), version: 100, second: 0 };
        model.show();
        model
    }

    fn show(&mut self) {
        let member = self.view.members.get_mut("east").unwrap();
        member.workloads.clear();
        member.reports.clear();
        for (name, set) in &self.sets {
            let (workload, pods) = set.project(name);
            let report = WorkloadReport { pods: Some(pods), ..WorkloadReport::default() };
            member.reports.insert(workload.id(), report);
            member.workloads.insert(workload.id(), Arc::new(workload));
        }
    }

    fn run(&self) -> Option<&Arc<RolloutRun>> {
        self.view.runs.values().next()
    }

    /// One look at everything; some of the writes land.
    fn decide(&mut self, lands: bool) {
        self.second += 2;
        self.show();
        let decision = rollout(&self.view, fixtures::at(self.second));
        self.goals = decision.goals;
        if lands {
            decision.writes.into_iter().for_each(|write| self.write(write));
        }
    }

    fn write(&mut self, write: HubWrite) {
        let (kind, key) = write.target();
        let id = (kind, key.name.clone());
        match write {
            HubWrite::Patch { patch, .. } | HubWrite::PatchStatus { patch, .. } => {
                let object = self.hub.get_mut(&id).unwrap();
                if patch.pointer("/metadata/resourceVersion") != object.pointer("/metadata/resourceVersion") {
                    return;
                }
                json_patch::merge(object, &patch);
            }
            HubWrite::Create { object: mut run, .. } => {
                run["metadata"]["uid"] = json!("run-uid");
                self.hub.insert(id.clone(), run);
            }
            HubWrite::Delete { .. } => return,
        }
        self.version += 1;
        self.hub.get_mut(&id).unwrap()["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let value = self.hub[&id].clone();
        if kind == HubKind::Rollout {
            self.view.rollout = fixtures::object::<Rollout>(value);
            return;
        }
        let before = self.view.runs.insert(id.1.clone(), fixtures::object::<RolloutRun>(value));
        if let (Some(before), Some(after)) = (before, self.view.runs.get(&id.1)) {
            forward(&before, after);
        }
        for name in self.sets.keys().cloned().collect::<Vec<_>>() {
            let allowed = self.allowed(&name);
            let ceiling = self.ceilings.entry(name).or_default();
            *ceiling = allowed.max(*ceiling);
        }
    }

    /// Brings one workload nearer to its goal, which may be an old one.
    fn drive(&mut self, set: usize) {
        self.show();
        let member = &self.view.members["east"];
        let Some((id, workload_now)) = member.workloads.iter().nth(set % self.sets.len()) else { return };
        let Some(goal) = self.goals.get(id) else { return };
        let pods = member.reports[id].pods.clone();
        let step = workload(goal, workload_now, None, pods.as_deref(), None, fixtures::at(self.second));
        let name = id.name.clone();
        if let Some(write) = step.write {
            self.sets.get_mut(&name).unwrap().write(write);
        }
    }

    fn control(&mut self, index: usize) {
        let Some(name) = self.sets.keys().nth(index % self.sets.len()).cloned() else { return };
        let before = self.sets[&name].count("v2");
        self.sets.get_mut(&name).unwrap().control();
        let after = self.sets[&name].count("v2");
        let ceiling = self.ceilings.get(&name).copied().unwrap_or(0);
        assert!(after <= before || after <= ceiling, "{name} has {after} pods on v2: {:#?}", self.run());
    }

    /// The most pods of a workload that any batch begun so far allows on v2.
    fn allowed(&self, name: &str) -> usize {
        let Some(run) = self.run() else { return 0 };
        let Some(status) = run.status.as_ref().and_then(|status| status.batch_status.as_ref()) else { return 0 };
        let begun = |index: &usize| status.records.get(*index).is_some_and(|record| record.start_time.is_some());
        let desired = i32::try_from(self.sets[name].desired).unwrap();
        let counts = run::batches(run).iter().enumerate().filter(|(index, _)| begun(index)).flat_map(|(_, batch)| {
            batch
                .targets
                .iter()
                .filter(|target| target.name == name)
                .map(|target| intorpercent::parse(&target.replicas))
        });
        counts.map(|count| usize::try_from(count.unwrap().scaled(desired)).unwrap()).max().unwrap_or(0)
    }

    fn kubelet(&mut self, index: usize) {
        let unready: Vec<_> = self
            .sets
            .iter()
            .flat_map(|(name, set)| set.pods.iter().enumerate().map(move |(n, (_, ready))| (name.clone(), n, *ready)))
            .filter(|(_, _, ready)| !ready)
            .collect();
        if let Some((name, ordinal, _)) = unready.get(index % unready.len().max(1)) {
            self.sets.get_mut(name).unwrap().pods[*ordinal].1 = true;
        }
    }

    fn command(&mut self, index: usize) {
        let (word, _) = Command::NAMES[index % Command::NAMES.len()];
        self.give(word);
    }

    fn give(&mut self, word: &str) {
        let Some(run) = self.run() else { return };
        let key = super::patch::key(&run.metadata);
        let version = run.metadata.resource_version.clone().unwrap();
        let patch = super::patch::annotations(&version, [(keys::ANNOTATION_MANUAL_COMMAND, Some(word.to_owned()))]);
        self.write(HubWrite::Patch { kind: HubKind::RolloutRun, key, patch });
    }

    /// Everybody does their part once.
    fn turn(&mut self, turn: usize) {
        self.decide(true);
        for set in 0..self.sets.len() {
            self.drive(set);
            self.control(set);
        }
        self.kubelet(turn);
    }

    /// From here on everybody does their part, and whoever waits for a person is told to go on.
    fn settle(&mut self) {
        for turn in 0..2_000 {
            self.turn(turn);
            let Some(status) = self.run().and_then(|run| run.status.clone()) else { continue };
            if status.phase.is_completed() {
                // What was on its way still lands, and is put right.
                (0..20).for_each(|turn| self.turn(turn));
                return;
            }
            if status.phase == RolloutRunPhase::Paused && status.waits.iter().any(|wait| !wait.unblock.is_empty()) {
                self.give("continue");
            }
        }
        panic!("the run never ended: {:#?}\n{:#?}", self.run(), self.sets);
    }
}

/// Batches go forward, or backward once the run is rolled back, and an end is an end.
fn forward(before: &RolloutRun, after: &RolloutRun) {
    let (Some(before), Some(after)) = (before.status.as_ref(), after.status.as_ref()) else { return };
    let index = |status: &crate::api::RolloutRunStatus| status.batch_status.as_ref().map(|it| it.current_batch_index);
    match (before.rollback.is_some(), after.rollback.is_some()) {
        (false, false) => assert!(index(before) <= index(after), "{before:#?} {after:#?}"),
        (true, true) => assert!(index(before) >= index(after), "{before:#?} {after:#?}"),
        (false, true) => {}
        (true, false) => panic!("a rollback was forgotten: {before:#?} {after:#?}"),
    }
    assert!(!before.phase.is_completed() || before.phase == after.phase, "{before:#?} {after:#?}");
    let begun = |state: &StepState| run::releases_pods(state);
    let steps = before.batch_status.iter().zip(&after.batch_status);
    for (before, after) in steps {
        let same = before.current_batch_index == after.current_batch_index;
        let back = begun(&before.current_batch_state) && !begun(&after.current_batch_state);
        assert!(!same || !back || after.current_batch_state == StepState::None, "{before:#?} {after:#?}");
    }
}

/// What happens next: (what, to whom).
fn events() -> impl Strategy<Value = Vec<(u8, usize)>> {
    prop::collection::vec((0..20u8, 0..64usize), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn exposure_order_and_end_hold_whatever_comes(sizes in prop::collection::vec(1..6usize, 1..3), events in events()) {
        let mut model = Model::new(&sizes);
        for (event, whom) in events {
            match event {
                0..=5 => model.decide(true),
                6 => model.decide(false),
                7..=11 => model.drive(whom),
                12..=15 => model.control(whom),
                16..=18 => model.kubelet(whom),
                _ => model.command(whom),
            }
        }
        model.settle();
        let runs: Vec<_> = model.view.runs.values().map(|run| &run.status).collect();
        prop_assert_eq!(runs.len(), 1, "one template led to several runs: {:#?}", runs);
        let run = model.run().unwrap();
        let status = run.status.clone().unwrap();
        for (name, set) in &model.sets {
            prop_assert_eq!(set.partition, i32::MAX, "{} is not parked", name);
            prop_assert_eq!(&set.progressing, &None, "{} carries a mark", name);
            // A step that somebody skips leaves its pods as they are, on either way.
            let skipped = status.batch_status.iter().flat_map(|it| &it.records).any(|it| it.state == StepState::Skipped);
            if run::rolled_back(&status) && !skipped {
                prop_assert_eq!(set.count("v1"), set.desired, "{}: {:?} {:#?}", name, set, &status);
            }
        }
    }
}
