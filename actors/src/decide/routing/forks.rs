//! The forks of a backend: made, kept in step with it, and taken away.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::{Case, acceptance, fork, stored, time};
use crate::{
    api::{Time, backendrouting::ForkedBackend},
    backends::{self, Role},
    intent::BackendWrite,
    view::{Backend, Health, ObjectKey, RouteId},
};

/// Both forks.
const ROLES: [Role; 2] = [Role::Stable, Role::Canary];

/// A fork that is on record.
pub(super) struct Fork<'a> {
    pub(super) name: String,
    /// What is there under its name.
    pub(super) existing: Option<&'a Arc<Backend>>,
    /// What it is to be, while it is wanted and can be made.
    pub(super) wanted: Option<Value>,
    /// Why it cannot be made.
    refusal: Option<String>,
    /// Its endpoints that are ready.
    ready: usize,
    /// Since when it is ready, as stored.
    ready_since: Option<Time>,
}

impl<'a> Fork<'a> {
    pub(super) fn of(case: &'a Case<'a>, role: Role) -> Option<Self> {
        let name = stored(case.stored, role)?.name.clone();
        let existing = case.view.backends.get(&name);
        let spec = case.view.routing.spec.forked_backends.as_ref().filter(|_| case.is_forked());
        let spec = spec.map(|forks| if role == Role::Stable { &forks.stable } else { &forks.canary });
        let origin = case.view.backends.get(&case.view.routing.spec.backend.name);
        let made = spec.zip(origin).map(|(spec, origin)| {
            // The name on record stands until the fork is gone.
            let spec = ForkedBackend { name: name.clone(), ..spec.clone() };
            backends::fork(&origin.object, &spec, role).map_err(|refusal| refusal.to_string())
        });
        let foreign = existing
            .filter(|existing| !backends::is_fork(&existing.object))
            .map(|_| format!("{} {name} exists and is no fork: rename it", case.view.routing.spec.backend.kind));
        let (wanted, refused) = match made {
            Some(Ok(wanted)) => (Some(wanted), None),
            Some(Err(refusal)) => (None, Some(refusal)),
            None => (None, None),
        };
        let ready = case.view.ready.get(&name).copied().unwrap_or(0);
        let ready_since = stored(case.stored, role).and_then(|fork| fork.ready_time.clone());
        Some(Self { name, existing, wanted, refusal: foreign.or(refused), ready, ready_since })
    }

    /// The patch that brings it in step, and whether it then selects other pods.
    fn patch(&self) -> Option<(Value, bool)> {
        if self.is_another() {
            return None;
        }
        let patch = backends::patch(&self.existing?.object, self.wanted.as_ref()?)?;
        let selects_others = !patch["spec"]["selector"].is_null();
        Some((patch, selects_others))
    }

    /// Whether only another object could be what it is to be. It serves as it is until no request can reach it.
    fn is_another(&self) -> bool {
        let both = self.existing.zip(self.wanted.as_ref());
        both.is_some_and(|(existing, wanted)| backends::has_to_be_replaced(&existing.object, wanted))
    }

    fn is_ready(&self) -> bool {
        self.is_in_step() && self.ready > 0
    }

    /// Whether it is there and selects the pods it is to select.
    pub(super) fn is_in_step(&self) -> bool {
        let there = self.existing.is_some_and(|existing| !existing.deleting) && self.refusal.is_none();
        there && self.wanted.is_some() && self.patch().is_none_or(|(_, selects_others)| !selects_others)
    }
}

/// Whether requests may be sent to a fork: it selects the right pods, some are ready, and unless it gets requests already
/// every gateway has had the time to know them.
pub(super) fn can_serve(case: &Case<'_>, role: Role) -> bool {
    let is_ready = fork(case, role).is_some_and(|fork| fork.is_ready());
    is_ready
        && (case.is_served(role) || refusal(case).is_none() && known_at(case, role).is_some_and(|at| at <= case.now))
}

/// Why a fork cannot be made, if one cannot.
pub(super) fn refusal(case: &Case<'_>) -> Option<String> {
    ROLES.iter().filter(|_| case.is_forked()).find_map(|role| fork(case, *role)?.refusal)
}

