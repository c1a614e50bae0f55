//! How a run comes to be: whether one starts, what it is called, and what it is made of.
//!
//! Starting a run is two steps: status names the run, then the run is created.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    batch::place,
    behind, command, condition, goals, naming, one_time, patch, plan,
    rollout::patch_metadata,
    select,
    standalone::in_words,
    trigger::{self, Trigger},
};
use crate::{
    api::{API_VERSION, RolloutStatus, RolloutWebhook, keys, rollout::TriggerStatus, validate},
    intent::{HubKind, HubWrite},
    view::{Health, RolloutView, Workload},
};

/// Whether a run has been authorised that nobody has seen yet.
pub(super) fn creating(status: &RolloutStatus) -> bool {
    let named = status.trigger.as_ref().is_some_and(|trigger| trigger.run_name == status.rollout_id);
    named
        && condition::get(&status.conditions, "Trigger")
            .is_some_and(|trigger| matches!(trigger.reason.as_str(), "Create" | "FailedCreate"))
}

/// Whether there is a trigger annotation that has led to nothing yet.
pub(super) fn triggered(view: &RolloutView, status: &RolloutStatus) -> bool {
    let meta = &view.rollout.metadata;
    let done = status.trigger.as_ref().map(|trigger| &trigger.id);
    command::annotation_value(meta, keys::ANNOTATION_TRIGGER).is_some()
        || command::pending(meta, keys::ANNOTATION_PENDING_TRIGGER).is_some_and(|pending| Some(&pending.id) != done)
}

/// Evaluates the trigger. Starting a run is two steps: this status names the run, then the run is created. Returns the
/// write that takes in a trigger annotation, which comes before either.
pub(super) fn start(
    view: &RolloutView,
    workloads: &[&Arc<Workload>],
    status: &mut RolloutStatus,
    now: Timestamp,
) -> Option<HubWrite> {
    let meta = &view.rollout.metadata;
    let refused = condition::is(&status.conditions, "Trigger", false, "FailedCreate");
    if view.members.values().any(|member| member.health == Health::Syncing) {
        return None;
    }
    let mut set = |holds, reason: &str, message: String| {
        condition::set(&mut status.conditions, "Trigger", holds, reason, message, now);
    };
    if let Some((reason, message)) = unfit(view) {
        set(false, reason, message);
        return None;
    }
    if let Some((workload, owner)) =
        workloads.iter().find_map(|workload| Some((workload, goals::owner(view, workload)?)))
    {
        let message = format!(
            "{} is under the control of {}: correct spec.workloadRef.match, or wait until that gives it up",
            place(workload),
            in_words(owner)
        );
        set(false, "Conflict", message);
        return None;
    }
    let pending = command::pending(meta, keys::ANNOTATION_PENDING_TRIGGER);
    if pending.is_none()
        && let Some(patch) = command::take(meta, keys::ANNOTATION_TRIGGER, keys::ANNOTATION_PENDING_TRIGGER, now)
    {
        return Some(patch_metadata(view, patch));
    }
    let done = status.trigger.as_ref().map(|trigger| trigger.id.clone());
    let pending = pending.filter(|pending| Some(&pending.id) != done.as_ref());
    let left_out = behind::left_out(view, now);
    let mut workloads: Vec<_> =
        workloads.iter().copied().filter(|workload| !left_out.contains_key(&workload.cluster)).collect();
    let mut verdict = trigger::evaluate(view, &workloads, pending.as_ref(), &status.canceled_revisions, &left_out);
    let mut clusters = Vec::new();
    let catch_up = behind::catch_up(view, status);
    if let Trigger::Wait { message, .. } = &mut verdict {
        *message = [std::slice::from_ref(message), &catch_up.waits].concat().join("; ");
        if !catch_up.clusters.is_empty() {
            workloads = behind::of_clusters(&workloads, &catch_up.clusters);
            clusters = catch_up.clusters;
            let id = format!("catch-up-{}", status.trigger_count.unwrap_or(0) + 1);
            verdict = Trigger::Start { id, value: String::new() };
        }
    }
    let mut set = |holds, reason: &str, message: String| {
        condition::set(&mut status.conditions, "Trigger", holds, reason, message, now);
    };
    match verdict {
        // A trigger that was refused is not forgotten for the ordinary reason why nothing starts.
        Trigger::Wait { .. } if refused => {}
        Trigger::Wait { reason, message } => set(false, reason, message),
        Trigger::Start { id, value } => {
            let count = status.trigger_count.unwrap_or(0) + 1;
            let name = run_name(view, &workloads, &value, count);
            if view.runs.contains_key(&name) {
                set(false, "FailedCreate", format!("rolloutRun {name} exists already: give another name, or none"));
                status.trigger =
                    Some(TriggerStatus { id, value, run_name: name, clusters, ..TriggerStatus::default() });
                return None;
            }
            set(true, "Create", format!("construct rolloutRun {name}{}", behind::purpose(&clusters, &left_out)));
            status.trigger_count = Some(count);
            status.rollout_id.clone_from(&name);
            if clusters.is_empty() {
                status.canceled_revisions.clear();
                behind::note(status, &left_out, &name, now);
            }
            status.trigger = Some(TriggerStatus { id, value, run_name: name, clusters, ..TriggerStatus::default() });
        }
    }
    None
}

