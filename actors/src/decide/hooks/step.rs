//! Where a RolloutRun comes to ask hooks: before and after the run, its canary and each of its batches.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Moment, ON_HOLD, Progress};
use crate::{
    api::{
        HookType, RolloutRun, RolloutRunPhase, RolloutRunStatus, RolloutWebhookStatus, StepState,
        rolloutrun::RolloutRunStepTarget,
    },
    decide::{command::Command, run},
    intent::HookCall,
    view::RolloutView,
};

/// The call that a run's stored status authorises, and when to look again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The call.
    pub call: Option<HookCall>,
    /// When to look again though nothing changed.
    pub look: Option<Timestamp>,
}

/// Takes in what the hook of the current moment said, and goes on to the next. A status at no such moment is done.
pub fn ask(view: &RolloutView, run: &RolloutRun, status: &mut RolloutRunStatus, now: Timestamp) -> Progress {
    let Some(moment) = moment(run, status) else { return Progress::Done };
    let Some(entries) = entries_mut(status, moment.hook_type) else { return Progress::Done };
    moment.advance(entries, view.hook_answer.as_ref(), now)
}

/// What may be called now, read off the stored status alone: so no call comes before the status that authorises it, and
/// a run that is paused, stopped or on its way out asks nothing new.
pub fn call(view: &RolloutView, run: &RolloutRun, now: Timestamp) -> Call {
    let Some(status) = run.status.as_ref().filter(|status| status.error.is_none()) else { return Call::default() };
    let deleting =
        |meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta| meta.deletion_timestamp.is_some();
    if deleting(&run.metadata) || deleting(&view.rollout.metadata) {
        return Call::default();
    }
    let Some(moment) = moment(run, status) else { return Call::default() };
    let (call, look) = moment.wanted(entries(status, moment.hook_type), view.hook_answer.as_ref(), now);
    Call { call, look }
}

/// Gives up the hooks of the run as a whole, if that is where it stands. Returns what was given up.
pub fn give_up(run: &RolloutRun, status: &mut RolloutRunStatus, now: Timestamp) -> Option<String> {
    let hook_type = match &status.phase {
        RolloutRunPhase::PreRollout => HookType::PreRollout,
        RolloutRunPhase::PostRollout => HookType::PostRollout,
        RolloutRunPhase::Pausing | RolloutRunPhase::Paused if before_first_step(status) && !begun_with(status) => {
            HookType::PreRollout
        }
        RolloutRunPhase::Pausing | RolloutRunPhase::Paused if after_last_step(run, status) => HookType::PostRollout,
        _ => return None,
    };
    let moment = at(run, status, hook_type, String::new(), None);
    moment.hooks().next()?;
    moment.skip(&mut status.webhooks, now);
    Some(format!("the {hook_type} hooks are given up"))
}

/// Whether no step of the run has begun, so that its first hooks may still be due.
pub fn before_first_step(status: &RolloutRunStatus) -> bool {
    if status.rollback.is_some() {
        return false;
    }
    let canary = status.canary_status.as_ref().is_some_and(|canary| canary.state != StepState::None);
    let batch = status.batch_status.as_ref();
    let batch =
        batch.is_some_and(|batch| batch.current_batch_index > 0 || batch.current_batch_state != StepState::None);
    !canary && !batch
}

/// Whether the hooks before the run are done: the next one is entered together with the end of the one ahead of it.
fn begun_with(status: &RolloutRunStatus) -> bool {
    let last = status.webhooks.last();
    last.is_some_and(|entry| matches!(&*entry.state, super::COMPLETED | super::SKIPPED))
}

fn after_last_step(run: &RolloutRun, status: &RolloutRunStatus) -> bool {
    status.rollback.is_none()
        && status.batch_status.as_ref().is_some_and(|batch| {
            let last =
                usize::try_from(batch.current_batch_index).is_ok_and(|index| index + 1 == run::batches(run).len());
            last && batch.current_batch_state == StepState::Succeeded
        })
}

/// The hook that failed and holds the run.
pub fn on_hold(status: &RolloutRunStatus) -> Option<&RolloutWebhookStatus> {
    let batch = status.batch_status.as_ref();
    let record = batch.and_then(|batch| batch.records.get(usize::try_from(batch.current_batch_index).ok()?));
    let canary = status.canary_status.as_ref();
    let steps = record.into_iter().chain(canary).map(|step| &step.webhooks);
    let last = steps.chain([&status.webhooks]).filter_map(|entries| entries.last());
    last.into_iter().find(|entry| entry.state == ON_HOLD)
}

