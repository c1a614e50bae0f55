//! What stands between a Deployment and its pods: ReplicaSets, and who let their sizes change.
//!
//! A Deployment has neither places nor a partition. Its controller sizes ReplicaSets by the numbers that were written last,
//! so whoever wrote them answers for a ReplicaSet that grows, and for a pod that goes because one shrinks.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{Change, PodFacts, Quantity, Verb, Who, WorkloadFacts, int, text};
use crate::trace::digest;

/// The label by which a ReplicaSet tells its pods from those of others.
pub(super) const HASH: &str = "pod-template-hash";

/// The fields of `spec` that a Deployment's controller goes by.
const STEERING: [&str; 5] = ["replicas", "paused", "strategy", "minReadySeconds", "template"];

/// Those that a step changes for a time. What stands in them after the end has to be the user's.
const LENT: [&str; 3] = ["strategy", "minReadySeconds", "progressDeadlineSeconds"];

/// What a Deployment shows that other workloads do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentFacts {
    /// Its ReplicaSets by name.
    sets: BTreeMap<String, Set>,
    /// Who wrote last what its controller goes by.
    steered_by: Who,
    /// What the step that steers it allows to be down at a time.
    allowance: i32,
    /// Its spec.
    spec: Value,
    /// Its lent fields as users wrote them.
    users: BTreeMap<&'static str, Value>,
}

/// A ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set {
    /// What its template says, as [`revision_of`] tells it.
    revision: String,
    /// `spec.replicas`.
    replicas: i32,
    /// Those of them that are not the operator's doing.
    foreign: i32,
}

/// A template by what it says, without the label that a ReplicaSet adds to it. A Deployment's status names no revision,
/// and while it is paused there may be no ReplicaSet of its template.
pub(super) fn revision_of(template: &Value) -> String {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
    }
    template.sort_all_objects();
    format!("{:08x}", digest(template.to_string().as_bytes()))
}

impl DeploymentFacts {
    /// Takes in a write of the Deployment. `allowance` is what an active run allows to be down.
    pub(super) fn update(&mut self, change: &Change<'_>, allowance: Option<i32>) {
        let old = change.old.map_or(&Value::Null, |old| &old["spec"]);
        let spec = &change.new["spec"];
        let differs = |field: &&str| old[*field] != spec[*field];
        if STEERING.iter().any(differs) {
            self.steered_by = change.who;
        }
        if change.who == Who::Operator {
            self.allowance = allowance.unwrap_or(self.allowance);
        } else {
            let written = LENT.into_iter().filter(differs);
            self.users.extend(written.map(|field| (field, spec[field].clone())));
        }
        self.spec = spec.clone();
    }

    /// The user's `spec.minReadySeconds`.
    pub(super) fn min_ready_seconds(&self) -> i32 {
        self.users.get("minReadySeconds").map_or(0, int)
    }

    /// The most pods of `desired` that the user's own strategy lets be down at a time.
    pub(super) fn most_down(&self, desired: i32) -> i32 {
        let rolling = self.users.get("strategy").map_or(&Value::Null, |strategy| &strategy["rollingUpdate"]);
        let surge = Quantity::read(&rolling["maxSurge"]).map_or(0, |surge| surge.of(desired));
        let down = match Quantity::read(&rolling["maxUnavailable"]) {
            // Its controller rounds what may be unavailable down.
            Some(Quantity::Percent(percent)) => desired - Quantity::Percent(100 - percent).of(desired),
            Some(count) => count.of(desired),
            None => 0,
        };
        // Without either nothing would ever move; its controller takes one down then.
        if surge == 0 { down.max(1) } else { down }
    }

