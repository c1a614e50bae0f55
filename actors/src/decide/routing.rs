//! One BackendRouting: the forks of its backend, and our part of its routes.
//!
//! Capacity before traffic: a route refers to a fork only once that has ready endpoints, and has had them for as long as
//! a gateway may not know of them. Traffic before removal: a fork
//! goes, or selects other pods, only once no route refers to it, every route's gateways have accepted that, and the time
//! has passed in which they may go on as before. What is stored in status authorises each effect: the names of the forks,
//! and the routes, stand there before anything is made or written.

mod acceptance;
mod drift;
mod forks;
mod members;
mod report;
mod sites;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

pub use self::drift::is_repaired;
use self::{forks::Fork, sites::Site};
use super::{condition, patch, route};
use crate::{
    api::{
        BackendRouting, BackendRoutingStatus, RouteDriftPolicy, Time,
        backendrouting::{BackendRouteStatus, BackendStatus, BackendStatuses, ClusterBackendStatus, HttpForwarding},
        keys,
    },
    backends::Role,
    intent::{HubKind, HubWrite, RouteGoal, RoutingDecision},
    routes::{self, Canary, Forwarding, Mirror, Rest, Share, Stable},
    view::{RouteId, RouteKind, RouteReport, RoutingView},
};

/// How long a gateway may go on as before after a change that the API shows, unless the spec says otherwise.
const DRAIN_SECONDS: i32 = 30;

/// The traffic type of a backend that several clusters export.
pub(super) const MULTI_CLUSTER: &str = "MultiCluster";

/// Decides the next step of one BackendRouting.
pub fn routing(view: &RoutingView, now: Timestamp) -> RoutingDecision {
    let meta = &view.routing.metadata;
    let deleting = meta.deletion_timestamp.is_some();
    let protected = meta.finalizers.iter().flatten().any(|finalizer| finalizer == keys::FINALIZER_PROTECTION);
    if !protected {
        let write = (!deleting).then(|| write_finalizers(&view.routing, true));
        return RoutingDecision { write, ..RoutingDecision::default() };
    }
    let old = view.routing.status.clone().unwrap_or_default();
    let mut status = old.clone();
    status.observed_generation = meta.generation.unwrap_or_default();
    enlist(view, &mut status);
    acceptance::note(view, &mut status, now);
    let status = drift::noted(&Case { view, stored: &old, status: &status, now });
    let case = Case { view, stored: &old, status: &status, now };
    let mut decision = RoutingDecision {
        backends: forks::writes(&case),
        members: forks::member_writes(&case),
        routes: goals(&case),
        wake: acceptance::due(&case).into_iter().chain(forks::due(&case)).min().map(|at| (at, "a change is in force")),
        ..RoutingDecision::default()
    };
    let shown = report::status(&case, &decision.routes);
    decision.notices = report::notices(view, &old, &shown);
    let is_done = deleting && forks::all_gone(&case) && shown.routes.is_empty();
    decision.write =
        if is_done { Some(write_finalizers(&view.routing, false)) } else { write_status(view, &old, &shown) };
    decision
}

/// Whether several clusters export the backend.
pub fn is_multi(routing: &BackendRouting) -> bool {
    routing.spec.traffic_type == MULTI_CLUSTER
}

/// What the parts of one decision share.
struct Case<'a> {
    view: &'a RoutingView,
    /// The status as stored: what it names may be written.
    stored: &'a BackendRoutingStatus,
    /// The status with what was seen of routes now.
    status: &'a BackendRoutingStatus,
    now: Timestamp,
}

