//! The fields of a StatefulSet that the controller decides by, with their defaults.

use serde_json::Value;

use super::Flavour;
use crate::controllers::object::{self, int};
use crate::selector::LabelSelector;

/// A StatefulSet's wishes.
#[derive(Debug, Clone)]
pub(super) struct Spec<'a> {
    pub(super) set: &'a Value,
    pub(super) flavour: Flavour,
    pub(super) name: &'a str,
    pub(super) generation: i64,
    pub(super) terminating: bool,
    selector: Option<LabelSelector>,
    pub(super) replicas: i32,
    /// The first ordinal.
    pub(super) start: i32,
    /// Pods one after the other instead of all at once.
    pub(super) ordered: bool,
    pub(super) strategy: Strategy,
    /// How many pods may be unavailable while they are updated.
    pub(super) max_unavailable: i32,
    /// Any pods are updated until the partition's number of old ones is left, not those of the highest ordinals.
    pub(super) unordered: bool,
    pub(super) min_ready_seconds: i32,
    /// None means no limit.
    pub(super) revision_history_limit: Option<usize>,
    pub(super) claims: Retention,
    /// `status.currentReplicas` as last written.
    pub(super) current_replicas: i32,
}

/// `spec.persistentVolumeClaimRetentionPolicy`: with whom claims go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retention {
    /// With the set.
    pub(super) with_set: bool,
    /// With a pod outside the set's range.
    pub(super) with_pod: bool,
}

/// `spec.updateStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    OnDelete,
    /// Only ordinals from the partition on are updated. The API server fills in the partition; without it the
    /// controller decides by `status.currentReplicas`.
    RollingUpdate {
        partition: Option<i32>,
    },
    /// The same, but for now no pod is updated.
    Paused {
        partition: Option<i32>,
    },
}

impl<'a> Spec<'a> {
    pub(super) fn read(set: &'a Value) -> Self {
        let spec = &set["spec"];
        let strategy = &spec["updateStrategy"];
        let replicas = int(&spec["replicas"]).unwrap_or(1).max(0);
        let flavour = Flavour::of(set);
        // What only an Advanced StatefulSet has.
        let advanced = if flavour == Flavour::Advanced { &strategy["rollingUpdate"] } else { &Value::Null };
        let min_ready_seconds = if flavour == Flavour::Advanced { advanced } else { spec };
        Self {
            flavour,
            set,
            name: object::name(set),
            generation: set["metadata"]["generation"].as_i64().unwrap_or_default(),
            terminating: object::is_deleting(set),
            selector: object::selector(&spec["selector"]),
            replicas,
            start: int(&spec["ordinals"]["start"]).unwrap_or(0),
            ordered: spec["podManagementPolicy"] != "Parallel",
            strategy: Strategy::read(strategy, advanced["paused"] == true),
            max_unavailable: match &advanced["maxUnavailable"] {
                Value::Null => 1,
                bound => object::portion(bound, replicas, false).max(1),
            },
            unordered: advanced["unorderedUpdate"].is_object(),
            min_ready_seconds: int(&min_ready_seconds["minReadySeconds"]).unwrap_or(0),
            revision_history_limit: usize::try_from(int(&spec["revisionHistoryLimit"]).unwrap_or(10)).ok(),
            claims: Retention {
                with_set: spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete",
                with_pod: spec["persistentVolumeClaimRetentionPolicy"]["whenScaled"] == "Delete",
            },
            current_replicas: int(&set["status"]["currentReplicas"]).unwrap_or(0),
        }
    }

    /// True when the set's selector selects the object.
    pub(super) fn selects(&self, object: &Value) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(object))
    }

    /// True when a pod of this ordinal is created from the current revision, not from the update revision. So many
    /// other pods do not have the update revision.
    pub(super) fn starts_current(&self, ordinal: i32, others: usize) -> bool {
        match self.strategy {
            Strategy::OnDelete => false,
            Strategy::RollingUpdate { partition } | Strategy::Paused { partition } => {
                let kept = partition.unwrap_or(self.current_replicas);
                if self.unordered {
                    return usize::try_from(kept).is_ok_and(|kept| others < kept);
                }
                i64::from(ordinal) < i64::from(self.start) + i64::from(kept)
            }
        }
    }
}

impl Strategy {
    fn read(strategy: &Value, paused: bool) -> Self {
        let rolling = &strategy["rollingUpdate"];
        let partition = rolling.is_object().then(|| int(&rolling["partition"]).unwrap_or(0));
        match strategy["type"].as_str() {
            Some("OnDelete") => Self::OnDelete,
            _ if paused => Self::Paused { partition },
            _ => Self::RollingUpdate { partition },
        }
    }
}
