//! The way back: every target returns to its stable revision through the batches in reverse.
//!
//! First every template is put back, which moves no pod, because workloads are parked then. The rest is what a run does
//! anyway, with the pods of the revision that is given up counted down instead of up: undoing a batch leaves what the
//! batches before it allow.

use jiff::Timestamp;

use super::{canary, condition, goals, run};
use crate::{
    api::{
        CodeReasonMessage, CrossClusterObjectNameReference, RolloutRun, RolloutRunPhase, RolloutRunStatus,
        RolloutWorkloadStatus, StepState, WorkloadRevision, intorpercent,
        rolloutrun::{RollbackStatus, RolloutRunBatchStatus, RolloutRunStepStatus},
    },
    intent::Release,
    view::{RolloutView, Workload},
};

/// Turns a run round: from here on its batches are undone.
pub fn begin(run: &RolloutRun, status: &mut RolloutRunStatus, now: Timestamp) {
    if !canary::finished(run, status) {
        canary::give_up(status);
    }
    let batch = status.batch_status.get_or_insert_default();
    // What has moved no pod yet has nothing to undo.
    let begun = run::releases_pods(&batch.current_batch_state);
    let from = if begun { batch.current_batch_index } else { (batch.current_batch_index - 1).max(0) };
    enter(batch, from);
    status.rollback = Some(RollbackStatus {
        from_batch_index: from,
        start_time: Some(condition::time(now)),
        ..RollbackStatus::default()
    });
    status.error = None;
    status.phase = RolloutRunPhase::Progressing;
}

/// A run that takes back what another one did begins at the last batch.
pub fn begin_after(run: &RolloutRun, status: &mut RolloutRunStatus, now: Timestamp) {
    let Some(source) = &run.spec.rollback else { return };
    if status.rollback.is_some() {
        return;
    }
    status.stable_revisions.clone_from(&source.revisions);
    let last = i32::try_from(run::batches(run).len()).unwrap_or(i32::MAX) - 1;
    let batch = status.batch_status.get_or_insert_default();
    batch.current_batch_index = last.max(0);
    batch.current_batch_state = StepState::Running;
    begin(run, status, now);
}

/// Goes on with undoing the batch of that index.
pub fn enter(batch: &mut RolloutRunBatchStatus, index: i32) {
    batch.current_batch_index = index;
    batch.current_batch_state = StepState::None;
    if let Some(record) = usize::try_from(index).ok().and_then(|index| batch.records.get_mut(index)) {
        *record = RolloutRunStepStatus { index: Some(index), ..RolloutRunStepStatus::default() };
    }
}

/// Keeps on record what a rollback would return to: the revision each target has when the run first sees it. Once it is
/// under way, what it gives up.
pub fn remember(run: &RolloutRun, status: &mut RolloutRunStatus) {
    let entry = |target: &RolloutWorkloadStatus, revision: &str| WorkloadRevision {
        cluster: target.cluster.clone(),
        name: target.name.clone(),
        revision: revision.to_owned(),
    };
    let RolloutRunStatus { target_statuses, stable_revisions, rollback, .. } = status;
    for target in target_statuses.iter().filter(|target| !target.stable_revision.is_empty()) {
        let known = stable_of(stable_revisions, &target.cluster, &target.name);
        match (rollback.as_mut(), known) {
            // Whoever takes back another run leaves alone what that one has not moved.
            (_, None) if target.stable_revision != target.updated_revision && run.spec.rollback.is_none() => {
                stable_revisions.push(entry(target, &target.stable_revision));
            }
            (Some(rollback), Some(stable)) if *stable != target.updated_revision => {
                rollback.revisions.retain(|known| (&known.cluster, &known.name) != (&target.cluster, &target.name));
                rollback.revisions.push(entry(target, &target.updated_revision));
                rollback.revisions.sort();
            }
            _ => {}
        }
    }
    stable_revisions.sort();
}

