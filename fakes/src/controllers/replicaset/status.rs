//! The status of a ReplicaSet: counted from its pods, never remembered.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Change;
use crate::clock::stamp;
use crate::controllers::object::{self, int};
use crate::controllers::pod;

/// The condition that says that pods could not be created or deleted.
const FAILURE: &str = "ReplicaFailure";

/// `status` of a ReplicaSet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReplicaSetStatus {
    /// Pods that run or will run.
    pub replicas: i32,
    /// Of these, pods that have all labels of the template.
    pub fully_labeled_replicas: i32,
    /// Pods that are ready.
    pub ready_replicas: i32,
    /// Pods that have been ready for `minReadySeconds`.
    pub available_replicas: i32,
    /// Pods that are being deleted; none when an older controller wrote the status.
    pub terminating_replicas: Option<i32>,
    /// The generation this status was made for.
    pub observed_generation: i64,
    /// Whether something went wrong.
    pub conditions: Vec<Value>,
}

impl ReplicaSetStatus {
    pub(super) fn count(
        set: &Value,
        active: &[&Value],
        terminating: usize,
        min_ready_seconds: i32,
        now: Timestamp,
    ) -> Self {
        let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let count = |counts: &dyn Fn(&Value) -> bool| number(active.iter().filter(|pod| counts(pod)).count());
        let labels = set["spec"]["template"]["metadata"]["labels"].as_object();
        Self {
            replicas: number(active.len()),
            fully_labeled_replicas: count(&|pod| {
                labels.into_iter().flatten().all(|(key, value)| pod["metadata"]["labels"].get(key) == Some(value))
            }),
            ready_replicas: count(&pod::is_ready),
            available_replicas: count(&|pod| pod::is_available(pod, min_ready_seconds, now)),
            terminating_replicas: Some(number(terminating)),
            observed_generation: object::generation(set),
            conditions: object::list(&set["status"]["conditions"]).to_vec(),
        }
    }

    /// The status of a set as it was last written.
    pub(crate) fn read(set: &Value) -> Self {
        let status = &set["status"];
        let count = |field: &str| int(&status[field]).unwrap_or(0);
        Self {
            replicas: count("replicas"),
            fully_labeled_replicas: count("fullyLabeledReplicas"),
            ready_replicas: count("readyReplicas"),
            available_replicas: count("availableReplicas"),
            terminating_replicas: int(&status["terminatingReplicas"]),
            observed_generation: status["observedGeneration"].as_i64().unwrap_or_default(),
            conditions: object::list(&status["conditions"]).to_vec(),
        }
    }

    /// Adds why a change failed, or takes away that one did. The first reason stays while changes go on failing.
    #[must_use]
    pub fn after(mut self, change: &Change, failure: Option<&str>, now: Timestamp) -> Self {
        let failed = self.conditions.iter().any(|condition| condition["type"] == FAILURE);
        match failure {
            Some(message) if !failed => self.conditions.push(json!({
                "type": FAILURE,
                "status": "True",
                "lastTransitionTime": stamp(now),
                "reason": if matches!(change, Change::Delete(_)) { "FailedDelete" } else { "FailedCreate" },
                "message": message,
            })),
            None => self.conditions.retain(|condition| condition["type"] != FAILURE),
            Some(_) => {}
        }
        self
    }

    /// The status as the API writes it: counts of zero are left out, but for two.
    pub fn to_value(&self) -> Value {
        let mut status = Map::new();
        status.insert("replicas".into(), self.replicas.into());
        for (field, count) in [
            ("fullyLabeledReplicas", self.fully_labeled_replicas),
            ("readyReplicas", self.ready_replicas),
            ("availableReplicas", self.available_replicas),
        ] {
            if count != 0 {
                status.insert(field.into(), count.into());
            }
        }
        if let Some(count) = self.terminating_replicas {
            status.insert("terminatingReplicas".into(), count.into());
        }
        status.insert("observedGeneration".into(), self.observed_generation.into());
        if !self.conditions.is_empty() {
            status.insert("conditions".into(), self.conditions.clone().into());
        }
        Value::Object(status)
    }
}
