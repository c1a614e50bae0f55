//! What a run asks of its BackendRoutings, and what it waits for there.
//!
//! Where requests are to go at which moment stands in `shift`.

mod clusters;
mod forked;
mod planned;
mod shift;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::shift::Shift;
use self::shift::wanted;
use super::{canary, drift, goals, holder, patch, routing::is_multi, routing::is_repaired, run, standalone::in_words};
use crate::{
    api::{
        BackendRouting, BackendRoutingSpec, RolloutRun, RolloutRunPhase, RolloutRunStatus, RouteDriftPolicy,
        TrafficStrategy, TrafficTopology, keys,
        keys::ProgressingInfo,
        rolloutrun::{RolloutRunCanaryStrategy, RouteDriftStatus},
    },
    intent::{HubKind, HubWrite, Wait},
    view::{Health, RolloutView, Workload},
};

/// Whether any step of the run says where requests go.
pub fn is_used(run: &RolloutRun) -> bool {
    run.spec.canary.as_ref().is_some_and(asks)
        || run::batches(run).iter().any(|batch| says(batch.traffic.as_ref()).is_some())
}

/// The writes that bring the BackendRoutings to what the run asks for now.
pub fn writes(view: &RolloutView, run: &RolloutRun, now: Timestamp) -> Vec<HubWrite> {
    let Some(status) = run.status.as_ref().filter(|_| is_used(run)) else { return Vec::new() };
    let write = |routing| match wanted(view, run, status, routing, now) {
        Some(shift) => write(view, run, routing, shift),
        None => judge(view, run, routing),
    };
    concerned(view, run).filter_map(|routing| write(routing.as_ref())).collect()
}

/// What of the run's routes somebody else has changed, and is not to be repaired.
pub fn drifts(view: &RolloutView, run: &RolloutRun) -> Vec<RouteDriftStatus> {
    let own = concerned(view, run).filter(|routing| is_marked_by(run, routing));
    let all =
        own.flat_map(|routing| routing.status.iter().flat_map(|status| &status.routes).map(move |it| (routing, it)));
    let found = all.filter_map(|(routing, route)| {
        let drift = route.drift.as_ref().filter(|drift| !is_repaired(&routing.spec, drift))?;
        Some(RouteDriftStatus {
            backend_routing: routing.metadata.name.clone().unwrap_or_default(),
            cluster: route.cluster.clone(),
            kind: route.kind.clone(),
            name: route.name.clone(),
            manager: drift.manager.clone(),
            time: drift.time.clone(),
        })
    });
    found.collect()
}

/// The writes that give back what runs of this Rollout asked for, none of which is under way any more.
pub fn left(view: &RolloutView) -> Vec<HubWrite> {
    let name = view.rollout.metadata.name.as_deref();
    let own = view.routings.values().filter(|routing| {
        let mark = mark_of(routing).filter(|mark| Some(mark.rollout.as_str()) == name);
        mark.is_some_and(|mark| view.runs.get(&mark.rollout_id).is_none_or(|run| run::completed(run)))
    });
    own.filter_map(|routing| release(routing)).collect()
}

/// What the step waits for, so that requests go where they are to go by `status`.
pub fn waits(view: &RolloutView, run: &RolloutRun, status: &RolloutRunStatus, now: Timestamp) -> Vec<Wait> {
    if !is_used(run) {
        return Vec::new();
    }
    let mut waits = Vec::new();
    let mut moves_on = false;
    for routing in concerned(view, run) {
        if is_out_of_sight(view, run, routing) {
            waits.push(wait(routing, "its cluster's workloads to be listed".to_owned()));
            continue;
        }
        let Some(shift) = wanted(view, run, status, routing, now) else { continue };
        moves_on |= shift != Shift::Origin;
        waits.extend(not_in_force(view, run, routing, shift));
    }
    // Who only gives back does not need what makes new.
    if moves_on || is_asked_now(run, status) {
        waits.extend(unready(view, run));
    }
    waits
}

