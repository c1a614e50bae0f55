//! Never more pods on the new revision than were authorised.

use super::{About, Invariant};
use crate::facts::{Change, Delta, Facts, Verb, Who};

/// Counts pods on the update revision against the batches that have begun. A batch authorises its count from the
/// moment its record, or the run's current state, says Running: the status that authorises a step is written before
/// the step's effect. A canary has no more pods than its step gives it, and is not made outside of it. Pods that a foreign write exposed are not counted.
pub(super) struct ExposureCeiling;

impl Invariant for ExposureCeiling {
    fn about(&self) -> About {
        About {
            name: "exposure_ceiling",
            sentence: "the pods we put on the new revision never exceed what the batches begun so far ask for",
            reference: "DESIGN section 5, exposure ceiling",
            live: true,
        }
    }

    fn observe(&mut self, facts: &Facts, delta: &Delta, change: &Change<'_>) -> Option<String> {
        let (Delta::Pod { id, .. } | Delta::Workload { id, .. }) = delta else { return None };
        let workload = facts.workloads.get(id)?;
        if workload.is_copy() {
            let written = matches!(delta, Delta::Workload { .. }) && change.who == Who::Operator && !workload.deleting;
            let allowed = facts.canary_allowed(id);
            // What nobody needs any more may still be there, but it may not be made.
            let too_large = written && workload.desired > allowed && change.verb != Verb::Delete;
            return (too_large && change.old.is_none_or(|old| old["spec"] != change.new["spec"]))
                .then(|| format!("{id} is a canary of {} pods, {allowed} are authorised", workload.desired));
        }
        let (exposed, ceiling) = (workload.exposed(), usize::try_from(workload.ceiling).unwrap_or_default());
        if exposed <= ceiling {
            return None;
        }
        let why = match facts.active_run(id) {
            Some(run) => format!("run {} stands at batch {} ({})", run.name, run.index + 1, run.state),
            None => "no run is active".to_owned(),
        };
        Some(format!("{id} has {exposed} pods on revision {}, {ceiling} are authorised; {why}", workload.updated))
    }
}
