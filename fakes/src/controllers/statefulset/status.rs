//! The status of a StatefulSet: counted from its pods, never remembered.

use serde_json::{Map, Value, json};

use super::Flavour;
use super::pod::Pod;
use super::spec::{Spec, Strategy};
use crate::controllers::object;
use crate::controllers::revision::History;
use crate::selector;

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
    /// What only an Advanced StatefulSet tells.
    pub advanced: Option<AdvancedStatus>,
}

/// What the status of an Advanced StatefulSet has beyond that of a StatefulSet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdvancedStatus {
    /// Pods of the update revision that are running and ready.
    pub updated_ready_replicas: i32,
    /// Pods of the update revision that have been ready for `minReadySeconds`.
    pub updated_available_replicas: i32,
    /// The set's selector, for its scale subresource.
    pub label_selector: String,
}

impl StatefulSetStatus {
    pub(super) fn new(spec: &Spec<'_>, history: &History<'_>) -> Self {
        Self {
            observed_generation: spec.generation,
            current_revision: object::name(&history.current).to_owned(),
            update_revision: object::name(&history.update).to_owned(),
            collision_count: history.collision_count,
            advanced: (spec.flavour == Flavour::Advanced).then(|| AdvancedStatus {
                label_selector: selector::text(&spec.set["spec"]["selector"]),
                ..AdvancedStatus::default()
            }),
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
            if let Some(advanced) = self.advanced.as_mut().filter(|_| pod.revision == self.update_revision) {
                advanced.updated_ready_replicas += 1;
                advanced.updated_available_replicas += i32::from(pod.available);
            }
        }
        if pod.exists() && !pod.terminating {
            self.current_replicas += i32::from(pod.revision == self.current_revision);
            self.updated_replicas += i32::from(pod.revision == self.update_revision);
        }
    }

    /// The update is over when every pod is updated and ready: only then does the current revision move.
    pub(super) fn complete(&mut self, spec: &Spec<'_>) {
        let everything = [self.updated_replicas, self.ready_replicas, self.replicas];
        let on_delete = matches!(spec.strategy, Strategy::OnDelete);
        if !on_delete && everything.iter().all(|&count| count == spec.replicas) {
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
            || self.advanced.as_ref().is_some_and(|advanced| {
                i64::from(advanced.updated_ready_replicas) != number("updatedReadyReplicas")
                    || i64::from(advanced.updated_available_replicas) != number("updatedAvailableReplicas")
                    || advanced.label_selector != text("labelSelector")
            })
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
        if let Some(advanced) = &self.advanced {
            status.insert("updatedReadyReplicas".into(), advanced.updated_ready_replicas.into());
            status.insert("updatedAvailableReplicas".into(), advanced.updated_available_replicas.into());
            status.insert("labelSelector".into(), advanced.label_selector.as_str().into());
        }
        Value::Object(status)
    }
}
