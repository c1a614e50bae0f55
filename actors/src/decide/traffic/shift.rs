//! Where a run wants the requests of a BackendRouting to go at which moment.
//!
//! | moment                            | requests go to                                                         |
//! |-----------------------------------|------------------------------------------------------------------------|
//! | before the canary, and after it   | the user's own backend                                                 |
//! | before copies are made            | the stable fork                                                        |
//! | once all copies are available     | both forks, as the step says                                           |
//! | before copies go                  | the stable fork                                                        |
//! | before a batch moves pods         | as in the batch before; the stable fork if that had no traffic         |
//! | once its pods are available       | both forks, as the batch says; the user's own backend if it says nothing |
//! | before a batch moves the last stable pods | the user's own backend, so that every pod serves               |
//!
//! Where copies take over (see [`crate::decide::blue_green`]) requests go to them from the switch to the end of the last batch,
//! and to the stable fork before copies go, which then selects what the workloads have become.
//!
//! On the way back the same, backwards. Like all goals these follow from the stored status alone.

use std::sync::Arc;

use jiff::Timestamp;

use super::{asks, clusters, current, has_switched, is_forked, is_out_of_sight, says, workloads_of};
use crate::{
    api::{
        BackendRouting, RolloutRun, RolloutRunPhase, RolloutRunStatus, StepState, TrafficStrategy,
        rolloutrun::{RolloutRunStep, RolloutRunStepTarget},
    },
    decide::{batch, blue_green, canary, goals, run},
    view::{RolloutView, Workload},
};

/// Where requests are to go at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shift<'a> {
    /// To the user's own backend.
    Origin,
    /// All to pods of the old revision.
    Stable,
    /// To both revisions, as a step says.
    Split(&'a TrafficStrategy),
    /// All to the copies.
    Copies,
}

/// Where the requests of one BackendRouting are to go; `None` leaves it as it is.
pub(super) fn wanted<'a>(
    view: &RolloutView,
    run: &'a RolloutRun,
    status: &RolloutRunStatus,
    routing: &BackendRouting,
    now: Timestamp,
) -> Option<Shift<'a>> {
    // What a cluster does not show yet may be there all the same.
    if is_out_of_sight(view, run, routing) {
        return None;
    }
    let over = status.phase == RolloutRunPhase::Canceling || status.phase.is_completed();
    if blue_green::has_taken_over(run, status) && canary::finished(run, status) {
        return Some(behind_copies(view, run, status, routing, over));
    }
    let with_canary = run.spec.canary.as_ref().filter(|_| over || !canary::finished(run, status));
    let traffic = with_canary.and_then(|canary| says(canary.traffic.as_ref()));
    if with_canary.is_some_and(asks) {
        if over || canary::is_leaving(run, status) {
            return Some(before_copies_go(view, status, routing));
        }
        return during_canary(view, run, status, routing, traffic, now);
    }
    if over || !canary::finished(run, status) {
        return Some(Shift::Origin);
    }
    during_batches(view, run, status, routing, now)
}

/// Where requests go so that none reaches the copies.
fn before_copies_go<'a>(view: &RolloutView, status: &RolloutRunStatus, routing: &BackendRouting) -> Shift<'a> {
    let copies = canary::copies(view).any(|copy| clusters::counts(routing, status, &copy.cluster));
    if copies && is_forked(routing) { Shift::Stable } else { Shift::Origin }
}

/// Where requests go once copies have taken over and batches move the workloads.
fn behind_copies<'a>(
    view: &RolloutView,
    run: &RolloutRun,
    status: &RolloutRunStatus,
    routing: &BackendRouting,
    over: bool,
) -> Shift<'a> {
    if !over && blue_green::carries_batches(run, status) {
        return Shift::Copies;
    }
    // The stable fork selects pods of one version. Those of a workload that is left between two all serve.
    let is_whole = workloads_of(view, run, routing).all(|workload| blue_green::is_whole(workload));
    let is_untouched = over && !blue_green::has_moved(status);
    if is_whole || is_untouched { before_copies_go(view, status, routing) } else { Shift::Origin }
}

