//! The progress deadline: a step that moves pods, or waits to begin, must get ahead within a set time.
//!
//! Progress is a step or a state that was not there before, a new template, or more available updated pods than the step
//! ever had. When it was last made stands in status, so that an operator that starts anew judges alike. Where a person
//! or a hook is waited for (paused, stopped with an error, in a hook's state) no clock runs, and it begins anew after.

use jiff::{SignedDuration, Timestamp};

use super::{condition, run};
use crate::{
    api::{
        CodeReasonMessage, ProgressDeadlinePolicy, RolloutRun, RolloutRunPhase, RolloutRunStatus,
        RolloutWorkloadStatus, StepState, rolloutrun::StepProgress,
    },
    intent::Wait,
};

/// How many waits an error quotes. The rest is counted.
const QUOTED: usize = 5;

/// Notes the progress of the current step. Returns the error once it has made none for too long.
pub fn keep(
    run: &RolloutRun,
    old: &RolloutRunStatus,
    status: &mut RolloutRunStatus,
    waits: &[Wait],
    now: Timestamp,
) -> Option<CodeReasonMessage> {
    let seen = seconds(run).and_then(|_| current(status, now));
    status.progress = seen.map(|seen| match &old.progress {
        Some(before) if !has_advanced(before, &seen) && !new_template(old, status) => before.clone(),
        _ => seen,
    });
    due(run, status).filter(|due| *due <= now).map(|_| exceeded(run, status, waits))
}

/// When the current step will have made no progress for too long.
pub fn due(run: &RolloutRun, status: &RolloutRunStatus) -> Option<Timestamp> {
    status.progress.as_ref()?.since.as_ref()?.0.checked_add(SignedDuration::from_secs(seconds(run)?)).ok()
}

/// Whether a step that is out of time leads back.
pub fn rolls_back(run: &RolloutRun) -> bool {
    let policy = run.spec.policies.as_ref().map(|policies| &policies.progress_deadline_policy);
    policy == Some(&ProgressDeadlinePolicy::Rollback)
}

fn seconds(run: &RolloutRun) -> Option<i64> {
    run.spec.policies.as_ref()?.progress_deadline_seconds.map(i64::from).filter(|seconds| *seconds > 0)
}

/// Where the run stands, if its clock runs there.
fn current(status: &RolloutRunStatus, now: Timestamp) -> Option<StepProgress> {
    if status.phase != RolloutRunPhase::Progressing || status.error.is_some() {
        return None;
    }
    let ended = |state: &StepState| matches!(state, StepState::Succeeded | StepState::Skipped);
    let canary = status.canary_status.as_ref().filter(|canary| !ended(&canary.state));
    let (index, state, targets) = if let Some(canary) = canary {
        (None, &canary.state, &canary.targets[..])
    } else {
        let batch = status.batch_status.as_ref()?;
        let record = batch.records.get(usize::try_from(batch.current_batch_index).ok()?)?;
        (Some(batch.current_batch_index), &batch.current_batch_state, &record.targets[..])
    };
    let available = targets.iter().map(|target| target.updated_available_replicas).sum();
    let since = Some(condition::time(now));
    matches!(state, StepState::None | StepState::Running).then(|| StepProgress {
        index,
        state: state.clone(),
        available,
        since,
    })
}

fn has_advanced(before: &StepProgress, now: &StepProgress) -> bool {
    (before.index, &before.state) != (now.index, &now.state) || now.available > before.available
}

/// Whether a target has another template than it had: its pods begin anew.
fn new_template(old: &RolloutRunStatus, new: &RolloutRunStatus) -> bool {
    let place = |target: &RolloutWorkloadStatus| (target.cluster.clone(), target.name.clone());
    new.target_statuses.iter().any(|target| {
        let before = old.target_statuses.iter().find(|before| place(before) == place(target));
        before.is_some_and(|before| before.updated_revision != target.updated_revision)
    })
}

