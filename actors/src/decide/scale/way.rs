//! The batches that a ScaleRun goes through: those of its plan, or those that lead back.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;

use super::{current, progress, progress_mut};
use crate::{
    api::{
        ScaleRun, ScaleRunStatus, StepState,
        scalerun::{ScaleRunBatchStatus, ScaleRunStep, ScaleRunStepStatus, ScaleRunStepTarget, ScaleWorkloadStatus},
    },
    decide::{
        condition,
        select::{self, is_named},
    },
    view::{RolloutView, Workload},
};

/// The batches, in the order in which they are gone through.
pub(super) struct Way<'a> {
    /// The batches.
    pub(super) steps: Cow<'a, [ScaleRunStep]>,
    /// Whether they lead back.
    pub(super) back: bool,
}

impl<'a> Way<'a> {
    /// The way that the run is on.
    pub(super) fn of(run: &'a ScaleRun, status: &ScaleRunStatus) -> Self {
        let plan = run.spec.batch.as_ref().map_or(&[][..], |batch| &batch.batches);
        if status.rollback.is_none() {
            return Self { steps: Cow::Borrowed(plan), back: false };
        }
        let planned = run.spec.rollback.as_ref().map_or(&[][..], |rollback| &rollback.batches);
        let steps = if planned.is_empty() {
            Cow::Owned(reversed(plan, status.batches.as_ref()))
        } else {
            Cow::Borrowed(planned)
        };
        Self { steps, back: true }
    }

    /// Whether no batch comes after the one of that index.
    pub(super) fn is_last(&self, index: usize) -> bool {
        index + 1 >= self.steps.len()
    }

    /// Whether the batch of that index begins with a pause. Whoever asks for the way back need not ask for its first batch
    /// once more.
    pub(super) fn stops_at(&self, index: usize) -> bool {
        self.steps.get(index).is_some_and(|step| step.breakpoint) && !(self.back && index == 0)
    }

    /// The last batch up to that index that has the workload among its targets.
    pub(super) fn last_with(&self, run: &ScaleRun, workload: &Workload, index: usize) -> Option<usize> {
        let has = |step: &ScaleRunStep| step.targets.iter().any(|target| means(run, target, workload));
        self.steps.iter().take(index.saturating_add(1)).rposition(has)
    }
}

/// The batches that have begun, the last one first, each to what its workloads had before.
fn reversed(plan: &[ScaleRunStep], done: Option<&ScaleRunBatchStatus>) -> Vec<ScaleRunStep> {
    let records = done.map_or(&[][..], |done| &done.records);
    let begun = records.iter().zip(plan).filter(|(record, _)| !record.targets.is_empty());
    let step = |(record, step): (&ScaleRunStepStatus, &ScaleRunStep)| ScaleRunStep {
        targets: record
            .targets
            .iter()
            .map(|target| ScaleRunStepTarget {
                cluster: target.cluster.clone(),
                name: target.name.clone(),
                replicas: target.scale_from,
            })
            .collect(),
        ..step.clone()
    };
    begun.rev().map(step).collect()
}

/// Whether a target of the run means this workload; without a cluster it means one of that name anywhere.
pub(super) fn means(run: &ScaleRun, target: &ScaleRunStepTarget, workload: &Workload) -> bool {
    is_named(run.spec.target_type.as_ref(), &target.cluster, &target.name, workload)
}

/// The workload that a target means.
pub(super) fn find<'a>(
    view: &'a RolloutView,
    run: &ScaleRun,
    target: &ScaleRunStepTarget,
) -> Option<&'a Arc<Workload>> {
    select::workloads(&view.members).find(|workload| means(run, target, workload))
}

/// Gives the records the length of the way. A plan may only grow behind the current batch.
pub(super) fn resize(run: &ScaleRun, status: &mut ScaleRunStatus) {
    let len = Way::of(run, status).steps.len();
    let progress = progress_mut(status);
    progress.records.truncate(len);
    for index in progress.records.len()..len {
        let index = i32::try_from(index).ok();
        progress.records.push(ScaleRunStepStatus { index, ..ScaleRunStepStatus::default() });
    }
}

/// Records from how many pods to how many each workload of the current batch goes. This authorises that it is scaled.
pub(super) fn record(view: &RolloutView, run: &ScaleRun, status: &mut ScaleRunStatus) {
    let way = Way::of(run, status);
    let Some((index, step)) = progress(status).and_then(current).and_then(|index| Some((index, way.steps.get(index)?)))
    else {
        return;
    };
    let targets = step.targets.iter().filter_map(|target| {
        let workload = find(view, run, target)?;
        Some(ScaleWorkloadStatus {
            cluster: workload.cluster.clone(),
            name: workload.key.name.clone(),
            scale_from: workload.desired,
            scale_to: target.replicas,
            ..numbers(workload)
        })
    });
    let targets = targets.collect();
    if let Some(record) = progress_mut(status).records.get_mut(index) {
        record.targets = targets;
    }
}

/// Takes what somebody else has made of the workloads for what they had before, so that they are scaled again.
pub(super) fn record_again(status: &mut ScaleRunStatus) {
    let progress = progress_mut(status);
    let Some(record) = current(progress).and_then(|index| progress.records.get_mut(index)) else { return };
    for target in record.targets.iter_mut().filter(|target| target.replicas != target.scale_to) {
        target.scale_from = target.replicas;
    }
}

/// Refreshes the numbers of the current batch.
pub(super) fn observe(view: &RolloutView, run: &ScaleRun, status: &mut ScaleRunStatus) {
    let Some(index) = progress(status).and_then(current) else { return };
    let kind = run.spec.target_type.as_ref();
    let Some(record) = progress_mut(status).records.get_mut(index) else { return };
    if record.finish_time.is_some() {
        return;
    }
    for target in &mut record.targets {
        let named = |workload: &&Arc<Workload>| is_named(kind, &target.cluster, &target.name, workload);
        let Some(workload) = select::workloads(&view.members).find(named) else { continue };
        *target = ScaleWorkloadStatus {
            cluster: target.cluster.clone(),
            name: target.name.clone(),
            scale_from: target.scale_from,
            scale_to: target.scale_to,
            ..numbers(workload)
        };
    }
}

fn numbers(workload: &Workload) -> ScaleWorkloadStatus {
    ScaleWorkloadStatus {
        replicas: workload.desired,
        current_replicas: workload.replicas,
        available_replicas: workload.available,
        ..ScaleWorkloadStatus::default()
    }
}

/// Marks the current batch Skipped and moves behind it. Behind the last batch only the marks on the workloads are left to
/// be taken off.
pub(super) fn skip(run: &ScaleRun, status: &mut ScaleRunStatus, now: Timestamp) -> String {
    let last = progress(status).and_then(current).is_none_or(|index| Way::of(run, status).is_last(index));
    let said = format!("{} is skipped, and its workloads stay as they are", super::current_in_words(status));
    let progress = progress_mut(status);
    if let Some(record) = current(progress).and_then(|index| progress.records.get_mut(index)) {
        record.state = StepState::Skipped;
        record.finish_time = Some(condition::time(now));
    }
    if last {
        progress.current_batch_state = StepState::ResourceRecycling;
    } else {
        progress.current_batch_index += 1;
        progress.current_batch_state = StepState::None;
    }
    said
}

/// Whether the way back has come to its end.
pub(super) fn is_back(status: &ScaleRunStatus) -> bool {
    status.rollback.as_ref().is_some_and(|back| back.current_batch_state == StepState::Succeeded)
}
