//! A Rollout: what it shows, what becomes of commands given to it, and how it leaves.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::{
    batch::place,
    behind,
    command::{self, Command, Pending},
    condition, goals, history, hooks, kinds, one_time, pace, patch, run, scale, select, standalone,
    start::{create, creating, run_name, start, triggered},
    status, traffic,
    workload::{next_available, released_spec, update_pending},
};
use crate::{
    api::{
        Rollout, RolloutPhase, RolloutRun, RolloutRunPhase, RolloutStatus, WorkloadRevision, keys,
        rollout::TriggerStatus,
        validate::{self, FieldError},
    },
    intent::{Decision, HubKind, HubWrite, Notice, WorkloadGoal},
    view::{Charge, RolloutView, Workload, WorkloadId},
    workloads::WorkloadKind,
};

/// Goals by workload.
type Goals = BTreeMap<WorkloadId, WorkloadGoal>;

/// Decides the next step of one Rollout and its runs.
pub fn rollout(view: &RolloutView, now: Timestamp) -> Decision {
    match view.charge {
        Charge::Rollout => {}
        Charge::Run => return standalone::step(view, now),
        Charge::ScaleRun => return scale::step(view, now),
    }
    let mut decision = Decision::default();
    let active = active_run(view);
    let deleting = view.rollout.metadata.deletion_timestamp.is_some();
    decision.goals = match active {
        None if deleting => goals::released(view),
        // Nothing is taken that a deletion could not give back.
        None if !protected(&view.rollout.metadata) => BTreeMap::new(),
        _ => goals::controlled(view, active),
    };
    match active {
        Some(run) => carry_out(view, run, &mut decision, now),
        None => decision.writes.extend(traffic::left(view)),
    }
    decision.writes.extend(ended_runs(view, now));
    let own = if deleting { leave(view, active, &mut decision, now) } else { live(view, active, &mut decision, now) };
    decision.writes.extend(own);
    decision
}

/// Takes the next step of a run that is under way. Its goals are in the decision already.
pub(super) fn carry_out(view: &RolloutView, run: &RolloutRun, decision: &mut Decision, now: Timestamp) {
    let step = run::step(view, run, now);
    decision.writes.extend(step.write);
    decision.writes.extend(traffic::writes(view, run, now));
    decision.notices.extend(step.notices);
    decision.waits = step.waits;
    decision.wake = wake(view, decision, now);
    wake_at(decision, step.wake);
    let hook = hooks::call(view, run, now);
    decision.hook = hook.call;
    wake_at(decision, hook.look.map(|at| (at, "a hook is asked again, or is late")));
}

/// The run that is under way: the one the status names, else the first that has not ended.
fn active_run(view: &RolloutView) -> Option<&RolloutRun> {
    let named = status_of(&view.rollout).rollout_id;
    let live = |run: &&Arc<RolloutRun>| !run::completed(run);
    let named = view.runs.get(&named).filter(live);
    named.or_else(|| view.runs.values().find(live)).map(Arc::as_ref)
}

