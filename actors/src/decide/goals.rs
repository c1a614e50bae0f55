//! What each workload is to be brought to, read off what status has authorised.
//!
//! Goals follow from the *stored* status alone. So a step's effect never comes before the status that authorises it,
//! and a graph that starts anew comes to the same goals.

use std::{collections::BTreeMap, sync::Arc};

use super::{absence, batch, canary, kinds, rollback, run, scale, select, standalone, template, toleration, traffic};
use crate::{
    api::{
        RolloutRun, RolloutRunPhase, StepState, intorpercent,
        keys::{BatchProgressingInfo, ProgressingInfo},
        rolloutrun::{RolloutRunStep, RolloutRunStepTarget},
    },
    intent::{Release, WorkloadGoal},
    view::{RolloutView, Workload, WorkloadId},
};

/// The goals of a Rollout that is not being deleted, or whose run is not over yet.
pub fn controlled(view: &RolloutView, active: Option<&RolloutRun>) -> BTreeMap<WorkloadId, WorkloadGoal> {
    let rollout = view.rollout.metadata.name.clone().unwrap_or_default();
    let kinds = kinds::recorded(&view.rollout);
    // What the stored status allows was meant for the templates it knows.
    let starts_over = active.is_some_and(|run| {
        let known = run.status.as_ref().filter(|status| template::starts_over(run, status));
        known.is_some_and(|status| !template::changes(view, run, status).is_empty())
    });
    let mut goals = BTreeMap::new();
    for workload in select::workloads(&view.members) {
        let ours = workload.rollout.as_ref() == Some(&rollout);
        if owner(view, workload).is_some() {
            continue;
        }
        let target = active.is_some_and(|run| is_target(run, workload));
        // A disabled Rollout takes nothing new; what it parked stays parked. And nothing is taken of a kind that would be
        // forgotten once the Rollout names another.
        let may_take = !view.rollout.spec.disabled && kinds.contains(&workload.kind);
        let selected = select::is_selected(view, workload) && (ours || may_take);
        let goal = if target || selected {
            goal(view, active.filter(|_| target), workload, starts_over)
        } else if ours {
            WorkloadGoal::Released
        } else {
            continue;
        };
        goals.insert(workload.id(), goal);
    }
    let wanted = |copy: &Workload| {
        let Some(run) = active else { return false };
        match targets(view, run).find(|target| canary::id_of_copy(target) == copy.id()) {
            Some(target) => canary::wanted(view, run, target).is_some(),
            // What it is a copy of is gone, and requests may go to it all the same.
            None => traffic::may_reach(view, run, copy),
        }
    };
    let copies = canary::copies(view).filter(|copy| !wanted(copy));
    goals.extend(copies.map(|copy| (copy.id(), WorkloadGoal::Discarded)));
    goals
}

/// The goals once nothing is to be controlled any more: everything of ours is released.
pub fn released(view: &RolloutView) -> BTreeMap<WorkloadId, WorkloadGoal> {
    let rollout = view.rollout.metadata.name.as_deref();
    let ours = view.members.values().flat_map(|member| member.workloads.values());
    let mut goals: BTreeMap<_, _> = ours
        .filter(|workload| workload.rollout.as_deref() == rollout && !workload.deleting)
        .map(|workload| (workload.id(), WorkloadGoal::Released))
        .collect();
    goals.extend(canary::copies(view).map(|copy| (copy.id(), WorkloadGoal::Discarded)));
    goals
}

/// The other Rollout that controls this workload, if one does. A name that no Rollout bears counts for nothing.
pub fn owner<'a>(view: &RolloutView, workload: &'a Workload) -> Option<&'a str> {
    let name = workload.rollout.as_deref()?;
    let ours = view.rollout.metadata.name.as_deref() == Some(name);
    (!ours && view.other_rollouts.contains(name)).then_some(name)
}

/// The annotation that a workload is to carry while `run` moves it.
pub fn progressing(run: &RolloutRun, workload: &Workload) -> Option<ProgressingInfo> {
    let status = run.status.as_ref()?;
    if matches!(status.phase, RolloutRunPhase::Canceling) || status.phase.is_completed() {
        return None;
    }
    if !canary::finished(run, status) {
        return canary::progressing(run, workload);
    }
    let batch = status.batch_status.as_ref()?;
    let current = usize::try_from(batch.current_batch_index).ok()?;
    if run::has_done_all(run, status) {
        return None;
    }
    let (index, _) = entries(run, workload).take_while(|(index, _)| *index <= current).last()?;
    Some(ProgressingInfo {
        batch: Some(BatchProgressingInfo { current_batch_index: i32::try_from(index).unwrap_or(i32::MAX) }),
        ..mark(run)
    })
}

