use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;

fn rollout(change: &Value) -> Value {
    let mut rollout = json!({
        "apiVersion": API_VERSION, "kind": "Rollout", "metadata": {"name": "shop"},
        "spec": {
            "strategyRef": "shop",
            "workloadRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "match": {"selector": {}}},
        },
    });
    json_patch::merge(&mut rollout, change);
    rollout
}

fn annotated(key: &str, value: &str) -> Value {
    json!({"metadata": {"annotations": {key: value}}})
}

fn told(old: Option<&Value>, new: &Value) -> String {
    match check(old, new) {
        Ok(errors) if errors.is_empty() => "admitted".to_owned(),
        Ok(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_said_of_objects() {
    let one_time = |text: &str| rollout(&annotated(keys::ANNOTATION_ONE_TIME_STRATEGY, text));
    let command = |text: &str| rollout(&annotated(keys::ANNOTATION_MANUAL_COMMAND, text));
    let object = |kind: &str, rest: Value| {
        let mut object = json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "shop"}});
        json_patch::merge(&mut object, &rest);
        object
    };
    let table = [
        ("a good rollout", rollout(&json!({}))),
        ("a known command", command("continue")),
        ("an unknown command", command("contineu")),
        ("a kind nobody rolls", rollout(&json!({"spec": {"workloadRef": {"apiVersion": "batch/v1", "kind": "Job"}}}))),
        ("a one-time strategy", one_time(r#"{"batch": {"batches": [{"replicas": 1}]}}"#)),
        ("a bad one-time strategy", one_time(r#"{"batch": {"batches": [{"replicas": "one"}]}}"#)),
        ("a one-time strategy that is no JSON", one_time("batch:")),
        ("a wrong type", rollout(&json!({"spec": {"historyLimit": "ten"}}))),
        ("a list for an object", rollout(&json!({"spec": [1]}))),
        ("upstream's demo", object("RolloutStrategy", json!({"spec": {"batch": {"batches": [{"replicas": 1}]}}}))),
        ("another kind", json!({"apiVersion": "apps/v1", "kind": "Deployment"})),
        ("another version", json!({"apiVersion": "rollout.kusionstack.io/v1", "kind": "Rollout"})),
        ("no object", json!([])),
    ];
    let lines = table.map(|(what, object)| format!("# {what}\n{}\n", told(None, &object)));
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_was_wrong_before_is_no_reason_to_refuse() {
    let unchecked = rollout(&json!({"metadata": {"finalizers": ["a"]}, "spec": {"strategyRef": ""}}));
    assert_ne!(told(None, &unchecked), "admitted");
    let released = rollout(&json!({"spec": {"strategyRef": ""}}));
    assert_eq!(told(Some(&unchecked), &released), "admitted");
    let worse = rollout(&json!({"spec": {"strategyRef": "", "triggerPolicy": "Never"}}));
    assert_eq!(told(Some(&unchecked), &worse), "spec.triggerPolicy: found \"Never\", expected Auto or Manual");
}

#[test]
fn runs_are_held_against_what_is_stored() {
    let run = |replicas: i32| {
        json!({
            "apiVersion": API_VERSION, "kind": "RolloutRun", "metadata": {"name": "shop"},
            "spec": {
                "targetType": {"apiVersion": "apps/v1", "kind": "StatefulSet"},
                "batch": {"batches": [{"targets": [{"name": "web", "replicas": replicas}]}]},
            },
            "status": {"batchStatus": {"currentBatchIndex": 1}},
        })
    };
    assert_eq!(told(Some(&run(1)), &run(1)), "admitted");
    assert_snapshot!(told(Some(&run(1)), &run(2)), @"spec.batch.batches[0]: was changed after it was done; restore it");
}

fn question(old: &Value, object: &Value) -> Value {
    let request = json!({"uid": "1", "kind": {"kind": "Rollout"}, "name": "shop", "oldObject": old, "object": object});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
}

#[test]
fn a_review_is_answered() {
    let admitted = json!({"uid": "1", "allowed": true});
    let response = |question: &Value| review(question).map(|review| review["response"].clone());
    let good = rollout(&json!({}));
    assert_eq!(response(&question(&Value::Null, &good)), Ok(admitted.clone()));
    assert_eq!(response(&question(&good, &Value::Null)), Ok(admitted), "a deletion");
    let bad = rollout(&json!({"spec": {"strategyRef": ""}}));
    insta::assert_json_snapshot!(review(&question(&Value::Null, &bad)).unwrap());
}

#[test]
fn what_is_not_carried_out_is_warned_of() {
    let scale = json!({"apiVersion": API_VERSION, "kind": "ScaleRun", "metadata": {"name": "shop"}, "spec": {
        "webhooks": [{"name": "ask", "hookTypes": ["PreBatchStepHook", "PreRollout"], "clientConfig": {"url": "https://a/b"}}],
        "targetType": {"kind": "StatefulSet"}, "batch": {"batches": [{"targets": [{"name": "web", "replicas": 1}]}]},
    }});
    let answer = review(&question(&Value::Null, &scale)).unwrap();
    assert_eq!(answer["response"]["allowed"], true);
    assert_snapshot!(answer["response"]["warnings"], @r#"["spec.webhooks[0].hookTypes: PreRollout is never asked, because a ScaleRun has only batches"]"#);
    assert!(warnings(&rollout(&json!({}))).is_empty());
}

#[test]
fn what_is_no_review_is_refused() {
    for no_question in [json!({}), json!([]), json!({"request": {}}), json!({"request": {"uid": 1}})] {
        assert!(review(&no_question).unwrap_err().contains("AdmissionReview"), "{no_question}");
    }
    let foreign = question(&Value::Null, &json!({"apiVersion": "v1", "kind": "Pod"}));
    assert!(review(&foreign).unwrap_err().contains("Pod"));
}