/// What the first step waits for, so that no later one asks for what cannot be had.
pub fn plan_waits(view: &RolloutView, run: &RolloutRun) -> Vec<Wait> {
    if !is_used(run) || !planned::is_due(run) {
        return Vec::new();
    }
    let mut waits = unready(view, run);
    for routing in concerned(view, run) {
        if is_out_of_sight(view, run, routing) {
            waits.push(wait(routing, "its cluster's workloads to be listed".to_owned()));
            continue;
        }
        let planned = planned::of(view, run, routing);
        if planned.is_empty() {
            continue;
        }
        if let Some(other) = other_user(view, run, routing) {
            waits.push(wait(routing, format!("{other} to give it up: one backend cannot be split by two runs")));
        } else if routing.spec.planned != planned {
            waits.push(wait(routing, "to be told what the steps will ask for".to_owned()));
        } else if !is_ready(routing) {
            waits.extend(clusters::waits(routing, || message(routing)));
        }
    }
    waits
}

/// Whether no request can reach the copies of a workload any more through its BackendRoutings.
pub fn is_off(view: &RolloutView, run: &RolloutRun, workload: &Workload) -> bool {
    !run.spec.canary.as_ref().is_some_and(asks)
        || routings_of(view, run, workload).all(|routing| reaches_no_canary(routing))
}

/// Whether requests may reach a copy that has lost what it is a copy of. No topology ties that to a BackendRouting any
/// more, so each that the run uses in its cluster counts.
pub fn may_reach(view: &RolloutView, run: &RolloutRun, copy: &Workload) -> bool {
    let is_near = |routing: &BackendRouting| clusters::of(routing).any(|cluster| cluster == copy.cluster);
    let used = view.routings.values().filter(|routing| is_near(routing) && is_marked_by(run, routing));
    is_used(run) && used.into_iter().any(|routing| !reaches_no_canary(routing))
}

/// What of a strategy's traffic says anything.
fn says(traffic: Option<&TrafficStrategy>) -> Option<&TrafficStrategy> {
    traffic.filter(|traffic| traffic.http.is_some())
}

/// Whether a canary says where requests go.
fn asks(canary: &RolloutRunCanaryStrategy) -> bool {
    canary.blue_green.is_some() || says(canary.traffic.as_ref()).is_some()
}

/// Whether the step that is under way says where requests go.
fn is_asked_now(run: &RolloutRun, status: &RolloutRunStatus) -> bool {
    if matches!(status.phase, RolloutRunPhase::Canceling) || status.phase.is_completed() {
        return false;
    }
    if !canary::finished(run, status) {
        return !canary::is_leaving(run, status) && run.spec.canary.as_ref().is_some_and(asks);
    }
    let batch = current(status).and_then(|index| run::batches(run).get(index));
    batch.is_some_and(|batch| says(batch.traffic.as_ref()).is_some())
}

fn current(status: &RolloutRunStatus) -> Option<usize> {
    usize::try_from(status.batch_status.as_ref()?.current_batch_index).ok()
}

/// Whether any route is told to send all requests to the copies of the run.
pub fn is_switched(view: &RolloutView, run: &RolloutRun) -> bool {
    concerned(view, run).any(|routing| has_switched(run, routing))
}

fn has_switched(run: &RolloutRun, routing: &BackendRouting) -> bool {
    let http = routing.spec.forwarding.as_ref().and_then(|forwarding| forwarding.http.as_ref());
    let weight = http.and_then(|http| http.canary.as_ref()?.weight);
    weight == Some(100) && is_marked_by(run, routing)
}

/// The topologies that the run names.
fn topologies<'a>(view: &'a RolloutView, run: &'a RolloutRun) -> impl Iterator<Item = &'a Arc<TrafficTopology>> {
    run.spec.traffic_topology_refs.iter().filter_map(|name| view.topologies.get(name))
}

/// The BackendRoutings of the run's workloads, each once, in order of name.
fn concerned<'a>(view: &'a RolloutView, run: &'a RolloutRun) -> impl Iterator<Item = &'a Arc<BackendRouting>> {
    // Read off the hub alone: a cluster that is being listed has workloads, too.
    view.routings.values().filter(move |routing| {
        let batches = run::batches(run).iter().flat_map(|batch| &batch.targets);
        let mut targets = run.spec.canary.iter().flat_map(|canary| &canary.targets).chain(batches);
        targets.any(|target| {
            let mut meant =
                clusters::of(routing).filter(|cluster| target.cluster.is_empty() || target.cluster == *cluster);
            meant.any(|cluster| is_about(view, run, routing, cluster, &target.name))
        })
    })
}

