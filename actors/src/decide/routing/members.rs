//! What a BackendRouting shows of forks in several clusters.

use super::{
    Case,
    forks::{self, Fork},
    report::{Finding, READY, must_serve, not, told, unknown},
    sites::Site,
    stored,
};
use crate::{
    api::{
        BackendRoutingStatus,
        backendrouting::{BackendStatus, ClusterBackendStatus},
        keys::MULTICLUSTER_API,
    },
    backends::Role,
    view::Health,
};

/// Each fork with what is said where it is not as it should be.
const ROLES: [(Role, &str); 2] = [(Role::Stable, "StableBackendNotReady"), (Role::Canary, "CanaryBackendNotReady")];

/// Fills in the backend and its forks, over all clusters and in each. Returns whether they are as they should be.
pub(super) fn backends(case: &Case<'_>, status: &mut BackendRoutingStatus) -> Finding {
    let mut finding = imported(case, &case.view.routing.spec.backend.name, "OriginBackendNotReady");
    let is_there = finding.0 == "True";
    if is_there && let Some(refusal) = forks::refusal(case) {
        finding = not("ForkRefused", refusal);
    }
    if is_there && !case.is_forked() {
        // Better now than in the middle of a run.
        finding = exportable(case);
    }
    let mut clusters = Vec::new();
    for known in &case.stored.clusters {
        let site = Site::of_member(case, &known.name);
        let here = here(case, &site);
        let message = here.2.clone();
        if finding.0 == "True" && here.0 != "True" {
            finding = (here.0, here.1, format!("cluster {}: {message}", known.name));
        }
        let of = |role, old: &Option<BackendStatus>| fork_status(case, &site, role, old.as_ref());
        let (stable, canary) = (of(Role::Stable, &known.stable), of(Role::Canary, &known.canary));
        let entry = ClusterBackendStatus { name: known.name.clone(), stable, canary, message };
        // What nobody asks for any more stays on record until nothing of it is left.
        let is_asked = case.is_forked() && case.view.routing.spec.clusters.contains(&known.name);
        clusters.extend((is_asked || !forks::is_gone(case, &site)).then_some(entry));
    }
    let new = status.clusters.iter().filter(|new| !case.stored.clusters.iter().any(|known| known.name == new.name));
    clusters.extend(new.cloned());
    clusters.sort_by(|a, b| a.name.cmp(&b.name));
    status.clusters = clusters;
    let Some(shown) = &mut status.backends else { return unknown("the backend is not on record yet") };
    if case.view.health == Some(Health::Ready)
        && let Some(origin) = &mut shown.origin
    {
        *origin = told(&origin.name, is_there, false, None);
    }
    for (role, reason) in ROLES {
        let entry = if role == Role::Stable { &mut shown.stable } else { &mut shown.canary };
        let Some(name) = stored(case.stored, role).map(|fork| fork.name.clone()) else { continue };
        if !case.is_forked() {
            *entry = (!forks::all_gone(case)).then(|| told(&name, false, true, None));
            continue;
        }
        let can_serve = forks::can_serve(case, role);
        *entry = Some(told(&name, can_serve, false, forks::ready_since(case, role)));
        if finding.0 == "True" && must_serve(case, role) && !can_serve {
            finding = unserved(case, role, &name, reason);
        }
    }
    finding
}

/// Whether all clusters that export the backend can export its forks.
fn exportable(case: &Case<'_>) -> Finding {
    let clusters = case.view.routing.spec.clusters.iter().map(|name| (name, Site::of_member(case, name)));
    let mut without = clusters.filter(|(_, site)| site.is_in_sight() && site.exports.is_none());
    without
        .next()
        .map_or(READY, |(name, _)| not("ForkRefused", format!("cluster {name}: {}", forks::unserved_exports())))
}

/// What a fork waits for that is ready in every cluster, as far as that shows.
fn unserved(case: &Case<'_>, role: Role, name: &str, reason: &'static str) -> Finding {
    let imported = imported(case, name, reason);
    if imported.0 != "True" {
        return imported;
    }
    match forks::ready_since(case, role) {
        Some(_) => {
            let seconds = case.drain().as_secs();
            let what =
                format!("gateways to know the endpoints of ServiceImport {name}, {seconds} s after they were ready");
            not(reason, what)
        }
        None => not(reason, format!("a cluster that has ready endpoints of ServiceImport {name}")),
    }
}

/// Whether the routes' cluster does not know ServiceImports.
pub(super) fn imports_nothing(case: &Case<'_>) -> bool {
    case.is_multi() && case.view.health == Some(Health::Ready) && case.view.imports.is_none()
}

