//! The states of a batch: `"" → Pending → PreBatchStepHook → Running → PostBatchStepHook → ResourceRecycling →
//! Succeeded`, each left only when the API shows that what it asks for is so.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    absence, blue_green, canary, condition,
    direction::Direction,
    goals,
    partition::PARKED,
    rollback,
    run::{self, error},
    scale, select,
    standalone::in_words,
    status, toleration, traffic,
    workload::obstacle,
};
use crate::{
    api::{
        CodeReasonMessage, CrossClusterObjectNameReference, ObjectTypeRef, RolloutRun, RolloutRunPhase,
        RolloutRunStatus, StepState,
        rolloutrun::{RolloutRunStep, RolloutRunStepTarget},
        validate,
    },
    intent::Wait,
    view::{Health, RolloutView, Workload},
    workloads::WorkloadKind,
};

/// What one look at the current batch came to.
#[derive(Debug)]
pub enum Progress {
    /// The status has moved on; look again.
    Moved,
    /// Nothing moves before these are over.
    Waiting(Vec<Wait>),
    /// The run stops here until somebody retries, skips or cancels.
    Failed(CodeReasonMessage),
}

/// Takes one transition of the current batch, if it may be taken.
pub fn step(view: &RolloutView, run: &RolloutRun, status: &mut RolloutRunStatus, now: Timestamp) -> Progress {
    if let Some(error) = unfit(run) {
        return Progress::Failed(error);
    }
    if let Err(error) = rollback::restored(view, run, status) {
        return Progress::Failed(error);
    }
    if blue_green::carries_batches(run, status)
        && status.rollback.is_none()
        && let Some(error) = blue_green::outdated(view, run)
    {
        return Progress::Failed(error);
    }
    let direction = Direction::of(run, status);
    let progress = status.batch_status.get_or_insert_default();
    let index = usize::try_from(progress.current_batch_index).unwrap_or(usize::MAX);
    let batches = run::batches(run);
    let Some(batch) = batches.get(index) else {
        let message = format!(
            "status.batchStatus.currentBatchIndex is {index}, but spec.batch.batches has {}: restore the batches, or cancel",
            batches.len()
        );
        return Progress::Failed(error("Error", "InvalidSpec", message));
    };
    let last = direction.is_last(index);
    match gate(view, run, status, batch, &direction, now) {
        Err(error) => return Progress::Failed(error),
        Ok(waits) if !waits.is_empty() => return Progress::Waiting(waits),
        Ok(_) => {}
    }
    if status.batch_status.get_or_insert_default().current_batch_state == StepState::Succeeded {
        leave(status, last, now);
        return Progress::Moved;
    }
    let progress = status.batch_status.get_or_insert_default();
    let next = match &progress.current_batch_state {
        StepState::None => {
            if batch.breakpoint && direction.stops_at(index) {
                status.phase = RolloutRunPhase::Paused;
            }
            StepState::Pending
        }
        StepState::Pending => StepState::PreBatchStepHook,
        StepState::PreBatchStepHook => StepState::Running,
        StepState::Running => StepState::PostBatchStepHook,
        StepState::PostBatchStepHook => StepState::ResourceRecycling,
        StepState::ResourceRecycling => StepState::Succeeded,
        other => {
            let message =
                format!("status.batchStatus.currentBatchState {other} is no state of a batch: skip or cancel");
            return Progress::Failed(error("Error", "UnknownStepState", message));
        }
    };
    if let Some(record) = progress.records.get_mut(index) {
        match next {
            StepState::PreBatchStepHook => record.start_time = Some(condition::time(now)),
            StepState::Succeeded => {
                record.finish_time = Some(condition::time(now));
                record.targets = run::target_statuses(view, run, batch, now);
            }
            _ => {}
        }
        if record.state != StepState::Skipped {
            record.state = next.clone();
        }
    }
    progress.current_batch_state = next;
    Progress::Moved
}