/// Whether nothing can be told yet from what the cluster of a BackendRouting does not show.
fn is_out_of_sight(view: &RolloutView, run: &RolloutRun, routing: &BackendRouting) -> bool {
    let mut members = clusters::of(routing).filter_map(|cluster| view.members.get(cluster));
    members.any(|member| match member.health {
        Health::Syncing => true,
        // One that has not answered since the start shows nothing either; of one among several what is known stays.
        Health::Unreachable { .. } => !is_multi(routing) && workloads_of(view, run, routing).next().is_none(),
        Health::Ready => false,
    })
}

/// The run's workloads whose requests a BackendRouting is about.
fn workloads_of<'a>(
    view: &'a RolloutView,
    run: &'a RolloutRun,
    routing: &'a BackendRouting,
) -> impl Iterator<Item = &'a Arc<Workload>> {
    goals::targets(view, run)
        .filter(move |workload| is_about(view, run, routing, &workload.cluster, &workload.key.name))
}

/// The BackendRoutings of one workload.
fn routings_of<'a>(
    view: &'a RolloutView,
    run: &'a RolloutRun,
    workload: &'a Workload,
) -> impl Iterator<Item = &'a Arc<BackendRouting>> {
    let (cluster, name) = (&workload.cluster, &workload.key.name);
    view.routings.values().filter(move |routing| is_about(view, run, routing, cluster, name))
}

/// Whether a topology of the run has tied that workload to the BackendRouting.
fn is_about(view: &RolloutView, run: &RolloutRun, routing: &BackendRouting, cluster: &str, workload: &str) -> bool {
    let name = routing.metadata.name.as_deref().unwrap_or_default();
    topologies(view, run).any(|topology| {
        let mut entries = topology.status.iter().flat_map(|status| &status.topologies);
        entries.any(|entry| {
            entry.backend_routing_name == name
                && entry
                    .workload_ref
                    .as_ref()
                    .is_some_and(|reference| (&*reference.cluster, &*reference.name) == (cluster, workload))
        })
    })
}

/// What keeps a topology that the run names from carrying traffic.
fn unready(view: &RolloutView, run: &RolloutRun) -> Vec<Wait> {
    let told = |name: &String, condition: String| Wait {
        cluster: String::new(),
        object: format!("traffictopology/{name}"),
        condition,
        unblock: None,
    };
    let named = run.spec.traffic_topology_refs.iter().filter_map(|name| {
        let Some(topology) = view.topologies.get(name) else { return Some(told(name, "to be created".to_owned())) };
        let status = topology.status.as_ref();
        let ready = status.and_then(|status| super::condition::get(&status.conditions, "Ready"));
        match ready {
            Some(ready) if ready.status == "True" => None,
            Some(ready) => Some(told(name, format!("to be ready: {}", ready.message))),
            None => Some(told(name, "to be ready".to_owned())),
        }
    });
    let mut waits: Vec<_> = named.collect();
    if waits.is_empty() && concerned(view, run).next().is_none() {
        let condition = "a TrafficTopology that selects its targets: name one in spec.trafficTopologyRefs, or take traffic out of the step";
        waits.push(Wait {
            cluster: String::new(),
            object: run::object(run),
            condition: condition.to_owned(),
            unblock: None,
        });
    }
    waits
}

