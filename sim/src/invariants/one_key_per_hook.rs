//! A hook that is asked again can tell that it was asked before.

use super::{About, Invariant};
use crate::facts::{Change, Delta, Facts};

/// All questions about one hook of one step carry the same idempotency key, unless a user had it asked anew. Undoing a
/// batch is a step of its own, and so is a batch of a run that starts over.
pub(super) struct OneKeyPerHook;

impl Invariant for OneKeyPerHook {
    fn about(&self) -> About {
        About {
            name: "one_key_per_hook",
            sentence: "every question about one hook of one step carries the same idempotency key, however often the \
                       operator was started anew; only a retry, a rollback or starting over begins another",
            reference: "DESIGN section 7, hook state lives in status",
            live: false,
        }
    }

    fn observe(&mut self, facts: &Facts, delta: &Delta, _: &Change<'_>) -> Option<String> {
        let Delta::Run { index, .. } = delta else { return None };
        let run = facts.runs.get(*index)?;
        let hooks = facts.hooks.iter().filter(|(id, _)| id.run == run.name);
        let askings = 1 + run.retries;
        let mut strange = hooks.filter(|(_, hook)| hook.keys.len() > askings);
        strange.next().map(|(id, hook)| format!("hook {id} was asked under {} keys", hook.keys.len()))
    }
}