impl Case<'_> {
    /// Whether forks are wanted at all.
    fn is_forked(&self) -> bool {
        self.view.routing.metadata.deletion_timestamp.is_none() && self.view.routing.spec.forked_backends.is_some()
    }

    /// Whether several clusters export the backend.
    fn is_multi(&self) -> bool {
        is_multi(&self.view.routing)
    }

    /// How requests are to be spread, if they are.
    fn forwarding(&self) -> Option<&HttpForwarding> {
        let forwarding = self.view.routing.spec.forwarding.as_ref().filter(|_| self.is_forked())?;
        forwarding.http.as_ref().filter(|http| http.origin.is_some())
    }

    /// The backend with the names of its forks: those on record, or those that are to be. Where there are neither, nothing
    /// on any route is ours, whatever another BackendRouting has made of the backend.
    fn backend(&self) -> routes::Backend {
        let spec = &self.view.routing.spec;
        let group = spec.backend.api_version.split_once('/').map_or("", |(group, _)| group);
        let of = |status, role| stored(status, role).map(|fork| fork.name.clone());
        let name = |role| of(self.stored, role).or_else(|| of(self.status, role));
        routes::Backend {
            group: group.to_owned(),
            kind: spec.backend.kind.clone(),
            namespace: self.view.routing.metadata.namespace.clone().unwrap_or_default(),
            origin: spec.backend.name.clone(),
            stable: name(Role::Stable).unwrap_or_default(),
            canary: name(Role::Canary).unwrap_or_default(),
        }
    }

    /// Whether the route refers to a fork.
    fn lays(&self, id: &RouteId, role: Role) -> bool {
        self.refers(id, role, route::lays)
    }

    fn refers(&self, id: &RouteId, role: Role, how: fn(&RouteReport, &str, &str) -> bool) -> bool {
        let backend = self.backend();
        let name = if role == Role::Stable { &backend.stable } else { &backend.canary };
        self.view.routes.get(id).is_some_and(|report| how(report, &backend.kind, name))
    }

    /// Whether the route sends requests to a fork.
    fn sends(&self, id: &RouteId, role: Role) -> bool {
        self.refers(id, role, route::sends)
    }

    /// Whether any route refers to a fork.
    fn is_laid(&self, role: Role) -> bool {
        self.view.routes.keys().any(|id| self.lays(id, role))
    }

    /// Whether any route sends requests to a fork.
    fn is_served(&self, role: Role) -> bool {
        self.view.routes.keys().any(|id| self.sends(id, role))
    }

    /// When what the API shows since then is in force everywhere. One second more, because records are in whole ones.
    fn settled(&self, since: &Time) -> Option<Timestamp> {
        since.0.checked_add(self.drain()).ok()?.checked_add(SignedDuration::from_secs(1)).ok()
    }

    fn drain(&self) -> SignedDuration {
        let seconds = self.view.routing.spec.drain_seconds.unwrap_or(DRAIN_SECONDS);
        SignedDuration::from_secs(seconds.max(0).into())
    }
}

/// What a status has on record of a fork.
fn stored(status: &BackendRoutingStatus, role: Role) -> Option<&BackendStatus> {
    let backends = status.backends.as_ref()?;
    if role == Role::Stable { backends.stable.as_ref() } else { backends.canary.as_ref() }
}

/// Puts on record what may be made and written: the names of the forks, and the routes.
fn enlist(view: &RoutingView, status: &mut BackendRoutingStatus) {
    let spec = &view.routing.spec;
    let deleting = view.routing.metadata.deletion_timestamp.is_some();
    let backends = status.backends.get_or_insert_with(BackendStatuses::default);
    let named = |name: &str| BackendStatus { name: name.to_owned(), ..BackendStatus::default() };
    // The backend of what is forked is not another one before the forks are gone.
    let is_free = backends.stable.is_none() && backends.canary.is_none();
    if backends.origin.as_ref().is_none_or(|origin| is_free && origin.name != spec.backend.name) {
        backends.origin = Some(named(&spec.backend.name));
    }
    if let Some(forks) = spec.forked_backends.as_ref().filter(|_| !deleting) {
        backends.stable.get_or_insert_with(|| named(&forks.stable.name));
        backends.canary.get_or_insert_with(|| named(&forks.canary.name));
    }
    if deleting {
        return;
    }
    for name in spec.clusters.iter().filter(|_| spec.forked_backends.is_some()) {
        if !status.clusters.iter().any(|known| known.name == *name) {
            status.clusters.push(ClusterBackendStatus { name: name.clone(), ..ClusterBackendStatus::default() });
        }
    }
    for reference in &spec.routes {
        let is_it = |known: &BackendRouteStatus| {
            (&known.kind, &known.cluster, &known.name) == (&reference.kind, &reference.cluster, &reference.name)
        };
        if !status.routes.iter().any(is_it) {
            status.routes.push(BackendRouteStatus {
                api_version: reference.api_version.clone(),
                kind: reference.kind.clone(),
                cluster: reference.cluster.clone(),
                name: reference.name.clone(),
                ..BackendRouteStatus::default()
            });
        }
    }
}

