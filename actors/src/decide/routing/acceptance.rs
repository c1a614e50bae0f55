//! Since when a route's gateways have accepted it as it is, and whether they have had the time to act on it.

use jiff::Timestamp;
use serde_json::Value;

use super::{Case, id, stored, time};
use crate::{
    api::{
        BackendRoutingStatus,
        backendrouting::{BackendRouteStatus, RouteAcceptance},
    },
    backends::Role,
    decide::route,
    view::{Route, RoutingView},
};

/// Puts on record since when each route is accepted.
pub(super) fn note(view: &RoutingView, status: &mut BackendRoutingStatus, now: Timestamp) {
    let canary = stored(status, Role::Canary).map(|fork| fork.name.clone()).unwrap_or_default();
    for entry in &mut status.routes {
        let report = id(entry).and_then(|id| view.routes.get(&id));
        // What is out of sight for a moment, as after a start, is no less accepted for that.
        if report.is_none_or(|report| report.route.is_none() && !report.listed) {
            continue;
        }
        let accepted = report.and_then(|report| {
            let route = report.route.as_ref().filter(|route| obstacle(route).is_none())?;
            let said = route::said(route, &report.canaries, &view.routing.spec.backend.kind, &canary);
            Some((route.generation, said))
        });
        let known = entry.acceptance.take();
        entry.acceptance = accepted.map(|(generation, canary)| {
            let same = known.as_ref().filter(|known| known.generation == generation);
            let since = same.map_or_else(|| time(now), |known| known.time.clone());
            // What is first seen is as old as the route is to us.
            let canary_time =
                known.and_then(|known| if known.canary == canary { known.canary_time } else { Some(time(now)) });
            RouteAcceptance { generation, time: since, canary, canary_time }
        });
    }
}

/// Why the route as it is cannot be taken to be in force anywhere.
pub(super) fn obstacle(route: &Route) -> Option<(&'static str, String)> {
    if let Some(extension) = &route.extension {
        return extended(extension, route.generation);
    }
    route.unaccepted.clone().map(|why| ("OutOfSync", why))
}

/// Whether every gateway that may still act on an earlier state of the route has had the time not to.
pub(super) fn is_in_force(case: &Case<'_>, entry: &BackendRouteStatus) -> bool {
    in_force_at(case, entry).is_some_and(|at| at <= case.now)
}

/// The same of the route itself, whatever becomes of the canary Ingress beside it.
pub(super) fn is_itself_in_force(case: &Case<'_>, entry: &BackendRouteStatus) -> bool {
    let at = entry.acceptance.as_ref().and_then(|acceptance| case.settled(&acceptance.time));
    at.is_some_and(|at| at <= case.now)
}

/// When the route as it is will be in force.
fn in_force_at(case: &Case<'_>, entry: &BackendRouteStatus) -> Option<Timestamp> {
    let acceptance = entry.acceptance.as_ref()?;
    let of_canary = acceptance.canary_time.as_ref().and_then(|time| case.settled(time));
    case.settled(&acceptance.time).max(of_canary)
}

/// When the passing of time alone changes what is decided.
pub(super) fn due(case: &Case<'_>) -> Option<Timestamp> {
    let itself = |entry: &BackendRouteStatus| case.settled(&entry.acceptance.as_ref()?.time);
    let times = case.status.routes.iter().flat_map(|entry| [itself(entry), in_force_at(case, entry)]).flatten();
    times.filter(|at| *at > case.now).min()
}

/// What the annotation `condition-extension` says, where something other than a gateway's status tells of the route.
fn extended(text: &str, generation: i64) -> Option<(&'static str, String)> {
    let parsed: Value = serde_json::from_str(text).unwrap_or_default();
    let conditions = parsed["conditions"].as_array().or(parsed.as_array()).map(Vec::as_slice).unwrap_or_default();
    if conditions.is_empty() {
        return Some(("GetConditionsFailed", "annotation condition-extension holds no conditions".to_owned()));
    }
    let find = |wanted: &str| conditions.iter().find(|condition| condition["type"] == wanted);
    let Some((condition, name)) = find("Ready").zip(Some("Ready")).or(find("Synced").zip(Some("Synced"))) else {
        return Some(("Unknown", "annotation condition-extension has neither Ready nor Synced".to_owned()));
    };
    if condition["observedGeneration"].as_i64() != Some(generation) {
        return Some(("OutOfSync", format!("{name} of condition-extension is not about generation {generation} yet")));
    }
    let reason = if name == "Ready" { "ConditionExtensionNotReady" } else { "ConditionExtensionNotSynced" };
    (condition["status"] != "True").then(|| (reason, format!("{name} of condition-extension is not True")))
}