/// Why this strategy cannot be carried out.
fn unfit(view: &RolloutView) -> Option<(&'static str, String)> {
    let strategy = view.strategy.as_ref()?;
    let invalid: Vec<_> = validate::strategy(strategy).iter().map(ToString::to_string).collect();
    let name = &view.rollout.spec.strategy_ref;
    if !invalid.is_empty() {
        return Some(("InvalidStrategy", format!("RolloutStrategy {name}: {}", invalid.join("; "))));
    }
    // Nothing would follow what the step asks for.
    let field = plan::traffic(strategy).find(|_| view.rollout.spec.traffic_topology_refs.is_empty())?;
    let message =
        format!("RolloutStrategy {name}: {field} says where requests go, but spec.trafficTopologyRefs names no");
    Some(("NoTrafficTopology", format!("{message} TrafficTopology: name one, or remove the traffic")))
}

pub(super) fn run_name(view: &RolloutView, workloads: &[&Arc<Workload>], value: &str, count: i64) -> String {
    if validate::is_object_name(value) {
        return value.to_owned();
    }
    let meta = &view.rollout.metadata;
    let revisions: Vec<_> = trigger::revisions(workloads)
        .into_iter()
        .map(|revision| format!("{}/{}={}", revision.cluster, revision.name, revision.revision))
        .collect();
    let (name, uid) = (meta.name.as_deref().unwrap_or_default(), meta.uid.as_deref().unwrap_or_default());
    naming::generated(name, uid, revisions.iter().map(String::as_str), count)
}