/// The route that an entry of the status is about.
pub(super) fn id(route: &BackendRouteStatus) -> Option<RouteId> {
    let kind = RouteKind::parse(&route.kind)?;
    Some(RouteId { cluster: route.cluster.clone(), kind, name: route.name.clone() })
}

/// Whether the spec names a route, and is there to stay.
fn is_wanted(view: &RoutingView, route: &BackendRouteStatus) -> bool {
    let named = view.routing.spec.routes.iter().any(|reference| {
        (&route.kind, &route.cluster, &route.name) == (&reference.kind, &reference.cluster, &reference.name)
    });
    named && view.routing.metadata.deletion_timestamp.is_none()
}

/// What each route on record is to be.
fn goals(case: &Case<'_>) -> BTreeMap<RouteId, RouteGoal> {
    let known = case.stored.routes.iter().filter_map(|route| Some((id(route)?, is_wanted(case.view, route))));
    known.map(|(id, wanted)| (id.clone(), goal(case, &id, wanted))).collect()
}

/// As much of the forwarding as may be laid over a route now.
fn goal(case: &Case<'_>, id: &RouteId, wanted: bool) -> RouteGoal {
    let backend = case.backend();
    let full = full_part(case).filter(|_| wanted && !drift::is_given_up(case, id));
    let report = case.view.routes.get(id).filter(|report| report.route.is_some());
    let is_laid = case.lays(id, Role::Stable) || case.lays(id, Role::Canary);
    // What cannot be written whole is not begun.
    // Nor is anything begun on a route that its gateways do not take as it is.
    let may_begin = |part: &Forwarding| {
        let fits = |report: &RouteReport| {
            report.route.as_ref().is_none_or(|route| acceptance::obstacle(route).is_none())
                && route::refusal(report, &backend, part).is_none()
        };
        is_laid || report.is_none_or(fits)
    };
    let can_serve = |role| case.sends(id, role) || forks::can_serve(case, role);
    let part = full.clone().filter(may_begin).map(|part| {
        let may_serve = forks::can_serve(case, Role::Canary) && may_have_canary(case, id, part.rest);
        if may_serve { part } else { Forwarding { canary: None, mirror: None, ..part } }
    });
    let part = part.filter(|part| !part.needs_stable() || can_serve(Role::Stable));
    // What is laid stays as it is until what is to take over can.
    let waits = full.is_some() && part.is_none() && is_laid;
    // Forks that are not seen may serve all the same, and a route that is not seen may refer to them: after a start
    // nothing is taken away before all of it is listed.
    let part = part.or_else(|| rest_of_canary(case, id).filter(|_| full.is_none()));
    let are_in_sight = are_in_sight(case);
    // And where a member is out of sight, the new version gets no more requests than it does.
    let sends = full.as_ref().is_some_and(|part| part.canary.is_some() || part.mirror.is_some());
    let is_unsure = case.is_multi() && sends && !are_in_sight;
    let is_unseen = is_unsure || part != full && (report.is_none() || !are_in_sight);
    // What has drifted is not laid again; but whoever made of it what it is, requests do not go where nobody answers.
    let starves = case.lays(id, Role::Canary) && !forks::can_serve(case, Role::Canary);
    let drifted = full.is_some() && drift::of(case, id).is_some() && !starves;
    let part = if waits { full } else { part };
    let route = report.and_then(|report| report.route.as_ref()).filter(|_| part.is_some());
    let is_judged = case.view.routing.spec.route_drift_policy != RouteDriftPolicy::Repair;
    let only_over = route.map(|route| route.generation).filter(|_| is_judged);
    RouteGoal { backend, part, hold: waits || is_unseen || drifted, only_over }
}

/// Whether nothing that the forks depend on is out of sight.
fn are_in_sight(case: &Case<'_>) -> bool {
    [Role::Stable, Role::Canary].into_iter().all(|role| sites::are_in_sight(case, role))
}

/// What stays of our part of an Ingress until its canary is out of force, which goes as an object of its own: were the user's
/// backend to get the rest before, the new version would have its share of that beside the canary's.
fn rest_of_canary(case: &Case<'_>, id: &RouteId) -> Option<Forwarding> {
    let is_gone = !case.lays(id, Role::Canary) && entry(case, id).is_some_and(|it| acceptance::is_in_force(case, it));
    (id.kind == RouteKind::Ingress && case.lays(id, Role::Stable) && !is_gone).then(Forwarding::default)
}

