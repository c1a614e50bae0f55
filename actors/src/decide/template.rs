//! A template that changes in mid-run: the current step goes on with it, or the run starts over.

use super::{batch, run, select};
use crate::{
    api::{
        RolloutRun, RolloutRunPhase, RolloutRunStatus, StepState, TemplateChangePolicy,
        rolloutrun::RolloutRunStepStatus,
    },
    view::RolloutView,
};

/// A target whose template is another than the run last saw, in words.
pub fn changes(view: &RolloutView, run: &RolloutRun, seen: &RolloutRunStatus) -> Vec<String> {
    let targets = run::batches(run).iter().flat_map(|batch| &batch.targets);
    let workloads = select::workloads(&view.members).filter(|workload| {
        targets.clone().any(|target| run::means(run, target, workload))
            && workload.observed_generation >= workload.generation
    });
    let change = |workload: &std::sync::Arc<crate::view::Workload>| {
        let known = |entry: &&crate::api::RolloutWorkloadStatus| {
            entry.cluster == workload.cluster && entry.name == workload.key.name && !entry.updated_revision.is_empty()
        };
        let (before, after) = (&seen.target_statuses.iter().find(known)?.updated_revision, &workload.updated_revision);
        (before != after).then(|| format!("{}: revision {before} became {after}", batch::place(workload)))
    };
    workloads.filter_map(change).collect()
}

/// Whether the run starts over when a template changes: if its policy says so, and there is anything to start over.
pub fn starts_over(run: &RolloutRun, status: &RolloutRunStatus) -> bool {
    let policy = run.spec.policies.as_ref().map(|policies| &policies.template_change_policy);
    let moving =
        matches!(status.phase, RolloutRunPhase::Progressing | RolloutRunPhase::Pausing | RolloutRunPhase::Paused);
    let begun = status
        .batch_status
        .as_ref()
        .is_some_and(|batch| batch.current_batch_index > 0 || batch.current_batch_state != StepState::None);
    // On the way back the run itself puts another template there.
    let onward = status.rollback.is_none();
    policy == Some(&TemplateChangePolicy::Restart) && onward && moving && begun
}

/// Goes back to before the first batch. Nothing is authorised any more, so every workload is parked again. A pause that
/// a person asked for stays; one at a breakpoint comes again when the breakpoint does.
pub fn start_over(status: &mut RolloutRunStatus) {
    let Some(batch) = status.batch_status.as_mut() else { return };
    if status.phase == RolloutRunPhase::Paused && batch.current_batch_state == StepState::Pending {
        status.phase = RolloutRunPhase::Progressing;
    }
    batch.current_batch_index = 0;
    batch.current_batch_state = StepState::None;
    for record in &mut batch.records {
        *record = RolloutRunStepStatus { index: record.index, ..RolloutRunStepStatus::default() };
    }
    status.restarts = status.restarts.saturating_add(1);
    status.error = None;
    status.progress = None;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decide::fixtures;

    fn run(policy: &str) -> std::sync::Arc<RolloutRun> {
        let target = json!({ "cluster": "east", "name": "web", "replicas": 1 });
        fixtures::object(json!({ "metadata": { "name": "demo-1" }, "spec": {
            "targetType": { "apiVersion": "apps/v1", "kind": "StatefulSet" },
            "policies": { "templateChangePolicy": policy },
            "batch": { "batches": [{ "targets": [target] }, { "targets": [target], "breakpoint": true }] },
        }}))
    }

    fn status(phase: &str, index: i32, state: &str, revision: &str) -> RolloutRunStatus {
        serde_json::from_value(json!({
            "phase": phase,
            "error": { "code": "Error", "reason": "TolerationExceeded", "message": "" },
            "targetStatuses": [{ "cluster": "east", "name": "web", "updatedRevision": revision }],
            "batchStatus": { "currentBatchIndex": index, "currentBatchState": state, "records": [
                { "index": 0, "state": "Succeeded", "startTime": fixtures::at(0).to_string() },
                { "index": 1, "state": state, "startTime": fixtures::at(9).to_string() },
            ]},
        }))
        .unwrap()
    }

    #[test]
    fn a_change_is_seen_once_its_controller_has_seen_it() {
        let mut web = fixtures::workload("east", "web", 5);
        let other = fixtures::workload("east", "other", 5);
        let seen = |web: &crate::view::Workload, revision: &str| {
            changes(
                &fixtures::view(vec![web.clone(), other.clone()]),
                &run(""),
                &status("Progressing", 0, "", revision),
            )
        };
        assert_eq!(seen(&web, "v2"), Vec::<String>::new());
        assert_eq!(seen(&web, ""), Vec::<String>::new(), "nothing is known of what was before");
        assert_eq!(seen(&web, "v1"), ["east/statefulset/web: revision v1 became v2"]);
        web.generation += 1;
        assert_eq!(seen(&web, "v1"), Vec::<String>::new());
    }

    #[test]
    fn who_starts_over() {
        let table = [
            ("Restart", "Progressing", 1, "Running", true),
            ("Restart", "Paused", 1, "Pending", true),
            ("Restart", "Progressing", 0, "Running", true),
            ("Restart", "Progressing", 0, "", false),
            ("Restart", "Canceling", 1, "Running", false),
            ("Restart", "Succeeded", 1, "Succeeded", false),
            ("Absorb", "Progressing", 1, "Running", false),
        ];
        for (policy, phase, index, state, expected) in table {
            let found = starts_over(&run(policy), &status(phase, index, state, "v1"));
            assert_eq!(found, expected, "{policy} {phase} {index} {state}");
        }
    }

    #[test]
    fn starting_over_authorises_nothing() {
        for (before, state, after) in [
            ("Progressing", "Running", "Progressing"),
            ("Paused", "Running", "Paused"),
            ("Paused", "Pending", "Progressing"),
        ] {
            let mut status = status(before, 1, state, "v1");
            start_over(&mut status);
            assert_eq!((status.phase.to_string(), status.error), (after.to_owned(), None), "{before} in {state}");
            let batch = status.batch_status.unwrap();
            assert_eq!((batch.current_batch_index, batch.current_batch_state), (0, StepState::None));
            assert_eq!(status.restarts, 1);
            let records: Vec<_> =
                batch.records.iter().map(|record| (record.index, &record.state, &record.start_time)).collect();
            assert_eq!(records, [(Some(0), &StepState::None, &None), (Some(1), &StepState::None, &None)]);
        }
    }
}
