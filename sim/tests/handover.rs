//! Slipway takes over from upstream's operator in the middle of a run.
//!
//! Upstream's state tables, one row for each state that its status can show. The objects are as upstream leaves them:
//! status without any field of ours, workloads with its marks and with a partition that counts from `spec.replicas`. The
//! run goes on from there and ends, in some rows after the command that its state asks a person for.

#![expect(clippy::unwrap_used, reason = "a test helper may panic")]

#[path = "handover/objects.rs"]
mod objects;

use serde_json::{Value, json};
use slipway_sim::run;

use self::objects::Kind;

const SEED: u64 = 1;
/// Pods of each workload.
const PODS: i32 = 4;

/// What upstream leaves behind.
#[derive(Clone)]
struct Row {
    /// What it is about.
    name: &'static str,
    /// `status` of the run.
    status: Value,
    /// Whether the run has a canary.
    canary: bool,
    /// Replicas of the copies that upstream made.
    copy: Option<i32>,
    /// The step in the mark on the workloads; null for no mark.
    mark: Value,
    /// Pods that upstream let go, of each workload.
    released: i32,
    /// Whether the second batch has a breakpoint.
    breakpoint: bool,
    /// When the run's hooks are asked.
    hook_types: Vec<&'static str>,
    /// Whether upstream's hooks of a moment that is over are not seen here.
    asked_before: bool,
    /// The commands that finish the run, each once it waits for one.
    commands: Vec<&'static str>,
    /// The run's last phase.
    end: &'static str,
    /// Pods on the new version at the end, of each workload.
    updated: i32,
}

fn row(name: &'static str, status: Value) -> Row {
    Row {
        name,
        status,
        canary: false,
        copy: None,
        mark: Value::Null,
        released: 0,
        breakpoint: false,
        hook_types: Vec::new(),
        asked_before: false,
        commands: Vec::new(),
        end: "Succeeded",
        updated: PODS,
    }
}

/// A run in the batch of that index, which stands in `state`; those before it are done.
fn batch(phase: &str, index: usize, state: &str) -> Value {
    let record = |at: usize| match at {
        _ if at < index => {
            json!({ "index": at, "state": "Succeeded", "startTime": time(5), "finishTime": time(15) })
        }
        _ if at > index => json!({ "index": at, "state": "" }),
        _ if matches!(state, "" | "Pending") => json!({ "index": at, "state": state }),
        _ if state == "Succeeded" => {
            json!({ "index": at, "state": state, "startTime": time(16), "finishTime": time(20) })
        }
        _ => json!({ "index": at, "state": state, "startTime": time(16) }),
    };
    json!({
        "observedGeneration": 1,
        "phase": phase,
        "lastUpdateTime": time(20),
        "conditions": [condition("Progressing", "True", "Running", "rolloutRun is running")],
        "batchStatus": {
            "currentBatchIndex": index,
            "currentBatchState": state,
            "records": (0..3).map(record).collect::<Vec<_>>(),
        },
    })
}

/// A run in its canary, which stands in `state`.
fn canary(phase: &str, state: &str) -> Value {
    let mut status = batch(phase, 0, "");
    status["canaryStatus"] = match state {
        "" | "Pending" => json!({ "state": state }),
        "Succeeded" => json!({ "state": state, "startTime": time(5), "finishTime": time(15) }),
        _ => json!({ "state": state, "startTime": time(5) }),
    };
    status
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": time(1), "lastUpdateTime": time(1),
    })
}

/// So many seconds after the simulation's start, as it stands in objects.
fn time(second: u32) -> String {
    format!("2026-01-01T00:00:{second:02}Z")
}

fn in_batch(index: usize) -> Value {
    json!({ "batch": { "currentBatchIndex": index } })
}

fn in_canary() -> Value {
    json!({ "canary": {} })
}

/// The entry of a hook.
fn entry(hook_type: &str, name: &str, state: &str, code: &str, reason: &str) -> Value {
    let mut entry = json!({
        "hookType": hook_type, "name": name, "state": state, "startTime": time(17),
        "code": code, "reason": reason, "message": "said by the hook",
    });
    if state == "Completed" {
        entry["finishTime"] = time(18).into();
    }
    entry
}

fn with(mut status: Value, pointer: &str, value: Value) -> Value {
    if let Some(there) = status.pointer_mut(pointer) {
        *there = value;
    } else {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        status.pointer_mut(parent).unwrap()[key] = value;
    }
    status
}