/// What the current batch waits for in its state.
fn gate(
    view: &RolloutView,
    run: &RolloutRun,
    status: &RolloutRunStatus,
    batch: &RolloutRunStep,
    direction: &Direction<'_>,
    now: Timestamp,
) -> Result<Vec<Wait>, CodeReasonMessage> {
    let Some(progress) = &status.batch_status else { return Ok(Vec::new()) };
    let index = usize::try_from(progress.current_batch_index).unwrap_or(usize::MAX);
    let waits = match progress.current_batch_state {
        StepState::None => {
            let mut waits = ready_to_begin(view, run, batch, index)?;
            waits.extend(traffic::plan_waits(view, run));
            waits
        }
        // Nothing moves before requests go where they are to go meanwhile.
        StepState::PreBatchStepHook => {
            let mut waits = traffic::waits(view, run, status, now);
            // The old version is given up only for one that serves.
            if blue_green::carries_batches(run, status) && status.rollback.is_none() {
                waits.extend(blue_green::waits(view, run));
            }
            waits
        }
        StepState::Running => {
            let tolerated = toleration::judge(view, run, status, now)?;
            let waits = all_updated(view, run, batch, direction, index, tolerated, now)?;
            if absence::gate(view, run, status, waits.clone(), now).is_empty() {
                traffic::waits(view, run, status, now)
            } else {
                waits
            }
        }
        StepState::ResourceRecycling if direction.is_last(index) => {
            let mut waits = traffic::waits(view, run, status, now);
            waits.extend(left_behind(view, run, false));
            if blue_green::has_taken_over(run, status) {
                waits.extend(canary::left_behind(view, run));
            }
            waits
        }
        _ => Vec::new(),
    };
    Ok(absence::gate(view, run, status, waits, now))
}

/// Whether every pod of the current batch is where it is to be.
pub fn is_up(view: &RolloutView, run: &RolloutRun, status: &RolloutRunStatus, now: Timestamp) -> bool {
    let Some(progress) = &status.batch_status else { return false };
    let index = usize::try_from(progress.current_batch_index).unwrap_or(usize::MAX);
    let Some(batch) = run::batches(run).get(index) else { return false };
    let direction = Direction::of(run, status);
    let Ok(tolerated) = toleration::judge(view, run, status, now) else { return false };
    let waits = all_updated(view, run, batch, &direction, index, tolerated, now);
    waits.is_ok_and(|waits| absence::gate(view, run, status, waits, now).is_empty())
}

/// Goes from a batch that is done to the next one, or to the end, in the direction in which the run goes.
fn leave(status: &mut RolloutRunStatus, last: bool, now: Timestamp) {
    let progress = status.batch_status.get_or_insert_default();
    match (&mut status.rollback, last) {
        (None, true) => status.phase = RolloutRunPhase::PostRollout,
        (Some(rollback), true) => {
            rollback.finish_time = Some(condition::time(now));
            status.phase = RolloutRunPhase::Canceling;
        }
        (Some(_), false) => rollback::enter(progress, progress.current_batch_index - 1),
        (None, false) => {
            progress.current_batch_index += 1;
            progress.current_batch_state = StepState::None;
        }
    }
}

/// What of the plan cannot be carried out.
pub fn unfit(run: &RolloutRun) -> Option<CodeReasonMessage> {
    if let Some(error) = invalid(run) {
        return Some(error);
    }
    run.spec.webhooks.iter().any(|hook| !hook.provider.is_empty()).then(|| {
        let message = "spec.webhooks[].provider is not implemented in this version: remove it, or cancel";
        error("Error", "NotImplemented", message.to_owned())
    })
}

/// What the run must not ask for: it was stored unchecked, or before this version looked.
pub fn invalid(run: &RolloutRun) -> Option<CodeReasonMessage> {
    let errors: Vec<_> = validate::run(run).iter().map(ToString::to_string).collect();
    let message = || format!("{}; correct the run, or cancel it", errors.join("; "));
    (!errors.is_empty()).then(|| error("Error", "InvalidSpec", message()))
}

/// A batch begins when all its targets are there, can be rolled by partition and carry the mark of this batch.
fn ready_to_begin(
    view: &RolloutView,
    run: &RolloutRun,
    batch: &RolloutRunStep,
    index: usize,
) -> Result<Vec<Wait>, CodeReasonMessage> {
    let mut waits = Vec::new();
    for target in &batch.targets {
        match look_up(view, run, target) {
            Lookup::Absent(error) => return Err(error),
            Lookup::Unknown(wait) => waits.push(wait),
            Lookup::Found(workload) => {
                if let Some(obstacle) = obstacle(workload) {
                    let message = format!("{}: {obstacle}, then retry", place(workload));
                    return Err(error("Error", "PreCheckFailed", message));
                }
                waits.extend(unowned(view, workload).or_else(|| unmarked_by(view, run, workload, index)));
            }
        }
    }
    Ok(waits)
}

