//! How many pods of a CloneSet are made, taken away and updated: the heart of the controller, as OpenKruise counts.

use super::{Pod, Spec};
use crate::controllers::custom::count;

/// What can be done now, in pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Pods to be created.
    pub(super) create: i32,
    /// How many of the first of these are of the old revision.
    pub(super) create_old: i32,
    /// Pods to be deleted because there are too many.
    pub(super) delete: i32,
    /// How many of these are of the old revision.
    pub(super) delete_old: i32,
    /// Available pods that may be deleted for that.
    pub(super) delete_available: i32,
    /// Pods of the old revision to be updated.
    pub(super) update: i32,
    /// Available pods that may be deleted for that.
    pub(super) update_available: i32,
}

impl Numbers {
    pub(super) fn of(spec: &Spec, pods: &[Pod<'_>]) -> Self {
        let number = |counts: &dyn Fn(&&Pod<'_>) -> bool| count(pods.iter().filter(counts));
        let (total, new) = (count(pods), number(&|pod| pod.updated));
        let old = total - new;
        let unavailable = number(&|pod| !pod.available);
        let new_unavailable = number(&|pod| pod.updated && !pod.available);

        // Pods are never brought back to the old revision.
        let too_old = (old - spec.partition).max(0).min((spec.replicas - spec.partition - new).max(0));
        let expected = spec.replicas + spec.max_surge.min(too_old);
        let may_be_unavailable = spec.max_unavailable + total - spec.replicas;
        Self {
            create: (expected - total).min(spec.scale_max_unavailable - unavailable).max(0),
            create_old: (spec.partition - old).max(0),
            delete: (total - expected).max(0),
            delete_old: (old - spec.partition).max(0),
            delete_available: (may_be_unavailable - unavailable).max(0),
            // What is not available on the new revision is waited for, also when pods of the old one are down.
            update: too_old.min(may_be_unavailable - new_unavailable).max(0),
            update_available: (may_be_unavailable - unavailable).max(0),
        }
    }
}
