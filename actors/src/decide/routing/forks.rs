//! The forks of a backend: made, kept in step with it, and taken away.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Case, acceptance, members,
    sites::{self, Site},
    stored, time,
};
use crate::{
    api::{Time, backendrouting::ForkedBackend, keys::MULTICLUSTER_API},
    backends::{self, Role},
    intent::{BackendWrite, MemberWrite},
    view::{Backend, Export, ObjectKey, RouteId},
};

/// Both forks.
const ROLES: [Role; 2] = [Role::Stable, Role::Canary];

/// A fork that is on record, in one cluster.
pub(super) struct Fork<'a> {
    pub(super) name: String,
    /// What is there under its name.
    pub(super) existing: Option<&'a Arc<Backend>>,
    /// Whether it is to be there.
    is_asked: bool,
    /// What it is to be, while it is wanted and can be made.
    pub(super) wanted: Option<Value>,
    /// Why it cannot be made.
    pub(super) refusal: Option<String>,
    /// Its endpoints that are ready.
    pub(super) ready: usize,
    /// Whether other clusters have to reach it.
    is_shared: bool,
    /// What lets them.
    pub(super) export: Option<&'a Arc<Export>>,
}

impl<'a> Fork<'a> {
    pub(super) fn of(case: &'a Case<'a>, site: &Site<'a>, role: Role) -> Option<Self> {
        let name = stored(case.stored, role)?.name.clone();
        let existing = site.backends.get(&name);
        let asked = site.asked(case, role);
        let is_asked = asked.is_some();
        let origin = site.backends.get(&case.view.routing.spec.backend.name);
        let made = asked.zip(origin).map(|(spec, origin)| {
            // The name on record stands until the fork is gone.
            let spec = ForkedBackend { name: name.clone(), ..spec };
            backends::fork(&origin.object, &spec, role).map_err(|refusal| refusal.to_string())
        });
        let (wanted, refused) = match made {
            Some(Ok(wanted)) => (Some(wanted), None),
            Some(Err(refusal)) => (None, Some(refusal)),
            None => (None, None),
        };
        let foreign = existing
            .filter(|existing| !backends::is_fork(&existing.object))
            .map(|_| format!("{} {name} exists and is no fork: rename it", site.kind(case)));
        let (is_shared, export) = (site.member.is_some(), site.export(&name));
        let refusal = foreign.or(refused).or_else(|| unexported(site, &name).filter(|_| is_asked));
        let ready = site.ready.get(&name).copied().unwrap_or(0);
        Some(Self { name, existing, is_asked, wanted, refusal, ready, is_shared, export })
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

    pub(super) fn is_ready(&self) -> bool {
        self.is_in_step() && self.ready > 0 && self.is_exported()
    }

    /// Whether other clusters can reach it, as far as they have to.
    pub(super) fn is_exported(&self) -> bool {
        !self.is_shared || self.export.is_some_and(|export| !export.deleting && export.invalid.is_none())
    }

    /// Whether nothing of it is left.
    pub(super) fn is_gone(&self) -> bool {
        let exported = self.export.is_some_and(|export| export.is_fork);
        !exported && self.existing.is_none_or(|existing| !backends::is_fork(&existing.object))
    }

    /// Whether it is there and selects the pods it is to select.
    pub(super) fn is_in_step(&self) -> bool {
        let there = self.existing.is_some_and(|existing| !existing.deleting) && self.refusal.is_none();
        there && self.wanted.is_some() && self.patch().is_none_or(|(_, selects_others)| !selects_others)
    }
}

/// What is said where the kind is not known.
pub(super) fn unserved_exports() -> String {
    format!(
        "{MULTICLUSTER_API} ServiceExport is not served: install an implementation of the Multi-Cluster Services API"
    )
}

/// Why a fork cannot be exported.
fn unexported(site: &Site<'_>, name: &str) -> Option<String> {
    if site.member.is_none() || !site.is_in_sight() {
        return None;
    }
    if site.exports.is_none() {
        return Some(unserved_exports());
    }
    let foreign = site.export(name).is_some_and(|export| !export.is_fork);
    foreign.then(|| format!("ServiceExport {name} exists and is none of a fork: rename it"))
}

/// Whether requests may be sent to a fork: it selects the right pods, some are ready, and unless it gets requests already
/// they are so in every cluster that it is to serve in, and every gateway has had the time to know them.
pub(super) fn can_serve(case: &Case<'_>, role: Role) -> bool {
    if case.is_served(role) {
        let is_ready = |site: Site<'_>| Fork::of(case, &site, role).is_some_and(|fork| fork.is_ready());
        return is_imported(case, role) && sites::needed(case, role).into_iter().any(is_ready);
    }
    is_ready(case, role) && refusal(case).is_none() && known_at(case, role).is_some_and(|at| at <= case.now)
}

/// Whether a fork is ready in every cluster that it is to serve in.
fn is_ready(case: &Case<'_>, role: Role) -> bool {
    let sites = sites::needed(case, role);
    let is_ready = |site: &Site<'_>| Fork::of(case, site, role).is_some_and(|fork| fork.is_ready());
    is_imported(case, role) && !sites.is_empty() && sites.iter().all(is_ready)
}

/// Whether the routes' cluster knows a fork of several clusters.
pub(super) fn is_imported(case: &Case<'_>, role: Role) -> bool {
    let Some(imports) = case.view.imports.as_ref().filter(|_| case.is_multi()) else { return !case.is_multi() };
    stored(case.stored, role).is_some_and(|fork| imports.contains(&fork.name))
}

/// Why a fork cannot be made, if one cannot.
pub(super) fn refusal(case: &Case<'_>) -> Option<String> {
    if case.is_forked() && members::imports_nothing(case) {
        return Some(members::unserved_imports(case));
    }
    Site::all(case).iter().filter(|_| case.is_forked()).find_map(|site| {
        let why = ROLES.iter().find_map(|role| Fork::of(case, site, *role)?.refusal)?;
        Some(site.member.map_or_else(|| why.clone(), |cluster| format!("cluster {cluster}: {why}")))
    })
}

/// Since when a fork is ready, if it is.
pub(super) fn ready_since(case: &Case<'_>, role: Role) -> Option<Time> {
    let known = stored(case.stored, role)?.ready_time.clone();
    if !sites::are_in_sight(case, role) {
        // What is out of sight for a moment, as after a start, is no less ready for that.
        return known;
    }
    is_ready(case, role).then(|| known.unwrap_or_else(|| time(case.now)))
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

/// Whether nothing of the forks is left in a cluster. One that is no member any more has nothing that could be taken back.
pub(super) fn is_gone(case: &Case<'_>, site: &Site<'_>) -> bool {
    let is_gone = |role: &Role| Fork::of(case, site, *role).is_none_or(|fork| fork.is_gone());
    site.health.is_none() || site.is_in_sight() && ROLES.iter().all(is_gone)
}

/// Whether nothing of the forks is left anywhere.
pub(super) fn all_gone(case: &Case<'_>) -> bool {
    Site::all(case).iter().all(|site| is_gone(case, site))
}

/// The writes that are due in the backend's own cluster.
pub(super) fn writes(case: &Case<'_>) -> Vec<BackendWrite> {
    let sites = Site::all(case).into_iter().filter(|site| site.member.is_none() && site.is_in_sight());
    sites.flat_map(|site| ROLES.map(|role| write(case, &site, role))).flatten().collect()
}

/// The writes that are due in the clusters that export it.
pub(super) fn member_writes(case: &Case<'_>) -> Vec<MemberWrite> {
    let mut writes = Vec::new();
    for site in Site::all(case).iter().filter(|site| site.is_in_sight()) {
        let Some(cluster) = site.member.map(str::to_owned) else { continue };
        for role in ROLES {
            let of = |export, write| MemberWrite { cluster: cluster.clone(), export, write };
            writes.extend(write(case, site, role).map(|write| of(false, write)));
            writes.extend(write_export(case, site, role).map(|write| of(true, write)));
        }
    }
    writes
}

fn key(case: &Case<'_>, name: &str) -> ObjectKey {
    let namespace = case.view.routing.metadata.namespace.clone().unwrap_or_default();
    ObjectKey { namespace, name: name.to_owned() }
}

fn write(case: &Case<'_>, site: &Site<'_>, role: Role) -> Option<BackendWrite> {
    let fork = Fork::of(case, site, role)?;
    let key = key(case, &fork.name);
    if fork.is_asked {
        // Where one cannot be made the other is of no use.
        if refusal(case).is_some() {
            return None;
        }
        // The endpoints of what it selected before are shown for a while after: they must not count as its own.
        let is_unready = stored(case.stored, role).is_none_or(|known| known.ready_time.is_none());
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
    // What is exported is there.
    let is_exported = fork.export.is_some_and(|export| export.is_fork);
    delete(case, role, key, existing).filter(|_| !is_exported)
}

/// Exports a fork as long as it is to be there.
fn write_export(case: &Case<'_>, site: &Site<'_>, role: Role) -> Option<BackendWrite> {
    let fork = Fork::of(case, site, role)?;
    let key = key(case, &fork.name);
    let existing = site.exports?.get(&fork.name);
    if fork.is_asked {
        let exported = fork.existing.filter(|fork| existing.is_none() && !fork.deleting)?;
        let is_due = fork.wanted.is_some() && refusal(case).is_none();
        return is_due.then(|| BackendWrite::Create { key, object: backends::export(&exported.object) });
    }
    let existing = existing.filter(|export| export.is_fork && !export.deleting && is_unused(case, role))?;
    let (uid, resource_version) = (existing.uid.clone(), existing.resource_version.clone());
    Some(BackendWrite::Delete { key, uid, resource_version })
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
