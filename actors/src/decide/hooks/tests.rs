use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    api::{RolloutRun, RolloutRunStatus, RolloutWebhookStatus},
    decide::fixtures::{self, at},
    world::HttpAnswer,
};

type Outcome = Result<HttpAnswer, String>;

#[expect(clippy::unnecessary_wraps, reason = "it stands beside outcomes that are errors")]
fn http(status: u16, body: impl Into<Vec<u8>>) -> Outcome {
    Ok(HttpAnswer { status, body: body.into().into() })
}

fn says(code: &str, message: &str) -> Outcome {
    http(200, json!({ "status": { "code": code, "reason": code, "message": message } }).to_string())
}

fn hook(name: &str, change: &Value) -> RolloutWebhook {
    let mut hook = json!({
        "name": name, "hookTypes": ["PreBatchStepHook"], "clientConfig": { "url": format!("https://{name}/ask") },
    });
    json_patch::merge(&mut hook, change);
    serde_json::from_value(hook).unwrap()
}

/// One moment from its beginning: each decision stores its status before anything is asked.
struct Walk {
    run: ObjectMeta,
    webhooks: Vec<RolloutWebhook>,
    entries: Vec<RolloutWebhookStatus>,
    answer: Option<HookAnswer>,
    second: i64,
    log: String,
}

impl Walk {
    fn new(webhooks: Vec<RolloutWebhook>) -> Self {
        let run = ObjectMeta { uid: Some("run-uid".into()), ..ObjectMeta::default() };
        Self { run, webhooks, entries: Vec::new(), answer: None, second: 0, log: String::new() }
    }

    fn moment(&self) -> Moment<'_> {
        Moment {
            hook_type: HookType::PreBatchStepHook,
            webhooks: &self.webhooks,
            run: &self.run,
            target_type: None,
            step: "batch 1".into(),
            subject: None,
            resumed: None,
            give_up: "kubectl annotate …".into(),
        }
    }

    /// Decides and stores.
    fn decide(&mut self) -> Progress {
        let mut entries = self.entries.clone();
        let progress = self.moment().advance(&mut entries, self.answer.as_ref(), at(self.second));
        if entries != self.entries {
            for entry in &entries {
                let RolloutWebhookStatus { state, name, code, message, failure_count, .. } = entry;
                writeln!(self.log, "{:>4}s  {name:6} {state:9} {failure_count} {code}: {message}", self.second)
                    .unwrap();
            }
        }
        self.entries = entries;
        let line = match &progress {
            Progress::Done => "done".to_owned(),
            Progress::Waiting(wait) => format!("waits for {}: {}", wait.object, wait.condition),
            Progress::Failed(error) => format!("stops with {}: {}: {}", error.code, error.reason, error.message),
        };
        writeln!(self.log, "{:>4}s  {line}", self.second).unwrap();
        progress
    }

    fn wanted(&self) -> (Option<HookCall>, Option<Timestamp>) {
        self.moment().wanted(&self.entries, self.answer.as_ref(), at(self.second))
    }

    /// Asks, if the status allows it, and decides on the answer.
    fn ask(&mut self, outcome: Outcome) -> Progress {
        let (Some(call), _) = self.wanted() else { panic!("nothing to ask:\n{}", self.log) };
        writeln!(self.log, "{:>4}s  asks {}", self.second, call.entry.name).unwrap();
        self.answer = Some(HookAnswer { call, asked: at(self.second), outcome });
        self.decide()
    }

    /// Time passes until it is worth another look.
    fn pass(&mut self, seconds: i64) {
        self.second += seconds;
    }
}

