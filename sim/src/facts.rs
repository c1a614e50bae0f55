//! What is true in the clusters, read from every write as it happens.
//!
//! Computed from pods, workloads, Rollouts and runs alone, with projections of its own: nothing here shares code
//! with the operator, so that a mistake there is not repeated here.

mod deployment;
mod hook;
mod pod;
mod route;
mod run;
mod species;
mod traffic;
mod workload;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use serde_json::Value;

pub use self::{
    deployment::DeploymentFacts,
    hook::{HookFacts, HookId, HookRule, Said},
    pod::PodFacts,
    route::RouteFacts,
    run::{BatchFacts, Origin, Quantity, RunFacts, Switch, TargetFacts, has_begun},
    species::Species,
    traffic::{InForce, ObjectId, TrafficFacts},
    workload::WorkloadFacts,
};

/// What every label and annotation of the API has in its key.
pub const OURS: &str = "rollout.kusionstack.io/";

/// Who made a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Controllers and kubelets.
    #[default]
    Cluster,
    /// The operator under test.
    Operator,
    /// A user.
    User,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cluster => "cluster",
            Self::Operator => "operator",
            Self::User => "user",
        })
    }
}

/// What a write did to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is new.
    Create,
    /// It changed.
    Update,
    /// It is gone.
    Delete,
}

/// One write, as a store tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Virtual time since the start.
    pub at: Duration,
    /// The cluster.
    pub cluster: &'a str,
    /// The writer.
    pub who: Who,
    /// What it did.
    pub verb: Verb,
    /// The resource's plural name.
    pub plural: &'a str,
    /// The object's namespace.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// The object before.
    pub old: Option<&'a Value>,
    /// The object after; for a removal its last state.
    pub new: &'a Value,
}

/// A workload by its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkloadId {
    /// The cluster.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.name)
    }
}

/// What a Rollout shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RolloutFacts {
    /// Its name.
    pub name: String,
    /// `status.phase`.
    pub phase: String,
    /// Its conditions: type to (status, reason, message).
    pub conditions: BTreeMap<String, (String, String, String)>,
    /// Annotations of the API that ask for something.
    pub requests: Vec<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it is gone.
    pub gone: bool,
}

/// What a write meant.
#[derive(Clone, Debug)]
pub enum Delta {
    /// A workload changed.
    Workload {
        /// Which.
        id: WorkloadId,
        /// What was known of it before.
        before: Option<Box<WorkloadFacts>>,
    },
    /// A pod of a workload changed.
    Pod {
        /// Its workload.
        id: WorkloadId,
        /// Its name.
        pod: String,
        /// What was known of it before.
        before: Option<PodFacts>,
        /// Whether this write took it down to update it.
        taken_down: bool,
    },
    /// A run changed.
    Run {
        /// Its place in [`Facts::runs`].
        index: usize,
        /// What was known of it before.
        before: Option<Box<RunFacts>>,
    },
    /// A Rollout changed.
    Rollout {
        /// Its name.
        name: String,
        /// What was known of it before.
        before: Option<RolloutFacts>,
    },
    /// A route changed.
    Route {
        /// Which.
        id: ObjectId,
        /// What was known of it before.
        before: Option<Box<RouteFacts>>,
    },
    /// A fork of a backend or a canary Ingress came or went, or the latter says something else.
    Fork {
        /// Which.
        id: ObjectId,
        /// Whether it is there now.
        there: bool,
        /// What a canary Ingress says; empty for others.
        says: String,
    },
    /// Nothing the facts are about.
    Other,
}

/// Everything known.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The time of the last write.
    pub now: Duration,
    /// Workloads, by place.
    pub workloads: BTreeMap<WorkloadId, WorkloadFacts>,
    /// Runs in order of creation, gone ones included.
    pub runs: Vec<RunFacts>,
    /// Rollouts by name, gone ones included.
    pub rollouts: BTreeMap<String, RolloutFacts>,
    /// Hooks that were asked.
    pub hooks: BTreeMap<HookId, HookFacts>,
    /// Routes by place, gone ones included.
    pub routes: BTreeMap<ObjectId, RouteFacts>,
    /// Forks of backends and of routes, and whether they are still there.
    pub forks: BTreeMap<ObjectId, bool>,
    /// What canary Ingresses say.
    says: BTreeMap<ObjectId, String>,
    /// What the gateways of clusters have in force.
    pub gateways: BTreeMap<String, InForce>,
    /// Pods that are gone, by cluster and uid, where there are gateways.
    gone: BTreeSet<(String, String)>,
}

