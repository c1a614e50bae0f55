//! A ScaleRun: scales a fixed list of workloads, batch after batch, with the hooks, breakpoints and commands of a rollout.
//!
//! What a batch does is `spec.replicas` of its targets, once each: status records from how many pods a workload goes to
//! how many before it is scaled, and what somebody else makes of it afterwards is theirs. `rollback` leads back along
//! `spec.rollback`, or, without one, along the batches that have begun, to what each workload had before.

mod batch;
mod goals;
#[cfg(test)]
mod tests;
mod way;

use jiff::Timestamp;

pub use self::goals::live_mark;
use self::way::Way;
use super::{
    command::{self, Command, Effect, Pending, Situation},
    condition, hooks, pace, patch, rollout, run, standalone,
};
use crate::{
    api::{RolloutRunPhase, ScaleRun, ScaleRunStatus, StepState, keys, scalerun::ScaleRunBatchStatus, validate},
    intent::{Decision, HubKind, HubWrite, Notice, Wait},
    view::RolloutView,
};

/// Decides the next step of a ScaleRun.
pub fn step(view: &RolloutView, now: Timestamp) -> Decision {
    let Some(run) = view.scale.as_deref() else { return Decision::default() };
    let mut decision = Decision::default();
    let meta = &run.metadata;
    let deleting = meta.deletion_timestamp.is_some();
    let status = run.status.clone().unwrap_or_default();
    let ended = status.phase.is_completed();
    if !deleting && !ended && !rollout::protected(meta) {
        decision.writes.push(protect(run));
        return decision;
    }
    // Goals follow from the stored status alone, so that no effect comes before the status that authorises it.
    decision.goals = goals::of(view, run, &status);
    let pending = command::pending(meta, keys::ANNOTATION_PENDING_COMMAND);
    if pending.is_none()
        && let Some(patch) = command::take(meta, keys::ANNOTATION_MANUAL_COMMAND, keys::ANNOTATION_PENDING_COMMAND, now)
    {
        decision.writes.push(HubWrite::Patch { kind: HubKind::ScaleRun, key: patch::key(meta), patch });
        return decision;
    }
    let mut new = status.clone();
    new.observed_generation = meta.generation.unwrap_or_default();
    way::resize(run, &mut new);
    if let Some(pending) = pending.as_ref().filter(|pending| !acknowledged(&new, pending)) {
        obey(run, pending, &mut new, now);
    }
    if deleting && !new.phase.is_completed() {
        new.phase = RolloutRunPhase::Canceling;
    }
    let mut waits = advance(view, run, &mut new, now);
    waits.sort();
    waits.dedup();
    if !ended {
        way::observe(view, run, &mut new);
    }
    conditions(&mut new, now);
    new.waits = waits.iter().map(|wait| run::wait_status(wait, &status.waits, now)).collect();
    decision.waits = waits;
    if !ended && !deleting {
        let hook = hook(view, run, &status, now);
        decision.hook = hook.call;
        decision.wake = hook.look.map(|at| (at, "a hook is asked again, or is late"));
    }
    let later = pace::scale(&status, &new, now).filter(|_| status != new);
    decision.wake = decision.wake.into_iter().chain(later.map(|at| (at, "numbers are written"))).min();
    let write = if later.is_none() { write_status(run, &status, new.clone(), now) } else { None };
    if write.is_some() {
        decision.notices = notices(run, &status, &new);
    }
    let settled = pending.is_some_and(|pending| acknowledged(&status, &pending));
    let dropped = || settled.then(|| drop_pending(run));
    let free = || (ended && goals::marked(view, run).next().is_none()).then(|| unprotect(run)).flatten();
    decision.writes.extend(write.or_else(dropped).or_else(free));
    decision
}

/// Whether a ScaleRun has something left to do: to scale, to take back its marks, or to answer a command.
pub fn is_due(run: &ScaleRun) -> bool {
    let ended = run.status.as_ref().is_some_and(|status| status.phase.is_completed());
    !ended || rollout::protected(&run.metadata) || standalone::is_asked(&run.metadata)
}

