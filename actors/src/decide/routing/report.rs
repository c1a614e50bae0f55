//! What a BackendRouting shows of its forks and routes.

use std::collections::BTreeMap;

use super::{
    Case, acceptance, are_in_sight, drift, fork, forks, full_part, id, is_wanted, members, refused_plan, stored, time,
};
use crate::{
    api::{
        BackendRoutingStatus, MetaCondition, RouteDriftPolicy, Time,
        backendrouting::{
            BackendConditions, BackendRouteStatus, BackendStatus, RouteForwardingStatus, RouteForwardingStatuses,
        },
    },
    backends::Role,
    decide::{patch, route},
    intent::{HubKind, Notice, RouteGoal},
    view::{Health, RouteId, RoutingView},
};

/// A condition's status, reason and message.
pub(super) type Finding = (&'static str, &'static str, String);

pub(super) const READY: Finding = ("True", "Ready", String::new());

pub(super) fn not(reason: &'static str, message: impl Into<String>) -> Finding {
    ("False", reason, message.into())
}

/// It is not there, as far as the API shows; so nothing is sent by it either.
pub(super) fn unknown(message: impl Into<String>) -> Finding {
    ("Unknown", "Unknown", message.into())
}

/// Nobody can say yet.
fn out_of_sight(message: impl Into<String>) -> Finding {
    ("Unknown", "WaitForSync", message.into())
}

/// The whole status, given what is asked of each route.
pub(super) fn status(case: &Case<'_>, goals: &BTreeMap<RouteId, RouteGoal>) -> BackendRoutingStatus {
    let mut status = case.status.clone();
    if !case.is_forked() && is_out_of_sight(case) {
        // Nobody waits for it, and what is out of sight for a moment is no news.
        return status;
    }
    let backend = if case.is_multi() { members::backends(case, &mut status) } else { backends(case, &mut status) };
    let mut route_finding = READY;
    for entry in &mut status.routes {
        let finding = routed(case, entry, goals);
        if route_finding.0 == "True" && finding.0 != "True" {
            route_finding.clone_from(&finding);
        }
        entry.forwarding = forwarding(case, entry);
        let mut conditions: Vec<_> = entry.condition.take().into_iter().collect();
        set(case, &mut conditions, "RouteReady", finding);
        entry.condition = conditions.pop();
    }
    // What is taken out of the spec stays on record until nothing of ours is left on it.
    status.routes.retain(|entry| is_wanted(case.view, entry) || !is_clean(case, entry));
    let ready = match (&backend, &route_finding) {
        (("True", ..), ("True", ..)) => READY,
        (("True", ..), (_, _, message)) | ((_, _, message), _) => not("NotReady", message.clone()),
    };
    set(case, &mut status.conditions, "BackendReady", backend);
    set(case, &mut status.conditions, "RouteReady", route_finding);
    set(case, &mut status.conditions, "Ready", ready);
    status
}

/// Fills in the backend and its forks. Returns whether they are as they should be.
fn backends(case: &Case<'_>, status: &mut BackendRoutingStatus) -> Finding {
    let Some(shown) = &mut status.backends else { return unknown("the backend is not on record yet") };
    let kind = &case.view.routing.spec.backend.kind;
    let health = case.view.health.as_ref();
    let origin = shown.origin.as_ref().map(|origin| origin.name.clone()).unwrap_or_default();
    let is_there = case.view.backends.get(&origin).is_some_and(|backend| !backend.deleting);
    if health == Some(&Health::Ready) {
        shown.origin = Some(told(&origin, is_there, false, None));
    }
    let mut finding = match health {
        None => unknown(format!("cluster {} is no member", case.view.routing.spec.backend.cluster)),
        Some(Health::Syncing) => unknown(format!("{kind} {origin}: its cluster is being listed")),
        Some(Health::Unreachable { error, .. }) => {
            unknown(format!("{kind} {origin}: its cluster is unreachable: {error}"))
        }
        Some(Health::Ready) if is_there => READY,
        Some(Health::Ready) => not("OriginBackendNotReady", format!("{kind} {origin} not found: create it")),
    };
    if finding.0 == "True"
        && let Some(refusal) = forks::refusal(case)
    {
        finding = not("ForkRefused", refusal);
    }
    for (role, reason, entry) in [
        (Role::Stable, "StableBackendNotReady", &mut shown.stable),
        (Role::Canary, "CanaryBackendNotReady", &mut shown.canary),
    ] {
        let Some(fork) = fork(case, role) else { continue };
        let name = &fork.name;
        let error = case.view.errors.get(name).map(|error| format!(" (last attempt: {error})")).unwrap_or_default();
        if !case.is_forked() {
            // As long as a route refers to it, it is what that is known by.
            let is_gone = health == Some(&Health::Ready) && fork.existing.is_none() && !case.is_laid(role);
            *entry = (!is_gone).then(|| told(name, false, true, None));
            if !is_gone && finding.0 == "True" {
                finding = not(reason, format!("{kind} {name} to go{error}"));
            }
            continue;
        }
        let can_serve = forks::can_serve(case, role);
        *entry = Some(told(name, can_serve, false, forks::ready_since(case, role)));
        if finding.0 != "True" {
            continue;
        }
        if fork.existing.is_none() {
            finding = not(reason, format!("{kind} {name} to be made{error}"));
        } else if !fork.is_in_step() {
            finding = not(reason, format!("{kind} {name} to select other pods{error}"));
        } else if must_serve(case, role) && !can_serve {
            let seconds = case.drain().as_secs();
            let what = match forks::ready_since(case, role) {
                Some(_) => {
                    format!("gateways to know the endpoints of {kind} {name}, {seconds} s after they were ready")
                }
                None => format!("ready endpoints of {kind} {name}"),
            };
            finding = not(reason, what);
        }
    }
    finding
}

