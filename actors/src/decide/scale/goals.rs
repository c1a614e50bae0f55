//! What each workload of a ScaleRun is to be brought to, and who else may have a hand on it.

use std::{collections::BTreeMap, sync::Arc};

use super::{current, progress, way::Way};
use crate::{
    api::{
        RolloutRunPhase, ScaleRun, ScaleRunStatus, StepState,
        keys::{BatchProgressingInfo, PROGRESSING_KIND_SCALE, ProgressingInfo},
        scalerun::{ScaleRunStepStatus, ScaleWorkloadStatus},
    },
    decide::{
        batch::{last_error, wait},
        select, standalone,
    },
    intent::{Wait, WorkloadGoal},
    view::{RolloutView, Workload, WorkloadId},
};

/// The goals that the stored status authorises.
pub(super) fn of(view: &RolloutView, run: &ScaleRun, status: &ScaleRunStatus) -> BTreeMap<WorkloadId, WorkloadGoal> {
    let leaving = status.phase == RolloutRunPhase::Canceling || status.phase.is_completed();
    let way = Way::of(run, status);
    let (mut goals, progress) = (BTreeMap::new(), progress(status));
    let state = progress.map(|progress| progress.current_batch_state.clone()).unwrap_or_default();
    let index = progress.and_then(current).unwrap_or(0);
    let over = leaving || way.is_last(index) && matches!(state, StepState::ResourceRecycling | StepState::Succeeded);
    let moving = status.phase == RolloutRunPhase::Progressing && status.error.is_none() && state == StepState::Running;
    let record = progress.and_then(|progress| progress.records.get(index));
    for workload in select::workloads(&view.members) {
        let batch = way.last_with(run, workload, index).filter(|_| !over);
        let ours = is_marked(run, workload);
        if batch.is_none() && !ours || batch.is_some() && !ours && live_mark(view, workload, Some(run)).is_some() {
            continue;
        }
        let target =
            record.filter(|_| moving && ours && batch == Some(index)).and_then(|record| find(record, workload));
        let unseen =
            target.filter(|target| target.replicas == target.scale_from && target.scale_from != target.scale_to);
        let goal = WorkloadGoal::Scaled {
            run: run.metadata.name.clone().unwrap_or_default(),
            scale: unseen.map(|target| (target.scale_from, target.scale_to)),
            progressing: batch.map(|index| mark(run, index)),
            watch_pods: target.is_some() && workload.kind.owns_pods(),
        };
        goals.insert(workload.id(), goal);
    }
    goals
}

fn find<'a>(record: &'a ScaleRunStepStatus, workload: &Workload) -> Option<&'a ScaleWorkloadStatus> {
    record.targets.iter().find(|target| target.cluster == workload.cluster && target.name == workload.key.name)
}

/// The mark on a workload while the batch of that index scales it.
pub(super) fn mark(run: &ScaleRun, index: usize) -> ProgressingInfo {
    ProgressingInfo {
        kind: PROGRESSING_KIND_SCALE.to_owned(),
        rollout_id: run.metadata.name.clone().unwrap_or_default(),
        batch: Some(BatchProgressingInfo { current_batch_index: i32::try_from(index).unwrap_or(i32::MAX) }),
        ..ProgressingInfo::default()
    }
}

/// The workloads that carry the mark of this run.
pub(super) fn marked<'a>(view: &'a RolloutView, run: &'a ScaleRun) -> impl Iterator<Item = &'a Arc<Workload>> {
    select::workloads(&view.members).filter(|workload| is_marked(run, workload))
}

fn is_marked(run: &ScaleRun, workload: &Workload) -> bool {
    let name = run.metadata.name.as_deref().unwrap_or_default();
    matches!(&workload.progressing, Some(Ok(info)) if info.is_scale() && info.rollout_id == name)
}

/// What is left of the run: its marks, and clusters where some may be.
pub(super) fn left_behind(view: &RolloutView, run: &ScaleRun) -> Vec<Wait> {
    let marked = marked(view, run)
        .map(|workload| wait(workload, format!("the mark of this run to be taken off{}", last_error(view, workload))));
    // A cluster that no target is in holds nothing of the run.
    let steps = [&run.spec.batch, &run.spec.rollback].into_iter().flatten().flat_map(|way| &way.batches);
    let targets: Vec<_> = steps.flat_map(|step| &step.targets).collect();
    let concerned = |cluster: &str| targets.iter().any(|target| target.cluster.is_empty() || target.cluster == cluster);
    marked.chain(select::unreliable_waits(view).filter(|wait| concerned(&wait.cluster))).collect()
}

/// Who else moves this workload, in words: a run of a Rollout, one made by hand, or a ScaleRun that is still there. A mark
/// that nobody is left to take off counts for nothing.
pub fn live_mark(view: &RolloutView, workload: &Workload, but: Option<&ScaleRun>) -> Option<String> {
    let Some(Ok(info)) = &workload.progressing else { return None };
    let is_there = |name: &str| view.other_rollouts.contains(name);
    if info.is_scale() {
        let ours = but.is_some_and(|run| is_marked(run, workload));
        return (!ours && is_there(&standalone::scale_name(&info.rollout_id)))
            .then(|| format!("ScaleRun {}", info.rollout_id));
    }
    let owner = if info.rollout.is_empty() { standalone::run_name(&info.rollout_id) } else { info.rollout.clone() };
    is_there(&owner).then(|| format!("RolloutRun {}", info.rollout_id))
}
