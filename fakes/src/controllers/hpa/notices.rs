//! What there is to say of one look at an autoscaler.

use serde_json::Value;

use super::{NO_COUNT, NO_SCALE, Observed, Plan, bounds, metric_name};
use crate::controllers::{events::Notice, object};

/// In the order in which it happened.
pub(super) fn notices(observed: &Observed<'_>, plan: &Plan) -> Vec<Notice> {
    let mut notices = Vec::new();
    if let Some(why) = unless(&plan.status, "FailedGetScale", NO_SCALE) {
        notices.push(Notice::warning("FailedGetScale", why.to_owned()));
    }
    if let Some(why) = unless(&plan.status, "FailedGetResourceMetric", NO_COUNT) {
        notices.push(Notice::warning("FailedGetResourceMetric", why.to_owned()));
        let (metric, all) = (metric_name(observed.autoscaler), object::list(&observed.autoscaler["spec"]["metrics"]));
        let message = format!(
            "invalid metrics ({count} invalid out of {count}), first error is: failed to get {metric} resource metric \
             value: {why}",
            count = all.len()
        );
        notices.push(Notice::warning("FailedComputeMetricsReplicas", message));
    }
    if let (Some(replicas), Ok(current)) = (plan.rescale, &observed.current) {
        let message = format!("New size: {replicas}; reason: {}", reason(observed.autoscaler, *current, replicas));
        notices.push(Notice::normal("SuccessfulRescale", message));
    }
    notices
}

/// Why a condition with this reason does not hold.
fn unless<'a>(status: &'a Value, reason: &str, before: &str) -> Option<&'a str> {
    let mut conditions = object::list(&status["conditions"]).iter();
    let found = conditions.find(|condition| condition["reason"] == reason && condition["status"] == "False")?;
    found["message"].as_str()?.strip_prefix(before)
}

fn reason(autoscaler: &Value, current: i64, replicas: i64) -> String {
    let (min, max) = bounds(autoscaler);
    if current > max {
        "Current number of replicas above Spec.MaxReplicas".to_owned()
    } else if current < min {
        "Current number of replicas below Spec.MinReplicas".to_owned()
    } else if replicas > current {
        format!("{} resource utilization (percentage of request) above target", metric_name(autoscaler))
    } else {
        "All metrics below target".to_owned()
    }
}
