//! The ReplicaSet controller: what a set and its pods ask for next, as Kubernetes 1.36 decides it.
//!
//! [`sync`] is a pure function; the `controller` around it carries its plan out.

pub(crate) mod controller;
pub(crate) mod rank;
mod status;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

pub use self::status::ReplicaSetStatus;
use super::claim::claim;
use super::object::{self, int};
use super::pod;

/// The kind of the sets.
const KIND: &str = "ReplicaSet";

/// Pods created or deleted by one sync at most.
const BURST: usize = 500;

/// Everything one sync looks at.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The ReplicaSet.
    pub set: &'a Value,
    /// Pods of its namespace that the set controls or that nobody controls.
    pub pods: Vec<&'a Value>,
    /// Pods of all sets with the same controller: a pod goes first where many of them share its node.
    pub related: Vec<&'a Value>,
    /// The current time.
    pub now: Timestamp,
}

/// What one sync asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Pods to be written first, because their owner is another one now.
    pub claims: Vec<Value>,
    /// What has to be done about their number.
    pub change: Change,
    /// The set's status, as counted before the change.
    pub status: ReplicaSetStatus,
    /// When to look again although nothing changed: the next pod becomes available then.
    pub requeue_after: Option<Duration>,
}

/// How the number of pods has to change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Not at all.
    None,
    /// So many pods like this one have to be created.
    Create(usize, Value),
    /// The pods of these names have to be deleted.
    Delete(Vec<String>),
}

/// Decides what a ReplicaSet needs next.
pub fn sync(seen: &Observed<'_>) -> Plan {
    let spec = &seen.set["spec"];
    let selector = object::selector(&spec["selector"]);
    let fits = |pod: &Value| selector.as_ref().is_some_and(|selector| selector.matches(pod));
    let claims = claim(seen.set, seen.pods.iter().copied().filter(|pod| pod::is_active(pod)), fits);
    let active: Vec<&Value> = claims.own.iter().map(AsRef::as_ref).collect();
    let ends = |pod: &&&Value| object::is_deleting(pod) && !pod::is_finished(pod);
    let owned = |pod: &&&Value| object::controller_uid(pod).is_some() && fits(pod);
    let terminating = seen.pods.iter().filter(ends).filter(owned).count();

    let min_ready_seconds = int(&spec["minReadySeconds"]).unwrap_or(0);
    let status = ReplicaSetStatus::count(seen.set, &active, terminating, min_ready_seconds, seen.now);
    let waits = min_ready_seconds > 0 && status.ready_replicas != status.available_replicas;
    Plan {
        change: change(seen, &active),
        requeue_after: waits.then(|| pod::next_available(active, min_ready_seconds, seen.now)),
        claims: claims.writes,
        status,
    }
}

fn change(seen: &Observed<'_>, active: &[&Value]) -> Change {
    if object::is_deleting(seen.set) {
        return Change::None;
    }
    let wanted = wanted(seen.set);
    if active.len() < wanted {
        let pod = pod::from_template(&seen.set["spec"]["template"], seen.set);
        return Change::Create((wanted - active.len()).min(BURST), pod);
    }
    if active.len() == wanted {
        return Change::None;
    }
    let surplus = (active.len() - wanted).min(BURST);
    let mut pods = active.to_vec();
    if surplus < pods.len() {
        rank::sort(&mut pods, &seen.related, seen.now);
    }
    Change::Delete(pods.into_iter().take(surplus).map(|pod| object::name(pod).to_owned()).collect())
}

/// The number of pods the set asks for.
fn wanted(set: &Value) -> usize {
    usize::try_from(int(&set["spec"]["replicas"]).unwrap_or(1)).unwrap_or(0)
}