/// A batch is done when every target shows as many updated pods as it asks for, available or failed and tolerated.
fn all_updated(
    view: &RolloutView,
    run: &RolloutRun,
    batch: &RolloutRunStep,
    direction: &Direction<'_>,
    index: usize,
    tolerated: impl Fn(&Workload) -> i32,
    now: Timestamp,
) -> Result<Vec<Wait>, CodeReasonMessage> {
    let mut waits = Vec::new();
    for target in &batch.targets {
        match look_up(view, run, target) {
            Lookup::Absent(error) => return Err(error),
            Lookup::Unknown(wait) => waits.push(wait),
            Lookup::Found(workload) if direction.passes(workload) => {}
            Lookup::Found(workload) => {
                let condition = not_updated(view, target, workload, direction, index, tolerated(workload), now);
                waits.extend(condition.map(|condition| wait(workload, condition)));
            }
        }
    }
    Ok(waits)
}

/// Why a target is not where the batch wants it.
fn not_updated(
    view: &RolloutView,
    target: &RolloutRunStepTarget,
    workload: &Workload,
    direction: &Direction<'_>,
    index: usize,
    tolerated: i32,
    now: Timestamp,
) -> Option<String> {
    let Some(wanted) = direction.wanted(target, workload, index) else {
        return Some(format!("replicas {:?} to be a number or a percentage", target.replicas));
    };
    let report = status::report(view, workload);
    let refused = last_error(view, workload);
    if workload.observed_generation < workload.generation {
        return Some(format!("its controller to observe generation {}{refused}", workload.generation));
    }
    if let Some(revision) = direction.template(workload).filter(|revision| *revision != workload.updated_revision) {
        return Some(format!("the template of revision {revision} to be put back{refused}"));
    }
    let Some(counts) = status::counts(view, workload, now) else {
        return Some(format!("its pods to be listed{refused}"));
    };
    if counts.updated_available + tolerated < wanted {
        let trouble = report.and_then(|report| report.pods.as_deref()).and_then(|pods| {
            let broken = pods
                .iter()
                .find(|pod| pod.trouble.is_some() && workload.kind.is_on(pod, &workload.updated_revision))?;
            Some(format!("; pod {}: {}", broken.key.name, broken.trouble.as_deref().unwrap_or_default()))
        });
        let failed = if tolerated > 0 { format!(" ({tolerated} failed, tolerated)") } else { String::new() };
        return Some(format!(
            "{} of {wanted} updated pods available{failed}{}{refused}",
            counts.updated_available,
            trouble.unwrap_or_default()
        ));
    }
    let last = direction.is_last(index);
    // A Deployment moves by making pods first: a step of it is over when those it replaces are gone.
    if !last && workload.kind != WorkloadKind::Deployment {
        return None;
    }
    if workload.replicas > workload.desired {
        return Some(format!("{} pods instead of {}", workload.replicas, workload.desired));
    }
    if !last {
        return None;
    }
    if counts.terminating > 0 {
        return Some(format!("{} pods to terminate", counts.terminating));
    }
    // Parking comes next, and it must not find the workload between two revisions; with a failed pod it stays there.
    if tolerated == 0 && wanted >= workload.desired && workload.stable_revision != workload.updated_revision {
        return Some(format!("its controller to make {} the current revision", workload.updated_revision));
    }
    None
}

/// What the run still has to take back: its mark on workloads and, when it is canceled, what it released. A member that
/// is gone for good, and a workload that is gone, have nothing left to take back.
pub fn left_behind(view: &RolloutView, run: &RolloutRun, canceled: bool) -> Vec<Wait> {
    let name = run.metadata.name.as_deref().unwrap_or_default();
    let mut waits = Vec::new();
    for target in run::batches(run).iter().flat_map(|batch| &batch.targets) {
        match look_up(view, run, target) {
            Lookup::Absent(_) => {}
            Lookup::Unknown(wait) => {
                if view.members.contains_key(&target.cluster) {
                    waits.push(wait);
                }
            }
            Lookup::Found(workload) => {
                let marked = workload.progressing.as_ref().is_some_and(|info| match info {
                    Ok(info) => info.rollout_id == name && !info.is_scale(),
                    Err(_) => true,
                });
                if goals::owner(view, workload).is_some() {
                    continue;
                }
                if marked {
                    let error = last_error(view, workload);
                    waits.push(wait(workload, format!("the mark of this run to be taken off{error}")));
                } else if canceled && workload.unpartitioned.is_none() && workload.partition != PARKED {
                    waits.push(wait(workload, format!("to be parked{}", last_error(view, workload))));
                }
            }
        }
    }
    waits
}

/// What the workload's actor could not do, for the end of a sentence.
pub fn last_error(view: &RolloutView, workload: &Workload) -> String {
    let error = status::report(view, workload).and_then(|report| report.error.as_deref());
    error.map(|error| format!(" (last attempt: {error})")).unwrap_or_default()
}

