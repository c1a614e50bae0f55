//! The fields of a StatefulSet that the controller decides by, with their defaults.

use serde_json::Value;

use crate::controllers::object::{self, int};
use crate::selector::LabelSelector;

/// A StatefulSet's wishes.
#[derive(Debug, Clone)]
pub(super) struct Spec<'a> {
    pub(super) set: &'a Value,
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
}

impl<'a> Spec<'a> {
    pub(super) fn read(set: &'a Value) -> Self {
        let spec = &set["spec"];
        let strategy = &spec["updateStrategy"];
        Self {
            set,
            name: object::name(set),
            generation: set["metadata"]["generation"].as_i64().unwrap_or_default(),
            terminating: object::is_deleting(set),
            selector: object::selector(&spec["selector"]),
            replicas: int(&spec["replicas"]).unwrap_or(1).max(0),
            start: int(&spec["ordinals"]["start"]).unwrap_or(0),
            ordered: spec["podManagementPolicy"] != "Parallel",
            strategy: match strategy["type"].as_str() {
                Some("OnDelete") => Strategy::OnDelete,
                _ => Strategy::RollingUpdate {
                    partition: strategy["rollingUpdate"].as_object().map(|_| {
                        let partition = &strategy["rollingUpdate"]["partition"];
                        int(partition).unwrap_or(0)
                    }),
                },
            },
            min_ready_seconds: int(&spec["minReadySeconds"]).unwrap_or(0),
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

    /// True when a pod of this ordinal is created from the current revision, not from the update revision.
    pub(super) fn starts_current(&self, ordinal: i32) -> bool {
        match self.strategy {
            Strategy::OnDelete => false,
            Strategy::RollingUpdate { partition } => {
                let kept = partition.unwrap_or(self.current_replicas);
                i64::from(ordinal) < i64::from(self.start) + i64::from(kept)
            }
        }
    }
}
