//! The spec of a BackendRouting for a moment of a run: which pods each fork selects, and which requests it gets.

use std::{collections::BTreeMap, sync::Arc};

use super::{Shift, clusters, workloads_of};
use crate::{
    api::{
        BackendRouting, RolloutRun,
        backendrouting::{
            BackendForwarding, CanaryHttpForwarding, ForkedBackend, ForkedBackends, HttpForwarding,
            OriginHttpForwarding, StableHttpForwarding,
        },
        keys,
    },
    decide::{blue_green, canary, routing::is_multi, status},
    view::{RolloutView, Workload},
    workloads::WorkloadKind,
};

pub(super) type Spec = (Option<ForkedBackends>, Option<BackendForwarding>);
pub(super) type Labels = BTreeMap<String, String>;

/// The two fields of the spec that are a run's. `Err` says why no selector tells the revisions apart.
pub(super) fn spec(
    view: &RolloutView,
    run: &RolloutRun,
    routing: &BackendRouting,
    shift: Shift<'_>,
) -> Result<Spec, String> {
    if shift == Shift::Origin {
        return Ok((None, None));
    }
    let forks = match (forks(view, run, routing), &routing.spec.forked_backends) {
        // The old version goes meanwhile, and its fork gets no requests.
        (Err(_), Some(known)) if shift == Shift::Copies => known.clone(),
        (forks, _) => forks?,
    };
    let http = forwarding(routing, &forks.stable.name, &forks.canary.name, shift);
    Ok((Some(forks), Some(BackendForwarding { http: Some(http) })))
}

/// How requests are spread over forks of these names.
pub(super) fn forwarding(routing: &BackendRouting, old: &str, new: &str, shift: Shift<'_>) -> HttpForwarding {
    let canary = match shift {
        Shift::Copies => Some(CanaryHttpForwarding {
            backend_name: new.to_owned(),
            weight: Some(100),
            ..CanaryHttpForwarding::default()
        }),
        Shift::Split(traffic) => traffic.http.as_ref().map(|http| CanaryHttpForwarding {
            backend_name: new.to_owned(),
            weight: http.weight,
            matches: http.matches.clone(),
            filters: http.filters.clone(),
            mirror: http.mirror.clone(),
        }),
        _ => None,
    };
    let stable = match shift {
        Shift::Split(traffic) => traffic.http.as_ref().and_then(|http| http.stable_traffic.as_ref()),
        _ => None,
    };
    // Who says which requests go to the old version leaves the rest to every pod.
    let rest = if stable.is_some() { &routing.spec.backend.name } else { old };
    HttpForwarding {
        origin: Some(OriginHttpForwarding { backend_name: rest.to_owned() }),
        stable: stable.map(|rule| StableHttpForwarding {
            backend_name: old.to_owned(),
            matches: rule.matches.clone(),
            filters: rule.filters.clone(),
        }),
        canary,
    }
}

fn forks(view: &RolloutView, run: &RolloutRun, routing: &BackendRouting) -> Result<ForkedBackends, String> {
    let status = run.status.as_ref();
    let behind_copies = status.is_some_and(|status| blue_green::has_taken_over(run, status));
    // On the way back the template says nothing any more of the revision that is given up.
    if let Some(forks) = routing.spec.forked_backends.as_ref()
        && status.is_some_and(|status| status.rollback.is_some())
        && !behind_copies
    {
        return Ok(clusters::without_absent(run, forks.clone()));
    }
    let by_copy = behind_copies
        || status.is_none_or(|status| !canary::finished(run, status))
        || status.is_some_and(|status| status.phase == crate::api::RolloutRunPhase::Canceling)
            && run.spec.canary.is_some();
    if is_multi(routing) {
        return clusters::forks(view, run, routing, by_copy, |workloads| selectors(view, workloads, by_copy));
    }
    let workloads: Vec<_> = workloads_of(view, run, routing).collect();
    // What is left of the pods of a workload that is gone is told from others as before.
    if let (Some(forks), []) = (&routing.spec.forked_backends, &*workloads) {
        return Ok(forks.clone());
    }
    let (stable, new) = selectors(view, &workloads, by_copy)?;
    let backend = &routing.spec.backend.name;
    let fork = |suffix: &str, labels| ForkedBackend {
        name: format!("{backend}-{suffix}"),
        extra_label_selector: labels,
        ..ForkedBackend::default()
    };
    Ok(ForkedBackends { stable: fork("stable", stable), canary: fork("canary", new) })
}

/// What pods on the old and on the new revision have in their labels.
fn selectors(view: &RolloutView, workloads: &[&Arc<Workload>], by_copy: bool) -> Result<(Labels, Labels), String> {
    let lane = |lane: &str| Labels::from([(keys::LABEL_TRAFFIC_LANE.to_owned(), lane.to_owned())]);
    let names = || workloads.iter().map(|workload| workload.key.name.as_str()).collect::<Vec<_>>().join(", ");
    if by_copy
        && !workloads.is_empty()
        && workloads.iter().all(|workload| workload.lane.as_deref() == Some(keys::LANE_STABLE))
    {
        return Ok((lane(keys::LANE_STABLE), lane(keys::LANE_CANARY)));
    }
    if workloads.is_empty() {
        return Err("none of the workloads that it is about is there: create them, skip the step, or cancel".to_owned());
    }
    let [workload] = workloads else {
        return Err(format!(
            "no selector tells the revisions of {} apart: make a TrafficTopology with a backend of its own for each, or set label {}: {} in every pod template and roll out by canary",
            names(),
            keys::LABEL_TRAFFIC_LANE,
            keys::LANE_STABLE
        ));
    };
    let stable = revision(view, workload, &workload.stable_revision)
        .ok_or_else(|| format!("the label of its pods on revision {} is not known yet", workload.stable_revision))?;
    if by_copy {
        return Ok((stable, lane(keys::LANE_CANARY)));
    }
    // A Deployment shows what its new pods are called once there is one. Until then the fork selects none.
    let new = revision(view, workload, &workload.updated_revision).unwrap_or_else(|| lane(keys::LANE_CANARY));
    Ok((stable, new))
}

/// The label that a workload's controller gives its pods on a revision.
fn revision(view: &RolloutView, workload: &Workload, revision: &str) -> Option<Labels> {
    let (key, value) = match workload.kind {
        WorkloadKind::Deployment => {
            let pods = status::report(view, workload)?.pods.as_ref()?;
            let pod = pods.iter().find(|pod| pod.revision == revision)?;
            (keys::LABEL_POD_TEMPLATE_HASH, pod.template_label.clone()?)
        }
        _ => (keys::LABEL_CONTROLLER_REVISION_HASH, revision.to_owned()),
    };
    Some(Labels::from([(key.to_owned(), value)]))
}