/// Why a BackendRouting does not show yet that requests go where they are to go.
fn not_in_force(view: &RolloutView, run: &RolloutRun, routing: &BackendRouting, shift: Shift<'_>) -> Vec<Wait> {
    let asked = |why: String| vec![wait(routing, why)];
    if shift == Shift::Origin && !is_forked(routing) {
        let backends = routing.status.as_ref().and_then(|status| status.backends.as_ref());
        let forks = backends.is_some_and(|backends| backends.stable.is_some() || backends.canary.is_some());
        let waits = clusters::waits(routing, || message(routing)).into_iter().filter(|_| forks);
        return waits
            .map(|wait| Wait { condition: format!("to give back its backend: {}", wait.condition), ..wait })
            .collect();
    }
    if let Some(other) = other_user(view, run, routing) {
        // Who asks for nothing there has given it back already, and the next one has taken it.
        if shift == Shift::Origin {
            return Vec::new();
        }
        return asked(format!("{other} to give it up: one backend cannot be split by two runs"));
    }
    if let Some(other) = holder::other(&view.routings, routing).filter(|_| shift != Shift::Origin) {
        let BackendRoutingSpec { backend, .. } = &routing.spec;
        return asked(format!("BackendRouting {other} to give up {} {}", backend.kind, backend.name));
    }
    match forked::spec(view, run, routing, shift) {
        Err(why) => return asked(why),
        Ok(wanted) => {
            if change(view, run, routing, &wanted).is_some() {
                return asked("to be told where requests go".to_owned());
            }
        }
    }
    if is_ready(routing) { Vec::new() } else { clusters::waits(routing, || message(routing)) }
}

/// Whether everything that a BackendRouting asks for now is in force.
fn is_ready(routing: &BackendRouting) -> bool {
    routing.status.as_ref().is_some_and(|status| {
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        status.observed_generation >= routing.metadata.generation.unwrap_or_default()
            && ready
                .is_some_and(|ready| ready.status == "True" && ready.observed_generation == routing.metadata.generation)
    })
}

fn message(routing: &BackendRouting) -> String {
    let conditions = routing.status.as_ref().map(|status| &status.conditions);
    let ready = conditions.and_then(|all| all.iter().find(|condition| condition.type_ == "Ready"));
    let told = ready.filter(|ready| ready.status != "True").map(|ready| ready.message.clone());
    let generation = routing.metadata.generation.unwrap_or_default();
    told.filter(|told| !told.is_empty()).unwrap_or_else(|| format!("its generation {generation} to be in force"))
}

/// Whether no route of it sends anything to the canary fork, everywhere.
fn reaches_no_canary(routing: &BackendRouting) -> bool {
    let asked = routing.spec.forwarding.as_ref().and_then(|forwarding| forwarding.http.as_ref()?.canary.as_ref());
    let status = routing.status.clone().unwrap_or_default();
    let is_clean = |entry: &crate::api::backendrouting::BackendRouteStatus| {
        let condition = entry.condition.as_ref();
        let laid = entry.forwarding.as_ref().is_some_and(|forwarding| forwarding.canary.is_some());
        // A route that is not there sends nothing.
        !laid && condition.is_some_and(|condition| condition.status == "True" || condition.reason == "Unknown")
    };
    asked.is_none()
        && status.observed_generation >= routing.metadata.generation.unwrap_or_default()
        && status.routes.iter().all(is_clean)
}

fn is_forked(routing: &BackendRouting) -> bool {
    routing.spec.forked_backends.is_some()
}

/// The mark of the run that uses a BackendRouting.
fn mark_of(routing: &BackendRouting) -> Option<ProgressingInfo> {
    let text = routing.metadata.annotations.as_ref()?.get(keys::ANNOTATION_PROGRESSING_INFO)?;
    serde_json::from_str(text).ok()
}

/// Who else uses a BackendRouting, if somebody does.
fn other_user(view: &RolloutView, run: &RolloutRun, routing: &BackendRouting) -> Option<String> {
    let name = run.metadata.name.as_deref().unwrap_or_default();
    let Some(mark) = mark_of(routing) else {
        return is_forked(routing).then(|| "whoever wrote spec.forkedBackends of it".to_owned());
    };
    if mark.rollout_id == name {
        return None;
    }
    let ours = Some(&mark.rollout) == view.rollout.metadata.name.as_ref() && view.runs.contains_key(&mark.rollout_id);
    let rollout = if mark.rollout.is_empty() { super::standalone::run_name(&mark.rollout_id) } else { mark.rollout };
    // The mark of what is gone counts for nothing.
    let live = view.other_rollouts.contains(&rollout) && !ours;
    live.then(|| in_words(&rollout))
}