/// Decides again at `at`, unless that happens earlier anyway.
fn wake_at(decision: &mut Decision, at: Option<(Timestamp, &'static str)>) {
    decision.wake = decision.wake.into_iter().chain(at).min_by_key(|(at, _)| *at);
}

/// A pod that is ready becomes available by the passing of time alone.
fn wake(view: &RolloutView, decision: &Decision, now: Timestamp) -> Option<(Timestamp, &'static str)> {
    let watched = decision.goals.iter().filter(|(_, goal)| goal.watches_pods());
    let due = watched.filter_map(|(id, _)| {
        let workload = view.members.get(&id.cluster)?.workloads.get(id)?;
        next_available(workload, status::report(view, workload)?.pods.as_deref()?, now)
    });
    due.min().map(|at| (at, "a ready pod becomes available"))
}

/// What runs that have ended still need: late commands answered, protection taken off, the oldest deleted.
fn ended_runs(view: &RolloutView, now: Timestamp) -> Vec<HubWrite> {
    let named = status_of(&view.rollout).rollout_id;
    let mut writes = Vec::new();
    for (name, run) in view.runs.iter().filter(|(_, run)| run::completed(run)) {
        // What a canceled run was about must be on record before the run can go.
        let recorded = *name != named || is_on_record(view, run);
        let unprotected = recorded.then(|| run::unprotect(run)).flatten();
        writes.extend(run::refuse_commands(run, now).or(unprotected));
    }
    writes.extend(
        history::surplus(view, &named)
            .into_iter()
            .filter(|delete| writes.iter().all(|write| write.target() != delete.target()))
            .collect::<Vec<_>>(),
    );
    writes
}

fn is_on_record(view: &RolloutView, run: &RolloutRun) -> bool {
    let status = status_of(&view.rollout);
    let leaves = view.rollout.metadata.deletion_timestamp.is_some();
    status.canceled_revisions == unfinished(run) && (leaves || behind::is_taken_over(&status))
}

/// The revisions of a run that ended before every pod had them. Auto does not start those again.
fn unfinished(run: &RolloutRun) -> Vec<WorkloadRevision> {
    let Some(status) = run.status.as_ref().filter(|status| status.phase.is_completed()) else { return Vec::new() };
    let sized = || status.target_statuses.iter().filter(|target| target.replicas > 0);
    // What the run went without is caught up with.
    let skipped = |cluster: &str| status.skipped_clusters.iter().any(|skipped| skipped.name == cluster);
    let mut expected = sized().filter(|target| !skipped(&target.cluster));
    if status.phase == RolloutRunPhase::Succeeded && expected.all(|target| target.updated_replicas >= target.replicas) {
        return Vec::new();
    }
    let left = sized().map(|target| WorkloadRevision {
        cluster: target.cluster.clone(),
        name: target.name.clone(),
        revision: target.updated_revision.clone(),
    });
    // What was rolled back, and what that came to where not every pod went along. Its controller may not have seen yet that
    // the stable template is back.
    let back = status.rollback.iter().flat_map(|back| back.revisions.iter().chain(&status.stable_revisions).cloned());
    let mut given_up: Vec<_> = back.chain(left).collect();
    given_up.sort();
    given_up.dedup();
    given_up
}

fn status_of(rollout: &Rollout) -> RolloutStatus {
    rollout.status.clone().unwrap_or_default()
}

/// The write to a Rollout that stays.
fn live(view: &RolloutView, active: Option<&RolloutRun>, decision: &mut Decision, now: Timestamp) -> Vec<HubWrite> {
    if let Some(patch) = prepare(view) {
        return vec![patch_metadata(view, patch)];
    }
    let old = status_of(&view.rollout);
    let mut status = old.clone();
    let workloads = select::selected(view);
    let obstacle = availability(view, &mut status, now);
    let command = take_command(view, active, &mut status, now);
    if let Some(write) = command.or_else(|| one_time::take(view, active, &mut status, now)) {
        return vec![write];
    }
    if let Some(run) = view.runs.get(&status.rollout_id).filter(|run| run::completed(run)) {
        status.canceled_revisions = unfinished(run);
        behind::take_over(view, &mut status, now);
    }
    let mut writes = Vec::new();
    let mut take_trigger = None;
    if let Some(run) = active {
        under_way(view, run, &mut status, now);
    } else if view.rollout.spec.disabled {
        status.phase = RolloutPhase::Disabled;
        condition::set(&mut status.conditions, "Progressing", false, "", "", now);
    } else {
        status.phase = RolloutPhase::Initialized;
        condition::set(&mut status.conditions, "Progressing", false, "", "", now);
        // A trigger that comes while a run cannot be created takes its place.
        // Nothing is created that the stored status does not name yet.
        let authorised = status.rollout_id != old.rollout_id;
        let creating = creating(&old) && !view.runs.contains_key(&old.rollout_id);
        if creating && !triggered(view, &status) {
            writes.extend(create(view, &workloads, &mut status, now));
        } else if obstacle.is_none() && !authorised {
            take_trigger = start(view, &workloads, &mut status, now);
        }
        wake_at(decision, behind::due(view, now));
    }
    if let Some(write) = take_trigger {
        return vec![write];
    }
    decision.notices.extend(parked(view, &decision.goals));
    finish(view, &workloads, &old, status, decision, now).into_iter().chain(writes).collect()
}

/// What must stand on a Rollout before it takes a workload: protection, and the kinds it takes.
fn prepare(view: &RolloutView) -> Option<Value> {
    let meta = &view.rollout.metadata;
    let kinds = kinds::record(view).map(|kinds| (keys::ANNOTATION_WORKLOAD_KINDS, Some(kinds)));
    if protected(meta) {
        return Some(patch::annotations(version(view), [kinds?]));
    }
    let mut patch = patch::annotations(version(view), kinds);
    let finalizers = meta.finalizers.iter().flatten().map(String::as_str);
    patch["metadata"]["finalizers"] = finalizers.chain([keys::FINALIZER_PROTECTION]).collect();
    Some(patch)
}

/// Fills in what every Rollout shows, and writes the status if anything changed, or else drops what is acknowledged.
fn finish(
    view: &RolloutView,
    workloads: &[&Arc<Workload>],
    old: &RolloutStatus,
    mut status: RolloutStatus,
    decision: &mut Decision,
    now: Timestamp,
) -> Option<HubWrite> {
    status.observed_generation = view.rollout.metadata.generation.unwrap_or_default();
    let known = workloads.iter().map(|workload| status::workload_status(view, workload, now));
    status.workload_statuses = status::keep_unknown(view, &old.workload_statuses, known);
    if view.rollout.status.is_some() && *old == status {
        return drop_acknowledged(view, old).or_else(|| forget_kinds(view));
    }
    let later = pace::rollout(old, &status, now).filter(|_| view.rollout.status.is_some());
    if later.is_some() {
        wake_at(decision, later.map(|at| (at, "numbers are written")));
        return drop_acknowledged(view, old);
    }
    decision.notices.extend(notices(view, old, &status));
    status.last_update_time = Some(condition::time(now));
    let patch = patch::status(view.rollout.metadata.resource_version.as_deref(), old, &status);
    Some(HubWrite::PatchStatus { kind: HubKind::Rollout, key: patch::key(&view.rollout.metadata), patch })
}

/// Whether everything the Rollout refers to is there and can be carried out. Returns what is not.
fn availability(view: &RolloutView, status: &mut RolloutStatus, now: Timestamp) -> Option<String> {
    let mut invalid: Vec<_> = validate::rollout(&view.rollout).iter().map(ToString::to_string).collect();
    invalid.extend(unsupported_kind(&view.rollout).as_ref().map(ToString::to_string));
    invalid.extend(invalid_topologies(view));
    let missing = missing(view);
    let (available, reason, message) = if !invalid.is_empty() {
        (false, "InvalidSpec", invalid.join("; "))
    } else if !missing.is_empty() {
        (false, "DependencyFailure", missing.join("; "))
    } else {
        (true, "Available", "all dependencies are valid".to_owned())
    };
    condition::set(&mut status.conditions, "Available", available, reason, message.clone(), now);
    (!available).then_some(message)
}

/// What is wrong with the TrafficTopologies that the Rollout refers to: they were stored unchecked.
fn invalid_topologies(view: &RolloutView) -> impl Iterator<Item = String> {
    let referred = view.rollout.spec.traffic_topology_refs.iter();
    let found = referred.filter_map(|name| Some((name, view.topologies.get(name)?)));
    found.flat_map(|(name, topology)| {
        let errors = validate::traffic_topology(topology).into_iter();
        errors.map(move |error| format!("TrafficTopology {name}: {error}"))
    })
}

/// Why no workload of the kind that the Rollout names can be rolled out.
pub(super) fn unsupported_kind(rollout: &Rollout) -> Option<FieldError> {
    let reference = rollout.spec.workload_ref.as_ref().filter(|kind| WorkloadKind::of(kind).is_none())?;
    let (version, kind) = (reference.api_version.as_str(), reference.kind.as_str());
    let expected = WorkloadKind::expected();
    Some(FieldError {
        path: "spec.workloadRef".to_owned(),
        message: format!("{version} {kind} is not supported: expected one of {expected}"),
    })
}

fn missing(view: &RolloutView) -> Vec<String> {
    let spec = &view.rollout.spec;
    let namespace = view.rollout.metadata.namespace.as_deref().unwrap_or_default();
    let strategy = view
        .strategy
        .is_none()
        .then(|| format!("spec.strategyRef: RolloutStrategy {namespace}/{} not found: create it", spec.strategy_ref));
    let topologies = spec.traffic_topology_refs.iter().filter(|name| !view.topologies.contains_key(*name));
    let topologies = topologies
        .map(|name| format!("spec.trafficTopologyRefs: TrafficTopology {namespace}/{name} not found: create it"));
    strategy.into_iter().chain(topologies).collect()
}

fn under_way(view: &RolloutView, run: &RolloutRun, status: &mut RolloutStatus, now: Timestamp) {
    let name = run.metadata.name.clone().unwrap_or_default();
    status.phase = RolloutPhase::Progressing;
    if status.rollout_id != name || creating(status) {
        status.rollout_id.clone_from(&name);
        let message = format!("rolloutRun {name} is created");
        condition::set(&mut status.conditions, "Trigger", true, "SucceedCreate", message, now);
    }
    let paused = run.status.as_ref().is_some_and(|status| status.phase == RolloutRunPhase::Paused);
    let error = run.status.as_ref().and_then(|status| status.error.as_ref());
    let message = match error {
        _ if paused => format!("rolloutRun {name} is paused"),
        Some(error) => format!("rolloutRun {name} stopped with {}: {}", error.code, error.message),
        None => format!("rolloutRun {name} is running"),
    };
    condition::set(&mut status.conditions, "Progressing", true, "Running", message, now);
    let waiting = command::annotation_value(&view.rollout.metadata, keys::ANNOTATION_TRIGGER).is_some();
    if waiting {
        let message = format!("annotation {} waits for rolloutRun {name} to end", keys::ANNOTATION_TRIGGER);
        condition::set(&mut status.conditions, "Trigger", false, "UnTriggered", message, now);
    }
}

/// A command given to the Rollout is handed to the run that is under way: taken in here, written there under the same
/// id, acknowledged here, and only then dropped here.
fn take_command(
    view: &RolloutView,
    active: Option<&RolloutRun>,
    status: &mut RolloutStatus,
    now: Timestamp,
) -> Option<HubWrite> {
    let meta = &view.rollout.metadata;
    let Some(mut pending) = command::pending(meta, keys::ANNOTATION_PENDING_COMMAND) else {
        let patch = command::take(meta, keys::ANNOTATION_MANUAL_COMMAND, keys::ANNOTATION_PENDING_COMMAND, now)?;
        return Some(patch_metadata(view, patch));
    };
    if status.command.as_ref().is_some_and(|command| command.id == pending.id) {
        return None;
    }
    let Some(run) = active else {
        let outcome = if Command::parse(&pending.command) == Some(Command::Rollback) {
            take_back(view, &pending, status, now)
        } else {
            Err("no run is under way".to_owned())
        };
        status.command = Some(command::acknowledge(&pending, outcome, now));
        return None;
    };
    let name = run.metadata.name.clone().unwrap_or_default();
    let id = pending.id.clone();
    pending.id = command::handed_down(&id);
    let at_run = command::pending(&run.metadata, keys::ANNOTATION_PENDING_COMMAND);
    let obeyed = run.status.as_ref().and_then(|status| status.command.as_ref()).is_some_and(|c| c.id == pending.id);
    if obeyed || at_run.as_ref().is_some_and(|at_run| at_run.id == pending.id) {
        let forwarded = Ok(format!("handed to rolloutRun {name}"));
        pending.id = id;
        status.command = Some(command::acknowledge(&pending, forwarded, now));
        return None;
    }
    if at_run.is_some() {
        // The run is still busy with an earlier command.
        return None;
    }
    let text = serde_json::to_string(&pending).unwrap_or_default();
    let version = run.metadata.resource_version.as_deref().unwrap_or_default();
    Some(HubWrite::Patch {
        kind: HubKind::RolloutRun,
        key: patch::key(&run.metadata),
        patch: patch::annotations(version, [(keys::ANNOTATION_PENDING_COMMAND, Some(text))]),
    })
}

/// Authorises a run that takes back the last one.
fn take_back(
    view: &RolloutView,
    pending: &Pending,
    status: &mut RolloutStatus,
    now: Timestamp,
) -> Result<String, String> {
    if view.rollout.spec.disabled {
        return Err("spec.disabled is set: no run starts".to_owned());
    }
    if creating(status) && !view.runs.contains_key(&status.rollout_id) {
        return Err(format!("rolloutRun {} is about to start: give the command to it", status.rollout_id));
    }
    let Some(last) = view.runs.get(&status.rollout_id) else {
        return Err("there is no run to take back: none was made, or it is not kept any more".to_owned());
    };
    let last_name = last.metadata.name.clone().unwrap_or_default();
    let of_last = last.status.clone().unwrap_or_default();
    if run::rolled_back(&of_last) {
        return Err(format!("rolloutRun {last_name} is rolled back already"));
    }
    if of_last.stable_revisions.is_empty() {
        return Err(format!("rolloutRun {last_name} has no revision on record to return to"));
    }
    let count = status.trigger_count.unwrap_or(0) + 1;
    let name = run_name(view, &select::selected(view), "", count);
    let message = format!("construct rolloutRun {name}, which takes back {last_name}");
    condition::set(&mut status.conditions, "Trigger", true, "Create", message, now);
    status.trigger_count = Some(count);
    status.rollout_id.clone_from(&name);
    status.trigger = Some(TriggerStatus {
        id: pending.id.clone(),
        value: String::new(),
        run_name: name.clone(),
        rollback_of: last_name.clone(),
        clusters: Vec::new(),
    });
    Ok(format!("rolloutRun {name} takes back {last_name}"))
}

/// Once status has an id on record, the annotation that carried it is of no more use.
fn drop_acknowledged(view: &RolloutView, status: &RolloutStatus) -> Option<HubWrite> {
    let meta = &view.rollout.metadata;
    let command = status.command.as_ref().map(|command| &command.id);
    let trigger = status.trigger.as_ref().map(|trigger| &trigger.id);
    let once = status.one_time_strategy.as_ref().map(|once| &once.id);
    let done = [
        (keys::ANNOTATION_PENDING_COMMAND, command),
        (keys::ANNOTATION_PENDING_TRIGGER, trigger),
        (keys::ANNOTATION_PENDING_ONE_TIME_STRATEGY, once),
    ];
    let drop: Vec<_> = done
        .into_iter()
        .filter(|(annotation, id)| command::pending(meta, annotation).is_some_and(|pending| Some(&pending.id) == *id))
        .map(|(annotation, _)| (annotation, None))
        .collect();
    (!drop.is_empty()).then(|| patch_metadata(view, patch::annotations(version(view), drop)))
}

/// Kinds of which nothing is left to give back are watched no longer.
fn forget_kinds(view: &RolloutView) -> Option<HubWrite> {
    if view.rollout.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let kinds = (keys::ANNOTATION_WORKLOAD_KINDS, Some(kinds::forget(view)?));
    Some(patch_metadata(view, patch::annotations(version(view), [kinds])))
}

/// The writes of a Rollout that is being deleted: its run is canceled, its workloads are put back, then it goes.
fn leave(view: &RolloutView, active: Option<&RolloutRun>, decision: &mut Decision, now: Timestamp) -> Vec<HubWrite> {
    let mut finalizers = view.rollout.metadata.finalizers.clone().unwrap_or_default();
    let before = finalizers.len();
    finalizers.retain(|finalizer| finalizer != keys::FINALIZER_PROTECTION);
    if finalizers.len() == before {
        return Vec::new();
    }
    let old = status_of(&view.rollout);
    let mut status = old.clone();
    status.phase = RolloutPhase::Terminating;
    let condition_set = |status: &mut RolloutStatus, reason, message: &str| {
        condition::set(&mut status.conditions, "Terminating", true, reason, message, now);
    };
    if let Some(run) = view.runs.get(&status.rollout_id).filter(|run| run::completed(run)) {
        status.canceled_revisions = unfinished(run);
    }
    let mut writes = Vec::new();
    if let Some(run) = active {
        let name = run.metadata.name.as_deref().unwrap_or_default();
        condition_set(&mut status, "Terminating", &format!("waiting for rolloutRun {name} to be canceled"));
        let delete = history::delete(run);
        if run.metadata.deletion_timestamp.is_none()
            && decision.writes.iter().all(|write| write.target() != delete.target())
        {
            writes.push(delete);
        }
    } else if let Some((cluster, why)) = select::unreliable(view).next() {
        condition_set(&mut status, "Terminating", &format!("waiting for cluster {cluster}: {why}"));
    } else if let Some(WorkloadId { cluster, name, .. }) = decision.goals.keys().next() {
        condition_set(&mut status, "Terminating", &format!("workload {name} in cluster {cluster:?} is put back"));
    } else if let Some((name, _)) = view.runs.iter().find(|(_, run)| protected(&run.metadata)) {
        // Without its Rollout nobody would let the run go.
        condition_set(&mut status, "Terminating", &format!("waiting for rolloutRun {name} to be let go"));
    } else {
        condition_set(&mut status, "Completed", "finalize rollout successfully");
        if old.phase == RolloutPhase::Terminating && condition::is(&old.conditions, "Terminating", true, "Completed") {
            return vec![patch_metadata(view, patch::finalizers(version(view), &finalizers))];
        }
    }
    let write = finish(view, &select::selected(view), &old, status, decision, now);
    if active.is_none() && write.is_some() {
        decision.notices.extend(parked(view, &decision.goals));
    }
    write.into_iter().chain(writes).collect()
}

/// The event for each workload that stays parked when its Rollout goes or no longer selects it.
fn parked(view: &RolloutView, goals: &Goals) -> Vec<Notice> {
    stays_parked(view, goals).into_iter().map(|message| event(view, true, "StaysParked", message)).collect()
}

/// What is said of each workload that stays parked when it is let go, with the command that releases it.
pub(super) fn stays_parked(view: &RolloutView, goals: &Goals) -> Vec<String> {
    let released = |workload: &&Arc<Workload>| goals.get(&workload.id()) == Some(&WorkloadGoal::Released);
    let pending = select::workloads(&view.members)
        .filter(released)
        .filter(|workload| workload.recorded_strategy.is_some() && update_pending(workload));
    let message = |workload: &Arc<Workload>| {
        format!(
            "{} stays parked, because an update is pending; to roll it out: kubectl patch {} {} -n {} --type merge -p '{}'",
            place(workload),
            workload.kind.noun(),
            workload.key.name,
            workload.key.namespace,
            json!({ "spec": released_spec(workload) })
        )
    };
    pending.map(message).collect()
}

/// One event for each condition that changed its status or reason.
fn notices(view: &RolloutView, old: &RolloutStatus, new: &RolloutStatus) -> Vec<Notice> {
    let changed = new.conditions.iter().filter(|condition| {
        let before = condition::get(&old.conditions, &condition.type_);
        before.is_none_or(|before| (&before.status, &before.reason) != (&condition.status, &condition.reason))
    });
    changed
        .filter(|condition| !condition.reason.is_empty() && condition.reason != "UnTriggered")
        .map(|condition| event(view, condition.status != "True", &condition.reason, condition.message.clone()))
        .collect()
}

fn event(view: &RolloutView, warning: bool, reason: &str, message: String) -> Notice {
    Notice {
        kind: HubKind::Rollout,
        key: patch::key(&view.rollout.metadata),
        uid: view.rollout.metadata.uid.clone().unwrap_or_default(),
        warning,
        reason: reason.to_owned(),
        message,
    }
}

/// Whether the object carries our finalizer.
pub(super) fn protected(meta: &ObjectMeta) -> bool {
    meta.finalizers.iter().flatten().any(|finalizer| finalizer == keys::FINALIZER_PROTECTION)
}

fn version(view: &RolloutView) -> &str {
    view.rollout.metadata.resource_version.as_deref().unwrap_or_default()
}

/// A patch of the Rollout itself.
pub(super) fn patch_metadata(view: &RolloutView, patch: Value) -> HubWrite {
    HubWrite::Patch { kind: HubKind::Rollout, key: patch::key(&view.rollout.metadata), patch }
}
