//! The clusters that a BackendRouting is about: its own, or several that export its backend.

use std::sync::Arc;

use super::{is_about, wait};
use crate::{
    api::{
        BackendRouting, RolloutRun, RolloutRunStatus,
        backendrouting::{ForkedBackend, ForkedBackendCluster, ForkedBackends},
    },
    decide::{absence, canary, routing::is_multi},
    intent::Wait,
    view::{Health, RolloutView, Workload},
};

/// The clusters that have the pods behind its backend.
pub(super) fn of(routing: &BackendRouting) -> impl Iterator<Item = &str> {
    let own = (!is_multi(routing)).then_some(routing.spec.backend.cluster.as_str());
    own.into_iter().chain(routing.spec.clusters.iter().filter(|_| is_multi(routing)).map(String::as_str))
}

/// Whether what is in a cluster is behind its backend, as far as the run waits for it.
pub(super) fn counts(routing: &BackendRouting, status: &RolloutRunStatus, cluster: &str) -> bool {
    let is_gone_without = is_multi(routing) && absence::is_skipped(status, cluster);
    !is_gone_without && of(routing).any(|known| known == cluster)
}

/// What it waits for in each of several clusters, so that one of them can be gone without; or as a whole.
pub(super) fn waits(routing: &BackendRouting, whole: impl FnOnce() -> String) -> Vec<Wait> {
    let status = routing.status.as_ref().filter(|_| is_multi(routing));
    let current = status.filter(|status| status.observed_generation >= routing.metadata.generation.unwrap_or_default());
    let known = current.iter().flat_map(|status| &status.clusters).filter(|cluster| !cluster.message.is_empty());
    let told = known.map(|cluster| Wait { cluster: cluster.name.clone(), ..wait(routing, cluster.message.clone()) });
    let told: Vec<_> = told.collect();
    if told.is_empty() { vec![wait(routing, whole())] } else { told }
}

/// The forks of a backend of several clusters: each is made where pods for it are, or were in the course of the run. A
/// cluster that the run goes on without is left out, so that nothing waits for it; what was made there stays.
pub(super) fn forks(
    view: &RolloutView,
    run: &RolloutRun,
    routing: &BackendRouting,
    by_copy: bool,
    selectors: impl Fn(&[&Arc<Workload>]) -> Result<(super::forked::Labels, super::forked::Labels), String>,
) -> Result<ForkedBackends, String> {
    let name = &routing.spec.backend.name;
    let fork = |suffix: &str| ForkedBackend { name: format!("{name}-{suffix}"), ..ForkedBackend::default() };
    let (mut stable, mut canary) = (fork("stable"), fork("canary"));
    let known = routing.spec.forked_backends.clone().unwrap_or_default();
    for cluster in of(routing).filter(|cluster| !is_left_out(run, cluster)) {
        let of_cluster = |fork: &ForkedBackend| fork.clusters.iter().find(|known| known.name == *cluster).cloned();
        let (known_stable, known_canary) = (of_cluster(&known.stable), of_cluster(&known.canary));
        let workloads: Vec<_> = workloads(view, run, routing, cluster).collect();
        if workloads.is_empty() {
            // What is not seen for now is there all the same, and nobody knows what its pods are called.
            if known_stable.is_none() && !is_listed(view, cluster) {
                return Err(format!("cluster {cluster}: its workloads are out of sight"));
            }
            stable.clusters.extend(known_stable);
            canary.clusters.extend(known_canary);
            continue;
        }
        let (old, new) = selectors(&workloads).map_err(|why| format!("cluster {cluster}: {why}"))?;
        let entry = |selector| ForkedBackendCluster { name: cluster.to_owned(), extra_label_selector: selector };
        if known_stable.is_some() || workloads.iter().any(|workload| has_old(workload, by_copy)) {
            stable.clusters.push(entry(old));
        }
        let has_new = |workload: &Arc<Workload>| {
            let is_moved = workload.updated_revision != workload.stable_revision && workload.updated_replicas > 0;
            if by_copy { canary::find(view, workload).is_some() } else { is_moved }
        };
        if known_canary.is_some() || workloads.iter().any(|workload| has_new(workload)) {
            canary.clusters.push(entry(new));
        }
    }
    Ok(ForkedBackends { stable, canary })
}

/// Takes out of forks what the run goes on without.
pub(super) fn without_absent(run: &RolloutRun, mut forks: ForkedBackends) -> ForkedBackends {
    for fork in [&mut forks.stable, &mut forks.canary] {
        fork.clusters.retain(|cluster| !is_left_out(run, &cluster.name));
    }
    forks
}

fn is_left_out(run: &RolloutRun, cluster: &str) -> bool {
    run.status.as_ref().is_some_and(|status| absence::is_skipped(status, cluster))
}

/// Whether absence means anything in a cluster.
fn is_listed(view: &RolloutView, cluster: &str) -> bool {
    view.members.get(cluster).is_some_and(|member| member.health == Health::Ready)
}

/// Whether it has pods that the stable fork is to select. Beside copies these are all of them.
fn has_old(workload: &Workload, by_copy: bool) -> bool {
    let is_at_rest = by_copy || workload.updated_revision == workload.stable_revision;
    if is_at_rest { workload.replicas > 0 } else { workload.updated_replicas < workload.replicas }
}

/// The workloads of one cluster whose requests it is about, whether the run moves them or not.
fn workloads<'a>(
    view: &'a RolloutView,
    run: &'a RolloutRun,
    routing: &'a BackendRouting,
    cluster: &'a str,
) -> impl Iterator<Item = &'a Arc<Workload>> {
    let all = view.members.get(cluster).into_iter().flat_map(|member| member.workloads.values());
    all.filter(move |workload| is_about(view, run, routing, cluster, &workload.key.name))
}
