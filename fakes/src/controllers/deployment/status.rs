//! The status of a Deployment: counted from its ReplicaSets, with conditions that are remembered.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::set::Set;
use super::spec::Spec;
use crate::clock::stamp;
use crate::controllers::object::{self, int};

/// The condition that says whether the new template gets ahead.
pub(super) const PROGRESSING: &str = "Progressing";
/// The condition that says whether enough pods serve.
const AVAILABLE: &str = "Available";
/// The condition that says that a ReplicaSet could not create or delete pods.
pub(super) const FAILURE: &str = "ReplicaFailure";

/// The reason of a template that is rolled out.
pub(super) const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
/// The reason of a template that did not get ahead in time.
pub(super) const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// `status` of a Deployment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeploymentStatus {
    /// The generation this status was made for.
    pub observed_generation: i64,
    /// Pods that run or will run.
    pub replicas: i32,
    /// Of these, pods of the current template.
    pub updated_replicas: i32,
    /// Pods that are ready.
    pub ready_replicas: i32,
    /// Pods that have been ready for `minReadySeconds`.
    pub available_replicas: i32,
    /// Pods that are asked for and not available.
    pub unavailable_replicas: i32,
    /// Pods that are being deleted; none when a ReplicaSet does not say.
    pub terminating_replicas: Option<i32>,
    /// What goes well and what does not.
    pub conditions: Vec<Value>,
    /// How often a ReplicaSet's name was taken by another template.
    pub collision_count: Option<i32>,
}

impl DeploymentStatus {
    /// The status as it was last written.
    pub(super) fn read(deployment: &Value) -> Self {
        let status = &deployment["status"];
        let count = |field: &str| int(&status[field]).unwrap_or(0);
        Self {
            observed_generation: status["observedGeneration"].as_i64().unwrap_or_default(),
            replicas: count("replicas"),
            updated_replicas: count("updatedReplicas"),
            ready_replicas: count("readyReplicas"),
            available_replicas: count("availableReplicas"),
            unavailable_replicas: count("unavailableReplicas"),
            terminating_replicas: int(&status["terminatingReplicas"]),
            conditions: object::list(&status["conditions"]).to_vec(),
            collision_count: int(&status["collisionCount"]),
        }
    }

    /// The status that follows from the sets, with this one's conditions.
    pub(super) fn counted(&self, spec: &Spec<'_>, sets: &[Set<'_>], new: Option<&Set<'_>>, now: Timestamp) -> Self {
        let sum = |count: fn(&Set<'_>) -> i32| sets.iter().map(count).sum::<i32>();
        let available = sum(|set| set.status.available_replicas);
        let mut status = Self {
            observed_generation: spec.generation,
            replicas: sum(|set| set.status.replicas),
            updated_replicas: new.map_or(0, |set| set.status.replicas),
            ready_replicas: sum(|set| set.status.ready_replicas),
            available_replicas: available,
            unavailable_replicas: (sum(|set| set.replicas) - available).max(0),
            terminating_replicas: terminating(sets),
            conditions: self.conditions.clone(),
            collision_count: self.collision_count,
        };
        status.set_condition(if available >= spec.min_available() {
            let message = "Deployment has minimum availability.";
            condition(AVAILABLE, "True", "MinimumReplicasAvailable", message, now)
        } else {
            let message = "Deployment does not have minimum availability.";
            condition(AVAILABLE, "False", "MinimumReplicasUnavailable", message, now)
        });
        status
    }

    pub(super) fn condition(&self, kind: &str) -> Option<&Value> {
        self.conditions.iter().find(|condition| condition["type"] == kind)
    }

    /// Sets a condition unless it says the same already, and keeps the time since when its status holds.
    pub(super) fn set_condition(&mut self, mut new: Value) {
        let old = self.condition(new["type"].as_str().unwrap_or_default());
        if let Some(old) = old.filter(|old| old["status"] == new["status"]) {
            if old["reason"] == new["reason"] {
                return;
            }
            new["lastTransitionTime"] = old["lastTransitionTime"].clone();
        }
        self.replace_condition(new);
    }

    /// Sets a condition whatever it said before.
    pub(super) fn replace_condition(&mut self, new: Value) {
        self.remove_condition(new["type"].as_str().unwrap_or_default());
        self.conditions.push(new);
    }

    pub(super) fn remove_condition(&mut self, kind: &str) {
        self.conditions.retain(|condition| condition["type"] != kind);
    }

    /// True when all pods are of the current template and available.
    pub(super) fn is_complete(&self, spec: &Spec<'_>) -> bool {
        let counts = [self.updated_replicas, self.replicas, self.available_replicas];
        counts.iter().all(|&count| count == spec.replicas) && self.observed_generation >= spec.generation
    }

    /// True when the roll got ahead of where it was: more new pods, fewer old ones, or more that serve.
    pub(super) fn is_ahead_of(&self, old: &Self) -> bool {
        self.updated_replicas > old.updated_replicas
            || self.replicas - self.updated_replicas < old.replicas - old.updated_replicas
            || self.ready_replicas > old.ready_replicas
            || self.available_replicas > old.available_replicas
    }

    /// The status as the API writes it: counts of zero are left out.
    pub fn to_value(&self) -> Value {
        let mut status = Map::new();
        if self.observed_generation != 0 {
            status.insert("observedGeneration".into(), self.observed_generation.into());
        }
        for (field, count) in [
            ("replicas", self.replicas),
            ("updatedReplicas", self.updated_replicas),
            ("readyReplicas", self.ready_replicas),
            ("availableReplicas", self.available_replicas),
            ("unavailableReplicas", self.unavailable_replicas),
        ] {
            if count != 0 {
                status.insert(field.into(), count.into());
            }
        }
        if let Some(count) = self.terminating_replicas {
            status.insert("terminatingReplicas".into(), count.into());
        }
        if !self.conditions.is_empty() {
            status.insert("conditions".into(), self.conditions.clone().into());
        }
        if let Some(count) = self.collision_count {
            status.insert("collisionCount".into(), count.into());
        }
        Value::Object(status)
    }
}

/// A set that its controller has not looked at yet counts as none; one that does not count makes the sum unknown.
fn terminating(sets: &[Set<'_>]) -> Option<i32> {
    let looked_at = |set: &&Set<'_>| set.status.observed_generation != 0 || set.status.terminating_replicas.is_some();
    sets.iter().filter(looked_at).map(|set| set.status.terminating_replicas).sum()
}

/// A condition that holds from now on.
fn condition(kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    let now = stamp(now);
    json!({
        "type": kind,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    })
}

/// The condition that says whether the new template gets ahead.
pub(super) fn progressing(status: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    condition(PROGRESSING, status, reason, message, now)
}
