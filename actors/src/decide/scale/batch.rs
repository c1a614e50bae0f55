//! The states of a batch, which are those of a rollout's: each is left only when the API shows that what it asks for is
//! so.

use jiff::Timestamp;
use serde_json::json;

use super::{annotate, current, goals, invalid, progress, progress_mut, way, way::Way};
use crate::{
    api::{
        CodeReasonMessage, HookType, RolloutRunPhase, ScaleRun, ScaleRunStatus, StepState,
        scalerun::{ScaleRunStep, ScaleRunStepTarget, ScaleWorkloadStatus},
    },
    decide::{
        batch::{Lookup, Progress, last_error, look_up_named, place, wait},
        command::Command,
        condition,
        hooks::{self, Moment},
        run::error,
        status,
    },
    intent::Wait,
    view::{RolloutView, Workload},
};

/// Takes one transition of the current batch, if it may be taken.
pub(super) fn step(view: &RolloutView, run: &ScaleRun, status: &mut ScaleRunStatus, now: Timestamp) -> Progress {
    if let Some(error) = invalid(run) {
        return Progress::Failed(error);
    }
    let way = Way::of(run, status);
    let Some(index) = progress(status).and_then(current).filter(|index| *index < way.steps.len()) else {
        // Nothing was scaled yet, so the way back is no way at all.
        if way.back && way.steps.is_empty() {
            progress_mut(status).current_batch_state = StepState::Succeeded;
            status.phase = RolloutRunPhase::Canceling;
            return Progress::Moved;
        }
        let message = "the current batch is none of the plan's: restore the batches, or cancel".to_owned();
        return Progress::Failed(error("Error", "InvalidSpec", message));
    };
    let step = way.steps[index].clone();
    let (last, stops, back) = (way.is_last(index), way.stops_at(index), way.back);
    if let Some(moment) = moment(run, &way, status)
        && let Some(record) = progress_mut(status).records.get_mut(index)
    {
        match moment.advance(&mut record.webhooks, view.hook_answer.as_ref(), now) {
            hooks::Progress::Done => {}
            hooks::Progress::Waiting(wait) => return Progress::Waiting(vec![wait]),
            hooks::Progress::Failed(error) => return Progress::Failed(error),
        }
    }
    let state = progress(status).map(|progress| progress.current_batch_state.clone()).unwrap_or_default();
    let gate = match state {
        StepState::None => ready_to_begin(view, run, &step, index),
        StepState::Running => all_scaled(view, run, &step, status, index),
        StepState::ResourceRecycling if last => Ok(goals::left_behind(view, run)),
        _ => Ok(Vec::new()),
    };
    match gate {
        Err(error) => return Progress::Failed(error),
        Ok(waits) if !waits.is_empty() => return Progress::Waiting(waits),
        Ok(_) => {}
    }
    let next = match state {
        StepState::None => {
            if stops {
                status.phase = RolloutRunPhase::Paused;
            }
            StepState::Pending
        }
        StepState::Pending => StepState::PreBatchStepHook,
        StepState::PreBatchStepHook => {
            way::record(view, run, status);
            StepState::Running
        }
        StepState::Running => StepState::PostBatchStepHook,
        StepState::PostBatchStepHook => StepState::ResourceRecycling,
        StepState::ResourceRecycling => StepState::Succeeded,
        StepState::Succeeded => {
            leave(status, last, back);
            return Progress::Moved;
        }
        other => {
            let message = format!("the state {other} is no state of a batch: skip or cancel");
            return Progress::Failed(error("Error", "UnknownStepState", message));
        }
    };
    // What is kept of a batch is how it ended.
    way::observe(view, run, status);
    let progress = progress_mut(status);
    if let Some(record) = progress.records.get_mut(index) {
        match next {
            StepState::PreBatchStepHook => record.start_time = Some(condition::time(now)),
            StepState::Succeeded if record.finish_time.is_none() => record.finish_time = Some(condition::time(now)),
            _ => {}
        }
        if record.state != StepState::Skipped {
            record.state = next.clone();
        }
    }
    progress.current_batch_state = next;
    Progress::Moved
}

/// Goes from a batch that is done to the next one, or to the end.
fn leave(status: &mut ScaleRunStatus, last: bool, back: bool) {
    match (last, back) {
        (true, true) => status.phase = RolloutRunPhase::Canceling,
        (true, false) => status.phase = RolloutRunPhase::PostRollout,
        (false, _) => {
            let progress = progress_mut(status);
            progress.current_batch_index += 1;
            progress.current_batch_state = StepState::None;
        }
    }
}