/// Since when a fork is ready, if it is.
pub(super) fn ready_since(case: &Case<'_>, role: Role) -> Option<Time> {
    let fork = fork(case, role)?;
    if case.view.health != Some(Health::Ready) {
        // What is out of sight for a moment, as after a start, is no less ready for that.
        return fork.ready_since;
    }
    fork.is_ready().then(|| fork.ready_since.unwrap_or_else(|| time(case.now)))
}

/// When every gateway will know the endpoints of a fork.
fn known_at(case: &Case<'_>, role: Role) -> Option<Timestamp> {
    case.settled(&ready_since(case, role)?)
}

/// When the passing of time alone lets requests go to a fork.
pub(super) fn due(case: &Case<'_>) -> Option<Timestamp> {
    let waiting = ROLES.iter().filter(|role| case.is_forked() && !case.is_served(**role));
    waiting.filter_map(|role| known_at(case, *role)).filter(|at| *at > case.now).min()
}

/// Whether nothing of the forks is left.
pub(super) fn all_gone(case: &Case<'_>) -> bool {
    // A cluster that is no member any more has nothing that could be taken back.
    case.view.health.is_none()
        || case.view.health == Some(Health::Ready)
            && ROLES.iter().all(|role| {
                fork(case, *role)
                    .is_none_or(|fork| fork.existing.is_none_or(|existing| !backends::is_fork(&existing.object)))
            })
}

/// The writes that are due.
pub(super) fn writes(case: &Case<'_>) -> Vec<BackendWrite> {
    if case.view.health != Some(Health::Ready) {
        return Vec::new();
    }
    ROLES.iter().filter_map(|role| write(case, *role)).collect()
}

fn write(case: &Case<'_>, role: Role) -> Option<BackendWrite> {
    let fork = fork(case, role)?;
    let namespace = case.view.routing.metadata.namespace.clone().unwrap_or_default();
    let key = ObjectKey { namespace, name: fork.name.clone() };
    if case.is_forked() {
        // Where one cannot be made the other is of no use.
        if refusal(case).is_some() {
            return None;
        }
        // The endpoints of what it selected before are shown for a while after: they must not count as its own.
        let is_unready = fork.ready_since.is_none();
        let Some(existing) = fork.existing else {
            return fork.wanted.filter(|_| is_unready).map(|object| BackendWrite::Create { key, object });
        };
        if fork.is_another() {
            return delete(case, role, key, existing);
        }
        let (patch, selects_others) = fork.patch().filter(|_| !existing.deleting)?;
        // The pods it selects now are not taken away from requests that still go there, if there are any.
        let is_free = fork.ready == 0 || gets_nothing(case, |case, id| case.sends(id, role));
        return (!selects_others || is_unready && is_free).then_some(BackendWrite::Patch { key, patch });
    }
    let existing = fork.existing.filter(|existing| backends::is_fork(&existing.object))?;
    delete(case, role, key, existing)
}

/// Deletes a fork once no request can reach it.
fn delete(case: &Case<'_>, role: Role, key: ObjectKey, existing: &Backend) -> Option<BackendWrite> {
    (!existing.deleting && is_unused(case, role)).then(|| BackendWrite::Delete {
        key,
        uid: existing.uid.clone(),
        resource_version: existing.resource_version.clone(),
    })
}

/// Whether no request can reach a fork any more: no route refers to it, and that is in force.
pub(super) fn is_unused(case: &Case<'_>, role: Role) -> bool {
    gets_nothing(case, |case, id| case.lays(id, role))
}

/// Whether no route reaches a fork, and that is in force.
fn gets_nothing(case: &Case<'_>, reaches: impl Fn(&Case<'_>, &RouteId) -> bool) -> bool {
    case.status.routes.iter().all(|entry| {
        let Some(id) = super::id(entry) else { return true };
        let Some(report) = case.view.routes.get(&id) else { return false };
        match &report.route {
            Some(_) => !reaches(case, &id) && acceptance::is_in_force(case, entry),
            // A route that is not there sends nothing.
            None => report.listed,
        }
    })
}
