//! Decisions: pure functions from what the API shows now to what is to happen next.
//!
//! No I/O, no clock, no randomness and no actor in any signature here. The operator and the simulator call the very
//! same functions.

mod workload;

use jiff::Timestamp;

pub use self::workload::{WorkloadStep, workload};
use crate::{intent::Decision, view::RolloutView};

/// Decides the next step of one Rollout and its runs.
pub fn rollout(view: &RolloutView, now: Timestamp) -> Decision {
    let _ = (view, now);
    Decision::default()
}
