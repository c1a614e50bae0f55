//! OpenKruise's CloneSet: so many pods that are alike, of which the partition's number stays on the old revision.
//!
//! Pods are always updated by deleting them, never in place. There is no lifecycle, no volume claim, no pod that is asked
//! to be deleted by name, and no order among pods but that of a ReplicaSet.

mod numbers;
mod status;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::Value;

use self::numbers::Numbers;
use super::claim::claim;
use super::custom::{Action, Observed, Plan, Workload};
use super::object::{self, int, portion};
use super::pod;
use super::replicaset::rank;
use super::revision::{self, History, REVISION_LABEL};
use crate::store::GroupResource;

/// The label that repeats the hash in a revision's name.
pub const HASH_LABEL: &str = "pod-template-hash";

/// The CloneSet controller.
pub(crate) struct CloneSet;

impl Workload for CloneSet {
    const NAME: &'static str = "cloneset";

    fn resource() -> GroupResource {
        GroupResource::new("apps.kruise.io", "clonesets")
    }

    fn sync(seen: &Observed<'_>) -> Plan {
        sync(seen)
    }
}

/// A CloneSet's wishes, in pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spec {
    replicas: i32,
    /// Pods that stay on the old revision.
    partition: i32,
    paused: bool,
    max_surge: i32,
    max_unavailable: i32,
    /// Pods that may be unavailable while new ones are created.
    scale_max_unavailable: i32,
    min_ready_seconds: i32,
    history_limit: i32,
}

/// What the controller reads of a pod.
#[derive(Debug, Clone, Copy)]
struct Pod<'a> {
    object: &'a Value,
    updated: bool,
    ready: bool,
    available: bool,
}

/// Decides what a CloneSet needs next.
pub fn sync(seen: &Observed<'_>) -> Plan {
    let spec = Spec::read(seen.object);
    let (history, mut actions) = seen.history();
    let selector = object::selector(&seen.object["spec"]["selector"]);
    let claimable = seen.pods.iter().copied().filter(|found| pod::is_active(found));
    let claimable = claimable
        .filter(|found| object::controller_uid(found).is_none_or(|controller| controller == object::uid(seen.object)));
    let fits = |pod: &Value| selector.as_ref().is_some_and(|selector| selector.matches(pod));
    let claimed = claim(seen.object, claimable, fits);
    actions.extend(claimed.writes.into_iter().map(Action::Update));
    let pods: Vec<Pod<'_>> = claimed.own.iter().map(|pod| Pod::read(pod, &history, &spec, seen.now)).collect();
    if !object::is_deleting(seen.object) {
        let moves = step(seen, &spec, &history, &pods);
        actions.extend(moves);
        let in_use = |name: &str| pods.iter().any(|pod| object::label(pod.object, REVISION_LABEL) == Some(name));
        actions.extend(seen.surplus(&history, spec.history_limit, in_use));
    }
    let waits = pods.iter().any(|pod| pod.ready && !pod.available);
    Plan {
        actions,
        status: status::status(seen.object, &spec, &history, &pods),
        requeue_after: waits
            .then(|| pod::next_available(pods.iter().map(|pod| pod.object), spec.min_ready_seconds, seen.now)),
    }
}

/// What happens to pods: they are made or taken away, and when nothing of that can be done, updated.
fn step(seen: &Observed<'_>, spec: &Spec, history: &History<'_>, pods: &[Pod<'_>]) -> Vec<Action> {
    let numbers = Numbers::of(spec, pods);
    let revision = |index: i32| if index < numbers.create_old { &history.current } else { &history.update };
    let created = (0..numbers.create).map(revision).map(|revision| Action::Create(new_pod(seen.object, revision)));
    let created: Vec<Action> = created.collect();
    if !created.is_empty() {
        return created;
    }
    let old = numbers.delete_old.min(numbers.delete);
    let mut surplus = first(pods, false, old, seen.now);
    surplus.extend(first(pods, true, numbers.delete - old, seen.now));
    let mut chosen = within(surplus, numbers.delete_available);
    if chosen.is_empty() && !spec.paused {
        chosen = within(first(pods, false, numbers.update, seen.now), numbers.update_available);
    }
    chosen.into_iter().map(|pod| Action::DeletePod(object::name(pod.object).to_owned())).collect()
}

/// The pods of one side that go first.
fn first<'a>(pods: &[Pod<'a>], updated: bool, count: i32, now: Timestamp) -> Vec<Pod<'a>> {
    let side: Vec<Pod<'a>> = pods.iter().copied().filter(|pod| pod.updated == updated).collect();
    let mut ranked: Vec<&Value> = side.iter().map(|pod| pod.object).collect();
    rank::sort(&mut ranked, &[], now);
    let chosen = ranked.into_iter().take(usize::try_from(count).unwrap_or(0));
    chosen.filter_map(|found| side.iter().copied().find(|pod| std::ptr::eq(pod.object, found))).collect()
}

/// Those of the pods that may go when so many available ones may.
fn within(chosen: Vec<Pod<'_>>, mut available: i32) -> Vec<Pod<'_>> {
    let may_go = |pod: &Pod<'_>| {
        available -= i32::from(pod.available);
        !pod.available || available >= 0
    };
    chosen.into_iter().filter(may_go).collect()
}

fn new_pod(set: &Value, revision: &Value) -> Value {
    let mut new = pod::from_template(&revision::template(revision), set);
    let name = object::name(revision);
    let labels = &mut new["metadata"]["labels"];
    labels[REVISION_LABEL] = name.into();
    labels[HASH_LABEL] = name.rsplit('-').next().unwrap_or_default().into();
    new
}

impl Spec {
    fn read(set: &Value) -> Self {
        let spec = &set["spec"];
        let strategy = &spec["updateStrategy"];
        let replicas = int(&spec["replicas"]).unwrap_or(1).max(0);
        let paused = strategy["paused"] == true;
        let max_surge = if paused { 0 } else { portion(&strategy["maxSurge"], replicas, true) };
        let or = |value: &Value, default: Value| if value.is_null() { default } else { value.clone() };
        let max_unavailable = or(&strategy["maxUnavailable"], "20%".into());
        let scale_max_unavailable = or(&spec["scaleStrategy"]["maxUnavailable"], i32::MAX.into());
        Self {
            replicas,
            partition: partition(&strategy["partition"], replicas),
            paused,
            max_surge,
            max_unavailable: portion(&max_unavailable, replicas, max_surge == 0),
            scale_max_unavailable: portion(&scale_max_unavailable, replicas, true),
            min_ready_seconds: int(&spec["minReadySeconds"]).unwrap_or(0),
            history_limit: int(&spec["revisionHistoryLimit"]).unwrap_or(10),
        }
    }
}

/// Pods that stay on the old revision. A percentage below all of them leaves at least one pod to be updated.
fn partition(value: &Value, replicas: i32) -> i32 {
    let kept = portion(value, replicas, true).clamp(0, replicas);
    let below_all = value.as_str().is_some_and(|text| text != "100%");
    if below_all && replicas > 1 && kept == replicas { replicas - 1 } else { kept }
}

impl<'a> Pod<'a> {
    fn read(object: &'a Value, history: &History<'_>, spec: &Spec, now: Timestamp) -> Self {
        let running = object["status"]["phase"] == "Running";
        Self {
            object,
            updated: object::label(object, REVISION_LABEL) == Some(object::name(&history.update)),
            ready: running && pod::is_ready(object),
            available: running && pod::is_available(object, spec.min_ready_seconds, now),
        }
    }
}