    /// A field that a step changed and nobody put back. Between two templates the strategy stays as it is: another one
    /// would move pods, paused or not.
    pub(crate) fn not_put_back(&self, pending: bool) -> Option<&'static str> {
        let is_same = |now: &Value, users: &Value| now == users || (is_nothing(now) && is_nothing(users));
        let mut fields = LENT.into_iter().filter(|field| !(pending && *field == "strategy"));
        fields.find(|field| !is_same(&self.spec[*field], self.users.get(field).unwrap_or(&Value::Null)))
    }

    /// Whether it is paused, and by which numbers it moves if it is not.
    pub fn way(&self) -> String {
        if self.spec["paused"] == true {
            return "paused".to_owned();
        }
        let rolling = &self.spec["strategy"]["rollingUpdate"];
        let number = |field: &str| rolling[field].as_str().map_or_else(|| rolling[field].to_string(), str::to_owned);
        format!("unpaused with maxSurge {}, maxUnavailable {}", number("maxSurge"), number("maxUnavailable"))
    }

    /// How many pods its ReplicaSets are to have: of a revision, and of all others.
    pub fn sizes(&self, revision: &str) -> (i32, i32) {
        let (new, old): (Vec<_>, Vec<_>) = self.sets.values().partition(|set| set.revision == revision);
        let sum = |sets: Vec<&Set>| sets.into_iter().map(|set| set.replicas).sum();
        (sum(new), sum(old))
    }

    /// Whether a ReplicaSet of this name is its own.
    pub(super) fn has(&self, set: &str) -> bool {
        self.sets.contains_key(set)
    }

    /// Takes in a write of one of its ReplicaSets.
    pub(super) fn set(&mut self, change: &Change<'_>) {
        if change.verb == Verb::Delete {
            self.sets.remove(change.name);
            return;
        }
        let spec = &change.new["spec"];
        let set = self.sets.entry(change.name.to_owned()).or_default();
        let grown = int(&spec["replicas"]) - set.replicas;
        // Who answers for which of its pods nobody can say when it shrinks: the operator keeps its own.
        if grown < 0 || self.steered_by != Who::Operator {
            set.foreign = (set.foreign + grown).max(0);
        }
        set.replicas += grown;
        set.revision = revision_of(&spec["template"]);
    }
}

impl WorkloadFacts {
    /// Takes in a write of the Deployment. Returns the template that all of its pods had last.
    pub(super) fn steered(&mut self, change: &Change<'_>, allowance: Option<i32>) -> String {
        let deployment = self.deployment.get_or_insert_default();
        deployment.update(change, allowance);
        self.min_ready_seconds = deployment.min_ready_seconds();
        let all_new = self.pods.values().all(|pod| pod.terminating || pod.revision == self.updated);
        let is_through = change.old.is_none() || (all_new && is_through(change.new));
        if is_through { self.updated.clone() } else { std::mem::take(&mut self.stable) }
    }

    /// Takes in a write of a pod of one of its ReplicaSets; true when it took down a pod that served, and nobody serves in
    /// its place.
    pub(super) fn pod_of_set(&mut self, change: &Change<'_>, now: Duration) -> bool {
        let Some(deployment) = &self.deployment else { return false };
        let owner = controller(change.new).map(|owner| text(&owner["name"])).unwrap_or_default();
        let Some(set) = deployment.sets.get(&owner) else { return false };
        let steered_by = deployment.steered_by;
        let allowance = deployment.allowance;
        let before = self.pods.get(change.name).cloned();
        let mut pod = PodFacts::read(change, HASH, &self.container, before.as_ref());
        pod.revision.clone_from(&set.revision);
        let ours =
            self.pods.values().filter(|other| other.revision == set.revision && !other.foreign && !other.terminating);
        pod.foreign =
            before.as_ref().map_or(ours.count() >= count(set.replicas - set.foreign), |before| before.foreign);
        let served = before.as_ref().is_some_and(|before| before.uid == pod.uid && self.is_available(before, now));
        let goes = change.verb == Verb::Delete || pod.terminating;
        if change.verb == Verb::Delete {
            self.pods.remove(change.name);
        } else {
            self.pods.insert(change.name.to_owned(), pod);
        }
        let short = self.short(now);
        self.down.retain(|nth, _| *nth < short);
        let down = i32::try_from(self.down.len()).unwrap_or(i32::MAX);
        let by_roll = change.who == Who::Cluster && steered_by == Who::Operator;
        let ours = by_roll || change.who == Who::Operator;
        if !(served && goes && ours) || self.is_copy() || down >= short {
            return false;
        }
        self.down.insert(down, if by_roll { allowance } else { 0 });
        true
    }

    /// How many pods are missing.
    fn short(&self, now: Duration) -> i32 {
        let up = self.pods.values().filter(|pod| self.is_available(pod, now)).count();
        self.desired - i32::try_from(up).unwrap_or(i32::MAX)
    }
}

/// Whether every pod was replaced and is ready, as its own status says.
fn is_through(deployment: &Value) -> bool {
    let (status, desired) = (&deployment["status"], &deployment["spec"]["replicas"]);
    let all = ["replicas", "updatedReplicas", "readyReplicas"];
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && all.iter().all(|field| int(&status[*field]) == int(desired))
}

/// Who controls an object.
pub(super) fn controller(object: &Value) -> Option<&Value> {
    object["metadata"]["ownerReferences"].as_array()?.iter().find(|owner| owner["controller"] == true)
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || *value == 0
}

fn count(number: i32) -> usize {
    usize::try_from(number).unwrap_or_default()
}