/// Whether requests are to be sent to a fork.
pub(super) fn must_serve(case: &Case<'_>, role: Role) -> bool {
    let part = full_part(case);
    match role {
        Role::Stable => part.is_none_or(|part| part.needs_stable()),
        Role::Canary => part.is_some_and(|part| part.canary.is_some() || part.mirror.is_some()),
    }
}

/// Whether nothing can be told of the backend or a route now that could be in a moment.
fn is_out_of_sight(case: &Case<'_>) -> bool {
    let is_known = |entry: &BackendRouteStatus| match id(entry) {
        Some(id) => case.view.routes.get(&id).is_some_and(|report| report.listed || report.route.is_some()),
        None => true,
    };
    case.view.health.as_ref().is_some_and(|health| *health != Health::Ready) || !case.status.routes.iter().all(is_known)
}

pub(super) fn told(name: &str, ready: bool, terminating: bool, ready_time: Option<Time>) -> BackendStatus {
    let conditions = BackendConditions { ready: Some(ready), terminating: terminating.then_some(true) };
    BackendStatus { name: name.to_owned(), conditions, ready_time }
}

/// Whether a route is as it should be, everywhere.
fn routed(case: &Case<'_>, entry: &BackendRouteStatus, goals: &BTreeMap<RouteId, RouteGoal>) -> Finding {
    let Some(id) = id(entry) else {
        return not(
            "NotImplemented",
            format!("{} {}: routes of this kind are not written yet", entry.kind, entry.name),
        );
    };
    let Some(report) = case.view.routes.get(&id) else { return out_of_sight(format!("{id} is being looked up")) };
    let Some(found) = &report.route else {
        return if report.listed {
            unknown(format!("{id} not found: create it, or take it out of the TrafficTopology"))
        } else {
            out_of_sight(format!("{id} is being looked up"))
        };
    };
    let Some(goal) = goals.get(&id) else { return not("WaitForSync", format!("{id} to be put on record")) };
    let is_given_up = drift::is_given_up(case, &id);
    if let Some(drift) = drift::of(case, &id).filter(|_| !is_given_up) {
        return not("Drifted", drift::told(case, &id, drift));
    }
    if let Some(why) = refused_plan(case, &id, report).filter(|_| is_wanted(case.view, entry)) {
        return not("PlanRefused", why);
    }
    if goal.hold && !are_in_sight(case) {
        return out_of_sight(format!("{id}: the {}s it refers to are being looked up", goal.backend.kind));
    }
    if goal.hold {
        let backend = &goal.backend;
        return not(
            "BackendNotReady",
            format!("{id} waits for ready endpoints of {} {}", backend.kind, backend.stable),
        );
    }
    let refusal = full_part(case).and_then(|part| route::refusal(report, &goal.backend, &part));
    if let Some(refusal) = refusal.filter(|_| !is_given_up) {
        return not("SyncFailed", format!("{id}: {refusal}"));
    }
    match route(report, goal) {
        Err(refusal) => return not("SyncFailed", format!("{id}: {refusal}")),
        Ok(Some(_)) => {
            let error = report.error.as_ref().map(|error| format!(" (last attempt: {error})")).unwrap_or_default();
            return not("WaitForSync", format!("{id} to be written{error}"));
        }
        Ok(None) => {}
    }
    let full = full_part(case).filter(|_| is_wanted(case.view, entry) && !is_given_up);
    if goal.part != full && acceptance::obstacle(found).is_none() {
        let backend = &goal.backend;
        if goal.part.is_some() && forks::can_serve(case, Role::Canary) {
            let seconds = case.drain().as_secs();
            let why = format!("{id} to be in force before it gets a canary, {seconds} s after it was accepted");
            return not("WaitForSync", why);
        }
        let fork = if goal.part.is_none() { &backend.stable } else { &backend.canary };
        return not("WaitForSync", format!("{id} waits for ready endpoints of {} {fork}", backend.kind));
    }
    if let Some((reason, why)) = acceptance::obstacle(found) {
        return not(reason, format!("{id}: {why}"));
    }
    // Where nothing was ever laid there is nothing that could be in force still.
    let was_laid = stored(case.stored, Role::Stable).is_some() || stored(case.stored, Role::Canary).is_some();
    if was_laid && !acceptance::is_in_force(case, entry) {
        let seconds = case.drain().as_secs();
        return not("SufficientDelayTime", format!("{id} to be in force, {seconds} s after it was accepted"));
    }
    READY
}

