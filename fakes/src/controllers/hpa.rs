//! The horizontal autoscaler as a scripted one: what metrics say is set from outside, on a [`Scaler`].
//!
//! From there on it is as in Kubernetes 1.36: the proposal is held between `minReplicas` and `maxReplicas`, grows at most to
//! the double (or four), and shrinks only to the highest proposal of the stabilisation window, `behavior`'s or five minutes.
//! Policies of `behavior` are left out, as is the readiness of pods in the arithmetic. It looks again when the autoscaler, its
//! target or the script changes, and when a proposal leaves the window, not every fifteen seconds; a target of a custom kind
//! is therefore not seen to change by itself.
//!
//! Without a script there are no metrics, as in a cluster without a metrics server: that state, and everything that needs no
//! metrics, is compared with a real controller; what comes of metrics is not.

pub(crate) mod controller;
mod notices;
mod scaler;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub use self::scaler::{Demand, Scaler};
use super::object;
use crate::clock::stamp;

/// How long a higher proposal keeps the target from shrinking.
const STABILISATION_SECONDS: i64 = 300;
/// A limited target is looked at again after this time.
const PERIOD: Duration = Duration::from_secs(15);
/// Growing to this is never too fast.
const ALWAYS_ALLOWED: i64 = 4;
/// Up to this share of the target value, in percent, nothing changes.
const TOLERANCE_PERCENT: i64 = 10;
/// What the conditions say before they say why.
const NO_SCALE: &str = "the HPA controller was unable to get the target's current scale: ";
const NO_COUNT: &str = "the HPA was unable to compute the replica count: ";
const NO_METRICS: &str = "the server could not find the requested resource (get pods.metrics.k8s.io)";

/// A proposal and when it was made.
pub type Proposal = (Timestamp, i64);

/// Everything one look takes in.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The autoscaler.
    pub autoscaler: &'a Value,
    /// The replicas its target asks for now, or why they cannot be had.
    pub current: Result<i64, String>,
    /// What the script says.
    pub demand: Option<Demand>,
    /// Earlier proposals.
    pub proposals: &'a [Proposal],
    /// The current time.
    pub now: Timestamp,
}

/// What one look asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The target's new replicas.
    pub rescale: Option<i64>,
    /// The autoscaler's status after that.
    pub status: Value,
    /// Proposals to remember.
    pub proposals: Vec<Proposal>,
    /// When to look again although nothing changed.
    pub again_after: Option<Duration>,
}

/// Decides what an autoscaler does.
pub fn sync(observed: &Observed<'_>) -> Plan {
    let hpa = observed.autoscaler;
    let mut plan = Plan {
        rescale: None,
        status: hpa["status"].clone(),
        proposals: observed.proposals.to_vec(),
        again_after: None,
    };
    let current = match &observed.current {
        Ok(current) => *current,
        Err(why) => {
            let message = format!("{NO_SCALE}{why}");
            set_condition(&mut plan.status, "AbleToScale", false, "FailedGetScale", &message, observed.now);
            return plan;
        }
    };
    let message = "the HPA controller was able to get the target's current scale";
    set_condition(&mut plan.status, "AbleToScale", true, "SucceededGetScale", message, observed.now);

    let (min, max) = bounds(hpa);
    let desired = if current == 0 {
        let message = "scaling is disabled since the replica count of the target is zero";
        set_condition(&mut plan.status, "ScalingActive", false, "ScalingDisabled", message, observed.now);
        Some(0)
    } else if current > max {
        Some(max)
    } else if current < min {
        Some(min)
    } else {
        by_metrics(observed, current, &mut plan)
    };
    plan.rescale = desired.filter(|desired| *desired != current);
    if let Some(desired) = plan.rescale {
        let message = format!("the HPA controller was able to update the target scale to {desired}");
        set_condition(&mut plan.status, "AbleToScale", true, "SucceededRescale", &message, observed.now);
    }
    set_numbers(observed, current, desired, &mut plan);
    plan
}

/// The replicas that metrics ask for; none without metrics.
fn by_metrics(observed: &Observed<'_>, current: i64, plan: &mut Plan) -> Option<i64> {
    let hpa = observed.autoscaler;
    let Some(demand) = observed.demand else {
        let metric = metric_name(hpa);
        let message = format!(
            "{NO_COUNT}failed to get {metric} utilization: unable to get metrics for resource {metric}: unable to fetch \
             metrics from resource metrics API: {NO_METRICS}"
        );
        set_condition(&mut plan.status, "ScalingActive", false, "FailedGetResourceMetric", &message, observed.now);
        return None;
    };
    let proposed = match demand {
        Demand::Replicas(replicas) => replicas,
        Demand::Utilization(percent) => by_utilization(current, percent, target_utilization(hpa)),
    };
    let metric = metric_name(hpa);
    let message = format!(
        "the HPA was able to successfully calculate a replica count from {metric} resource utilization (percentage of \
         request)"
    );
    set_condition(&mut plan.status, "ScalingActive", true, "ValidMetricFound", &message, observed.now);
    let stable = stabilise(observed, proposed, plan);
    Some(limit(observed, current, stable, plan))
}

