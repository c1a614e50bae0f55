//! Whether somebody else has changed our part of a route, and what becomes of it then.
//!
//! What lay on a route whole is on record with the number of rules that bear it. Once fewer of them do, and the route's
//! rules were last written by another field manager than ours, our part has drifted. An edit beside our part is none: a
//! rule that a user adds gets its part without a word. The drift is on record until our part is there again; by policy the
//! route is left alone meanwhile, or our part is taken off it.

use jiff::{SignedDuration, Timestamp};

use super::{Case, full_part, id, is_wanted, time};
use crate::{
    api::{
        BackendRoutingSpec, BackendRoutingStatus, RouteDriftPolicy, Time,
        backendrouting::{BackendRouteStatus, LaidPart, RouteDrift},
        keys,
    },
    decide::route,
    routes::Forwarding,
    view::{Route, RouteId, RouteReport},
};

/// Puts on record what of ours lies on each route, and whether somebody else has changed it. `entries` are those of the
/// case's own status.
pub(super) fn noted(case: &Case<'_>) -> BackendRoutingStatus {
    let mut status = case.status.clone();
    for entry in &mut status.routes {
        let full = full_part(case).filter(|_| is_wanted(case.view, entry));
        let Some(full) = full else {
            (entry.laid, entry.drift) = (None, None);
            continue;
        };
        let report = id(entry).and_then(|id| case.view.routes.get(&id));
        let Some((report, route)) = report.and_then(|report| Some((report, report.route.as_ref()?))) else { continue };
        note(case, entry, report, route, &full);
    }
    status
}

fn note(case: &Case<'_>, entry: &mut BackendRouteStatus, report: &RouteReport, route: &Route, full: &Forwarding) {
    let asked = case.view.routing.metadata.generation.unwrap_or_default();
    let Some(now) = route::laid(report, &case.backend(), full) else { return };
    if now.whole {
        let rules = i32::try_from(now.kept).unwrap_or(i32::MAX);
        (entry.laid, entry.drift) = (Some(LaidPart { observed_generation: asked, rules }), None);
        return;
    }
    let Some(laid) = entry.laid.as_ref().filter(|_| entry.drift.is_none()) else { return };
    let is_asked_still = laid.observed_generation == asked;
    let manager = route::changed_by(report);
    if manager.is_none() && route.rules_manager.as_deref() == Some(keys::FIELD_MANAGER) {
        // It was us who took some of it back, as from a fork without endpoints.
        entry.laid = entry.laid.take().filter(|_| !is_asked_still);
        return;
    }
    // Of what was asked for before nobody knows any more how it looked; but whether something of it is there.
    let left = if is_asked_still { now.kept } else { now.bearing };
    if i32::try_from(left).unwrap_or(i32::MAX) < laid.rules {
        entry.drift = Some(RouteDrift {
            generation: route.generation,
            manager: manager.unwrap_or_default().to_owned(),
            time: later_than(case.view.routing.spec.route_repair_time.as_ref(), case.now),
        });
    }
}

/// The time of a drift that is seen now. It is later than that of all that were repaired, so that it is told from them.
fn later_than(repaired: Option<&Time>, now: Timestamp) -> Time {
    let next = repaired.and_then(|repaired| repaired.0.checked_add(SignedDuration::from_secs(1)).ok());
    time(next.map_or(now, |next| next.max(now)))
}

/// Whether a drift is to be repaired.
pub fn is_repaired(spec: &BackendRoutingSpec, drift: &RouteDrift) -> bool {
    let is_told = spec.route_repair_time.as_ref().is_some_and(|until| drift.time.0 <= until.0);
    !matches!(spec.route_drift_policy, RouteDriftPolicy::Pause | RouteDriftPolicy::Cancel) || is_told
}

/// The drift of a route that is not to be repaired, as seen now.
pub(super) fn of<'a>(case: &'a Case<'_>, id: &RouteId) -> Option<&'a RouteDrift> {
    unrepaired(case, case.status, id)
}

/// Whether our part is to be taken off a route, because it has drifted. That this is on record comes first: afterwards
/// nothing on the route tells of it any more.
pub(super) fn is_given_up(case: &Case<'_>, id: &RouteId) -> bool {
    case.view.routing.spec.route_drift_policy == RouteDriftPolicy::Cancel && unrepaired(case, case.stored, id).is_some()
}

fn unrepaired<'a>(case: &Case<'_>, status: &'a BackendRoutingStatus, wanted: &RouteId) -> Option<&'a RouteDrift> {
    let entry = status.routes.iter().find(|entry| id(entry).as_ref() == Some(wanted))?;
    entry.drift.as_ref().filter(|drift| !is_repaired(&case.view.routing.spec, drift))
}

/// What is said of it.
pub(super) fn told(case: &Case<'_>, id: &RouteId, drift: &RouteDrift) -> String {
    let what = match case.view.routing.spec.route_drift_policy {
        RouteDriftPolicy::Cancel => "it is taken off, and the run is canceled",
        _ => "it stays so until the run is given the command retry",
    };
    format!("{id}: our part of it was changed{}: {what}", by(drift))
}

/// Who did it, where that is known.
pub(super) fn by(drift: &RouteDrift) -> String {
    if drift.manager.is_empty() { String::new() } else { format!(" by {}", drift.manager) }
}
