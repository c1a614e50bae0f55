//! What the steps of a run will ask of a BackendRouting, told before the first of them begins.

use super::{Shift, forked, run, says, shift::of_batch, workloads_of};
use crate::{
    api::{
        BackendRouting, RolloutRun, RolloutRunPhase, StepState, backendrouting::PlannedForwarding,
        rolloutrun::RolloutRunBatchStatus,
    },
    decide::blue_green,
    view::RolloutView,
};

/// What the BackendRouting is told now by what is stored: the whole plan until the first step has begun, and nothing
/// afterwards.
pub(super) fn asked(view: &RolloutView, run: &RolloutRun, routing: &BackendRouting) -> Vec<PlannedForwarding> {
    use RolloutRunPhase::{Paused, Pausing, Progressing};
    let phase = run.status.as_ref().map(|status| &status.phase);
    if matches!(phase, Some(Progressing | Pausing | Paused)) && is_due(run) {
        of(view, run, routing)
    } else {
        Vec::new()
    }
}

/// Whether no step has begun by what is stored.
pub(super) fn is_due(run: &RolloutRun) -> bool {
    let status = run.status.clone().unwrap_or_default();
    if status.phase.is_completed() || status.phase == RolloutRunPhase::Canceling {
        return false;
    }
    // What is taken back has been had before.
    if status.rollback.is_some() || run.spec.rollback.is_some() {
        return false;
    }
    if run.spec.canary.is_some() {
        return status.canary_status.is_none_or(|canary| canary.state == StepState::None);
    }
    let is_first =
        |batch: RolloutRunBatchStatus| batch.current_batch_index == 0 && batch.current_batch_state == StepState::None;
    status.batch_status.is_none_or(is_first)
}

/// What each step will ask for, if it asks for anything.
pub(super) fn of(view: &RolloutView, run: &RolloutRun, routing: &BackendRouting) -> Vec<PlannedForwarding> {
    let workloads: Vec<_> = workloads_of(view, run, routing).collect();
    let canary = run.spec.canary.as_ref().and_then(|canary| says(canary.traffic.as_ref()));
    let canary = canary.map(|traffic| ("the canary".to_owned(), Shift::Split(traffic)));
    let switch = blue_green::is_asked(run).then(|| ("the switch".to_owned(), Shift::Copies));
    let batches = (1..).zip(run::batches(run)).filter_map(|(number, batch)| {
        let means = |target| workloads.iter().any(|workload| run::means(run, target, workload));
        let shift = of_batch(run, batch, &workloads);
        let asks = shift != Shift::Origin && batch.targets.iter().any(means);
        asks.then(|| (format!("batch {number}"), shift))
    });
    let backend = &routing.spec.backend.name;
    let (old, new) = (format!("{backend}-stable"), format!("{backend}-canary"));
    let told = canary.into_iter().chain(switch).chain(batches);
    told.map(|(step, shift)| PlannedForwarding { step, http: forked::forwarding(routing, &old, &new, shift) }).collect()
}