fn executor_failed() -> Value {
    json!({ "code": "Error", "reason": "ExecutorFailed", "message": "terminal error: not found" })
}

/// The states of the run as a whole.
fn phases() -> Vec<Row> {
    vec![
        row("no status yet", Value::Null),
        row("phase Initial", json!({ "phase": "Initial" })),
        row("phase PreRollout", batch("PreRollout", 0, "")),
        Row {
            mark: in_batch(1),
            released: 2,
            commands: vec!["continue"],
            ..row("phase Pausing", batch("Pausing", 1, "Running"))
        },
        Row {
            mark: in_batch(1),
            released: 1,
            breakpoint: true,
            commands: vec!["continue"],
            ..row("phase Paused, at a breakpoint", batch("Paused", 1, "Pending"))
        },
        Row {
            mark: in_batch(1),
            released: 2,
            commands: vec!["continue"],
            ..row("phase Paused, by command", batch("Paused", 1, "Running"))
        },
        Row {
            mark: in_batch(1),
            released: 2,
            end: "Canceled",
            updated: 2,
            ..row("phase Canceling", batch("Canceling", 1, "Running"))
        },
        Row {
            mark: in_batch(1),
            released: 2,
            commands: vec!["rollback"],
            end: "Canceled",
            updated: 0,
            ..row("phase Paused, and then taken back", batch("Paused", 1, "Running"))
        },
        Row { released: PODS, ..row("phase PostRollout", batch("PostRollout", 2, "Succeeded")) },
        Row { released: PODS, ..row("phase Succeeded", batch("Succeeded", 2, "Succeeded")) },
        Row { released: 2, end: "Canceled", updated: 2, ..row("phase Canceled", batch("Canceled", 1, "Running")) },
        Row {
            mark: in_batch(0),
            released: 1,
            commands: vec!["retry"],
            ..row("an error in the first batch", with(batch("Progressing", 0, "Running"), "/error", executor_failed()))
        },
        Row {
            mark: in_batch(1),
            released: 1,
            commands: vec!["retry"],
            ..row("an error before the last batch", with(batch("Progressing", 2, ""), "/error", executor_failed()))
        },
        Row {
            mark: in_batch(0),
            released: 1,
            ..row(
                "a batch that was skipped",
                with(batch("Progressing", 1, ""), "/batchStatus/records/0", json!({ "index": 0, "state": "Skipped" })),
            )
        },
    ]
}

/// The states of a batch, in the first and in the last one.
fn batches() -> Vec<Row> {
    let first = |state: &str| batch("Progressing", 0, state);
    let last = |state: &str| batch("Progressing", 2, state);
    vec![
        row("first batch, no state", first("")),
        Row { mark: in_batch(0), ..row("first batch, Pending", first("Pending")) },
        Row { mark: in_batch(0), ..row("first batch, PreBatchStepHook", first("PreBatchStepHook")) },
        Row { mark: in_batch(0), ..row("first batch, Running, nothing let go", first("Running")) },
        Row { mark: in_batch(0), released: 1, ..row("first batch, Running", first("Running")) },
        Row { mark: in_batch(0), released: 1, ..row("first batch, PostBatchStepHook", first("PostBatchStepHook")) },
        Row { mark: in_batch(0), released: 1, ..row("first batch, ResourceRecycling", first("ResourceRecycling")) },
        Row { mark: in_batch(0), released: 1, ..row("first batch, Succeeded", first("Succeeded")) },
        Row { mark: in_batch(1), released: 3, ..row("last batch, no state", last("")) },
        Row { mark: in_batch(2), released: 3, ..row("last batch, Pending", last("Pending")) },
        Row { mark: in_batch(2), released: 3, ..row("last batch, PreBatchStepHook", last("PreBatchStepHook")) },
        Row { mark: in_batch(2), released: 3, ..row("last batch, Running, nothing let go", last("Running")) },
        Row { mark: in_batch(2), released: PODS, ..row("last batch, Running", last("Running")) },
        Row { mark: in_batch(2), released: PODS, ..row("last batch, PostBatchStepHook", last("PostBatchStepHook")) },
        Row { mark: in_batch(2), released: PODS, ..row("last batch, ResourceRecycling", last("ResourceRecycling")) },
        Row { released: PODS, ..row("last batch, ResourceRecycling, unmarked", last("ResourceRecycling")) },
        Row { released: PODS, ..row("last batch, Succeeded", last("Succeeded")) },
    ]
}