/// Whether a route may send requests to the canary fork as far as it goes itself. The canary of an Ingress comes as an object
/// of its own, and for the same reason once the rest is where it is to be, and that is in force.
fn may_have_canary(case: &Case<'_>, id: &RouteId, rest: Rest) -> bool {
    let is_laid = rest == Rest::Origin || case.lays(id, Role::Stable);
    let is_in_force = || entry(case, id).is_some_and(|it| acceptance::is_itself_in_force(case, it));
    id.kind != RouteKind::Ingress || case.lays(id, Role::Canary) || is_laid && is_in_force()
}

/// What is on record of a route.
fn entry<'a>(case: &'a Case<'_>, id: &RouteId) -> Option<&'a BackendRouteStatus> {
    case.status.routes.iter().find(|entry| self::id(entry).as_ref() == Some(id))
}

/// The forwarding that the spec asks for.
fn full_part(case: &Case<'_>) -> Option<Forwarding> {
    Some(part(case, case.forwarding()?))
}

/// What of ours a route would bear by a forwarding.
fn part(case: &Case<'_>, http: &HttpForwarding) -> Forwarding {
    let canary = http.canary.as_ref().and_then(|canary| {
        let share = match canary.weight {
            Some(weight) => Share::Weight(weight),
            None if canary.matches.is_empty() => return None,
            None => Share::Matches(canary.matches.clone()),
        };
        Some(Canary { share, filters: canary.filters.clone() })
    });
    let mirror = http.canary.as_ref().and_then(|canary| canary.mirror.as_ref()).map(|mirror| match &mirror.fraction {
        Some(fraction) => Mirror::Fraction(fraction.clone()),
        None => Mirror::Percent(mirror.percent.unwrap_or(100)),
    });
    let rest = match &http.origin {
        Some(origin) if origin.backend_name == case.view.routing.spec.backend.name => Rest::Origin,
        _ => Rest::Stable,
    };
    let stable =
        http.stable.as_ref().map(|stable| Stable { matches: stable.matches.clone(), filters: stable.filters.clone() });
    Forwarding { rest, stable, canary, mirror }
}

/// Why a step of a run could not have what it will ask for of a route as it is. What lies over the route by then is our
/// part already, and each step is looked at as it comes.
fn refused_plan(case: &Case<'_>, id: &RouteId, report: &RouteReport) -> Option<String> {
    if case.lays(id, Role::Stable) || case.lays(id, Role::Canary) {
        return None;
    }
    let mut backend = case.backend();
    for (name, suffix) in [(&mut backend.stable, "stable"), (&mut backend.canary, "canary")] {
        if name.is_empty() {
            *name = format!("{}-{suffix}", backend.origin);
        }
    }
    case.view.routing.spec.planned.iter().find_map(|planned| {
        let part = part(case, &planned.http);
        let refusal = route::refusal(report, &backend, &part)?;
        Some(format!("{id} cannot have what {} will ask for: {refusal}", planned.step))
    })
}

fn write_finalizers(routing: &BackendRouting, protect: bool) -> HubWrite {
    let meta = &routing.metadata;
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    finalizers.retain(|finalizer| finalizer != keys::FINALIZER_PROTECTION);
    if protect {
        finalizers.push(keys::FINALIZER_PROTECTION.to_owned());
    }
    let version = meta.resource_version.as_deref().unwrap_or_default();
    HubWrite::Patch {
        kind: HubKind::BackendRouting,
        key: patch::key(meta),
        patch: patch::finalizers(version, &finalizers),
    }
}

fn write_status(view: &RoutingView, old: &BackendRoutingStatus, status: &BackendRoutingStatus) -> Option<HubWrite> {
    let meta = &view.routing.metadata;
    (view.routing.status.is_none() || old != status).then(|| HubWrite::PatchStatus {
        kind: HubKind::BackendRouting,
        key: patch::key(meta),
        patch: patch::status(meta.resource_version.as_deref(), old, status),
    })
}

/// A time as status keeps it.
fn time(now: Timestamp) -> Time {
    condition::time(now)
}

/// What can be said now of the fork of a backend of one cluster.
fn fork<'a>(case: &'a Case<'a>, role: Role) -> Option<Fork<'a>> {
    Fork::of(case, Site::all(case).first()?, role)
}