fn during_canary<'a>(
    view: &RolloutView,
    run: &RolloutRun,
    status: &RolloutRunStatus,
    routing: &BackendRouting,
    traffic: Option<&'a TrafficStrategy>,
    now: Timestamp,
) -> Option<Shift<'a>> {
    let split = traffic.map_or(Shift::Stable, Shift::Split);
    let state = status.canary_status.as_ref().map(|canary| canary.state.clone()).unwrap_or_default();
    Some(match state {
        StepState::None | StepState::Pending => Shift::Origin,
        StepState::PreCanaryStepHook => Shift::Stable,
        // What is stopped stays as it is.
        StepState::Running if !is_moving(status) => return None,
        StepState::Running if canary::is_up(view, run, status, now) => split,
        StepState::Running => Shift::Stable,
        StepState::Switched => Shift::Copies,
        // What has gone over stays there, whatever becomes of a pod.
        StepState::Switching if has_switched(run, routing) => Shift::Copies,
        StepState::Switching if is_moving(status) && canary::is_up(view, run, status, now) => Shift::Copies,
        // A copy that is about to be changed gets no requests meanwhile.
        _ if canary::are_current(view, run) => split,
        _ => Shift::Stable,
    })
}

fn during_batches<'a>(
    view: &RolloutView,
    run: &'a RolloutRun,
    status: &RolloutRunStatus,
    routing: &BackendRouting,
    now: Timestamp,
) -> Option<Shift<'a>> {
    let index = current(status)?;
    let progress = status.batch_status.as_ref()?;
    let state = &progress.current_batch_state;
    let back = status.rollback.is_some();
    if back && !is_forked(routing) {
        // What every pod serves goes back with the pods.
        return Some(Shift::Origin);
    }
    if run::has_done_all(run, status) {
        return Some(Shift::Origin);
    }
    let workloads: Vec<_> = workloads_of(view, run, routing).collect();
    let concerns = |batch: &RolloutRunStep| {
        batch.targets.iter().any(|target| workloads.iter().any(|workload| run::means(run, target, workload)))
    };
    let is_skipped =
        |index: usize| progress.records.get(index).is_some_and(|record| record.state == StepState::Skipped);
    let earlier = run::batches(run).iter().enumerate().take(index).rev();
    let mut earlier = earlier.filter(|(at, batch)| concerns(batch) && !is_skipped(*at));
    let before = earlier.next().map_or(Shift::Origin, |(_, batch)| of_batch(run, batch, &workloads));
    let batch = run::batches(run).get(index).filter(|batch| concerns(batch));
    let Some(batch) = batch else { return Some(before) };
    let after = of_batch(run, batch, &workloads);
    let base = match (before, after) {
        (_, Shift::Origin) => Shift::Origin,
        (Shift::Split(_), Shift::Split(_)) => before,
        _ => Shift::Stable,
    };
    Some(match state {
        StepState::None | StepState::Pending if back => base,
        StepState::None | StepState::Pending => before,
        StepState::PreBatchStepHook => base,
        StepState::Running if !is_moving(status) => return None,
        StepState::Running if batch::is_up(view, run, status, now) => {
            if back {
                before
            } else {
                after
            }
        }
        StepState::Running => base,
        _ if back => before,
        _ => after,
    })
}

/// Whether the run may move anything now.
fn is_moving(status: &RolloutRunStatus) -> bool {
    status.phase == RolloutRunPhase::Progressing && status.error.is_none()
}

/// Where requests go once a batch is done. Where it leaves no stable pod nothing can be split.
pub(super) fn of_batch<'a>(run: &RolloutRun, batch: &'a RolloutRunStep, workloads: &[&Arc<Workload>]) -> Shift<'a> {
    let leaves_none = |target: &RolloutRunStepTarget| {
        let mut meant = workloads.iter().filter(|workload| run::means(run, target, workload));
        meant.any(|workload| goals::wanted(target, workload.desired) >= workload.desired)
    };
    match says(batch.traffic.as_ref()) {
        Some(traffic) if !batch.targets.iter().any(leaves_none) => Shift::Split(traffic),
        _ => Shift::Origin,
    }
}
