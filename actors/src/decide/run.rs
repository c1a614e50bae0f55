//! The phases of a run: what its status becomes, given what the API shows.
//!
//! Every transition that needs no effect is taken at once; one that needs an effect waits until the API shows it, and
//! the status that authorises the effect is stored first (see [`super::goals`]).

use jiff::Timestamp;

use super::{
    absence,
    batch::{self, Progress},
    blue_green, canary,
    command::{self, Command, Effect, Pending, Situation},
    condition, deadline, drift, hooks, pace, patch, rollback, select, status, template, toleration, traffic,
};
use crate::{
    api::{
        CodeReasonMessage, RolloutRun, RolloutRunPhase, RolloutRunStatus, RolloutWorkloadStatus, StepState, WaitStatus,
        keys,
        rolloutrun::{RolloutRunBatchStatus, RolloutRunStep, RolloutRunStepStatus, RolloutRunStepTarget},
    },
    intent::{HubKind, HubWrite, Notice, Wait},
    view::{RolloutView, Workload},
    workloads::WorkloadKind,
};

/// What becomes of one run.
#[derive(Debug, Default)]
#[must_use]
pub struct RunStep {
    /// The write to the run, if it needs one.
    pub write: Option<HubWrite>,
    /// Events.
    pub notices: Vec<Notice>,
    /// What it waits for.
    pub waits: Vec<Wait>,
    /// When to decide again though nothing changed, and why.
    pub wake: Option<(Timestamp, &'static str)>,
}

/// The batches of a run.
pub fn batches(run: &RolloutRun) -> &[RolloutRunStep] {
    run.spec.batch.as_ref().map_or(&[], |batch| &batch.batches)
}

/// The kind of the run's targets, if it is one that can be rolled out.
pub fn kind(run: &RolloutRun) -> Option<WorkloadKind> {
    run.spec.target_type.as_ref().and_then(WorkloadKind::of_target)
}

/// Whether a target of the run means this workload; without a cluster it means one of that name anywhere.
pub fn means(run: &RolloutRun, target: &RolloutRunStepTarget, workload: &Workload) -> bool {
    select::is_named(run.spec.target_type.as_ref(), &target.cluster, &target.name, workload)
}

/// Whether a batch in this state has been allowed to update pods.
pub fn releases_pods(state: &StepState) -> bool {
    matches!(
        state,
        StepState::Running | StepState::PostBatchStepHook | StepState::ResourceRecycling | StepState::Succeeded
    )
}

/// Whether a run has ended.
pub fn completed(run: &RolloutRun) -> bool {
    run.status.as_ref().is_some_and(|status| status.phase.is_completed())
}

/// Decides the next step of the run that is under way.
pub fn step(view: &RolloutView, run: &RolloutRun, now: Timestamp) -> RunStep {
    let mut result = RunStep::default();
    let meta = &run.metadata;
    // A run does not outlive its Rollout: it is canceled as soon as either is to go.
    let deleting = meta.deletion_timestamp.is_some() || view.rollout.metadata.deletion_timestamp.is_some();
    if !deleting && let Some(write) = protect(run) {
        result.write = Some(write);
        return result;
    }
    let pending = command::pending(meta, keys::ANNOTATION_PENDING_COMMAND);
    if pending.is_none()
        && let Some(patch) = command::take(meta, keys::ANNOTATION_MANUAL_COMMAND, keys::ANNOTATION_PENDING_COMMAND, now)
    {
        result.write = Some(HubWrite::Patch { kind: HubKind::RolloutRun, key: patch::key(meta), patch });
        return result;
    }
    let old = run.status.clone().unwrap_or_default();
    let mut status = old.clone();
    status.observed_generation = meta.generation.unwrap_or_default();
    resize_records(run, &mut status);
    // What a rollback returns to must be known before the first command.
    observe(view, run, &mut status, now);
    if !status.phase.is_completed() {
        rollback::begin_after(run, &mut status, now);
        rollback::remember(run, &mut status);
    }
    if let Some(pending) = pending.as_ref().filter(|pending| !acknowledged(&status, pending)) {
        obey(run, pending, &mut status, now);
    }
    if deleting && !status.phase.is_completed() {
        status.phase = RolloutRunPhase::Canceling;
    }
    let changes = template::changes(view, run, &old);
    let starts_over = !changes.is_empty() && template::starts_over(run, &status);
    if starts_over {
        template::start_over(&mut status);
    }
    if !status.phase.is_completed() {
        absence::keep(view, run, &mut status, now);
        drift::heed(view, run, &mut status);
    }
    let mut waits = advance(view, run, &mut status, now);
    if !status.phase.is_completed() {
        waits.extend(absence::told(&status));
    }
    waits.sort();
    waits.dedup();
    observe(view, run, &mut status, now);
    rollback::remember(run, &mut status);
    if let Some(error) = deadline::keep(run, &old, &mut status, &waits, now) {
        waits = out_of_time(run, &mut status, error, now);
    }
    conditions(&mut status, now);
    status.waits = waits.iter().map(|wait| wait_status(wait, &old.waits, now)).collect();
    result.waits = waits;
    let later = pace::run(&old, &status, now).filter(|_| old != status);
    result.wake = wake(view, run, &status, later, now);
    // The Rollout may still have to see that a command of its own has arrived here.
    let settled = pending.as_ref().filter(|pending| acknowledged(&old, pending) && !awaited(view, pending));
    let dropped = settled.map(|_| drop_pending(run));
    if later.is_some() {
        result.write = dropped;
        return result;
    }
    result.notices = notices(run, &old, &status);
    // On the way back the run itself puts another template there.
    result.notices.extend(template_notice(run, &changes, starts_over).filter(|_| old.rollback.is_none()));
    result.write = write_status(run, &old, status, now).or(dropped);
    result
}

/// What a step that has made no progress for too long leads to. Returns what the run waits for then.
fn out_of_time(run: &RolloutRun, status: &mut RolloutRunStatus, error: CodeReasonMessage, now: Timestamp) -> Vec<Wait> {
    status.progress = None;
    if deadline::rolls_back(run) && status.rollback.is_none() {
        rollback::begin(run, status, now);
        if let Some(rollback) = &mut status.rollback {
            rollback.reason = error.message;
        }
        return Vec::new();
    }
    status.error = Some(error);
    vec![stopped(run, status)]
}

/// When the passing of time alone changes what is decided.
fn wake(
    view: &RolloutView,
    run: &RolloutRun,
    status: &RolloutRunStatus,
    later: Option<Timestamp>,
    now: Timestamp,
) -> Option<(Timestamp, &'static str)> {
    let failed = toleration::due(view, run, status, now);
    let reasons = [
        (later, "numbers are written"),
        (failed, "pods in trouble count as failed"),
        (absence::due(view, run, status, now), "a cluster has not answered for too long"),
        (deadline::due(run, status), "a step has made no progress for too long"),
        (blue_green::due(run, status, now), "the old version has been kept for long enough"),
    ];
    reasons.into_iter().filter_map(|(at, why)| Some((at?, why))).min()
}

/// Takes the protection off a run that has ended; nothing of it is left in any cluster.
pub fn unprotect(run: &RolloutRun) -> Option<HubWrite> {
    let mut finalizers = run.metadata.finalizers.clone().unwrap_or_default();
    let before = finalizers.len();
    finalizers.retain(|finalizer| finalizer != keys::FINALIZER_PROTECTION);
    (finalizers.len() < before).then(|| write_finalizers(run, &finalizers))
}

/// Answers commands that come too late: a run that has ended does nothing more.
pub fn refuse_commands(run: &RolloutRun, now: Timestamp) -> Option<HubWrite> {
    let meta = &run.metadata;
    let Some(pending) = command::pending(meta, keys::ANNOTATION_PENDING_COMMAND) else {
        let patch = command::take(meta, keys::ANNOTATION_MANUAL_COMMAND, keys::ANNOTATION_PENDING_COMMAND, now)?;
        return Some(HubWrite::Patch { kind: HubKind::RolloutRun, key: patch::key(meta), patch });
    };
    let old = run.status.clone().unwrap_or_default();
    if acknowledged(&old, &pending) {
        return Some(drop_pending(run));
    }
    let mut status = old.clone();
    obey(run, &pending, &mut status, now);
    write_status(run, &old, status, now)
}

fn protect(run: &RolloutRun) -> Option<HubWrite> {
    let mut finalizers = run.metadata.finalizers.clone().unwrap_or_default();
    if finalizers.iter().any(|finalizer| finalizer == keys::FINALIZER_PROTECTION) {
        return None;
    }
    finalizers.push(keys::FINALIZER_PROTECTION.to_owned());
    Some(write_finalizers(run, &finalizers))
}

fn write_finalizers(run: &RolloutRun, finalizers: &[String]) -> HubWrite {
    let version = run.metadata.resource_version.as_deref().unwrap_or_default();
    HubWrite::Patch {
        kind: HubKind::RolloutRun,
        key: patch::key(&run.metadata),
        patch: patch::finalizers(version, finalizers),
    }
}

fn drop_pending(run: &RolloutRun) -> HubWrite {
    let version = run.metadata.resource_version.as_deref().unwrap_or_default();
    HubWrite::Patch {
        kind: HubKind::RolloutRun,
        key: patch::key(&run.metadata),
        patch: patch::annotations(version, [(keys::ANNOTATION_PENDING_COMMAND, None)]),
    }
}

/// Whether the Rollout has handed this command down and not yet noted that it is here.
fn awaited(view: &RolloutView, pending: &Pending) -> bool {
    let above = command::pending(&view.rollout.metadata, keys::ANNOTATION_PENDING_COMMAND);
    let noted = view.rollout.status.as_ref().and_then(|status| status.command.as_ref()).map(|command| &command.id);
    above.is_some_and(|above| command::handed_down(&above.id) == pending.id && Some(&above.id) != noted)
}

fn acknowledged(status: &RolloutRunStatus, pending: &Pending) -> bool {
    status.command.as_ref().is_some_and(|command| command.id == pending.id)
}

/// Gives a command its effect and records it, in one status.
fn obey(run: &RolloutRun, pending: &Pending, status: &mut RolloutRunStatus, now: Timestamp) {
    let outcome = match Command::parse(&pending.command) {
        None => Err(command::unknown(&pending.command)),
        Some(command) => command::effect(command, Situation::of(status))
            .map(|effect| apply(run, effect, status, now))
            .map_err(|why| format!("{command}: {why}")),
    };
    status.command = Some(command::acknowledge(pending, outcome, now));
}

fn apply(run: &RolloutRun, effect: Effect, status: &mut RolloutRunStatus, now: Timestamp) -> String {
    match effect {
        Effect::Pause => {
            status.phase = RolloutRunPhase::Pausing;
            "no further pod is released until continue".to_owned()
        }
        Effect::Continue => {
            drift::forgive(status);
            status.phase = if hooks::before_first_step(status) {
                RolloutRunPhase::PreRollout
            } else {
                RolloutRunPhase::Progressing
            };
            "the run goes on".to_owned()
        }
        Effect::ClearError => {
            status.error = None;
            rollback::restore_again(status);
            "the error is cleared, and the step is tried again".to_owned()
        }
        Effect::Cancel => {
            status.phase = RolloutRunPhase::Canceling;
            "the run ends, and pods stay as they are".to_owned()
        }
        Effect::SkipBatch => {
            status.error = None;
            hooks::give_up(run, status, now).unwrap_or_else(|| skip(run, status, now))
        }
        Effect::RollBack => {
            rollback::begin(run, status, now);
            "every workload returns to its stable revision, batch by batch".to_owned()
        }
    }
}

/// Marks the current batch Skipped and moves behind it. Behind the last batch only the marks on the workloads are left
/// to be taken off.
fn skip(run: &RolloutRun, status: &mut RolloutRunStatus, now: Timestamp) -> String {
    if canary::is_in(status, &StepState::Switched) {
        blue_green::keep_no_longer(status, now);
        return "the old version is kept no longer: the batches follow".to_owned();
    }
    if !canary::finished(run, status) {
        canary::give_up(status);
        return "the canary is skipped: it is taken away, and the batches follow".to_owned();
    }
    let back = status.rollback.is_some();
    let Some(index) = current(status) else { return "there is no batch yet".to_owned() };
    let last = is_last(run, status, index);
    let Some(batch) = status.batch_status.as_mut() else { return "there is no batch yet".to_owned() };
    if let Some(record) = batch.records.get_mut(index) {
        record.state = StepState::Skipped;
    }
    if last {
        batch.current_batch_state = StepState::ResourceRecycling;
    } else if back {
        rollback::enter(batch, batch.current_batch_index - 1);
    } else {
        batch.current_batch_index += 1;
        batch.current_batch_state = StepState::None;
    }
    let what = if back { "undoing batch" } else { "batch" };
    format!("{what} {} is skipped, and its pods stay as they are", index + 1)
}

/// The index of the current batch.
fn current(status: &RolloutRunStatus) -> Option<usize> {
    usize::try_from(status.batch_status.as_ref()?.current_batch_index).ok()
}

/// Whether no batch comes after the one of that index, in the direction in which the run goes.
pub fn is_last(run: &RolloutRun, status: &RolloutRunStatus, index: usize) -> bool {
    if status.rollback.is_some() { index == 0 } else { index + 1 == batches(run).len() }
}

/// Whether its batches are done, in the direction in which the run goes, and only what it made is left to be taken back.
pub fn has_done_all(run: &RolloutRun, status: &RolloutRunStatus) -> bool {
    let Some(batch) = &status.batch_status else { return false };
    let is_last = usize::try_from(batch.current_batch_index).is_ok_and(|index| is_last(run, status, index));
    is_last && matches!(batch.current_batch_state, StepState::ResourceRecycling | StepState::Succeeded)
}

/// Takes every transition that the API's state allows. Returns what the next one waits for.
fn advance(view: &RolloutView, run: &RolloutRun, status: &mut RolloutRunStatus, now: Timestamp) -> Vec<Wait> {
    loop {
        match status.phase {
            RolloutRunPhase::None | RolloutRunPhase::Initial => status.phase = RolloutRunPhase::PreRollout,
            // A canary that goes is not kept half.
            RolloutRunPhase::Pausing if canary::is_leaving(run, status) => match canary::step(view, run, status, now) {
                Progress::Moved => {}
                Progress::Waiting(waits) => return waits,
                Progress::Failed(_) => status.phase = RolloutRunPhase::Paused,
            },
            RolloutRunPhase::Pausing => status.phase = RolloutRunPhase::Paused,
            RolloutRunPhase::Paused => {
                let error = status.error.as_ref().map(|_| stopped(run, status));
                return error.into_iter().chain([paused(run, status)]).collect();
            }
            RolloutRunPhase::Canceling => {
                let mut waits = canary::left_behind(view, run);
                waits.extend(batch::left_behind(view, run, true));
                waits.extend(traffic::waits(view, run, status, now));
                let waits = absence::gate(view, run, status, waits, now);
                if !waits.is_empty() {
                    return waits;
                }
                status.phase = RolloutRunPhase::Canceled;
            }
            RolloutRunPhase::PreRollout | RolloutRunPhase::Progressing | RolloutRunPhase::PostRollout
                if status.error.is_some() =>
            {
                return vec![stopped(run, status)];
            }
            RolloutRunPhase::PreRollout | RolloutRunPhase::PostRollout => match hooks::ask(view, run, status, now) {
                hooks::Progress::Done if status.phase == RolloutRunPhase::PreRollout => {
                    status.phase = RolloutRunPhase::Progressing;
                }
                hooks::Progress::Done => status.phase = RolloutRunPhase::Succeeded,
                hooks::Progress::Waiting(wait) => return vec![wait],
                hooks::Progress::Failed(error) => status.error = Some(error),
            },
            RolloutRunPhase::Progressing => match current_step(view, run, status, now) {
                Progress::Moved => {}
                Progress::Waiting(waits) => return waits,
                Progress::Failed(error) => status.error = Some(error),
            },
            RolloutRunPhase::Succeeded | RolloutRunPhase::Canceled => return Vec::new(),
            RolloutRunPhase::Unknown(ref phase) => {
                return vec![Wait {
                    cluster: String::new(),
                    object: object(run),
                    condition: format!("status.phase {phase:?} is of no known meaning"),
                    unblock: Some(annotate(run, Command::Cancel)),
                }];
            }
        }
    }
}

fn current_step(view: &RolloutView, run: &RolloutRun, status: &mut RolloutRunStatus, now: Timestamp) -> Progress {
    match hooks::ask(view, run, status, now) {
        hooks::Progress::Done => {}
        hooks::Progress::Waiting(wait) => return Progress::Waiting(vec![wait]),
        hooks::Progress::Failed(error) => return Progress::Failed(error),
    }
    if canary::finished(run, status) {
        batch::step(view, run, status, now)
    } else {
        canary::step(view, run, status, now)
    }
}

fn paused(run: &RolloutRun, status: &RolloutRunStatus) -> Wait {
    let batch = status.batch_status.as_ref();
    let index = batch.map_or(0, |batch| i64::from(batch.current_batch_index)) + 1;
    let breakpoint = batch.is_some_and(|batch| batch.current_batch_state == StepState::Pending);
    let at = if canary::is_in(status, &StepState::Switching) {
        "before all requests go to its copies".to_owned()
    } else if !canary::finished(run, status) {
        "with its canary".to_owned()
    } else if breakpoint {
        format!("at the breakpoint of batch {index}")
    } else {
        format!("in batch {index}")
    };
    Wait {
        cluster: String::new(),
        object: object(run),
        condition: format!("paused {at}"),
        unblock: Some(annotate(run, Command::Continue)),
    }
}

fn stopped(run: &RolloutRun, status: &RolloutRunStatus) -> Wait {
    let error = status.error.clone().unwrap_or_default();
    let hook =
        hooks::on_hold(status).map(|hook| format!("{} hook {}: ", hook.hook_type, hook.name)).unwrap_or_default();
    Wait {
        cluster: String::new(),
        object: object(run),
        condition: format!("stopped with {}: {hook}{}", error.code, error.message),
        unblock: Some(annotate(run, Command::Retry)),
    }
}

/// The run as waits and messages name it.
pub fn object(run: &RolloutRun) -> String {
    format!("rolloutrun/{}", run.metadata.name.as_deref().unwrap_or_default())
}

/// The shell command that gives the run a command.
pub fn annotate(run: &RolloutRun, command: Command) -> String {
    command::line("rolloutrun", &patch::key(&run.metadata), command)
}

/// Gives the records the length of the plan. A plan may only grow behind the current batch.
fn resize_records(run: &RolloutRun, status: &mut RolloutRunStatus) {
    let batch = status.batch_status.get_or_insert_with(RolloutRunBatchStatus::default);
    let len = batches(run).len();
    batch.records.truncate(len);
    for index in batch.records.len()..len {
        let index = i32::try_from(index).ok();
        batch.records.push(RolloutRunStepStatus { index, ..RolloutRunStepStatus::default() });
    }
}

/// The targets of a batch as they are now.
pub fn target_statuses(
    view: &RolloutView,
    run: &RolloutRun,
    batch: &RolloutRunStep,
    now: Timestamp,
) -> Vec<RolloutWorkloadStatus> {
    let workloads = batch.targets.iter().filter_map(|target| batch::find(view, run, target));
    workloads.map(|workload| status::workload_status(view, workload, now)).collect()
}

/// Refreshes the numbers of the targets while the run is not over.
fn observe(view: &RolloutView, run: &RolloutRun, status: &mut RolloutRunStatus, now: Timestamp) {
    let targets = |batch| target_statuses(view, run, batch, now);
    let mut all: Vec<_> = batches(run).iter().flat_map(targets).collect();
    all.sort_by(|a, b| (&a.cluster, &a.name).cmp(&(&b.cluster, &b.name)));
    all.dedup_by(|a, b| (&a.cluster, &a.name) == (&b.cluster, &b.name));
    status.target_statuses = status::keep_unknown(view, &status.target_statuses, all);
    if !canary::finished(run, status)
        && let Some(record) = status.canary_status.as_mut()
    {
        record.targets = canary::target_statuses(view, run, now);
    }
    let Some(progress) = status.batch_status.as_mut() else { return };
    let current = usize::try_from(progress.current_batch_index).unwrap_or(0);
    let state = progress.current_batch_state.clone();
    let (Some(record), Some(batch)) = (progress.records.get_mut(current), batches(run).get(current)) else { return };
    if state != StepState::None && record.finish_time.is_none() {
        record.targets = targets(batch);
    }
}

fn conditions(status: &mut RolloutRunStatus, now: Timestamp) {
    let (holds, reason, message) = match (&status.phase, &status.error) {
        (RolloutRunPhase::Succeeded, _) => (false, "Completed", "rolloutRun is completed"),
        (RolloutRunPhase::Canceled, _) if rolled_back(status) => (false, "RolledBack", "rolloutRun is rolled back"),
        (RolloutRunPhase::Canceled, _) => (false, "Canceled", "rolloutRun is canceled"),
        (_, None) if status.rollback.is_some() => (true, "RollingBack", "rolloutRun is being rolled back"),
        (RolloutRunPhase::Canceling, _) | (_, None) => (true, "Running", "rolloutRun is running"),
        (_, Some(_)) => (false, "Error", "rolloutRun stop rolling since error exist"),
    };
    condition::set(&mut status.conditions, "Progressing", holds, reason, message, now);
}

/// Whether every batch was undone.
pub fn rolled_back(status: &RolloutRunStatus) -> bool {
    status.rollback.as_ref().is_some_and(|rollback| rollback.finish_time.is_some())
}

/// A wait as status shows it: one that was there before keeps its start.
pub fn wait_status(wait: &Wait, before: &[WaitStatus], now: Timestamp) -> WaitStatus {
    let same = |old: &&WaitStatus| old.cluster == wait.cluster && old.object == wait.object;
    let since = before.iter().find(same).and_then(|old| old.since.clone());
    WaitStatus {
        cluster: wait.cluster.clone(),
        object: wait.object.clone(),
        condition: wait.condition.clone(),
        since: Some(since.unwrap_or_else(|| condition::time(now))),
        unblock: wait.unblock.clone().unwrap_or_default(),
    }
}

fn write_status(
    run: &RolloutRun,
    old: &RolloutRunStatus,
    mut status: RolloutRunStatus,
    now: Timestamp,
) -> Option<HubWrite> {
    if run.status.is_some() && *old == status {
        return None;
    }
    status.last_update_time = Some(condition::time(now));
    let patch = patch::status(run.metadata.resource_version.as_deref(), old, &status);
    Some(HubWrite::PatchStatus { kind: HubKind::RolloutRun, key: patch::key(&run.metadata), patch })
}

fn notice(run: &RolloutRun, warning: bool, reason: &str, message: String) -> Notice {
    Notice {
        kind: HubKind::RolloutRun,
        key: patch::key(&run.metadata),
        uid: run.metadata.uid.clone().unwrap_or_default(),
        warning,
        reason: reason.to_owned(),
        message,
    }
}

/// The event about templates that changed in mid-run.
fn template_notice(run: &RolloutRun, changes: &[String], starts_over: bool) -> Option<Notice> {
    let what =
        if starts_over { "the run starts over from its first batch" } else { "the current step goes on with it" };
    let message = format!("the template changed: {}; {what}", changes.join(", "));
    (!changes.is_empty()).then(|| notice(run, false, "TemplateChanged", message))
}

/// One event for each transition worth a line.
fn notices(run: &RolloutRun, old: &RolloutRunStatus, new: &RolloutRunStatus) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut add = |warning: bool, reason: &str, message: String| notices.push(notice(run, warning, reason, message));
    for told in absence::told(new).filter(|told| !absence::told(old).any(|before| before == *told)) {
        add(true, "ClusterSkipped", format!("{}: {}", told.object, told.condition));
    }
    let canary = |status: &RolloutRunStatus| status.canary_status.as_ref().map(|canary| canary.state.clone());
    if canary(old) != canary(new) {
        match canary(new) {
            Some(StepState::Running) => add(false, "CanaryStarted", "the canary is made".to_owned()),
            Some(StepState::Succeeded) => add(false, "CanaryRecycled", "the canary is gone".to_owned()),
            _ => {}
        }
    }
    let total = batches(run).len();
    let state = |status: &RolloutRunStatus, index: usize| {
        status.batch_status.as_ref().and_then(|batch| batch.records.get(index)).map(|record| record.state.clone())
    };
    for index in 0..total {
        let (before, after) = (state(old, index).unwrap_or_default(), state(new, index).unwrap_or_default());
        let batch = format!("batch {} of {total}", index + 1);
        match after {
            _ if before == after => {}
            StepState::Running if new.rollback.is_some() => {
                add(false, "BatchRollingBack", format!("{batch} is being undone"));
            }
            StepState::Succeeded if new.rollback.is_some() => {
                add(false, "BatchRolledBack", format!("{batch} is undone"));
            }
            StepState::Running => add(false, "BatchStarted", format!("{batch} starts to update pods")),
            StepState::Succeeded => add(false, "BatchSucceeded", format!("{batch} is done")),
            StepState::Skipped => add(false, "BatchSkipped", format!("{batch} is skipped")),
            _ => {}
        }
    }
    if let Some(error) = new.error.as_ref().filter(|error| old.error.as_ref() != Some(error)) {
        add(true, "FailedRunStep", format!("{}: {}", error.code, error.message));
    }
    if old.phase != new.phase && new.phase == RolloutRunPhase::Canceling {
        for told in drift::told(old, new) {
            add(true, "RouteDrifted", format!("{told}; the run is canceled"));
        }
    }
    if old.rollback.is_none() && new.rollback.is_some() {
        let why = new.rollback.as_ref().map(|rollback| rollback.reason.as_str()).filter(|why| !why.is_empty());
        let why = why.map(|why| format!(", because of {why}")).unwrap_or_default();
        add(true, "RollingBack", format!("every workload returns to its stable revision, batch by batch{why}"));
    }
    if old.phase != new.phase {
        match new.phase {
            RolloutRunPhase::Canceled if rolled_back(new) => {
                add(false, "RolledBack", "rolloutRun is rolled back".to_owned());
            }
            RolloutRunPhase::Paused => add(false, "Paused", paused(run, new).condition),
            RolloutRunPhase::Succeeded => add(false, "Completed", "rolloutRun is completed".to_owned()),
            RolloutRunPhase::Canceled => add(false, "StepCanceled", "rolloutRun is canceled".to_owned()),
            _ => {}
        }
    }
    notices
}

/// An error as status shows it.
pub fn error(code: &str, reason: &str, message: String) -> CodeReasonMessage {
    CodeReasonMessage { code: code.to_owned(), reason: reason.to_owned(), message }
}
