//! What to write to a workload so that it meets its goal.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    intent::WorkloadGoal,
    view::{Pod, Workload},
};

/// What a workload actor does next.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct WorkloadStep {
    /// The JSON merge patch to send, guarded by the resourceVersion in it; `None` when the goal is met.
    pub patch: Option<Value>,
    /// When to decide again though nothing changed.
    pub wake: Option<Timestamp>,
}

/// Decides the next write of one workload. `pods` is `None` as long as they are not known.
pub fn workload(goal: &WorkloadGoal, workload: &Workload, pods: Option<&[Arc<Pod>]>, now: Timestamp) -> WorkloadStep {
    let _ = (goal, workload, pods, now);
    WorkloadStep::default()
}
