//! No panic that nobody injected, no log entry of level ERROR.

use super::{About, Ending, Invariant};
use crate::facts::Facts;

/// ERROR in the log means a defect of ours; what a user, a cluster or a network can cause is at most a warning.
pub(super) struct NoAlarm;

impl Invariant for NoAlarm {
    fn about(&self) -> About {
        About {
            name: "no_alarm",
            sentence: "nothing panics that nobody injected, and nothing is logged at level ERROR",
            reference: "DESIGN section 4, panics",
            live: false,
        }
    }

    fn finish(&mut self, _: &Facts, ending: &Ending) -> Option<String> {
        let first = ending.alarms.first()?;
        Some(format!("{} alarms, the first is {first}", ending.alarms.len()))
    }
}
