//! The Deployment controller: what a Deployment and its ReplicaSets ask for next, as Kubernetes 1.36 decides it.
//!
//! [`sync`] is a pure function; the `controller` around it carries its plan out.

pub(crate) mod controller;
mod draft;
mod proportion;
mod recreate;
mod revision;
mod rolling;
mod set;
mod spec;
mod status;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use self::draft::Draft;
use self::spec::{Spec, Strategy};
pub use self::status::DeploymentStatus;
use super::claim::claim;

/// The kind of the Deployments.
const KIND: &str = "Deployment";

/// The reason where a new ReplicaSet is refused.
const CREATE_FAILED: &str = "ReplicaSetCreateError";

/// The label that tells a Deployment's ReplicaSets, and their pods, from each other.
pub const HASH_LABEL: &str = "pod-template-hash";
/// The annotation that numbers a Deployment's templates.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// The annotation with a ReplicaSet's earlier numbers, after its template came back.
pub const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// The annotation by which a ReplicaSet remembers the Deployment's replicas.
pub const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// The annotation by which a ReplicaSet remembers the Deployment's replicas and surge.
pub const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

/// Everything one sync looks at.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The Deployment.
    pub deployment: &'a Value,
    /// ReplicaSets of its namespace that the Deployment controls or that nobody controls.
    pub sets: Vec<&'a Value>,
    /// ReplicaSets of its namespace that somebody else controls: their names are taken.
    pub foreign_sets: Vec<&'a Value>,
    /// Pods that the Deployment's ReplicaSets control.
    pub pods: Vec<&'a Value>,
    /// The current time.
    pub now: Timestamp,
}

/// What one sync asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Writes in their order; the first that fails ends the sync.
    pub actions: Vec<Action>,
    /// When to look again although nothing changed: the deadline for progress is over then.
    pub requeue_after: Option<Duration>,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create this ReplicaSet.
    CreateSet(Value),
    /// Write this ReplicaSet.
    UpdateSet(Value),
    /// Delete the ReplicaSet of this name: history is over its limit.
    DeleteSet(String),
    /// Write this Deployment's status and annotations.
    UpdateStatus(Value),
}

/// Decides what a Deployment needs next.
pub fn sync(seen: &Observed<'_>) -> Plan {
    let spec = Spec::read(seen.deployment);
    let claims = claim(seen.deployment, seen.sets.iter().copied(), |set| spec.selects(set));
    let mut draft = Draft::new(spec, claims, seen.now);
    decide(&mut draft, seen);
    draft.plan
}

/// The Deployment that says why its new ReplicaSet could not be created.
pub fn refused(deployment: &Value, set: &str, why: &str, now: Timestamp) -> Option<Value> {
    let spec = Spec::read(deployment);
    spec.deadline?;
    let mut status = DeploymentStatus::read(deployment);
    status.set_condition(status::progressing("False", CREATE_FAILED, &refusal(set, why), now));
    let mut deployment = deployment.clone();
    deployment["status"] = status.to_value();
    Some(deployment)
}

/// Why there is no new ReplicaSet.
fn refusal(set: &str, why: &str) -> String {
    format!("Failed to create new replica set {set:?}: {why}")
}

fn decide(draft: &mut Draft<'_>, seen: &Observed<'_>) {
    if draft.spec.deleting {
        draft.revise();
        return draft.report();
    }
    draft.note_pause();
    if !draft.revise() {
        return;
    }
    if draft.spec.paused {
        draft.scale();
        draft.clean_up();
        return draft.report();
    }
    if draft.is_scaled() {
        draft.scale();
        return draft.report();
    }
    match draft.spec.strategy {
        Strategy::Recreate => draft.recreate(seen),
        Strategy::RollingUpdate { .. } => draft.roll(seen),
    }
}
