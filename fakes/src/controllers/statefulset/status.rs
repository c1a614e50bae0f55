//! The status of a StatefulSet: counted from its pods, never remembered.

use serde_json::{Map, Value, json};

use super::pod::Pod;
use super::spec::{Spec, Strategy};
use crate::controllers::object;
use crate::controllers::revision::History;

/// `status` of a StatefulSet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatefulSetStatus {
    /// The generation this status was made for.
    pub observed_generation: i64,
    /// Pods that exist.
    pub replicas: i32,
    /// Pods that are running and ready.
    pub ready_replicas: i32,
    /// Pods that have been ready for `minReadySeconds`.
    pub available_replicas: i32,
    /// Pods of the current revision that are not terminating.
    pub current_replicas: i32,
    /// Pods of the update revision that are not terminating.
    pub updated_replicas: i32,
    /// The revision of pods below the partition.
    pub current_revision: String,
    /// The revision of the set's template.
    pub update_revision: String,
    /// How often a revision's name was taken by another template.
    pub collision_count: i32,
}

impl StatefulSetStatus {
    pub(super) fn new(spec: &Spec<'_>, history: &History<'_>) -> Self {
        Self {
            observed_generation: spec.generation,
            current_revision: object::name(&history.current).to_owned(),
            update_revision: object::name(&history.update).to_owned(),
            collision_count: history.collision_count,
            ..Self::default()
        }
    }

    /// Counts one pod that exists.
    pub(super) fn count(&mut self, pod: &Pod<'_>) {
        if pod.exists() {
            self.replicas += 1;
        }
        if pod.is_running_and_ready() {
            self.ready_replicas += 1;
            self.available_replicas += i32::from(pod.available);
        }
        if pod.exists() && !pod.terminating {
            self.current_replicas += i32::from(pod.revision == self.current_revision);
            self.updated_replicas += i32::from(pod.revision == self.update_revision);
        }
    }

    /// The update is over when every pod is updated and ready: only then does the current revision move.
    pub(super) fn complete(&mut self, spec: &Spec<'_>) {
        let everything = [self.updated_replicas, self.ready_replicas, self.replicas];
        let rolling = matches!(spec.strategy, Strategy::RollingUpdate { .. });
        if rolling && everything.iter().all(|&count| count == spec.replicas) {
            self.current_replicas = self.updated_replicas;
            self.current_revision.clone_from(&self.update_revision);
        }
    }

    /// True when the status written on the set is another one.
    pub(super) fn differs(&self, set: &Value) -> bool {
        let written = &set["status"];
        let number = |field: &str| written[field].as_i64().unwrap_or_default();
        let text = |field: &str| written[field].as_str().unwrap_or_default();
        self.observed_generation > number("observedGeneration")
            || i64::from(self.replicas) != number("replicas")
            || i64::from(self.ready_replicas) != number("readyReplicas")
            || i64::from(self.available_replicas) != number("availableReplicas")
            || i64::from(self.current_replicas) != number("currentReplicas")
            || i64::from(self.updated_replicas) != number("updatedReplicas")
            || self.current_revision != text("currentRevision")
            || self.update_revision != text("updateRevision")
    }

    /// The status as the API writes it: counts of zero are left out, but for two.
    pub fn to_value(&self) -> Value {
        let mut status = Map::new();
        status.insert("observedGeneration".into(), self.observed_generation.into());
        status.insert("replicas".into(), self.replicas.into());
        for (field, count) in [
            ("readyReplicas", self.ready_replicas),
            ("currentReplicas", self.current_replicas),
            ("updatedReplicas", self.updated_replicas),
        ] {
            if count != 0 {
                status.insert(field.into(), count.into());
            }
        }
        status.insert("currentRevision".into(), json!(self.current_revision));
        status.insert("updateRevision".into(), json!(self.update_revision));
        status.insert("collisionCount".into(), self.collision_count.into());
        status.insert("availableReplicas".into(), self.available_replicas.into());
        Value::Object(status)
    }
}
