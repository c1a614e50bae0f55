//! The disruption controller: how many pods of a `PodDisruptionBudget` may go now, as Kubernetes 1.36 counts them.
//!
//! [`count`] is a pure function; the `controller` around it finds the pods and their owners' scales. The API server's
//! eviction lowers `disruptionsAllowed` itself and notes the pod in `disruptedPods`, until it is seen here.

pub(crate) mod controller;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::object;
use crate::clock::stamp;

/// The condition that says whether a pod may go.
pub const CONDITION: &str = "DisruptionAllowed";
/// The condition's reason when the controller could not count.
pub const SYNC_FAILED: &str = "SyncFailed";
/// An evicted pod that is not seen being deleted after this time counts as one that stays.
const DELETION_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);

/// Everything one count looks at.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The budget.
    pub budget: &'a Value,
    /// The pods its selector matches.
    pub pods: Vec<&'a Value>,
    /// How many pods their owners want, or why that is not known. Only asked for where it matters.
    pub scale: Result<i64, String>,
    /// The current time.
    pub now: Timestamp,
}

/// What came of a count.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// The budget's status.
    pub status: Value,
    /// When to count again although nothing changed: an eviction without a deletion is forgotten then.
    pub recheck_after: Option<Duration>,
}

/// True when a budget is of a share of the pods that owners want, so that these have to be asked.
pub fn needs_scale(budget: &Value) -> bool {
    let spec = &budget["spec"];
    !spec["maxUnavailable"].is_null() || spec["minAvailable"].is_string()
}

/// Counts a budget's pods.
pub fn count(observed: &Observed<'_>) -> Counted {
    let budget = observed.budget;
    let (expected, desired) = match expected_and_desired(observed) {
        Ok(found) => found,
        Err(why) => return failed(budget, &why, observed.now),
    };
    let (disrupted, recheck_after) = disrupted_pods(observed);
    let is_healthy = |pod: &&&Value| {
        let ready = object::condition(pod, "Ready").is_some_and(|condition| condition["status"] == "True");
        ready && !object::is_deleting(pod) && !disrupted.contains_key(object::name(pod))
    };
    let healthy = i64::try_from(observed.pods.iter().filter(is_healthy).count()).unwrap_or(i64::MAX);
    let allowed = if expected > 0 { healthy.saturating_sub(desired).max(0) } else { 0 };

    let mut status = json!({
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "observedGeneration": budget["metadata"]["generation"],
        "conditions": budget["status"]["conditions"],
    });
    if !disrupted.is_empty() {
        status["disruptedPods"] = disrupted.into();
    }
    set_allowed(&mut status, observed.now);
    Counted { status, recheck_after }
}

/// Sets the condition that follows from a status' `disruptionsAllowed`.
pub fn set_allowed(status: &mut Value, now: Timestamp) {
    let allowed = status["disruptionsAllowed"].as_i64().unwrap_or_default() > 0;
    let (holds, reason) = if allowed { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    set_condition(status, holds, reason, "", now);
}

/// Without a count nothing may go. What was counted before stays.
fn failed(budget: &Value, why: &str, now: Timestamp) -> Counted {
    let mut status = budget["status"].clone();
    crate::object::map_mut(&mut status).insert("disruptionsAllowed".to_owned(), 0.into());
    set_condition(&mut status, "False", SYNC_FAILED, why, now);
    Counted { status, recheck_after: None }
}

fn expected_and_desired(observed: &Observed<'_>) -> Result<(i64, i64), String> {
    let spec = &observed.budget["spec"];
    if !spec["maxUnavailable"].is_null() {
        let expected = observed.scale.clone()?;
        let unavailable = scaled(&spec["maxUnavailable"], expected)?;
        return Ok((expected, expected.saturating_sub(unavailable).max(0)));
    }
    match &spec["minAvailable"] {
        Value::Null => Ok((0, 0)),
        Value::String(_) => {
            let expected = observed.scale.clone()?;
            Ok((expected, scaled(&spec["minAvailable"], expected)?))
        }
        count => Ok((i64::try_from(observed.pods.len()).unwrap_or(i64::MAX), count.as_i64().unwrap_or_default())),
    }
}

/// A number, or a share of a total rounded up.
fn scaled(value: &Value, total: i64) -> Result<i64, String> {
    if let Some(number) = value.as_i64() {
        return Ok(number);
    }
    let text = value.as_str().unwrap_or_default();
    let Some(percent) = text.strip_suffix('%') else {
        return Err("invalid value for IntOrString: invalid type: string is not a percentage".to_owned());
    };
    let percent: i64 =
        percent.parse().map_err(|_| format!("invalid value for IntOrString: invalid value {text:?}: not a number"))?;
    let share = percent.saturating_mul(total);
    Ok(share.div_euclid(100) + i64::from(share.rem_euclid(100) > 0))
}

/// Evicted pods whose deletion was not seen yet, and when the first of them counts as one that stays.
fn disrupted_pods(observed: &Observed<'_>) -> (Map<String, Value>, Option<Duration>) {
    let noted = observed.budget["status"]["disruptedPods"].as_object();
    let mut left = Map::new();
    let mut first: Option<SignedDuration> = None;
    for pod in observed.pods.iter().filter(|pod| !object::is_deleting(pod)) {
        let Some(noted) = noted.and_then(|noted| noted.get(object::name(pod))) else { continue };
        let since = object::timestamp(noted).unwrap_or(observed.now);
        let wait = since.saturating_add(DELETION_TIMEOUT).unwrap_or(Timestamp::MAX).duration_since(observed.now);
        if wait > SignedDuration::ZERO {
            first = Some(first.map_or(wait, |first| first.min(wait)));
            left.insert(object::name(pod).to_owned(), noted.clone());
        }
    }
    (left, first.map(SignedDuration::unsigned_abs))
}

fn set_condition(status: &mut Value, holds: &str, reason: &str, message: &str, now: Timestamp) {
    let generation = status["observedGeneration"].clone();
    let mut conditions = object::list(&status["conditions"]).to_vec();
    let old = conditions.iter().position(|condition| condition["type"] == CONDITION);
    let since = old.map(|index| &conditions[index]).filter(|old| old["status"] == holds);
    let since = since.map_or_else(|| stamp(now).into(), |old| old["lastTransitionTime"].clone());
    let mut condition = json!({
        "lastTransitionTime": since, "message": message, "reason": reason, "status": holds, "type": CONDITION,
    });
    if !generation.is_null() {
        condition["observedGeneration"] = generation;
    }
    match old {
        Some(index) => conditions[index] = condition,
        None => conditions.push(condition),
    }
    status["conditions"] = conditions.into();
}

/// Adds up what the owners of pods want, each owner once.
#[derive(Debug, Default)]
pub struct Scales(BTreeMap<String, i64>);

impl Scales {
    /// True when the owner is counted already.
    pub fn knows(&self, uid: &str) -> bool {
        self.0.contains_key(uid)
    }

    /// Counts an owner.
    pub fn add(&mut self, uid: &str, replicas: i64) {
        self.0.insert(uid.to_owned(), replicas);
    }

    /// The sum.
    pub fn total(&self) -> i64 {
        self.0.values().fold(0, |sum, replicas| sum.saturating_add(*replicas))
    }
}
