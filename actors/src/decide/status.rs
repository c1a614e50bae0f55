//! Numbers of workloads as status shows them.

use jiff::Timestamp;

use super::workload;
use crate::{
    api::RolloutWorkloadStatus,
    view::{Health, MemberView, PodCounts, RolloutView, Workload, WorkloadReport},
};

/// A workload's status entry.
pub fn workload_status(view: &RolloutView, workload: &Workload, now: Timestamp) -> RolloutWorkloadStatus {
    let counts = counts(view, workload, now).unwrap_or_else(|| estimate(workload));
    RolloutWorkloadStatus {
        cluster: workload.cluster.clone(),
        name: workload.key.name.clone(),
        generation: workload.generation,
        observed_generation: workload.observed_generation,
        stable_revision: workload.stable_revision.clone(),
        updated_revision: workload.updated_revision.clone(),
        replicas: workload.desired,
        available_replicas: workload.available,
        updated_replicas: workload.updated_replicas,
        updated_ready_replicas: counts.updated_ready,
        updated_available_replicas: counts.updated_available,
    }
}

/// The entries as they are now; what stood there before stays for clusters whose data cannot be relied on.
pub fn keep_unknown(
    view: &RolloutView,
    before: &[RolloutWorkloadStatus],
    now: impl IntoIterator<Item = RolloutWorkloadStatus>,
) -> Vec<RolloutWorkloadStatus> {
    let reliable = |cluster: &str| view.members.get(cluster).is_none_or(|member| member.health == Health::Ready);
    let mut entries: Vec<_> = now.into_iter().filter(|entry| reliable(&entry.cluster)).collect();
    entries.extend(before.iter().filter(|entry| !reliable(&entry.cluster)).cloned());
    entries.sort_by(|a, b| (&a.cluster, &a.name).cmp(&(&b.cluster, &b.name)));
    entries
}

/// The workload's pods, counted one by one; `None` while they are not known.
pub fn counts(view: &RolloutView, workload: &Workload, now: Timestamp) -> Option<PodCounts> {
    let pods = report(view, workload).and_then(|report| report.pods.as_deref());
    workload::counts(workload, pods, now)
}

/// What the workload's actor reports.
pub fn report<'a>(view: &'a RolloutView, workload: &Workload) -> Option<&'a WorkloadReport> {
    member(view, &workload.cluster)?.reports.get(&workload.id())
}

/// The member cluster of that name.
pub fn member<'a>(view: &'a RolloutView, cluster: &str) -> Option<&'a MemberView> {
    view.members.get(cluster)
}

/// What can be said without looking at pods: every pod that is not ready is taken for an updated one.
fn estimate(workload: &Workload) -> PodCounts {
    if let Some(told) = workload.told {
        return told;
    }
    let updated = |healthy: i32| {
        let spare = if workload.stable_revision == workload.updated_revision { 0 } else { workload.current_replicas };
        (healthy - spare).max(0).min(workload.updated_replicas)
    };
    PodCounts {
        updated: workload.updated_replicas,
        updated_ready: updated(workload.ready),
        updated_available: updated(workload.available),
        available: workload.available,
        terminating: 0,
        tolerated: 0,
    }
}