/// Takes every transition that the API's state allows. Returns what the next one waits for.
fn advance(view: &RolloutView, run: &ScaleRun, status: &mut ScaleRunStatus, now: Timestamp) -> Vec<Wait> {
    loop {
        match status.phase {
            RolloutRunPhase::None | RolloutRunPhase::Initial | RolloutRunPhase::PreRollout => {
                status.phase = RolloutRunPhase::Progressing;
            }
            RolloutRunPhase::Pausing => status.phase = RolloutRunPhase::Paused,
            RolloutRunPhase::Paused => return vec![paused(run, status)],
            RolloutRunPhase::Canceling => {
                let waits = goals::left_behind(view, run);
                if !waits.is_empty() {
                    return waits;
                }
                status.phase = RolloutRunPhase::Canceled;
            }
            RolloutRunPhase::Progressing if status.error.is_some() => return vec![stopped(run, status)],
            RolloutRunPhase::Progressing => match batch::step(view, run, status, now) {
                super::batch::Progress::Moved => {}
                super::batch::Progress::Waiting(waits) => return waits,
                super::batch::Progress::Failed(error) => status.error = Some(error),
            },
            RolloutRunPhase::PostRollout => status.phase = RolloutRunPhase::Succeeded,
            RolloutRunPhase::Succeeded | RolloutRunPhase::Canceled => return Vec::new(),
            RolloutRunPhase::Unknown(ref phase) => {
                let condition = format!("status.phase {phase:?} is of no known meaning");
                return vec![wait(run, condition, Command::Cancel)];
            }
        }
    }
}

/// The call that the stored status authorises, and when to look again.
fn hook(view: &RolloutView, run: &ScaleRun, status: &ScaleRunStatus, now: Timestamp) -> hooks::Call {
    let way = Way::of(run, status);
    let moment = (status.error.is_none() && status.phase == RolloutRunPhase::Progressing)
        .then(|| batch::moment(run, &way, status))
        .flatten();
    let Some(moment) = moment else { return hooks::Call::default() };
    let entries = progress(status).and_then(|progress| Some(&progress.records.get(current(progress)?)?.webhooks));
    let (call, look) = moment.wanted(entries.map_or(&[], Vec::as_slice), view.hook_answer.as_ref(), now);
    hooks::Call { call, look }
}

/// Gives a command its effect and records it, in one status.
fn obey(run: &ScaleRun, pending: &Pending, status: &mut ScaleRunStatus, now: Timestamp) {
    let at = Situation::at(&status.phase, status.error.is_some(), status.rollback.is_some());
    let outcome = match Command::parse(&pending.command) {
        None => Err(command::unknown(&pending.command)),
        Some(Command::Rollback) if status.phase.is_completed() => {
            Err("rollback: the run has ended: make a ScaleRun with the former numbers".to_owned())
        }
        Some(command) => command::effect(command, at)
            .map(|effect| apply(run, effect, status, now))
            .map_err(|why| format!("{command}: {why}")),
    };
    status.command = Some(command::acknowledge(pending, outcome, now));
}

fn apply(run: &ScaleRun, effect: Effect, status: &mut ScaleRunStatus, now: Timestamp) -> String {
    match effect {
        Effect::Pause => {
            status.phase = RolloutRunPhase::Pausing;
            "no further workload is scaled until continue".to_owned()
        }
        Effect::Continue => {
            status.phase = RolloutRunPhase::Progressing;
            "the run goes on".to_owned()
        }
        Effect::ClearError => {
            status.error = None;
            way::record_again(status);
            "the error is cleared, and the step is tried again".to_owned()
        }
        Effect::Cancel => {
            status.phase = RolloutRunPhase::Canceling;
            "the run ends, and workloads stay as they are".to_owned()
        }
        Effect::SkipBatch => {
            status.error = None;
            way::skip(run, status, now)
        }
        Effect::RollBack => {
            status.error = None;
            status.phase = RolloutRunPhase::Progressing;
            status.rollback = Some(ScaleRunBatchStatus::default());
            way::resize(run, status);
            let planned = run.spec.rollback.as_ref().is_some_and(|plan| !plan.batches.is_empty());
            let whither = if planned { "as spec.rollback says" } else { "to what it had before, batch by batch" };
            format!("every workload is scaled back {whither}")
        }
    }
}