impl Facts {
    /// Takes in a write.
    pub fn apply(&mut self, change: &Change<'_>) -> Delta {
        self.now = change.at;
        if let Some(species) = Species::of(change.plural, change.new) {
            return self.workload(change, species);
        }
        match change.plural {
            "pods" => {
                self.pod_gone(change);
                self.pod(change)
            }
            "replicasets" => self.set(change),
            "rolloutruns" | "scaleruns" => self.run(change),
            "rollouts" => self.rollout(change),
            _ => self.network(change),
        }
    }

    /// Takes in that a hook was asked.
    pub fn asked(&mut self, id: HookId, key: &str, said: Said) {
        self.hooks.entry(id).or_default().asked(key, said);
    }

    /// The newest run.
    pub fn newest_run(&self) -> Option<&RunFacts> {
        self.runs.last()
    }

    /// The run that moves a workload right now, with what its batches want of it.
    pub fn active_run(&self, id: &WorkloadId) -> Option<&RunFacts> {
        self.runs.iter().rev().find(|run| !run.ended() && !run.gone && run.targets_of(id).next().is_some())
    }

    /// How many pods the copy at `id` may have: what the run's canary asks for beside the workload that it is a copy of.
    pub fn canary_allowed(&self, id: &WorkloadId) -> i32 {
        let name = id.name.strip_suffix("-canary").unwrap_or_default().to_owned();
        let original = WorkloadId { name, ..id.clone() };
        let Some(workload) = self.workloads.get(&original) else { return 0 };
        self.runs
            .iter()
            .filter(|run| !run.gone)
            .map(|run| run.canary_of(&original, workload.desired))
            .max()
            .unwrap_or(0)
    }

    /// Whether a batch is moving pods.
    pub fn in_batch(&self) -> bool {
        self.runs.iter().any(|run| !run.gone && !run.ended() && has_begun(&run.state))
    }

    /// Whether a run waits for a hook.
    pub fn in_hook(&self) -> bool {
        let waits =
            |run: &RunFacts| run.state.ends_with("StepHook") || matches!(&*run.phase, "PreRollout" | "PostRollout");
        self.runs.iter().any(|run| !run.gone && !run.ended() && waits(run))
    }

    /// The workload a scenario names `cluster/name`.
    pub fn named(&self, text: &str) -> Option<(&WorkloadId, &WorkloadFacts)> {
        let (cluster, name) = text.split_once('/')?;
        self.workloads.iter().find(|(id, _)| id.cluster == cluster && id.name == name)
    }

    fn workload(&mut self, change: &Change<'_>, species: Species) -> Delta {
        let id = change.workload_id(change.name);
        if change.verb == Verb::Delete {
            let before = self.workloads.remove(&id).map(Box::new);
            return Delta::Workload { id, before };
        }
        let allowance = self.allowance(&id, species.desired(change.new));
        let active = self.active_run(&id).map(|run| run.authorised(&id));
        let before = self.workloads.get(&id).cloned().map(Box::new);
        self.workloads.entry(id.clone()).or_default().update(change, species, allowance, active);
        Delta::Workload { id, before }
    }

    /// How many pods of a workload the current step may take down at a time.
    fn allowance(&self, id: &WorkloadId, desired: i32) -> i32 {
        let Some(run) = self.active_run(id) else { return 0 };
        let Some(batch) = run.batches.get(run.index).filter(|batch| batch.begun) else { return 0 };
        let target = batch.targets.iter().find(|target| target.is(id));
        // Failed pods that are tolerated stay down, and the window moves past them.
        let tolerated = run.tolerated.map_or(0, |tolerated| tolerated.of(desired));
        let deployment = self.workloads.get(id).and_then(|workload| workload.deployment.as_ref());
        let own = deployment.map_or(i32::MAX, |deployment| deployment.most_down(desired));
        target.map_or(0, |target| target.window.as_ref().unwrap_or(&target.replicas).of(desired).min(own) + tolerated)
    }

    fn pod(&mut self, change: &Change<'_>) -> Delta {
        let owner = deployment::controller(change.new).and_then(|owner| {
            let name = owner["name"].as_str()?;
            if owner["kind"] == "ReplicaSet" {
                self.deployment_of(change, name)
            } else {
                Some(change.workload_id(name))
            }
        });
        // A pod belongs to the workload that controls it, and to what decorates it.
        let decorates = |(id, workload): &(&WorkloadId, &WorkloadFacts)| {
            id.cluster == change.cluster && id.namespace == change.namespace && workload.decorates(change.new)
        };
        let decorations = self.workloads.iter().filter(decorates).map(|(id, _)| id.clone());
        let ids: Vec<WorkloadId> = owner.into_iter().chain(decorations).collect();
        let now = self.now;
        let mut delta = Delta::Other;
        for id in ids {
            let Some(workload) = self.workloads.get_mut(&id) else { continue };
            let before = workload.pods.get(change.name).cloned();
            let taken_down = workload.pod(change, &id.name, now);
            delta = Delta::Pod { id, pod: change.name.to_owned(), before, taken_down };
        }
        delta
    }

