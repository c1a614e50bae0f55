//! A batch with a breakpoint waits for `continue`.

use super::{About, Invariant};
use crate::facts::{Change, Delta, Facts};

/// A batch with a breakpoint may begin only after a user gave `continue` while the run stood at it.
pub(super) struct NoStepPastBreakpoint;

impl Invariant for NoStepPastBreakpoint {
    fn about(&self) -> About {
        About {
            name: "no_step_past_breakpoint",
            sentence: "a batch with a breakpoint begins only after a continue that was given while the run stood at it",
            reference: "DESIGN section 5, no step past a breakpoint",
            live: true,
        }
    }

    fn observe(&mut self, facts: &Facts, delta: &Delta, _: &Change<'_>) -> Option<String> {
        let Delta::Run { index, before: Some(_) } = delta else { return None };
        let run = facts.runs.get(*index)?;
        let mut batches = run.batches.iter().enumerate();
        let (passed, _) = batches
            .find(|(index, batch)| batch.breakpoint && batch.begun && !batch.continued && !run.asked_to_undo(*index))?;
        Some(format!("batch {} of run {} began without a continue at its breakpoint", passed + 1, run.name))
    }
}