/// The states of a canary.
fn canaries() -> Vec<Row> {
    let row = |name, phase, state| Row {
        canary: true,
        mark: in_canary(),
        commands: vec!["continue"],
        ..row(name, canary(phase, state))
    };
    vec![
        Row { mark: Value::Null, ..row("canary, no state", "Progressing", "") },
        row("canary, Pending", "Progressing", "Pending"),
        row("canary, PreCanaryStepHook", "Progressing", "PreCanaryStepHook"),
        row("canary, Running, no copy yet", "Progressing", "Running"),
        Row { copy: Some(2), ..row("canary, Running", "Progressing", "Running") },
        Row { copy: Some(1), ..row("canary, Running, of another size", "Progressing", "Running") },
        Row { copy: Some(2), ..row("canary, PostCanaryStepHook", "Progressing", "PostCanaryStepHook") },
        Row { copy: Some(2), ..row("canary, Paused", "Paused", "ResourceRecycling") },
        Row { copy: Some(2), commands: vec!["continue"; 2], ..row("canary, Pausing in Running", "Pausing", "Running") },
        Row { copy: Some(2), commands: vec![], ..row("canary, ResourceRecycling", "Progressing", "ResourceRecycling") },
        Row { commands: vec![], ..row("canary, ResourceRecycling, copy gone", "Progressing", "ResourceRecycling") },
        Row { mark: Value::Null, commands: vec![], ..row("canary, Succeeded", "Progressing", "Succeeded") },
        Row {
            copy: Some(2),
            commands: vec![],
            end: "Canceled",
            updated: 0,
            ..row("canary, Canceling", "Canceling", "Running")
        },
    ]
}

/// A hook half-way.
fn hooks() -> Vec<Row> {
    let pre = "PreBatchStepHook";
    let first = |entries: Value| with(batch("Progressing", 0, pre), "/batchStatus/records/0/webhooks", entries);
    let row = |name, entries| Row { mark: in_batch(0), hook_types: vec![pre], ..row(name, first(entries)) };
    let failed = |status: Value| {
        with(
            status,
            "/error",
            json!({
                "code": "Error", "reason": "DoRequestError", "message": "said by the hook",
            }),
        )
    };
    let post = entry("PostCanaryStepHook", "two", "Running", "Processing", "Processing");
    let in_post_canary = with(canary("Progressing", "PostCanaryStepHook"), "/canaryStatus/webhooks", json!([post]));
    let held = failed(first(json!([entry(pre, "one", "OnHold", "Error", "DoRequestError")])));
    vec![
        row("hook being asked", json!([entry(pre, "one", "Running", "Processing", "Processing")])),
        row("hook named and not asked", json!([{ "hookType": pre, "name": "one" }])),
        row("hook that has failed once", json!([entry(pre, "one", "Running", "Error", "HTTPResponseError")])),
        Row {
            asked_before: true,
            ..row(
                "second hook named and not asked",
                json!([
                    entry(pre, "one", "Completed", "OK", ""), { "hookType": pre, "name": "two" },
                ]),
            )
        },
        Row {
            asked_before: true,
            ..row(
                "both hooks done",
                json!([entry(pre, "one", "Completed", "OK", ""), entry(pre, "two", "Completed", "OK", ""),]),
            )
        },
        Row { commands: vec!["retry"], status: held, ..row("hook on hold", json!([])) },
        Row {
            canary: true,
            copy: Some(2),
            mark: in_canary(),
            asked_before: true,
            hook_types: vec!["PostCanaryStepHook"],
            status: in_post_canary,
            commands: vec!["continue"],
            ..row("hook of the canary being asked", json!([]))
        },
    ]
}

/// `ROW` in the environment names the rows to be run, and shows them.
#[test]
fn a_run_goes_on_from_every_state_that_upstream_leaves() {
    let rows = [phases(), batches(), canaries(), hooks()].concat();
    let only = std::env::var("ROW").unwrap_or_default();
    let mut broken = Vec::new();
    for (row, kind) in rows.iter().flat_map(|row| Kind::ALL.map(|kind| (row, kind))) {
        if !row.name.contains(&only) {
            continue;
        }
        let outcome = run(&row.scenario(kind), SEED);
        // Without one of the objects a row would show nothing.
        if !outcome.ok || outcome.timeline.contains("is refused") {
            broken.push(format!("=== {}, {}\n{}", row.name, kind.name(), outcome.timeline));
        } else if !only.is_empty() {
            println!("{}", outcome.timeline);
        }
    }
    assert!(broken.is_empty(), "{} of {}\n{}", broken.len(), rows.len() * Kind::ALL.len(), broken.join("\n"));
}