/// How far the way that the run is on has got.
fn progress(status: &ScaleRunStatus) -> Option<&ScaleRunBatchStatus> {
    status.rollback.as_ref().or(status.batches.as_ref())
}

/// The same, to be changed.
fn progress_mut(status: &mut ScaleRunStatus) -> &mut ScaleRunBatchStatus {
    match &mut status.rollback {
        Some(back) => back,
        None => status.batches.get_or_insert_default(),
    }
}

fn current(progress: &ScaleRunBatchStatus) -> Option<usize> {
    usize::try_from(progress.current_batch_index).ok()
}

/// A batch in words.
fn batch_in_words(back: bool, index: usize) -> String {
    format!("batch {}{}", index + 1, if back { " of the way back" } else { "" })
}

/// The current batch in words.
fn current_in_words(status: &ScaleRunStatus) -> String {
    batch_in_words(status.rollback.is_some(), progress(status).and_then(current).unwrap_or_default())
}

fn paused(run: &ScaleRun, status: &ScaleRunStatus) -> Wait {
    let breakpoint = progress(status).is_some_and(|progress| progress.current_batch_state == StepState::Pending);
    let at = if breakpoint { "at the breakpoint of" } else { "in" };
    wait(run, format!("paused {at} {}", current_in_words(status)), Command::Continue)
}

fn stopped(run: &ScaleRun, status: &ScaleRunStatus) -> Wait {
    let error = status.error.clone().unwrap_or_default();
    wait(run, format!("stopped with {}: {}", error.code, error.message), Command::Retry)
}

/// A wait for somebody to give a command.
fn wait(run: &ScaleRun, condition: String, command: Command) -> Wait {
    let object = format!("scalerun/{}", run.metadata.name.as_deref().unwrap_or_default());
    Wait { cluster: String::new(), object, condition, unblock: Some(annotate(run, command)) }
}

/// The shell command that gives the run a command.
fn annotate(run: &ScaleRun, command: Command) -> String {
    command::line("scalerun", &patch::key(&run.metadata), command)
}

/// What the run must not ask for: it was stored unchecked, or before this version looked.
fn invalid(run: &ScaleRun) -> Option<crate::api::CodeReasonMessage> {
    let errors: Vec<_> = validate::scale_run(run).iter().map(ToString::to_string).collect();
    let message = || format!("{}; correct the run, or cancel it", errors.join("; "));
    (!errors.is_empty()).then(|| run::error("Error", "InvalidSpec", message()))
}

fn conditions(status: &mut ScaleRunStatus, now: Timestamp) {
    let back = status.rollback.is_some();
    let (holds, reason, message) = match (&status.phase, &status.error) {
        (RolloutRunPhase::Succeeded, _) => (false, "Completed", "scaleRun is completed"),
        (RolloutRunPhase::Canceled, _) if way::is_back(status) => (false, "RolledBack", "scaleRun is rolled back"),
        (RolloutRunPhase::Canceled, _) => (false, "Canceled", "scaleRun is canceled"),
        (_, None) if back => (true, "RollingBack", "scaleRun is being rolled back"),
        (RolloutRunPhase::Canceling, _) | (_, None) => (true, "Running", "scaleRun is running"),
        (_, Some(_)) => (false, "Error", "scaleRun stops because of an error"),
    };
    condition::set(&mut status.conditions, "Progressing", holds, reason, message, now);
}

fn acknowledged(status: &ScaleRunStatus, pending: &Pending) -> bool {
    status.command.as_ref().is_some_and(|command| command.id == pending.id)
}