fn exceeded(run: &RolloutRun, status: &RolloutRunStatus, waits: &[Wait]) -> CodeReasonMessage {
    let step = match status.progress.as_ref().and_then(|progress| progress.index) {
        Some(index) => format!("batch {}", i64::from(index) + 1),
        None => "canary".to_owned(),
    };
    let place = |wait: &Wait| match wait.cluster.as_str() {
        "" => format!("{}: {}", wait.object, wait.condition),
        cluster => format!("{cluster}/{}: {}", wait.object, wait.condition),
    };
    let quoted: Vec<_> = waits.iter().take(QUOTED).map(place).collect();
    let more = match waits.len().saturating_sub(QUOTED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let message = format!(
        "{step}: no progress within {} s (spec.policies.progressDeadlineSeconds), waiting for {}{more}; repair and retry, \
         or skip the batch, or roll back, or cancel",
        seconds(run).unwrap_or_default(),
        quoted.join("; ")
    );
    run::error("Error", "ProgressDeadlineExceeded", message)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::{Value, json};

    use super::*;
    use crate::decide::fixtures::{self, at};

    fn run(seconds: Option<i32>) -> std::sync::Arc<RolloutRun> {
        fixtures::object(json!({ "spec": { "policies": { "progressDeadlineSeconds": seconds } } }))
    }

    /// A status in which one target of batch `index` has `available` updated pods on `revision`.
    fn status(phase: &str, index: usize, state: &str, available: i32, revision: &str) -> RolloutRunStatus {
        let target = json!({ "cluster": "east", "name": "web", "updatedRevision": revision,
            "updatedAvailableReplicas": available });
        let records: Vec<Value> =
            (0..3).map(|at| if at == index { json!({ "targets": [target] }) } else { json!({}) }).collect();
        serde_json::from_value(json!({ "phase": phase, "targetStatuses": [target], "batchStatus": {
            "currentBatchIndex": index, "currentBatchState": state, "records": records } }))
        .unwrap()
    }

    #[test]
    fn what_counts_as_progress() {
        let run = run(Some(60));
        let mut log = String::new();
        let mut old = RolloutRunStatus::default();
        let mut stopped = status("Progressing", 1, "Running", 2, "v2");
        stopped.error = Some(CodeReasonMessage::default());
        let steps = [
            (0, "waits to begin", status("Progressing", 0, "", 0, "v2")),
            (50, "begins", status("Progressing", 0, "Running", 0, "v2")),
            (100, "a pod more", status("Progressing", 0, "Running", 1, "v2")),
            (110, "one lost", status("Progressing", 0, "Running", 0, "v2")),
            (120, "and back", status("Progressing", 0, "Running", 1, "v2")),
            (130, "a new template", status("Progressing", 0, "Running", 0, "v3")),
            (140, "a pod more", status("Progressing", 0, "Running", 1, "v3")),
            (150, "a hook", status("Progressing", 0, "PostBatchStepHook", 1, "v3")),
            (900, "the next batch", status("Progressing", 1, "Running", 2, "v3")),
            (959, "nothing", status("Progressing", 1, "Running", 2, "v3")),
            (959, "paused", status("Paused", 1, "Running", 2, "v3")),
            (2000, "resumed", status("Progressing", 1, "Running", 2, "v3")),
            (2059, "nothing", status("Progressing", 1, "Running", 2, "v3")),
            (2060, "nothing for too long", status("Progressing", 1, "Running", 2, "v3")),
            (2061, "stopped", stopped),
            (9000, "retried", status("Progressing", 1, "Running", 2, "v3")),
        ];
        for (second, what, mut status) in steps {
            let error = keep(&run, &old, &mut status, &[], at(second));
            let due =
                due(&run, &status).map_or("-".to_owned(), |due| (due.as_second() - at(0).as_second()).to_string());
            let error = error.map(|error| format!(" {}", error.reason)).unwrap_or_default();
            writeln!(log, "{second:>5} {what:22} due {due}{error}").unwrap();
            old = status;
        }
        insta::assert_snapshot!(log);
    }

    #[test]
    fn the_error_says_what_is_waited_for() {
        let run = run(Some(60));
        let old = RolloutRunStatus {
            progress: current(&status("Progressing", 1, "Running", 2, "v2"), at(0)),
            ..status("Progressing", 1, "Running", 2, "v2")
        };
        let waits: Vec<_> = (0..7)
            .map(|n| Wait {
                cluster: if n == 0 { String::new() } else { "east".into() },
                object: format!("statefulset/web-{n}"),
                condition: "1 of 2 updated pods available".into(),
                unblock: None,
            })
            .collect();
        let error = keep(&run, &old, &mut status("Progressing", 1, "Running", 2, "v2"), &waits, at(60)).unwrap();
        insta::assert_snapshot!(error.message);
    }

    #[test]
    fn without_a_deadline_nothing_is_kept() {
        let mut status = status("Progressing", 0, "Running", 0, "v2");
        assert_eq!(keep(&run(None), &status.clone(), &mut status, &[], at(0)), None);
        assert_eq!(status.progress, None);
    }
}