/// The revision that a workload returns to, if the run has moved it at all.
pub fn stable<'a>(status: &'a RolloutRunStatus, workload: &Workload) -> Option<&'a str> {
    stable_of(&status.stable_revisions, &workload.cluster, &workload.key.name)
}

fn stable_of<'a>(revisions: &'a [WorkloadRevision], cluster: &str, name: &str) -> Option<&'a str> {
    let entry = revisions.iter().find(|entry| entry.cluster == cluster && entry.name == name)?;
    Some(&entry.revision)
}

/// Pods that may still be on the revision that is given up once the batch of that index is undone: the most that any
/// batch before it allows.
pub fn remaining(run: &RolloutRun, workload: &Workload, index: usize) -> i32 {
    let before = goals::entries(run, workload).take_while(|(batch, _)| *batch < index);
    let counts = before.filter_map(|(_, target)| intorpercent::parse(&target.replicas).ok());
    counts.map(|count| count.scaled(workload.desired)).max().unwrap_or(0)
}

/// How far a workload goes back by what is stored.
pub fn release(run: &RolloutRun, status: &RolloutRunStatus, rollback: &RollbackStatus, workload: &Workload) -> Release {
    let (Some(revision), Some(batch)) = (stable(status, workload), status.batch_status.as_ref()) else {
        return Release::Parked;
    };
    let index = usize::try_from(batch.current_batch_index).unwrap_or(0);
    let moves = run::releases_pods(&batch.current_batch_state);
    let going = status.phase == RolloutRunPhase::Progressing && status.error.is_none();
    let window = goals::target_in(run, workload, index).and_then(|target| target.replica_sliding_window.as_ref());
    Release::Back {
        revision: revision.to_owned(),
        restore: going && !is_restored(rollback, workload),
        remaining: if moves { remaining(run, workload, index) } else { workload.desired },
        window: window.and_then(|window| intorpercent::parse(window).ok()),
        moving: going && batch.current_batch_state == StepState::Running,
    }
}

fn is_restored(rollback: &RollbackStatus, workload: &Workload) -> bool {
    rollback.restored.iter().any(|place| place.cluster == workload.cluster && place.name == workload.key.name)
}

/// Whether the workload's template is the stable one, as its controller sees it.
fn has_stable_template(status: &RolloutRunStatus, workload: &Workload) -> bool {
    workload.observed_generation >= workload.generation && stable(status, workload) == Some(&*workload.updated_revision)
}

/// Notes which templates are back. `Err` names one that somebody has replaced again since.
pub fn restored(view: &RolloutView, run: &RolloutRun, status: &mut RolloutRunStatus) -> Result<(), CodeReasonMessage> {
    let Some(mut rollback) = status.rollback.take() else { return Ok(()) };
    let mut result = Ok(());
    for workload in goals::targets(view, run) {
        if stable(status, workload).is_none() || workload.observed_generation < workload.generation {
            continue;
        }
        let (is, was) = (has_stable_template(status, workload), is_restored(&rollback, workload));
        if is && !was {
            let place = CrossClusterObjectNameReference::new(&*workload.cluster, &*workload.key.name);
            rollback.restored.push(place);
        }
        if was && !is && result.is_ok() {
            result = Err(replaced(status, workload));
        }
    }
    rollback.restored.sort();
    status.rollback = Some(rollback);
    result
}

/// `retry` after a conflict puts the stable templates back once more.
pub fn restore_again(status: &mut RolloutRunStatus) {
    if let Some(rollback) = &mut status.rollback {
        rollback.restored.clear();
    }
}

fn replaced(status: &RolloutRunStatus, workload: &Workload) -> CodeReasonMessage {
    let by = workload.template_manager.as_deref().unwrap_or("an unknown field manager");
    let message = format!(
        "{}: {by} replaced the stable template (revision {}) by revision {}; the workload is parked: take the new \
         template back where {by} has it from, then retry",
        super::batch::place(workload),
        stable(status, workload).unwrap_or_default(),
        workload.updated_revision,
    );
    run::error("Error", "TemplateReplaced", message)
}