fn by_utilization(current: i64, percent: i64, target: i64) -> i64 {
    let deviation = percent.saturating_mul(100) / target - 100;
    if deviation.abs() <= TOLERANCE_PERCENT {
        return current;
    }
    let wanted = current.saturating_mul(percent);
    wanted / target + i64::from(wanted % target > 0)
}

/// The highest proposal of the window.
fn stabilise(observed: &Observed<'_>, proposed: i64, plan: &mut Plan) -> i64 {
    let seconds = observed.autoscaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"].as_i64();
    let window = SignedDuration::from_secs(seconds.unwrap_or(STABILISATION_SECONDS));
    let end = |made: &Timestamp| made.saturating_add(window).unwrap_or(Timestamp::MAX);
    plan.proposals.retain(|(made, _)| end(made) > observed.now);
    let highest = plan.proposals.iter().map(|(_, replicas)| *replicas).max().unwrap_or(proposed).max(proposed);
    let (reason, message) = if highest == proposed {
        ("ReadyForNewScale", "recommended size matches current size")
    } else {
        let higher = plan.proposals.iter().filter(|(_, replicas)| *replicas > proposed);
        let next = higher.map(|(made, _)| end(made).duration_since(observed.now)).min();
        plan.again_after = next.map(SignedDuration::unsigned_abs);
        (
            "ScaleDownStabilized",
            "recent recommendations were higher than current one, applying the highest recent recommendation",
        )
    };
    set_condition(&mut plan.status, "AbleToScale", true, reason, message, observed.now);
    // One proposal of a size is enough to remember, the last.
    plan.proposals.retain(|(_, replicas)| *replicas > proposed);
    plan.proposals.push((observed.now, proposed));
    highest
}

/// Holds a proposal between the bounds, and growth to what is not too fast.
fn limit(observed: &Observed<'_>, current: i64, wanted: i64, plan: &mut Plan) -> i64 {
    let (min, max) = bounds(observed.autoscaler);
    let fastest = current.saturating_mul(2).max(ALWAYS_ALLOWED);
    let (desired, limited, reason, message) = if wanted < min {
        (min, true, "TooFewReplicas", "the desired replica count is less than the minimum replica count")
    } else if wanted > max.min(fastest) && max > fastest {
        plan.again_after = Some(PERIOD);
        (fastest, true, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
    } else if wanted > max {
        (max, true, "TooManyReplicas", "the desired replica count is more than the maximum replica count")
    } else {
        (wanted, false, "DesiredWithinRange", "the desired count is within the acceptable range")
    };
    set_condition(&mut plan.status, "ScalingLimited", limited, reason, message, observed.now);
    desired
}

fn set_numbers(observed: &Observed<'_>, current: i64, desired: Option<i64>, plan: &mut Plan) {
    let status = crate::object::map_mut(&mut plan.status);
    status.shift_remove("currentReplicas");
    if current > 0 {
        status.insert("currentReplicas".to_owned(), current.into());
    }
    let before = status.get("desiredReplicas").and_then(Value::as_i64).unwrap_or_default();
    status.insert("desiredReplicas".to_owned(), desired.unwrap_or(before).into());
    if plan.rescale.is_some() {
        status.insert("lastScaleTime".to_owned(), stamp(observed.now).into());
    }
    let metrics = match (observed.demand, desired) {
        (Some(Demand::Utilization(percent)), _) => {
            let metric = json!({"name": metric_name(observed.autoscaler), "current": {"averageUtilization": percent}});
            json!([{"type": "Resource", "resource": metric}])
        }
        // One for each metric that was asked for in vain.
        (None, None) => {
            object::list(&observed.autoscaler["spec"]["metrics"]).iter().map(|_| json!({"type": ""})).collect()
        }
        _ => Value::Null,
    };
    status.insert("currentMetrics".to_owned(), metrics);
}

fn bounds(hpa: &Value) -> (i64, i64) {
    let max = hpa["spec"]["maxReplicas"].as_i64().unwrap_or(1);
    (hpa["spec"]["minReplicas"].as_i64().unwrap_or(1).min(max), max)
}

fn metric_name(hpa: &Value) -> &str {
    hpa["spec"]["metrics"][0]["resource"]["name"].as_str().unwrap_or("cpu")
}

fn target_utilization(hpa: &Value) -> i64 {
    hpa["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"].as_i64().unwrap_or(80).max(1)
}

fn set_condition(status: &mut Value, kind: &str, holds: bool, reason: &str, message: &str, now: Timestamp) {
    let word = if holds { "True" } else { "False" };
    let mut conditions = object::list(&status["conditions"]).to_vec();
    let old = conditions.iter_mut().find(|condition| condition["type"] == kind);
    let since = old.as_ref().filter(|old| old["status"] == word).map(|old| old["lastTransitionTime"].clone());
    let condition = json!({
        "type": kind, "status": word, "lastTransitionTime": since.unwrap_or_else(|| stamp(now).into()),
        "reason": reason, "message": message,
    });
    match old {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
    crate::object::map_mut(status).insert("conditions".to_owned(), conditions.into());
}