/// What is said of it.
pub(super) fn unserved_imports(case: &Case<'_>) -> String {
    format!(
        "{}: {MULTICLUSTER_API} ServiceImport is not served: install an implementation of the Multi-Cluster Services API",
        gateway(case)
    )
}

/// The routes' cluster, in words.
fn gateway(case: &Case<'_>) -> String {
    match &*case.view.routing.spec.backend.cluster {
        "" => "the hub".to_owned(),
        cluster => format!("cluster {cluster}"),
    }
}

/// Whether the routes' cluster has a ServiceImport.
fn imported(case: &Case<'_>, name: &str, reason: &'static str) -> Finding {
    let cluster = gateway(case);
    match (&case.view.health, &case.view.imports) {
        (None, _) => unknown(format!("{cluster} is no member")),
        (Some(Health::Syncing), _) => unknown(format!("{cluster}: its ServiceImports are being listed")),
        (Some(Health::Unreachable { error, .. }), _) => unknown(format!("{cluster} is unreachable: {error}")),
        (Some(Health::Ready), None) => not(reason, unserved_imports(case)),
        (Some(Health::Ready), Some(imports)) if imports.contains(name) => READY,
        (Some(Health::Ready), Some(_)) => not(
            reason,
            format!(
                "{cluster}: ServiceImport {name} not found: the Multi-Cluster Services API makes it of a ServiceExport"
            ),
        ),
    }
}

/// What there is of a fork in one cluster.
fn fork_status(case: &Case<'_>, site: &Site<'_>, role: Role, old: Option<&BackendStatus>) -> Option<BackendStatus> {
    if !site.is_in_sight() {
        return old.cloned();
    }
    let fork = Fork::of(case, site, role)?;
    let is_asked = site.asked(case, role).is_some();
    (is_asked || !fork.is_gone()).then(|| told(&fork.name, is_asked && fork.is_ready(), !is_asked, None))
}

/// Whether everything in one cluster is as it should be.
fn here(case: &Case<'_>, site: &Site<'_>) -> Finding {
    let is_asked = ROLES.iter().any(|(role, _)| site.asked(case, *role).is_some());
    // Who has nothing to do there waits for nothing there.
    if case.is_forked() && !is_asked {
        return READY;
    }
    match site.health {
        None if !case.is_forked() => return READY,
        None => return unknown("it is no member"),
        Some(Health::Syncing) => return unknown("its Services are being listed"),
        Some(Health::Unreachable { error, .. }) => return unknown(format!("it is unreachable: {error}")),
        Some(Health::Ready) => {}
    }
    let origin = &case.view.routing.spec.backend.name;
    if is_asked && site.backends.get(origin).is_none_or(|backend| backend.deleting) {
        return not("OriginBackendNotReady", format!("Service {origin} not found: create it"));
    }
    if let Some(refusal) = ROLES.iter().find_map(|(role, _)| Fork::of(case, site, *role)?.refusal) {
        return not("ForkRefused", refusal);
    }
    let found = ROLES.iter().find_map(|(role, reason)| lacking(case, site, *role).map(|what| not(reason, what)));
    found.unwrap_or(READY)
}

/// What a fork lacks in one cluster.
fn lacking(case: &Case<'_>, site: &Site<'_>, role: Role) -> Option<String> {
    let fork = Fork::of(case, site, role)?;
    let name = &fork.name;
    let error = |kind: &str| {
        let errors = case.view.members.get(site.member?).map(|member| &member.errors)?;
        errors.get(&format!("{kind} {name}")).map(|error| format!(" (last attempt: {error})"))
    };
    let told = |kind: &str, what: &str| Some(format!("{kind} {name} {what}{}", error(kind).unwrap_or_default()));
    if site.asked(case, role).is_none() {
        let kind = if fork.existing.is_some() { "Service" } else { "ServiceExport" };
        return if case.is_forked() || fork.is_gone() { None } else { told(kind, "to go") };
    }
    match fork.export {
        _ if fork.existing.is_none() => told("Service", "to be made"),
        _ if !fork.is_in_step() => told("Service", "to select other pods"),
        None => told("ServiceExport", "to be made"),
        Some(export) if export.deleting => told("ServiceExport", "to be made anew"),
        Some(export) if export.invalid.is_some() => {
            Some(format!("ServiceExport {name} is not valid: {}", export.invalid.as_deref().unwrap_or_default()))
        }
        Some(_) if must_serve(case, role) && fork.ready == 0 => Some(format!("its fork {name} has no ready endpoints")),
        Some(_) => None,
    }
}
