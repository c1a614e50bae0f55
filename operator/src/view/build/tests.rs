use serde_json::{Value, json};

use super::*;

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A run of three batches over one workload, as its status says.
fn run(status: &Value) -> RolloutRun {
    let step = |replicas: Value, breakpoint: bool| {
        json!({ "breakpoint": breakpoint, "targets": [
            { "cluster": "east", "name": "web", "replicas": replicas, "replicaSlidingWindow": 1 },
        ] })
    };
    from(json!({
        "metadata": { "name": "shop-1", "creationTimestamp": "2026-01-01T00:00:10Z" },
        "spec": { "batch": { "batches": [step(json!(1), false), step(json!("50%"), true), step(json!("100%"), false)] } },
        "status": status,
    }))
}

#[test]
fn a_step_tells_the_share_of_requests_that_it_asks_for() {
    for (traffic, told) in [
        (json!({ "http": { "weight": 10 } }), Some("10%")),
        (json!({ "http": { "matches": [{ "headers": [{ "name": "beta", "value": "yes" }] }] } }), None),
        (json!({}), None),
    ] {
        assert_eq!(super::traffic(Some(&from(traffic))).as_deref(), told);
    }
    assert_eq!(super::traffic(None), None);
}

fn observed(run: Option<RolloutRun>, updated: i32, available: i32) -> Observed {
    let rollout = json!({
        "metadata": { "namespace": "shop", "name": "shop" },
        "status": { "phase": "Progressing", "rolloutID": "shop-1", "conditions": [
            { "type": "Trigger", "status": "False", "message": "every workload is up to date" },
        ] },
    });
    let workload = json!({
        "spec": { "replicas": 5, "selector": {}, "template": {} },
        "status": { "replicas": 5, "updatedReplicas": updated, "availableReplicas": available },
    });
    Observed {
        rollout: Some(from(rollout)),
        runs: run.into_iter().map(|it| ("shop-1".to_owned(), it)).collect(),
        workloads: [(("east".to_owned(), "web".to_owned()), from(workload))].into(),
        requests: BTreeMap::new(),
    }
}

fn seen(observed: &Observed) -> View {
    view(observed, at("2026-01-01T00:00:00Z"), at("2026-01-01T00:01:00Z")).unwrap()
}

#[test]
fn batches_are_in_the_state_that_status_says() {
    use State::{Canceled, Done, Failed, Paused, Pending, Running, Skipped};
    let error = json!({ "code": "WorkloadNotFound", "message": "gone" });
    for (phase, current, record, error, expected) in [
        ("Initial", 0, "", None, [Pending, Pending, Pending]),
        ("Progressing", 0, "", None, [Pending, Pending, Pending]),
        ("Progressing", 0, "Running", None, [Running, Pending, Pending]),
        ("Progressing", 1, "PreBatchStepHook", None, [Done, Running, Pending]),
        ("Progressing", 1, "Succeeded", None, [Done, Done, Pending]),
        ("Progressing", 1, "Running", Some(&error), [Done, Failed, Pending]),
        ("Progressing", 1, "Skipped", None, [Done, Skipped, Pending]),
        ("Paused", 1, "Pending", None, [Done, Paused, Pending]),
        ("Pausing", 0, "Running", None, [Paused, Pending, Pending]),
        ("Canceled", 1, "Running", None, [Done, Canceled, Canceled]),
        ("Succeeded", 2, "Succeeded", None, [Done, Done, Done]),
    ] {
        let mut records: Vec<Value> = (0..3).map(|index| json!({ "index": index })).collect();
        for done in &mut records[..current] {
            done["state"] = "Succeeded".into();
        }
        records[current]["state"] = record.into();
        let status = json!({ "phase": phase, "error": error, "batchStatus": {
            "currentBatchIndex": current, "currentBatchState": record, "records": records,
        } });
        let view = seen(&observed(Some(run(&status)), 0, 5));
        let found: Vec<State> = view.run.unwrap().batches.iter().map(|it| it.state).collect();
        assert_eq!(found, expected, "{phase} {current} {record}");
    }
}

#[test]
fn a_workload_is_measured_by_the_current_batch() {
    let status = |phase: &str, index: i32| json!({ "phase": phase, "batchStatus": { "currentBatchIndex": index } });
    for (phase, index, updated, available, goal, updated_available, state) in [
        ("Progressing", 0, 1, 4, Some(1), 0, State::Running),
        ("Progressing", 0, 1, 5, Some(1), 1, State::Done),
        ("Progressing", 1, 1, 5, Some(3), 1, State::Running),
        ("Paused", 1, 1, 5, Some(3), 1, State::Paused),
        ("Progressing", 2, 5, 5, Some(5), 5, State::Done),
        ("Canceled", 2, 3, 5, None, 3, State::Canceled),
        ("Succeeded", 2, 5, 5, None, 5, State::Done),
    ] {
        let view = seen(&observed(Some(run(&status(phase, index))), updated, available));
        let workload = view.workload("east", "web").unwrap();
        let found = (workload.goal, workload.updated_available, workload.state);
        assert_eq!(found, (goal, updated_available, state), "{phase} {index} {updated} {available}");
    }
}

#[test]
fn waits_are_the_runs_and_without_a_run_the_triggers() {
    let waits =
        json!([{ "cluster": "east", "object": "statefulset/web", "condition": "1 of 3", "unblock": "kubectl x" }]);
    let active = seen(&observed(Some(run(&json!({ "phase": "Progressing", "waits": waits }))), 1, 5));
    assert_eq!(active.waits, [Wait { what: "east statefulset/web 1 of 3".into(), unblock: Some("kubectl x".into()) }]);
    let none = seen(&observed(None, 5, 5));
    assert_eq!(none.waits, [Wait { what: "every workload is up to date".into(), unblock: None }]);
    let over = seen(&observed(Some(run(&json!({ "phase": "Succeeded", "waits": waits }))), 5, 5));
    assert_eq!(over.waits, []);
}

#[test]
fn times_end_with_the_run() {
    let records = json!([{ "startTime": "2026-01-01T00:00:15Z", "finishTime": "2026-01-01T00:00:20Z" },
        { "startTime": "2026-01-01T00:00:30Z" }]);
    for (phase, took, second) in [("Progressing", 50, Some(30)), ("Canceled", 25, Some(5))] {
        let status = json!({ "phase": phase, "lastUpdateTime": "2026-01-01T00:00:35Z",
            "batchStatus": { "currentBatchIndex": 1, "records": records } });
        let run = seen(&observed(Some(run(&status)), 1, 5)).run.unwrap();
        let times: Vec<Option<i64>> = run.batches.iter().map(|it| it.took).collect();
        assert_eq!((run.took, times), (took, vec![Some(5), second, None]), "{phase}");
    }
}