/// Whether nothing of ours is on a route, as far as anybody can tell.
fn is_clean(case: &Case<'_>, entry: &BackendRouteStatus) -> bool {
    let Some(id) = id(entry) else { return true };
    if id.cluster == case.view.routing.spec.backend.cluster && case.view.health.is_none() {
        return true;
    }
    let Some(report) = case.view.routes.get(&id) else { return false };
    match &report.route {
        None => report.listed,
        Some(_) => {
            !case.lays(&id, Role::Stable) && !case.lays(&id, Role::Canary) && acceptance::is_in_force(case, entry)
        }
    }
}

/// What of the forwarding is in force on a route.
fn forwarding(case: &Case<'_>, entry: &BackendRouteStatus) -> Option<RouteForwardingStatuses> {
    let id = id(entry)?;
    let backend = case.backend();
    let in_force = acceptance::is_in_force(case, entry);
    let entry = |wanted: bool, name: &str, role| {
        let laid = case.lays(&id, role);
        let conditions = BackendConditions {
            ready: Some(wanted && laid && in_force),
            terminating: (laid && !wanted).then_some(true),
        };
        (wanted || laid).then(|| RouteForwardingStatus { backend_name: name.to_owned(), conditions })
    };
    let http = case.forwarding();
    let statuses = RouteForwardingStatuses {
        origin: entry(http.is_some(), &backend.stable, Role::Stable),
        // The stable fork gets the rest as well, so that what refers to it tells nothing of rules of its own.
        stable: http.filter(|http| http.stable.is_some()).and_then(|_| entry(true, &backend.stable, Role::Stable)),
        canary: entry(http.is_some_and(|http| http.canary.is_some()), &backend.canary, Role::Canary),
    };
    (statuses != RouteForwardingStatuses::default()).then_some(statuses)
}

fn set(case: &Case<'_>, conditions: &mut Vec<MetaCondition>, kind: &str, (status, reason, message): Finding) {
    let known = conditions.iter_mut().find(|condition| condition.type_ == kind);
    let since = known.as_ref().filter(|known| known.status == status).map(|known| known.last_transition_time.clone());
    let condition = MetaCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: case.view.routing.metadata.generation,
        last_transition_time: since.unwrap_or_else(|| time(case.now)),
    };
    match known {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}

/// The events about what changed.
pub(super) fn notices(view: &RoutingView, old: &BackendRoutingStatus, new: &BackendRoutingStatus) -> Vec<Notice> {
    let meta = &view.routing.metadata;
    let event = |warning: bool, reason: &str, message: String| Notice {
        kind: HubKind::BackendRouting,
        key: patch::key(meta),
        uid: meta.uid.clone().unwrap_or_default(),
        warning,
        reason: reason.to_owned(),
        message,
    };
    let mut notices = Vec::new();
    let ready = |status: &BackendRoutingStatus| {
        let found = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        found.is_some_and(|condition| condition.status == "True")
    };
    for entry in &new.routes {
        let reason = |entry: &BackendRouteStatus| entry.condition.as_ref().map(|condition| condition.reason.clone());
        let before = old
            .routes
            .iter()
            .find(|known| (&known.kind, &known.cluster, &known.name) == (&entry.kind, &entry.cluster, &entry.name));
        let known = before.and_then(|before| before.drift.as_ref());
        if let Some(found) = entry.drift.as_ref().filter(|found| Some(*found) != known) {
            let (by, what) = (
                drift::by(found),
                if drift::is_repaired(&view.routing.spec, found) {
                    ", and is put back"
                } else if view.routing.spec.route_drift_policy == RouteDriftPolicy::Cancel {
                    ", and is taken off"
                } else {
                    ", and stays so"
                },
            );
            let message = format!("{} {}: our part of it was changed{by}{what}", entry.kind, entry.name);
            notices.push(event(true, "RouteDrifted", message));
        }
        let (before, now) = (before.and_then(reason), reason(entry));
        let Some(condition) = entry.condition.as_ref().filter(|_| before != now) else { continue };
        if matches!(&*condition.reason, "SyncFailed" | "PlanRefused") {
            notices.push(event(true, &condition.reason, condition.message.clone()));
        }
    }
    if !ready(old) && ready(new) {
        notices.push(event(false, "RouteReady", "backends and routes are as they should be".to_owned()));
    }
    notices
}