fn write_status(run: &ScaleRun, old: &ScaleRunStatus, mut status: ScaleRunStatus, now: Timestamp) -> Option<HubWrite> {
    if run.status.is_some() && *old == status {
        return None;
    }
    status.last_update_time = Some(condition::time(now));
    let patch = patch::status(run.metadata.resource_version.as_deref(), old, &status);
    Some(HubWrite::PatchStatus { kind: HubKind::ScaleRun, key: patch::key(&run.metadata), patch })
}

fn write(run: &ScaleRun, patch: serde_json::Value) -> HubWrite {
    HubWrite::Patch { kind: HubKind::ScaleRun, key: patch::key(&run.metadata), patch }
}

fn version(run: &ScaleRun) -> &str {
    run.metadata.resource_version.as_deref().unwrap_or_default()
}

fn drop_pending(run: &ScaleRun) -> HubWrite {
    write(run, patch::annotations(version(run), [(keys::ANNOTATION_PENDING_COMMAND, None)]))
}

fn protect(run: &ScaleRun) -> HubWrite {
    let mut finalizers = run.metadata.finalizers.clone().unwrap_or_default();
    finalizers.push(keys::FINALIZER_PROTECTION.to_owned());
    write(run, patch::finalizers(version(run), &finalizers))
}

/// Takes the protection off a run that has ended; nothing of it is left in any cluster.
fn unprotect(run: &ScaleRun) -> Option<HubWrite> {
    let mut finalizers = run.metadata.finalizers.clone().unwrap_or_default();
    let before = finalizers.len();
    finalizers.retain(|finalizer| finalizer != keys::FINALIZER_PROTECTION);
    (finalizers.len() < before).then(|| write(run, patch::finalizers(version(run), &finalizers)))
}

/// One event for each transition worth a line.
fn notices(run: &ScaleRun, old: &ScaleRunStatus, new: &ScaleRunStatus) -> Vec<Notice> {
    let notice = |warning: bool, reason: &str, message: String| Notice {
        kind: HubKind::ScaleRun,
        key: patch::key(&run.metadata),
        uid: run.metadata.uid.clone().unwrap_or_default(),
        warning,
        reason: reason.to_owned(),
        message,
    };
    let mut notices = Vec::new();
    if old.rollback.is_none() && new.rollback.is_some() {
        notices.push(notice(true, "RollingBack", "every workload is scaled back".to_owned()));
    }
    let back = new.rollback.is_some();
    let before = if back { &old.rollback } else { &old.batches };
    let state = |progress: Option<&ScaleRunBatchStatus>, index: usize| {
        progress.and_then(|progress| progress.records.get(index)).map(|record| record.state.clone()).unwrap_or_default()
    };
    for index in 0..Way::of(run, new).steps.len() {
        let (before, after) = (state(before.as_ref(), index), state(progress(new), index));
        let batch = batch_in_words(back, index);
        match after {
            _ if before == after => {}
            StepState::Running => notices.push(notice(false, "BatchStarted", format!("{batch} starts to scale"))),
            StepState::Succeeded => notices.push(notice(false, "BatchSucceeded", format!("{batch} is done"))),
            StepState::Skipped => notices.push(notice(false, "BatchSkipped", format!("{batch} is skipped"))),
            _ => {}
        }
    }
    if let Some(error) = new.error.as_ref().filter(|error| old.error.as_ref() != Some(error)) {
        notices.push(notice(true, "FailedRunStep", format!("{}: {}", error.code, error.message)));
    }
    if old.phase != new.phase {
        match new.phase {
            RolloutRunPhase::Paused => notices.push(notice(false, "Paused", paused(run, new).condition)),
            RolloutRunPhase::Succeeded => notices.push(notice(false, "Completed", "scaleRun is completed".to_owned())),
            RolloutRunPhase::Canceled if way::is_back(new) => {
                notices.push(notice(false, "RolledBack", "scaleRun is rolled back".to_owned()));
            }
            RolloutRunPhase::Canceled => {
                notices.push(notice(false, "StepCanceled", "scaleRun is canceled".to_owned()));
            }
            _ => {}
        }
    }
    notices
}
