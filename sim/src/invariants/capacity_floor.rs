//! Never more pods down for an update than the step's window.

use super::{About, Invariant};
use crate::facts::{Change, Delta, Facts};

/// Counts pods that were serving and were taken down to be updated, until their place is served again. A pod that a
/// bad image keeps down counts; one that a user deleted or that lost its readiness by itself does not.
pub(super) struct CapacityFloor;

impl Invariant for CapacityFloor {
    fn about(&self) -> About {
        About {
            name: "capacity_floor",
            sentence: "the pods our writes made unavailable never exceed the step's window, or its count without one, nor what a Deployment's own strategy allows, beside failed pods that it tolerates",
            reference: "DESIGN section 5, capacity floor",
            live: true,
        }
    }

    fn observe(&mut self, facts: &Facts, delta: &Delta, _: &Change<'_>) -> Option<String> {
        let Delta::Pod { id, pod, taken_down: true, .. } = delta else { return None };
        let workload = facts.workloads.get(id)?;
        let allowed = workload.down.values().max().copied().unwrap_or_default();
        let down = workload.down.len();
        if down <= usize::try_from(allowed).unwrap_or_default() {
            return None;
        }
        Some(format!("{id} has {down} of {} pods down with {pod}, {allowed} are allowed", workload.desired))
    }
}