/// The moment at which a status stands, if hooks are asked there.
pub(super) fn moment<'a>(run: &'a ScaleRun, way: &Way<'_>, status: &ScaleRunStatus) -> Option<Moment<'a>> {
    let progress = progress(status)?;
    let hook_type = match progress.current_batch_state {
        StepState::PreBatchStepHook => HookType::PreBatchStepHook,
        StepState::PostBatchStepHook => HookType::PostBatchStepHook,
        _ => return None,
    };
    let step = way.steps.get(current(progress)?)?;
    let mut subject = serde_json::Map::new();
    if progress.current_batch_index != 0 {
        subject.insert("batchIndex".to_owned(), json!(progress.current_batch_index));
    }
    subject.insert("targets".to_owned(), json!(step.targets));
    if !step.properties.is_empty() {
        subject.insert("properties".to_owned(), json!(step.properties));
    }
    let command = status.command.as_ref();
    let resumed = command.filter(|command| Command::parse(&command.command) == Some(Command::Continue));
    Some(Moment {
        hook_type,
        webhooks: &run.spec.webhooks,
        run: &run.metadata,
        target_type: run.spec.target_type.as_ref(),
        step: super::current_in_words(status),
        subject: Some(("batch", serde_json::Value::Object(subject))),
        resumed: resumed.filter(|command| command.effect == "Accepted").and_then(|c| Some(c.time.as_ref()?.0)),
        give_up: annotate(run, Command::ForceSkip),
    })
}

/// A batch begins when all its targets are there and carry the mark of this batch.
fn ready_to_begin(
    view: &RolloutView,
    run: &ScaleRun,
    step: &ScaleRunStep,
    index: usize,
) -> Result<Vec<Wait>, CodeReasonMessage> {
    let mut waits = Vec::new();
    for target in &step.targets {
        match look_up(view, run, target) {
            Lookup::Absent(error) => return Err(error),
            Lookup::Unknown(wait) => waits.push(wait),
            Lookup::Found(workload) => {
                let marked = workload.progressing == Some(Ok(goals::mark(run, index)));
                waits.extend((!marked).then(|| {
                    let who = goals::live_mark(view, workload, Some(run));
                    let condition = match who {
                        Some(who) => format!("{who} to end: it moves this workload"),
                        None => format!("to be marked as progressing{}", last_error(view, workload)),
                    };
                    wait(workload, condition)
                }));
            }
        }
    }
    Ok(waits)
}

/// A batch is done when every target has as many pods as it is scaled to, and on the way up all of them are available.
fn all_scaled(
    view: &RolloutView,
    run: &ScaleRun,
    step: &ScaleRunStep,
    status: &ScaleRunStatus,
    index: usize,
) -> Result<Vec<Wait>, CodeReasonMessage> {
    let records = progress(status).and_then(|progress| progress.records.get(index));
    let mut waits = Vec::new();
    let mut taken = Vec::new();
    for target in &step.targets {
        let workload = match look_up(view, run, target) {
            Lookup::Absent(error) => return Err(error),
            Lookup::Unknown(wait) => {
                waits.push(wait);
                continue;
            }
            Lookup::Found(workload) => workload,
        };
        let recorded =
            |record: &&ScaleWorkloadStatus| record.cluster == workload.cluster && record.name == workload.key.name;
        let Some(record) = records.and_then(|record| record.targets.iter().find(recorded)) else {
            // It came into being after the batch began: nobody knows what it was to be scaled from.
            let message = format!("{} was made anew in mid-batch: skip this batch, or cancel", place(workload));
            return Err(error("Error", "WorkloadReplaced", message));
        };
        match somebody_elses(record, workload) {
            Some(message) => taken.push(message),
            None => waits.extend(not_scaled(view, record, workload).map(|condition| wait(workload, condition))),
        }
    }
    if taken.is_empty() {
        return Ok(waits);
    }
    let message = format!("{}: retry to scale it again, or skip this batch to leave it", taken.join("; "));
    Err(error("Error", "ScaledByAnother", message))
}

/// What somebody else has made of a workload, if anybody has: its size is scaled once, and never fought over.
fn somebody_elses(record: &ScaleWorkloadStatus, workload: &Workload) -> Option<String> {
    let seen = record.replicas == record.scale_to;
    let ours = workload.desired == record.scale_to || !seen && workload.desired == record.scale_from;
    (!ours).then(|| {
        format!(
            "{} was scaled to {} by somebody else, and not to {}",
            place(workload),
            workload.desired,
            record.scale_to
        )
    })
}

/// Why a target is not where the batch wants it.
fn not_scaled(view: &RolloutView, record: &ScaleWorkloadStatus, workload: &Workload) -> Option<String> {
    let refused = last_error(view, workload);
    if workload.desired != record.scale_to {
        return Some(format!("to be scaled to {}{refused}", record.scale_to));
    }
    if workload.observed_generation < workload.generation {
        return Some(format!("its controller to observe generation {}", workload.generation));
    }
    if record.scale_from < record.scale_to {
        let (available, wanted) = (workload.available, record.scale_to);
        return (available < wanted).then(|| format!("{wanted} pods to be available, found {available}"));
    }
    if workload.replicas > record.scale_to {
        return Some(format!("pods to go, found {} of {}", workload.replicas, record.scale_to));
    }
    if record.scale_from == record.scale_to || !workload.kind.owns_pods() {
        return None;
    }
    let pods = status::report(view, workload).and_then(|report| report.pods.as_deref());
    let Some(pods) = pods else { return Some(format!("its pods to be listed{refused}")) };
    let going = pods.iter().filter(|pod| pod.terminating).count();
    (going > 0).then(|| format!("{going} terminating pods to be gone"))
}

fn look_up<'a>(view: &'a RolloutView, run: &ScaleRun, target: &ScaleRunStepTarget) -> Lookup<'a> {
    look_up_named(view, run.spec.target_type.as_ref(), &target.name_ref())
}
