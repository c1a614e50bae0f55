//! Nothing is written when there is nothing to do.

use super::{About, Ending, Invariant};
use crate::facts::Facts;

/// After the end, and a moment to settle, the operator sends no write to any cluster.
pub(super) struct SilenceAtRest;

impl Invariant for SilenceAtRest {
    fn about(&self) -> About {
        About {
            name: "silence_at_rest",
            sentence: "a fleet at rest costs no writes",
            reference: "DESIGN section 5, silence at rest",
            live: true,
        }
    }

    fn finish(&mut self, _: &Facts, ending: &Ending) -> Option<String> {
        let first = ending.writes_at_rest.first()?;
        Some(format!("{} writes at rest, the first is {first}", ending.writes_at_rest.len()))
    }
}
