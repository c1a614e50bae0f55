//! Steps only go forward.

use super::{About, Invariant};
use crate::facts::{Change, Delta, Facts, RunFacts, Who};

/// The current batch never goes back, neither does the state of a batch, and an ended run stays ended. A run whose policy
/// says so may start over from its first batch.
pub(super) struct Monotone;

impl Invariant for Monotone {
    fn about(&self) -> About {
        About {
            name: "monotone",
            sentence: "the current batch, the state of each batch and the end of a run never go back, but in a rollback",
            reference: "DESIGN section 5, monotone steps",
            live: true,
        }
    }

    fn observe(&mut self, facts: &Facts, delta: &Delta, change: &Change<'_>) -> Option<String> {
        let Delta::Run { index, before: Some(before) } = delta else { return None };
        if change.who != Who::Operator {
            return None;
        }
        backwards(before, facts.runs.get(*index)?)
    }
}

fn backwards(before: &RunFacts, after: &RunFacts) -> Option<String> {
    let name = &after.name;
    if after.scales() && after.back_from.is_some() && before.back_from.is_none() {
        // The way back has batches of its own, and goes through them like any other.
        return None;
    }
    if after.back_from.is_some() && !after.scales() {
        return forwards(before, after);
    }
    if after.starts_over && after.is_fresh() && !before.ended() {
        // That is what a template that changed leads to, where the run says so.
        return None;
    }
    if before.index > after.index {
        return Some(format!("run {name} went from batch {} back to batch {}", before.index + 1, after.index + 1));
    }
    if before.ended() && before.phase != after.phase {
        return Some(format!("run {name} left its end: {} became {}", before.phase, after.phase));
    }
    if before.index == after.index && rank(&before.state) > rank(&after.state) {
        return Some(format!(
            "batch {} of run {name} went from {} back to {}",
            after.index + 1,
            before.state,
            after.state
        ));
    }
    before.batches.iter().zip(&after.batches).enumerate().find_map(|(index, (before, after))| {
        (rank(&before.state) > rank(&after.state)).then(|| {
            let (from, to) = (&before.state, &after.state);
            format!("the record of batch {} of run {name} went from {from} back to `{to}`", index + 1)
        })
    })
}

/// On the way back batches are undone in order, and the run does not turn round again.
fn forwards(before: &RunFacts, after: &RunFacts) -> Option<String> {
    let name = &after.name;
    if before.back_from.is_some() && before.index < after.index {
        let (from, to) = (before.index + 1, after.index + 1);
        return Some(format!("run {name} is rolled back and went from batch {from} on to batch {to}"));
    }
    (before.ended() && before.phase != after.phase)
        .then(|| format!("run {name} left its end: {} became {}", before.phase, after.phase))
}

fn rank(state: &str) -> usize {
    let order = [
        "",
        "Pending",
        "PreBatchStepHook",
        "Running",
        "PostBatchStepHook",
        "ResourceRecycling",
        "Succeeded",
        "Skipped",
    ];
    order.iter().position(|known| *known == state).unwrap_or_default()
}