#[test]
fn the_question_is_upstreams_byte_for_byte() {
    let run: std::sync::Arc<RolloutRun> = fixtures::object(json!({
        "metadata": {
            "name": "web-x7k2f", "namespace": "shop", "uid": "run-uid",
            "ownerReferences": [{ "apiVersion": "rollout.kusionstack.io/v1alpha1", "kind": "Rollout", "name": "web",
                "uid": "u", "controller": true }],
        },
        "spec": {
            "targetType": { "apiVersion": "apps/v1", "kind": "StatefulSet" },
            "webhooks": [{ "name": "gate", "clientConfig": { "url": "https://gate" },
                "hookTypes": ["PreRollout", "PreCanaryStepHook", "PreBatchStepHook"],
                "properties": { "team": "a<b & c>", "app": "web" } }],
            "canary": { "targets": [{ "name": "api", "replicas": "10%" }], "properties": { "k": "v" } },
            "batch": { "batches": [
                { "targets": [{ "cluster": "east", "name": "api", "replicas": 1, "replicaSlidingWindow": "50%" }] },
                { "targets": [{ "cluster": "east", "name": "api", "replicas": "100%" }], "properties": { "last": "yes" } },
            ] },
        },
    }));
    let asked = |status: Value| {
        let mut status: RolloutRunStatus = serde_json::from_value(status).unwrap();
        let view = fixtures::view(vec![]);
        ask(&view, &run, &mut status, at(0));
        let stored = RolloutRun { status: Some(status), ..run.as_ref().clone() };
        let call = call(&view, &stored, at(0)).call.unwrap();
        String::from_utf8(call.call.body.to_vec()).unwrap()
    };
    let batch = |index: i32| {
        json!({ "phase": "Progressing", "batchStatus": { "currentBatchIndex": index,
            "currentBatchState": "PreBatchStepHook", "records": [{}, {}] } })
    };
    let head = r#"{"metadata":{"name":"gate","namespace":"shop","creationTimestamp":null},"spec":{"kind":"Rollout","rolloutName":"web","rolloutID":"web-x7k2f","#;
    let properties = r#""targetType":{"apiVersion":"apps/v1","kind":"StatefulSet"},"properties":{"app":"web","team":"a\u003cb \u0026 c\u003e"}"#;
    for (status, hook_type, subject) in [
        (
            batch(0),
            "PreBatchStepHook",
            r#","batch":{"targets":[{"cluster":"east","name":"api","replicas":1,"replicaSlidingWindow":"50%"}]}"#,
        ),
        (
            batch(1),
            "PreBatchStepHook",
            r#","batch":{"batchIndex":1,"targets":[{"cluster":"east","name":"api","replicas":"100%"}],"properties":{"last":"yes"}}"#,
        ),
        (
            json!({ "phase": "Progressing", "canaryStatus": { "state": "PreCanaryStepHook" } }),
            "PreCanaryStepHook",
            r#","canary":{"targets":[{"name":"api","replicas":"10%"}],"properties":{"k":"v"}}"#,
        ),
        (json!({ "phase": "PreRollout" }), "PreRollout", ""),
    ] {
        let expected = format!(r#"{head}"hookType":"{hook_type}",{properties}{subject}}},"status":{{}}}}"#);
        assert_eq!(asked(status), expected);
    }
}

#[test]
fn the_headers_are_upstreams_and_the_key() {
    let mut walk =
        Walk::new(vec![hook("gate", &json!({ "clientConfig": { "caBundle": "UEVN", "timeoutSeconds": 3 } }))]);
    walk.decide();
    let call = walk.wanted().0.unwrap();
    let lines: Vec<_> = call.call.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let key = &call.key;
    assert_eq!(
        lines,
        [
            "content-type: application/json",
            "accept: application/json",
            "user-agent: kusionstack-rollout-http-prober",
            &format!("idempotency-key: {key}"),
        ]
    );
    assert_eq!((key.len(), call.call.ca_bundle.as_deref(), call.timeout.as_secs()), (32, Some(&b"PEM"[..]), 3));
}

#[test]
fn what_answers_say() {
    let table = [
        ("ok", says("OK", "")),
        ("201", http(201, r#"{"status":{"code":"OK"}}"#)),
        ("processing", says("Processing", "2 of 5")),
        ("error", says("Error", "the canary is slow")),
        ("another code", says("Later", "")),
        ("no status", http(200, r#"{"spec":{}}"#)),
        ("status null", http(200, r#"{"status":null}"#)),
        ("another document", http(200, r#"{"kind":"Status","status":"Success"}"#)),
        ("a number for a code", http(200, r#"{"status":{"code":200}}"#)),
        ("a list", http(200, "[]")),
        ("no JSON", http(200, "<html>")),
        ("nothing", http(200, "")),
        ("503", http(503, "no \"upstream\"\n")),
        ("a redirect", http(302, "")),
        ("no UTF-8", http(500, vec![0xff])),
        ("no connection", Err("connection refused".into())),
        ("too long a message", says("OK", &"é".repeat(600))),
    ];
    let mut lines = String::new();
    for (what, outcome) in table {
        let CodeReasonMessage { code, reason, message } = answer::read(&outcome);
        let message = if message.len() > 200 {
            format!("{} bytes, then {:?}", message.len() - 3, message.rsplit('é').next().unwrap())
        } else {
            message
        };
        writeln!(lines, "{what:20} {code:10} {reason:18} {message}").unwrap();
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn one_after_the_other_in_the_order_of_the_list() {
    let other = hook("other", &json!({ "hookTypes": ["PostBatchStepHook"] }));
    let mut walk = Walk::new(vec![hook("first", &json!({})), other, hook("second", &json!({}))]);
    walk.decide();
    walk.ask(says("Processing", "1 of 2"));
    assert_eq!(walk.wanted(), (None, Some(at(10))), "the period is 10 seconds");
    walk.pass(10);
    walk.ask(says("OK", "all good"));
    walk.pass(1);
    assert_eq!(walk.ask(says("OK", "")), Progress::Done);
    assert_eq!(walk.wanted(), (None, None));
    insta::assert_snapshot!(walk.log);
}

#[test]
fn failures_in_a_row_hold_the_run_until_a_retry() {
    let mut walk =
        Walk::new(vec![hook("gate", &json!({ "failureThreshold": 2, "clientConfig": { "periodSeconds": 5 } }))]);
    walk.decide();
    let key = walk.wanted().0.unwrap().key;
    walk.ask(says("Error", "no"));
    walk.pass(5);
    walk.ask(says("Processing", "a moment"));
    walk.pass(5);
    walk.ask(http(503, "busy"));
    walk.pass(5);
    assert_eq!(walk.wanted().0.unwrap().key, key);
    walk.ask(Err("connection refused".into()));
    assert_eq!(walk.wanted(), (None, None), "a hook on hold is not asked");
    walk.pass(60);
    // The error is cleared by `retry`; what the hook said before counts for nothing.
    walk.decide();
    assert_ne!(walk.wanted().0.unwrap().key, key, "it is asked anew");
    walk.ask(says("OK", ""));
    insta::assert_snapshot!(walk.log);
}

#[test]
fn one_asked_anew_is_another_question_within_the_same_second_too() {
    let mut walk = Walk::new(vec![hook("gate", &json!({ "failureThreshold": 1 }))]);
    walk.decide();
    let first = walk.wanted().0.unwrap().key;
    walk.ask(says("Error", "no"));
    walk.decide();
    assert_ne!(walk.wanted().0.unwrap().key, first, "after a retry");

    let run = |status: serde_json::Value| -> std::sync::Arc<RolloutRun> {
        let mut whole = json!({ "phase": "Progressing", "batchStatus": {
            "currentBatchIndex": 0, "currentBatchState": "PreBatchStepHook", "records": [{ "webhooks": [{
                "name": "gate", "hookType": "PreBatchStepHook", "state": "Running", "code": "Processing",
                "reason": "Processing", "message": "webhook is running", "startTime": at(0).to_string(),
            }] }],
        } });
        json_patch::merge(&mut whole, &status);
        fixtures::object(json!({
            "metadata": { "name": "web-1", "uid": "run-uid" },
            "spec": {
                "webhooks": [hook("gate", &json!({}))],
                "batch": { "batches": [{ "targets": [{ "name": "web", "replicas": 1 }] }] },
            },
            "status": whole,
        }))
    };
    let view = fixtures::view(vec![]);
    let laps = [
        json!({}),
        json!({ "restarts": 1 }),
        json!({ "restarts": 2 }),
        json!({ "rollback": { "fromBatchIndex": 0 } }),
        json!({ "restarts": 1, "rollback": { "fromBatchIndex": 0 } }),
    ];
    let keys: BTreeSet<_> = laps.iter().map(|lap| call(&view, &run(lap.clone()), at(0)).call.unwrap().key).collect();
    assert_eq!(keys.len(), laps.len(), "each time it goes through its batches");
}

#[test]
fn only_ignore_goes_on_after_a_failure() {
    for (policy, passes) in [("Ignore", true), ("Fail", false), ("", false), ("ignore", false)] {
        let mut walk = Walk::new(vec![hook("gate", &json!({ "failureThreshold": 1, "failurePolicy": policy }))]);
        walk.decide();
        let progress = walk.ask(says("Error", "no"));
        assert_eq!(progress == Progress::Done, passes, "{policy:?}");
        assert_eq!(walk.entries[0].message, "no", "the last error stays");
    }
}

#[test]
fn a_hook_that_processes_for_ever_is_bounded_by_its_deadline() {
    let late = json!({ "deadlineSeconds": 25, "clientConfig": { "periodSeconds": 10 } });
    let mut walk = Walk::new(vec![hook("gate", &late)]);
    walk.decide();
    for _ in 0..3 {
        walk.ask(says("Processing", "still at it"));
        walk.pass(10);
    }
    assert!(walk.wanted().0.is_none(), "its time is over");
    walk.decide();
    insta::assert_snapshot!(walk.log);

    let mut ignored = Walk::new(vec![hook("gate", &late)]);
    ignored.webhooks[0].failure_policy = "Ignore".into();
    ignored.decide();
    ignored.pass(25);
    assert_eq!(ignored.decide(), Progress::Done);
}

#[test]
fn a_pause_does_not_count_towards_the_deadline() {
    let mut walk = Walk::new(vec![hook("gate", &json!({ "deadlineSeconds": 25 }))]);
    walk.decide();
    let moment = Moment { resumed: Some(at(100)), ..walk.moment() };
    let mut entries = walk.entries.clone();
    assert!(matches!(moment.advance(&mut entries, None, at(124)), Progress::Waiting(_)));
    assert!(matches!(moment.advance(&mut entries, None, at(125)), Progress::Failed(_)));
}

#[test]
fn an_answer_counts_once_and_only_for_what_was_asked() {
    let mut walk = Walk::new(vec![hook("gate", &json!({}))]);
    walk.decide();
    let first = walk.wanted().0.unwrap();
    walk.ask(says("Error", "no"));
    walk.decide();
    walk.decide();
    assert_eq!(walk.entries[0].failure_count, 1);
    let other = HookCall { key: "of another step".into(), ..first };
    walk.entries[0] = other.entry.clone();
    walk.answer = Some(HookAnswer { call: other, asked: at(0), outcome: says("OK", "") });
    assert!(matches!(walk.decide(), Progress::Waiting(_)));
}

#[test]
fn entries_that_upstream_wrote_are_gone_on_with() {
    let entry = |name: &str, state: &str| {
        serde_json::from_value(json!({ "hookType": "PreBatchStepHook", "name": name, "state": state })).unwrap()
    };
    let two = || vec![hook("first", &json!({})), hook("second", &json!({}))];
    for (entries, asked) in [
        (vec![entry("first", "")], "first"),
        (vec![entry("first", "Completed"), entry("second", "")], "second"),
        (vec![entry("first", "Completed")], "second"),
        (vec![entry("gone", "Running")], "first"),
        (vec![entry("first", "OnHold")], "first"),
    ] {
        let mut walk = Walk::new(two());
        walk.entries = entries;
        walk.decide();
        assert_eq!(walk.wanted().0.unwrap().entry.name, asked, "{}", walk.log);
    }
    let mut done = Walk::new(two());
    done.entries = vec![entry("first", "Completed"), entry("second", "Completed")];
    assert_eq!(done.decide(), Progress::Done);
    let mut removed = Walk::new(vec![]);
    removed.entries = vec![entry("first", "Running")];
    assert_eq!(removed.decide(), Progress::Done);
}

#[test]
fn a_command_gives_up_all_that_is_left() {
    for begun in [false, true] {
        let mut walk = Walk::new(vec![hook("first", &json!({})), hook("second", &json!({}))]);
        if begun {
            walk.decide();
        }
        let mut entries = walk.entries.clone();
        walk.moment().skip(&mut entries, at(9));
        walk.entries = entries;
        assert_eq!(walk.decide(), Progress::Done);
        assert_eq!((walk.entries.len(), &*walk.entries[0].state), (1, "Skipped"));
    }
}

/// What may happen to a hook.
#[derive(Clone, Debug)]
enum Event {
    Answer(&'static str),
    NoAnswer,
    /// The answer is forgotten: the operator was started anew.
    Restart,
    /// Nothing but time.
    Pass(i64),
    /// Another look at the same.
    Look,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        prop_oneof![Just("OK"), Just("Error"), Just("Processing")].prop_map(Event::Answer),
        Just(Event::NoAnswer),
        Just(Event::Restart),
        (1..20_i64).prop_map(Event::Pass),
        Just(Event::Look),
    ]
}

proptest! {
    /// Whatever happens in whatever order: a hook is done only if it said OK or its failure is ignored, none is asked before
    /// the one ahead of it is done, and one asking has one key.
    #[test]
    fn no_hook_is_left_out_or_forgotten(events in prop::collection::vec(event(), 1..60), ignored in any::<bool>()) {
        let policy = if ignored { "Ignore" } else { "Fail" };
        let mut walk = Walk::new(vec![hook("a", &json!({ "failurePolicy": policy })), hook("b", &json!({}))]);
        let mut progress = walk.decide();
        let (mut ok, mut failures) = (BTreeSet::new(), 0);
        for event in events {
            if progress == Progress::Done || matches!(progress, Progress::Failed(_)) {
                break;
            }
            let before = walk.wanted().0;
            let outcome = match event {
                Event::Answer(code) => says(code, ""),
                Event::NoAnswer => Err("reset".into()),
                Event::Restart => {
                    walk.answer = None;
                    prop_assert!(walk.wanted().0.is_some(), "a new operator asks at once");
                    continue;
                }
                Event::Pass(seconds) => {
                    walk.pass(seconds);
                    continue;
                }
                Event::Look => {
                    let entries = walk.entries.clone();
                    progress = walk.decide();
                    prop_assert_eq!(&entries, &walk.entries);
                    continue;
                }
            };
            let Some(call) = before else { continue };
            let name = call.entry.name.clone();
            prop_assert!(name == "a" || ok.contains("a") || ignored && failures >= 3);
            match answer::read(&outcome).code.as_str() {
                "OK" => drop(ok.insert(name)),
                "Error" if name == "a" => failures += 1,
                "Error" => {}
                _ if name == "a" => failures = 0,
                _ => {}
            }
            progress = walk.ask(outcome);
            let again = walk.moment().wanted(&walk.entries, None, at(walk.second)).0;
            if let Some(again) = again.filter(|again| again.entry.name == call.entry.name) {
                prop_assert_eq!(again.key, call.key);
            }
        }
        if progress == Progress::Done {
            prop_assert!(ok.contains("b") && (ok.contains("a") || ignored && failures >= 3));
        }
    }
}
