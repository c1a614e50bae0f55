//! Once faults stop, the run comes to where it should.

use super::{About, Ending, Invariant};
use crate::facts::Facts;

/// The scenario's expectation came true within its budget of virtual time.
pub(super) struct Finished;

impl Invariant for Finished {
    fn about(&self) -> About {
        About {
            name: "finished",
            sentence: "once faults stop, what the scenario expects comes true within its budget of time",
            reference: "DESIGN section 5, eventually finished",
            live: true,
        }
    }

    fn finish(&mut self, facts: &Facts, ending: &Ending) -> Option<String> {
        if ending.unmet.is_empty() {
            return None;
        }
        let stand = facts.newest_run().map_or_else(
            || "there is no run".to_owned(),
            |run| format!("run {} is {} at batch {} ({})", run.name, run.phase, run.index + 1, run.state),
        );
        Some(format!("after {}: {}; {stand}", ending.budget, ending.unmet.join("; ")))
    }
}
