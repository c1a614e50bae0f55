//! What an autoscaler does, as tables.

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-01T01:00:00Z";

fn hpa() -> Value {
    json!({"spec": {"minReplicas": 2, "maxReplicas": 10, "metrics": [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
    ]}})
}

fn look(autoscaler: &Value, current: i64, demand: Option<Demand>, proposals: &[Proposal]) -> Plan {
    sync(&Observed { autoscaler, current: Ok(current), demand, proposals, now: NOW.parse().unwrap() })
}

/// Type, status and reason of every condition.
fn words(plan: &Plan) -> Vec<String> {
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap().to_owned();
    let conditions = object::list(&plan.status["conditions"]).iter();
    conditions.map(|it| [text(it, "type"), text(it, "status"), text(it, "reason")].join(" ")).collect()
}

#[test]
fn replicas_follow_the_script_within_bounds() {
    let (replicas, used) = (Demand::Replicas, Demand::Utilization);
    for (current, demand, expected, limited) in [
        (3, Some(replicas(5)), Some(5), Some("DesiredWithinRange")),
        (3, Some(replicas(3)), None, Some("DesiredWithinRange")),
        (3, Some(replicas(1)), Some(2), Some("TooFewReplicas")),
        (3, Some(replicas(9)), Some(6), Some("ScaleUpLimit")),
        (6, Some(replicas(99)), Some(10), Some("TooManyReplicas")),
        (1, Some(replicas(9)), Some(2), None),
        (20, None, Some(10), None),
        (0, Some(replicas(5)), None, None),
        (3, None, None, None),
        (4, Some(used(54)), None, Some("DesiredWithinRange")),
        (4, Some(used(60)), Some(5), Some("DesiredWithinRange")),
        (4, Some(used(25)), Some(2), Some("DesiredWithinRange")),
    ] {
        let plan = look(&hpa(), current, demand, &[]);
        assert_eq!(plan.rescale, expected, "{current} {demand:?}");
        let found = words(&plan).into_iter().find(|it| it.starts_with("ScalingLimited"));
        let reason = found.as_deref().and_then(|it| it.rsplit(' ').next());
        assert_eq!(reason, limited, "{current} {demand:?}");
        assert_eq!(plan.status["currentReplicas"].as_i64().unwrap_or_default(), current);
        assert_eq!(plan.again_after.is_some(), limited == Some("ScaleUpLimit"));
    }
}

#[test]
fn a_lower_proposal_waits_until_the_higher_ones_are_old() {
    let at = |time: &str| time.parse::<Timestamp>().unwrap();
    let earlier = [(at("2026-01-01T00:54:00Z"), 9), (at("2026-01-01T00:57:00Z"), 6), (at("2026-01-01T00:58:00Z"), 4)];
    let plan = look(&hpa(), 8, Some(Demand::Replicas(3)), &earlier);
    assert_eq!((plan.rescale, plan.again_after), (Some(6), Some(Duration::from_mins(2))));
    assert_eq!(words(&plan)[0], "AbleToScale True SucceededRescale");
    let left: Vec<i64> = plan.proposals.iter().map(|(_, replicas)| *replicas).collect();
    assert_eq!(left, [6, 4, 3]);

    let mut quick = hpa();
    quick["spec"]["behavior"] = json!({"scaleDown": {"stabilizationWindowSeconds": 0}});
    assert_eq!(look(&quick, 8, Some(Demand::Replicas(3)), &earlier).rescale, Some(3));
}

#[test]
fn without_metrics_or_target_it_says_so() {
    let plan = look(&hpa(), 3, None, &[]);
    assert_eq!(words(&plan), ["AbleToScale True SucceededGetScale", "ScalingActive False FailedGetResourceMetric"]);
    let current = Err("deployments.apps \"web\" not found".to_owned());
    let autoscaler = hpa();
    let observed =
        Observed { autoscaler: &autoscaler, current, demand: None, proposals: &[], now: NOW.parse().unwrap() };
    assert_eq!(words(&sync(&observed)), ["AbleToScale False FailedGetScale"]);
}