/// The mark of a run, without the step it is at. A run made by hand has no owner to name.
pub fn mark(run: &RolloutRun) -> ProgressingInfo {
    let owner = standalone::owner(run);
    ProgressingInfo {
        kind: owner.map(|owner| owner.kind.clone()).unwrap_or_default(),
        rollout: owner.map(|owner| owner.name.clone()).unwrap_or_default(),
        rollout_id: run.metadata.name.clone().unwrap_or_default(),
        ..ProgressingInfo::default()
    }
}

/// How far `run` lets a workload go: the largest count that any authorised batch gives it.
pub fn release(run: &RolloutRun, workload: &Workload) -> Release {
    let Some(status) = run.status.as_ref() else { return Release::Parked };
    if status.phase == RolloutRunPhase::Canceling || status.phase.is_completed() {
        return Release::Parked;
    }
    if let Some(rollback) = &status.rollback {
        return rollback::release(run, status, rollback, workload);
    }
    let Some(batch) = status.batch_status.as_ref() else { return Release::Parked };
    let current = usize::try_from(batch.current_batch_index).unwrap_or(0);
    let moving = status.phase == RolloutRunPhase::Progressing && status.error.is_none();
    // A cluster that is back goes to where the others are, also by batches that are over.
    let catches_up = batch.current_batch_state == StepState::Running && absence::catches_up(status, &workload.cluster);
    let mut widest: Option<(i32, Release)> = None;
    for (index, target) in entries(run, workload).take_while(|(index, _)| *index <= current) {
        let state = if index == current { Some(&batch.current_batch_state) } else { None };
        let started = batch.records.get(index).is_some_and(|record| record.start_time.is_some());
        let authorised = match state {
            Some(state) => run::releases_pods(state),
            // A batch that was skipped before it began has released nothing.
            None => started,
        };
        let Ok(replicas) = intorpercent::parse(&target.replicas) else { continue };
        if !authorised {
            continue;
        }
        let count = replicas.scaled(workload.desired);
        let window = target.replica_sliding_window.as_ref().and_then(|window| intorpercent::parse(window).ok());
        let runs = moving && (state == Some(&StepState::Running) || catches_up);
        widest = Some(match widest {
            // A smaller batch behind a larger one takes nothing back, and moves on towards what was allowed before.
            Some((most, Release::Held { replicas })) if most > count => (
                most,
                if runs { Release::Step { replicas, window, tolerance: None } } else { Release::Held { replicas } },
            ),
            _ if runs => (count, Release::Step { replicas, window, tolerance: None }),
            _ => (count, Release::Held { replicas }),
        });
    }
    widest.map_or(Release::Parked, |(_, release)| release)
}

fn goal(view: &RolloutView, run: Option<&RolloutRun>, workload: &Workload, starts_over: bool) -> WorkloadGoal {
    let rollout = view.rollout.metadata.name.as_deref().unwrap_or_default();
    let mut release = run.filter(|_| !starts_over).map_or(Release::Parked, |run| release(run, workload));
    if let (Some(run), Release::Step { tolerance, .. }) = (run, &mut release) {
        *tolerance = toleration::granted(view, run, workload);
    }
    // A workload is not rolled and scaled at once.
    let scaled = batch::is_scaled(workload) && scale::live_mark(view, workload, None).is_some();
    WorkloadGoal::Controlled {
        rollout: rollout.to_owned(),
        release,
        progressing: run.filter(|_| !scaled).and_then(|run| progressing(run, workload)),
        canary: run.and_then(|run| canary::wanted(view, run, workload)),
        watch_pods: run.is_some() && workload.kind.owns_pods(),
    }
}

/// The batches that have the workload among their targets, in order.
pub fn entries<'a>(
    run: &'a RolloutRun,
    workload: &'a Workload,
) -> impl Iterator<Item = (usize, &'a RolloutRunStepTarget)> {
    run::batches(run).iter().enumerate().filter_map(|(index, batch)| Some((index, target(run, batch, workload)?)))
}

/// What the batch of that index wants of the workload.
pub fn target_in<'a>(run: &'a RolloutRun, workload: &Workload, index: usize) -> Option<&'a RolloutRunStepTarget> {
    target(run, run::batches(run).get(index)?, workload)
}

/// The workloads that any batch has among its targets.
pub fn targets<'a>(view: &'a RolloutView, run: &RolloutRun) -> impl Iterator<Item = &'a Arc<Workload>> {
    select::workloads(&view.members).filter(|workload| is_target(run, workload))
}

/// Updated pods that a target asks for of `desired`; none where that is no number.
pub fn wanted(target: &RolloutRunStepTarget, desired: i32) -> i32 {
    intorpercent::parse(&target.replicas).map_or(0, |replicas| replicas.scaled(desired))
}

fn target<'a>(run: &RolloutRun, batch: &'a RolloutRunStep, workload: &Workload) -> Option<&'a RolloutRunStepTarget> {
    batch.targets.iter().find(|target| run::means(run, target, workload))
}

fn is_target(run: &RolloutRun, workload: &Workload) -> bool {
    canary::target(run, workload).is_some()
        || run::batches(run).iter().any(|batch| target(run, batch, workload).is_some())
}
