//! What a budget allows, as a table.

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-01T00:10:00Z";

fn pod(index: usize, state: char) -> Value {
    let mut pod = json!({
        "metadata": {"name": format!("pod-{index}")},
        "status": {"conditions": [{"type": "Ready", "status": if state == 'u' { "False" } else { "True" }}]},
    });
    if state == 'd' {
        pod["metadata"]["deletionTimestamp"] = NOW.into();
    }
    pod
}

/// Counts pods, one letter each: `r`eady, `u`nready, `d`eleting.
fn counted(budget: &Value, pods: &str, scale: Result<i64, String>) -> Counted {
    let pods: Vec<Value> = pods.chars().enumerate().map(|(index, state)| pod(index, state)).collect();
    count(&Observed { budget, pods: pods.iter().collect(), scale, now: NOW.parse().unwrap() })
}

#[expect(clippy::needless_pass_by_value, reason = "so that the cases below read well")]
fn budget(spec: Value) -> Value {
    json!({"metadata": {"generation": 3}, "spec": spec, "status": {}})
}

#[test]
fn what_may_go_follows_from_the_budget() {
    let numbers = |status: &Value| {
        ["expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed"]
            .map(|field| status[field].as_i64().unwrap())
    };
    let table = [
        (json!({"minAvailable": 2}), "rrr", [3, 2, 3, 1]),
        (json!({"minAvailable": 2}), "rru", [3, 2, 2, 0]),
        (json!({"minAvailable": 2}), "rrd", [3, 2, 2, 0]),
        (json!({"minAvailable": 0}), "", [0, 0, 0, 0]),
        (json!({"minAvailable": "50%"}), "rrr", [5, 3, 3, 0]),
        (json!({"minAvailable": "50%"}), "rrrrr", [5, 3, 5, 2]),
        (json!({"maxUnavailable": 1}), "rrrrr", [5, 4, 5, 1]),
        (json!({"maxUnavailable": "30%"}), "rrrrr", [5, 3, 5, 2]),
        (json!({"maxUnavailable": 9}), "rrrrr", [5, 0, 5, 5]),
        (json!({}), "rr", [0, 0, 2, 0]),
    ];
    for (spec, pods, expected) in table {
        let counted = counted(&budget(spec.clone()), pods, Ok(5));
        assert_eq!(numbers(&counted.status), expected, "{spec} {pods}");
        let condition = &counted.status["conditions"][0];
        let words = if expected[3] > 0 { ["True", "SufficientPods"] } else { ["False", "InsufficientPods"] };
        assert_eq!([&condition["status"], &condition["reason"]], words, "{spec} {pods}");
        assert_eq!(condition["observedGeneration"], 3);
    }
}

#[test]
fn a_count_that_fails_lets_nothing_go_and_keeps_the_rest() {
    for (spec, scale, why) in [
        (json!({"maxUnavailable": 1}), Err("no owner".to_owned()), "no owner"),
        (
            json!({"minAvailable": "x"}),
            Ok(1),
            "invalid value for IntOrString: invalid type: string is not a percentage",
        ),
    ] {
        let mut budget = budget(spec);
        budget["status"] = json!({"disruptionsAllowed": 2, "currentHealthy": 3, "observedGeneration": 2});
        let status = counted(&budget, "rrr", scale).status;
        assert_eq!([&status["disruptionsAllowed"], &status["currentHealthy"]], [&json!(0), &json!(3)]);
        let condition = &status["conditions"][0];
        assert_eq!([&condition["reason"], &condition["message"]], [SYNC_FAILED, why]);
    }
}

#[test]
fn an_evicted_pod_counts_as_gone_for_two_minutes() {
    for (evicted, healthy, recheck) in
        [("2026-01-01T00:09:00Z", 2, Some(60)), ("2026-01-01T00:08:00Z", 3, None), ("2026-01-01T00:00:00Z", 3, None)]
    {
        let mut budget = budget(json!({"minAvailable": 1}));
        budget["status"]["disruptedPods"] = json!({"pod-1": evicted, "gone": evicted});
        let counted = counted(&budget, "rrr", Ok(0));
        assert_eq!(counted.status["currentHealthy"], healthy, "{evicted}");
        assert_eq!(counted.recheck_after.map(|after| after.as_secs()), recheck);
        let left = if recheck.is_some() { json!({"pod-1": evicted}) } else { Value::Null };
        assert_eq!(counted.status["disruptedPods"], left);
    }
}

#[test]
fn a_condition_keeps_its_time_while_it_holds() {
    let mut status = json!({"disruptionsAllowed": 1, "conditions": [
        {"type": "Other", "status": "True"},
        {"type": CONDITION, "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"},
    ]});
    let time = |status: &Value| status["conditions"][1]["lastTransitionTime"].clone();
    set_allowed(&mut status, NOW.parse().unwrap());
    assert_eq!(time(&status), "2025-01-01T00:00:00Z");
    status["disruptionsAllowed"] = 0.into();
    set_allowed(&mut status, NOW.parse().unwrap());
    assert_eq!((time(&status), status["conditions"][0]["type"].as_str()), (NOW.into(), Some("Other")));
}
