//! The fields of a Deployment that the controller decides by, with their defaults.

use serde_json::Value;

use crate::controllers::object::{self, int, portion};
use crate::selector::LabelSelector;

/// A Deployment's wishes.
#[derive(Debug, Clone)]
pub(super) struct Spec<'a> {
    pub(super) deployment: &'a Value,
    pub(super) name: &'a str,
    pub(super) generation: i64,
    pub(super) deleting: bool,
    pub(super) paused: bool,
    selector: Option<LabelSelector>,
    pub(super) replicas: i32,
    pub(super) strategy: Strategy,
    pub(super) min_ready_seconds: i32,
    /// Seconds without progress after which the Deployment says so. None means for ever.
    pub(super) deadline: Option<i32>,
    /// Old ReplicaSets to keep. None means all.
    pub(super) history_limit: Option<usize>,
}

/// `spec.strategy`, with percentages resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    /// All old pods go before a new one comes.
    Recreate,
    /// Pods are replaced a few at a time.
    RollingUpdate { max_surge: i32, max_unavailable: i32 },
}

impl<'a> Spec<'a> {
    pub(super) fn read(deployment: &'a Value) -> Self {
        let spec = &deployment["spec"];
        let replicas = int(&spec["replicas"]).unwrap_or(1);
        Self {
            deployment,
            name: object::name(deployment),
            generation: object::generation(deployment),
            deleting: object::is_deleting(deployment),
            paused: spec["paused"] == true,
            // An empty selector would take everything, so it takes nothing.
            selector: object::selector(&spec["selector"]).filter(|selector| !selector.is_empty()),
            replicas,
            strategy: Strategy::read(&spec["strategy"], replicas),
            min_ready_seconds: int(&spec["minReadySeconds"]).unwrap_or(0),
            deadline: int(&spec["progressDeadlineSeconds"]).filter(|&seconds| seconds != i32::MAX),
            history_limit: int(&spec["revisionHistoryLimit"])
                .filter(|&limit| limit != i32::MAX)
                .and_then(|limit| usize::try_from(limit).ok()),
        }
    }

    /// True when the Deployment's selector selects the object.
    pub(super) fn selects(&self, object: &Value) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(object))
    }

    pub(super) fn max_surge(&self) -> i32 {
        match self.strategy {
            Strategy::Recreate => 0,
            Strategy::RollingUpdate { max_surge, .. } => max_surge,
        }
    }

    pub(super) fn max_unavailable(&self) -> i32 {
        match self.strategy {
            Strategy::Recreate => 0,
            Strategy::RollingUpdate { max_unavailable, .. } => max_unavailable,
        }
    }

    /// The most pods there may be, surge included.
    pub(super) fn max_replicas(&self) -> i32 {
        self.replicas.saturating_add(self.max_surge())
    }

    /// The size of a new set of this size when all sets together have so many pods: as large as there is room for.
    pub(super) fn room(&self, total: i32, size: i32) -> i32 {
        match self.strategy {
            Strategy::Recreate => self.replicas,
            Strategy::RollingUpdate { .. } if total >= self.max_replicas() => size,
            Strategy::RollingUpdate { .. } => size + (self.max_replicas() - total).min(self.replicas - size),
        }
    }

    /// The fewest pods that have to be available.
    pub(super) fn min_available(&self) -> i32 {
        self.replicas - self.max_unavailable()
    }
}

impl Strategy {
    /// Surge is rounded up and unavailability down. Where that makes both zero, one pod may be unavailable: the API
    /// server refuses zeros, but not percentages that come to them.
    fn read(strategy: &Value, replicas: i32) -> Self {
        if strategy["type"] == "Recreate" {
            return Self::Recreate;
        }
        let rolling = &strategy["rollingUpdate"];
        let max_surge = portion(&rolling["maxSurge"], replicas, true);
        let max_unavailable = match portion(&rolling["maxUnavailable"], replicas, false) {
            0 if max_surge == 0 => 1,
            unavailable => unavailable,
        };
        Self::RollingUpdate { max_surge, max_unavailable: max_unavailable.min(replicas) }
    }
}