/// The moment at which a status stands, if hooks are asked there.
fn moment<'a>(run: &'a RolloutRun, status: &RolloutRunStatus) -> Option<Moment<'a>> {
    let whole = |hook_type| Some(at(run, status, hook_type, String::new(), None));
    match status.phase {
        RolloutRunPhase::PreRollout => return whole(HookType::PreRollout),
        RolloutRunPhase::PostRollout => return whole(HookType::PostRollout),
        RolloutRunPhase::Progressing => {}
        _ => return None,
    }
    let canary = status.canary_status.as_ref().map(|canary| &canary.state);
    let hook_type = match canary {
        Some(StepState::PreCanaryStepHook) => Some(HookType::PreCanaryStepHook),
        Some(StepState::PostCanaryStepHook) => Some(HookType::PostCanaryStepHook),
        _ => None,
    };
    if let (Some(hook_type), Some(canary)) = (hook_type, &run.spec.canary) {
        let subject = subject(None, &canary.targets, &canary.properties);
        return Some(at(run, status, hook_type, "canary".to_owned(), Some(("canary", subject))));
    }
    let batch = status.batch_status.as_ref()?;
    let hook_type = match batch.current_batch_state {
        StepState::PreBatchStepHook => HookType::PreBatchStepHook,
        StepState::PostBatchStepHook => HookType::PostBatchStepHook,
        _ => return None,
    };
    let index = batch.current_batch_index;
    let step = run::batches(run).get(usize::try_from(index).ok()?)?;
    let subject = subject(Some(index), &step.targets, &step.properties);
    let undoing = if status.rollback.is_some() { "undoing " } else { "" };
    // What is asked again is another question, though the same second may still go on.
    let again = match status.restarts {
        0 => String::new(),
        restarts => format!(" (started over {restarts}×)"),
    };
    let step = format!("{undoing}batch {}{again}", i64::from(index) + 1);
    Some(at(run, status, hook_type, step, Some(("batch", subject))))
}

fn at<'a>(
    run: &'a RolloutRun,
    status: &RolloutRunStatus,
    hook_type: HookType,
    step: String,
    subject: Option<(&'static str, Value)>,
) -> Moment<'a> {
    let command = status.command.as_ref();
    let resumed = command.filter(|command| Command::parse(&command.command) == Some(Command::Continue));
    Moment {
        hook_type,
        webhooks: &run.spec.webhooks,
        run: &run.metadata,
        target_type: run.spec.target_type.as_ref(),
        step,
        subject,
        resumed: resumed.filter(|command| command.effect == "Accepted").and_then(|c| Some(c.time.as_ref()?.0)),
        give_up: run::annotate(run, Command::ForceSkip),
    }
}

/// A step as the review shows it; upstream leaves out what is zero or empty.
fn subject(index: Option<i32>, targets: &[RolloutRunStepTarget], properties: &impl Serialize) -> Value {
    let mut subject = serde_json::Map::new();
    if let Some(index) = index.filter(|index| *index != 0) {
        subject.insert("batchIndex".to_owned(), json!(index));
    }
    if !targets.is_empty() {
        subject.insert("targets".to_owned(), json!(targets));
    }
    let properties = json!(properties);
    if properties.as_object().is_some_and(|properties| !properties.is_empty()) {
        subject.insert("properties".to_owned(), properties);
    }
    Value::Object(subject)
}

fn entries(status: &RolloutRunStatus, hook_type: HookType) -> &[RolloutWebhookStatus] {
    match hook_type {
        HookType::PreRollout | HookType::PostRollout => &status.webhooks,
        HookType::PreCanaryStepHook | HookType::PostCanaryStepHook => {
            status.canary_status.as_ref().map_or(&[], |canary| &canary.webhooks)
        }
        HookType::PreBatchStepHook | HookType::PostBatchStepHook => {
            let batch = status.batch_status.as_ref();
            let record = batch.and_then(|batch| batch.records.get(usize::try_from(batch.current_batch_index).ok()?));
            record.map_or(&[], |record| &record.webhooks)
        }
    }
}

fn entries_mut(status: &mut RolloutRunStatus, hook_type: HookType) -> Option<&mut Vec<RolloutWebhookStatus>> {
    match hook_type {
        HookType::PreRollout | HookType::PostRollout => Some(&mut status.webhooks),
        HookType::PreCanaryStepHook | HookType::PostCanaryStepHook => {
            status.canary_status.as_mut().map(|canary| &mut canary.webhooks)
        }
        HookType::PreBatchStepHook | HookType::PostBatchStepHook => {
            let batch = status.batch_status.as_mut()?;
            let index = usize::try_from(batch.current_batch_index).ok()?;
            Some(&mut batch.records.get_mut(index)?.webhooks)
        }
    }
}
