//! A run waits for its hooks.

use super::{About, Invariant};
use crate::facts::{Change, Delta, Facts, HookId};

/// A run leaves a moment only when every hook of it has said OK, or failed and is to be ignored: on the way back and after
/// starting over once more, under another key.
pub(super) struct NoStepPastHook;

impl Invariant for NoStepPastHook {
    fn about(&self) -> About {
        About {
            name: "no_step_past_hook",
            sentence: "a run goes on past a hook only when it answered OK last, or failed and its policy is Ignore, or a \
                       user skipped it",
            reference: "DESIGN section 5, no step past a failed hook",
            live: false,
        }
    }

    fn observe(&mut self, facts: &Facts, delta: &Delta, _: &Change<'_>) -> Option<String> {
        let Delta::Run { index, before: Some(_) } = delta else { return None };
        let run = facts.runs.get(*index)?;
        run.moments_passed().into_iter().find_map(|(hook_type, batch)| {
            let rules = run.hooks.iter().filter(|rule| rule.types.iter().any(|name| name == hook_type));
            rules.into_iter().find_map(|rule| {
                let id =
                    HookId { run: run.name.clone(), hook_type: hook_type.to_owned(), batch, name: rule.name.clone() };
                let passed = rule.passed(facts.hooks.get(&id));
                (!passed).then(|| format!("run {} went on past hook {id}", run.name))
            })
        })
    }
}