    /// The Deployment of a ReplicaSet.
    fn deployment_of(&self, change: &Change<'_>, set: &str) -> Option<WorkloadId> {
        let is_near = |id: &WorkloadId| id.cluster == change.cluster && id.namespace == change.namespace;
        let has = |workload: &WorkloadFacts| workload.deployment.as_ref().is_some_and(|it| it.has(set));
        self.workloads.iter().find(|(id, workload)| is_near(id) && has(workload)).map(|(id, _)| id.clone())
    }

    fn set(&mut self, change: &Change<'_>) -> Delta {
        let owner = deployment::controller(change.new).filter(|owner| owner["kind"] == "Deployment");
        let Some(name) = owner.and_then(|owner| owner["name"].as_str()) else { return Delta::Other };
        let id = change.workload_id(name);
        let Some(workload) = self.workloads.get_mut(&id) else { return Delta::Other };
        let before = Some(Box::new(workload.clone()));
        if let Some(deployment) = &mut workload.deployment {
            deployment.set(change);
        }
        Delta::Workload { id, before }
    }

    fn run(&mut self, change: &Change<'_>) -> Delta {
        let found = self.runs.iter().rposition(|run| !run.gone && run.is(change));
        let Some(index) = found else {
            self.runs.push(RunFacts::new(change));
            return Delta::Run { index: self.runs.len() - 1, before: None };
        };
        let before = self.runs[index].clone();
        self.runs[index].update(change);
        let run = &self.runs[index];
        if run.laps != before.laps {
            let of_batches = self.hooks.iter_mut().filter(|(id, _)| id.run == run.name && id.batch.is_some());
            of_batches.for_each(|(_, hook)| hook.begin_anew());
        }
        self.authorise(index);
        Delta::Run { index, before: Some(Box::new(before)) }
    }

    /// Lets what a run has begun count towards the ceilings of its workloads.
    fn authorise(&mut self, index: usize) {
        let run = &self.runs[index];
        for (id, workload) in &mut self.workloads {
            for quantity in run.authorised(id) {
                workload.authorise(quantity);
            }
        }
    }

    fn rollout(&mut self, change: &Change<'_>) -> Delta {
        let before = self.rollouts.get(change.name).cloned();
        let facts = self.rollouts.entry(change.name.to_owned()).or_default();
        *facts = RolloutFacts::read(change);
        if change.who == Who::User
            && let Some(command) = new_command(change)
            && let Some(run) = self.runs.iter_mut().rev().find(|run| !run.ended() && !run.gone)
        {
            run.commanded(&command);
        }
        Delta::Rollout { name: change.name.to_owned(), before }
    }
}

impl RolloutFacts {
    fn read(change: &Change<'_>) -> Self {
        let object = change.new;
        let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let conditions = conditions.iter().map(|condition| {
            let of = |key: &str| text(&condition[key]);
            (of("type"), (of("status"), of("reason"), of("message")))
        });
        Self {
            name: change.name.to_owned(),
            phase: text(&object["status"]["phase"]),
            conditions: conditions.collect(),
            requests: requests(object),
            deleting: object["metadata"]["deletionTimestamp"].is_string(),
            gone: change.verb == Verb::Delete,
        }
    }
}

impl Change<'_> {
    fn workload_id(&self, name: &str) -> WorkloadId {
        WorkloadId { cluster: self.cluster.to_owned(), namespace: self.namespace.to_owned(), name: name.to_owned() }
    }
}

/// Annotations by which something is asked of the operator, or by which it remembers that.
fn requests(object: &Value) -> Vec<String> {
    let annotations = object["metadata"]["annotations"].as_object();
    let keys = annotations.into_iter().flatten().map(|(key, _)| key);
    keys.filter(|key| {
        key.split_once(OURS)
            .is_some_and(|(_, key)| key.contains("command") || key.contains("trigger") || key.contains("pending"))
    })
    .cloned()
    .collect()
}

/// The command a write set.
fn new_command(change: &Change<'_>) -> Option<String> {
    let key = format!("{OURS}manual-command");
    let of = |object: &Value| object["metadata"]["annotations"].get(&key).and_then(Value::as_str).map(str::to_owned);
    let new = of(change.new)?;
    (change.old.and_then(of).as_ref() != Some(&new)).then_some(new)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn int(value: &Value) -> i32 {
    value.as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