/// Creates the run that the stored status names.
pub(super) fn create(
    view: &RolloutView,
    workloads: &[&Arc<Workload>],
    status: &mut RolloutStatus,
    now: Timestamp,
) -> Option<HubWrite> {
    let name = status.rollout_id.clone();
    if let Some(source) = status.trigger.as_ref().filter(|trigger| !trigger.rollback_of.is_empty()) {
        let source = source.rollback_of.clone();
        return create_rollback(view, &source, status, now);
    }
    let Some(strategy) = &view.strategy else { return None };
    let only = status.trigger.as_ref().map(|trigger| trigger.clusters.clone()).unwrap_or_default();
    let without: BTreeSet<String> = behind::of_run(status, &name).into_iter().map(str::to_owned).collect();
    let means =
        |cluster: &str| if only.is_empty() { !without.contains(cluster) } else { only.iter().any(|c| c == cluster) };
    // A plan made of the clusters that happen to answer would leave out the others.
    if let Some((cluster, why)) = select::unreliable(view).find(|(cluster, _)| means(cluster)) {
        let waiting = format!("waiting for cluster {cluster}: {why}");
        if !only.is_empty() {
            // Others are not to wait for one that is caught up with.
            condition::set(&mut status.conditions, "Trigger", false, "UnTriggered", waiting, now);
        } else if !behind::note(status, &behind::left_out(view, now), &name, now) {
            let message = format!("construct rolloutRun {name}: {waiting}");
            condition::set(&mut status.conditions, "Trigger", true, "Create", message, now);
        }
        return None;
    }
    let workloads: Vec<_> = workloads.iter().copied().filter(|workload| means(&workload.cluster)).collect();
    let (planned, once) = if only.is_empty() {
        let (strategy, once) = one_time::next(view, status, strategy);
        let canary = plan::canary(&strategy, &workloads);
        (canary.and_then(|canary| Ok((canary, plan::batches(&strategy, &workloads)?))), once)
    } else {
        // A canary that means none of the workloads is left out, as steps are.
        let canary = plan::canary(strategy, &workloads).unwrap_or_default();
        (plan::catch_up(strategy, &workloads).map(|batches| (canary, batches)), None)
    };
    let mut fail = |message: String| {
        condition::set(&mut status.conditions, "Trigger", false, "FailedCreate", message, now);
    };
    if let Some((_, message)) = unfit(view) {
        fail(message);
        return None;
    }
    match planned {
        Err(message) => {
            fail(format!("RolloutStrategy {}: {message}", view.rollout.spec.strategy_ref));
            None
        }
        Ok((canary, batches)) => {
            if let Some(error) = &view.create_error {
                fail(format!("rolloutRun {name}: {error}"));
            }
            let key = crate::view::ObjectKey { name, ..patch::key(&view.rollout.metadata) };
            let mut run = new_run(view, &key.name, &strategy.webhooks, &json!(batches));
            if let Some(canary) = canary {
                run["spec"]["canary"] = json!(canary);
            }
            if let Some(once) = once {
                run["metadata"]["annotations"] = json!({ (keys::ANNOTATION_ONE_TIME_STRATEGY): once });
            }
            Some(HubWrite::Create { kind: HubKind::RolloutRun, key, object: run })
        }
    }
}

/// Creates the run that takes back the run `source`, along the same plan.
fn create_rollback(view: &RolloutView, source: &str, status: &mut RolloutStatus, now: Timestamp) -> Option<HubWrite> {
    let name = status.rollout_id.clone();
    let Some((spec, of_source)) = view.runs.get(source).and_then(|run| Some((&run.spec, run.status.as_ref()?))) else {
        let message = format!("rolloutRun {name}: rolloutRun {source}, which it takes back, is not kept any more");
        condition::set(&mut status.conditions, "Trigger", false, "FailedCreate", message, now);
        return None;
    };
    if let Some(error) = &view.create_error {
        let message = format!("rolloutRun {name}: {error}");
        condition::set(&mut status.conditions, "Trigger", false, "FailedCreate", message, now);
    }
    let key = crate::view::ObjectKey { name, ..patch::key(&view.rollout.metadata) };
    let mut run = new_run(view, &key.name, &spec.webhooks, &json!(spec.batch));
    run["spec"]["rollback"] = json!({ "runName": source, "revisions": of_source.stable_revisions });
    Some(HubWrite::Create { kind: HubKind::RolloutRun, key, object: run })
}

fn new_run(view: &RolloutView, name: &str, webhooks: &[RolloutWebhook], batches: &Value) -> Value {
    let meta = &view.rollout.metadata;
    let spec = &view.rollout.spec;
    let mut labels = serde_json::Map::new();
    if let Some(class) = meta.labels.as_ref().and_then(|labels| labels.get(keys::LABEL_ROLLOUT_CLASS)) {
        labels.insert(keys::LABEL_ROLLOUT_CLASS.to_owned(), json!(class));
    }
    let target_type = spec
        .workload_ref
        .as_ref()
        .map(|reference| json!({ "apiVersion": reference.api_version, "kind": reference.kind }));
    json!({
        "apiVersion": API_VERSION,
        "kind": "RolloutRun",
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "labels": labels,
            "finalizers": [keys::FINALIZER_PROTECTION],
            "ownerReferences": [{
                "apiVersion": API_VERSION,
                "kind": "Rollout",
                "name": meta.name,
                "uid": meta.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "targetType": target_type,
            "webhooks": webhooks,
            "trafficTopologyRefs": spec.traffic_topology_refs,
            "batch": batches,
            "policies": view.strategy.as_ref().and_then(|strategy| strategy.policies.as_ref()),
        },
    })
}