fn write(view: &RolloutView, run: &RolloutRun, routing: &BackendRouting, shift: Shift<'_>) -> Option<HubWrite> {
    if routing.metadata.deletion_timestamp.is_some() || other_user(view, run, routing).is_some() {
        return None;
    }
    let has_plan = !planned::asked(view, run, routing).is_empty();
    if shift == Shift::Origin && !has_plan || holder::other(&view.routings, routing).is_some() {
        return release(routing);
    }
    // What cannot be asked for is told by the waits.
    let asked = forked::spec(view, run, routing, shift).ok()?;
    let mark = json!(goals::mark(run)).to_string();
    let change = change(view, run, routing, &asked);
    if change.is_none() && is_marked_by(run, routing) {
        return None;
    }
    let version = routing.metadata.resource_version.as_deref().unwrap_or_default();
    let mut body = patch::annotations(version, [(keys::ANNOTATION_PROGRESSING_INFO, Some(mark))]);
    if let Some(change) = change {
        body["spec"] = change;
    }
    Some(HubWrite::Patch { kind: HubKind::BackendRouting, key: patch::key(&routing.metadata), patch: body })
}

/// What of a BackendRouting's spec is another than the run asks for.
fn change(
    view: &RolloutView,
    run: &RolloutRun,
    routing: &BackendRouting,
    (forks, forwarding): &forked::Spec,
) -> Option<Value> {
    let spec = |forks: &_, forwarding: &_, policy: &RouteDriftPolicy, repaired: &_, planned: &Vec<_>| {
        let policy = (!policy.is_default()).then_some(policy);
        let planned = (!planned.is_empty()).then_some(planned);
        json!({
            "forkedBackends": forks, "forwarding": forwarding, "routeDriftPolicy": policy, "routeRepairTime": repaired,
            "planned": planned,
        })
    };
    let BackendRoutingSpec { forked_backends, forwarding: known, route_drift_policy, route_repair_time, .. } =
        &routing.spec;
    let name = routing.metadata.name.as_deref().unwrap_or_default();
    let status = run.status.clone().unwrap_or_default();
    let (policy, repaired) = drift::handling(run, &status, name, route_repair_time.as_ref());
    let before = spec(forked_backends, known, route_drift_policy, route_repair_time, &routing.spec.planned);
    let planned = planned::asked(view, run, routing);
    patch::merge_patch(&before, &spec(forks, forwarding, &policy, &repaired, &planned))
}

/// The write that says what becomes of drifts while all else stays as it is.
fn judge(view: &RolloutView, run: &RolloutRun, routing: &BackendRouting) -> Option<HubWrite> {
    let as_it_is = (routing.spec.forked_backends.clone(), routing.spec.forwarding.clone());
    let change = change(view, run, routing, &as_it_is).filter(|_| is_forked(routing) && is_marked_by(run, routing))?;
    let version = routing.metadata.resource_version.as_deref().unwrap_or_default();
    let body = json!({ "metadata": { "resourceVersion": version }, "spec": change });
    Some(HubWrite::Patch { kind: HubKind::BackendRouting, key: patch::key(&routing.metadata), patch: body })
}

/// Whether it is this run that uses a BackendRouting.
fn is_marked_by(run: &RolloutRun, routing: &BackendRouting) -> bool {
    mark_of(routing) == Some(goals::mark(run))
}

/// The write that gives a BackendRouting back, if a run has it.
fn release(routing: &BackendRouting) -> Option<HubWrite> {
    mark_of(routing)?;
    let version = routing.metadata.resource_version.as_deref().unwrap_or_default();
    let mut body = patch::annotations(version, [(keys::ANNOTATION_PROGRESSING_INFO, None)]);
    body["spec"] = json!({
        "forkedBackends": null, "forwarding": null, "routeDriftPolicy": null, "routeRepairTime": null, "planned": null,
    });
    Some(HubWrite::Patch { kind: HubKind::BackendRouting, key: patch::key(&routing.metadata), patch: body })
}

fn wait(routing: &BackendRouting, condition: String) -> Wait {
    Wait {
        cluster: routing.spec.backend.cluster.clone(),
        object: format!("backendrouting/{}", routing.metadata.name.as_deref().unwrap_or_default()),
        condition,
        unblock: None,
    }
}
