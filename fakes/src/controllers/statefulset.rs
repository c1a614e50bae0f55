//! The StatefulSet controller: what a set, its pods and its revisions ask for next, as Kubernetes 1.36 decides it.
//!
//! [`sync`] is a pure function; the `controller` around it carries its plan out.
//!
//! OpenKruise's Advanced StatefulSet is the same machine with more fields, and so it is here. Of those fields there are
//! `paused`, `maxUnavailable`, `minReadySeconds` and `unorderedUpdate` without priorities. Pods are always updated by
//! deleting them, never in place, and there are no reserved ordinals, no `scaleStrategy` and no lifecycle hooks.

mod claims;
pub(crate) mod controller;
mod pod;
mod roll;
mod spec;
mod status;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use self::claims::Claims;
use self::pod::Pod;
use self::spec::Spec;
pub use self::status::StatefulSetStatus;
use super::claim::{claim, with_owner};
use super::object;
pub use super::revision::REVISION_LABEL;
use super::revision::{self, Change, History};
use crate::store::GroupResource;

/// The kind of the sets.
const KIND: &str = "StatefulSet";

/// The label that repeats a pod's name, for Services of one pod.
pub const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
/// The label that carries a pod's ordinal.
pub const POD_INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

/// Whose StatefulSets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Those of `apps/v1`.
    Kubernetes,
    /// OpenKruise's, of `apps.kruise.io/v1beta1`.
    Advanced,
}

impl Flavour {
    /// Where these sets are stored.
    pub fn resource(self) -> GroupResource {
        let group = if self == Self::Kubernetes { "apps" } else { "apps.kruise.io" };
        GroupResource::new(group, "statefulsets")
    }

    fn of(set: &Value) -> Self {
        let api_version = set["apiVersion"].as_str().unwrap_or_default();
        if api_version.starts_with("apps.kruise.io/") { Self::Advanced } else { Self::Kubernetes }
    }
}

/// Everything one sync looks at.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The StatefulSet.
    pub set: &'a Value,
    /// Pods of its namespace that the set controls or that nobody controls.
    pub pods: Vec<&'a Value>,
    /// ControllerRevisions of its namespace that the set controls or that nobody controls.
    pub revisions: Vec<&'a Value>,
    /// ControllerRevisions of its namespace that somebody else controls: their names are taken.
    pub foreign_revisions: Vec<&'a Value>,
    /// PersistentVolumeClaims of its namespace that may be the pods'.
    pub claims: Vec<&'a Value>,
    /// The current time.
    pub now: Timestamp,
}

/// What one sync asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Writes in their order; the first that fails ends the sync.
    pub actions: Vec<Action>,
    /// The set's status after the actions.
    pub status: StatefulSetStatus,
    /// True when the set's own status says something else.
    pub status_changed: bool,
    /// When to look again although nothing changed: the next pod becomes available then.
    pub requeue_after: Option<Duration>,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create this ControllerRevision.
    CreateRevision(Value),
    /// Write this ControllerRevision, which has a new number or owner.
    UpdateRevision(Value),
    /// Delete the ControllerRevision of this name: history is over its limit.
    DeleteRevision(String),
    /// Create this PersistentVolumeClaim.
    CreateClaim(Value),
    /// Write this PersistentVolumeClaim, which has to go with somebody else.
    UpdateClaim(Value),
    /// Create this pod.
    CreatePod(Value),
    /// Write this pod, whose labels or owner were not as they must be.
    UpdatePod(Value),
    /// Delete the pod of this name.
    DeletePod(String, Deletion),
}

/// Why a pod is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It has an old revision and its turn has come.
    Update,
    /// Its ordinal is outside the set's range.
    ScaleDown,
    /// It failed or succeeded, and a new pod of its name has to take its place.
    Finished,
}

/// Decides what a StatefulSet needs next.
pub fn sync(seen: &Observed<'_>) -> Plan {
    let spec = Spec::read(seen.set);
    let mut actions = Vec::new();
    let revisions = adopt_revisions(seen, &spec, &mut actions);
    let revisions: Vec<&Value> = revisions.iter().map(AsRef::as_ref).collect();
    let fits = |pod: &Value| spec.selects(pod) && pod::parent(object::name(pod)) == Some(spec.name);
    let claimed = claim(seen.set, seen.pods.iter().copied(), fits);
    actions.extend(claimed.writes.into_iter().map(Action::UpdatePod));
    let pods: Vec<Pod<'_>> = claimed.own.iter().map(|pod| Pod::read(pod, seen.now, spec.min_ready_seconds)).collect();

    let history = History::resolve(seen.set, &revisions, &seen.foreign_revisions);
    match history.change {
        Change::None => {}
        Change::Create => actions.push(Action::CreateRevision(history.update.clone().into_owned())),
        Change::Renumber => actions.push(Action::UpdateRevision(history.update.clone().into_owned())),
    }
    let claims = Claims::new(&spec, &seen.claims);
    let mut status = roll::roll(&spec, &history, &pods, &claims, &mut actions);
    status.complete(&spec);
    let in_use = |name: &str| pods.iter().any(|pod| pod.revision == name);
    let surplus = revision::surplus(&history, &revisions, in_use, spec.revision_history_limit);
    actions.extend(surplus.into_iter().map(Action::DeleteRevision));

    Plan {
        requeue_after: next_available(seen.now, &spec, &status, &pods),
        status_changed: status.differs(seen.set),
        actions,
        status,
    }
}

/// The set's revisions; those without a controller become the set's.
fn adopt_revisions<'a>(seen: &Observed<'a>, spec: &Spec<'_>, actions: &mut Vec<Action>) -> Vec<Cow<'a, Value>> {
    let mut revisions = Vec::new();
    for &found in seen.revisions.iter().filter(|revision| spec.selects(revision)) {
        if object::controller_uid(found).is_some() {
            revisions.push(Cow::Borrowed(found));
        } else if !spec.terminating {
            let adopted = with_owner(found, spec.set);
            actions.push(Action::UpdateRevision(adopted.clone()));
            revisions.push(Cow::Owned(adopted));
        }
    }
    revisions
}

fn next_available(now: Timestamp, spec: &Spec<'_>, status: &StatefulSetStatus, pods: &[Pod<'_>]) -> Option<Duration> {
    let waits = spec.min_ready_seconds > 0 && status.ready_replicas != status.available_replicas;
    let pods = pods.iter().map(|pod| pod.object);
    waits.then(|| super::pod::next_available(pods, spec.min_ready_seconds, now))
}