/// The wait for another Rollout to give the workload up, if one controls it.
pub fn unowned(view: &RolloutView, workload: &Workload) -> Option<Wait> {
    let other = goals::owner(view, workload)?;
    let mut wait = wait(workload, format!("{} to give it up: one workload cannot be in two rollouts", in_words(other)));
    wait.unblock = Some(format!("cancel this run, or take the workload out of {}", in_words(other)));
    Some(wait)
}

fn unmarked_by(view: &RolloutView, run: &RolloutRun, workload: &Workload, index: usize) -> Option<Wait> {
    let index = i32::try_from(index).ok();
    let name = run.metadata.name.as_deref().unwrap_or_default();
    let marked = matches!(&workload.progressing, Some(Ok(info))
        if info.rollout_id == name && !info.is_scale() && info.batch.as_ref().map(|batch| batch.current_batch_index) == index);
    (!marked).then(|| {
        let condition = match scale::live_mark(view, workload, None) {
            Some(who) if is_scaled(workload) => format!("{who} to end: it scales this workload"),
            _ => format!("to be marked as progressing{}", last_error(view, workload)),
        };
        wait(workload, condition)
    })
}

/// Whether a ScaleRun has a hand on the workload.
pub fn is_scaled(workload: &Workload) -> bool {
    matches!(&workload.progressing, Some(Ok(info)) if info.is_scale())
}

/// What a target comes to.
pub enum Lookup<'a> {
    /// This workload.
    Found(&'a Arc<Workload>),
    /// Nobody can say yet.
    Unknown(Wait),
    /// None, though its cluster answers.
    Absent(CodeReasonMessage),
}

/// The workload a target means, if the members show it.
pub fn find<'a>(view: &'a RolloutView, run: &RolloutRun, target: &RolloutRunStepTarget) -> Option<&'a Arc<Workload>> {
    select::workloads(&view.members).find(|workload| run::means(run, target, workload))
}

/// A workload that does not show is only absent if its cluster can be relied on.
pub fn look_up<'a>(view: &'a RolloutView, run: &RolloutRun, target: &RolloutRunStepTarget) -> Lookup<'a> {
    look_up_named(view, run.spec.target_type.as_ref(), &target.name_ref())
}

/// The same, by kind, cluster and name.
pub fn look_up_named<'a>(
    view: &'a RolloutView,
    kind: Option<&ObjectTypeRef>,
    target: &CrossClusterObjectNameReference,
) -> Lookup<'a> {
    let found = select::workloads(&view.members)
        .find(|workload| select::is_named(kind, &target.cluster, &target.name, workload));
    let kind = kind.map_or_else(String::new, |kind| match WorkloadKind::of_target(kind) {
        Some(kind) => kind.noun(),
        None => kind.kind.to_lowercase(),
    });
    let unknown = |condition: String| {
        Lookup::Unknown(Wait {
            cluster: target.cluster.clone(),
            object: format!("{kind}/{}", target.name),
            condition,
            unblock: None,
        })
    };
    if target.cluster.is_empty()
        && let Some((cluster, why)) = select::unreliable(view).next()
    {
        return unknown(format!("cluster {cluster:?}: {why}"));
    }
    match view.members.get(&target.cluster).map(|member| &member.health) {
        None if !target.cluster.is_empty() => {
            return unknown(format!("cluster {} to become a member of the clusterset", target.cluster));
        }
        Some(Health::Syncing) => return unknown("its cluster's workloads to be listed".to_owned()),
        Some(Health::Unreachable { .. }) => return unknown("its cluster to be reachable".to_owned()),
        None | Some(Health::Ready) => {}
    }
    match found {
        Some(workload) => Lookup::Found(workload),
        None => Lookup::Absent(error(
            "WorkloadNotFound",
            "ExecutorFailed",
            format!("{kind} {target}: not found: create it and retry, or skip this batch, or cancel"),
        )),
    }
}

/// A wait for something about a workload.
pub fn wait(workload: &Workload, condition: String) -> Wait {
    Wait { cluster: workload.cluster.clone(), object: object(workload), condition, unblock: None }
}

fn object(workload: &Workload) -> String {
    format!("{}/{}", workload.kind.noun(), workload.key.name)
}

/// A workload as messages name it.
pub fn place(workload: &Workload) -> String {
    if workload.cluster.is_empty() { object(workload) } else { format!("{}/{}", workload.cluster, object(workload)) }
}
