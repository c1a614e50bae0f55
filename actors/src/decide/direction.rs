//! Which way a run goes through its batches, and what each asks for in that direction.

use super::{rollback, run};
use crate::{
    api::{RolloutRun, RolloutRunStatus, WorkloadRevision, intorpercent, rolloutrun::RolloutRunStepTarget},
    view::Workload,
};

/// Which way a run goes through its batches.
pub struct Direction<'a> {
    run: &'a RolloutRun,
    /// Present on the way back: index of the batch that is undone first, and what the workloads return to.
    back: Option<(usize, Vec<WorkloadRevision>)>,
}

impl<'a> Direction<'a> {
    /// The direction of a run.
    pub fn of(run: &'a RolloutRun, status: &RolloutRunStatus) -> Self {
        let back = status
            .rollback
            .as_ref()
            .map(|rollback| (usize::try_from(rollback.from_batch_index).unwrap_or(0), status.stable_revisions.clone()));
        Self { run, back }
    }

    /// Whether no batch comes after the one of that index.
    pub fn is_last(&self, index: usize) -> bool {
        if self.back.is_some() { index == 0 } else { index + 1 == run::batches(self.run).len() }
    }

    /// Whoever asks for a rollback need not ask for its first batch once more.
    pub fn stops_at(&self, index: usize) -> bool {
        self.back.as_ref().is_none_or(|(from, _)| *from != index)
    }

    /// How many pods are to be on the updated revision once the batch is done, which on the way back is the stable one.
    pub fn wanted(&self, target: &RolloutRunStepTarget, workload: &Workload, index: usize) -> Option<i32> {
        match &self.back {
            None => Some(intorpercent::parse(&target.replicas).ok()?.scaled(workload.desired)),
            Some(_) => Some(workload.desired - rollback::remaining(self.run, workload, index)),
        }
    }

    /// The revision whose template the workload is to have first.
    pub fn template(&self, workload: &Workload) -> Option<&str> {
        let (_, revisions) = self.back.as_ref()?;
        let same = |entry: &&WorkloadRevision| entry.cluster == workload.cluster && entry.name == workload.key.name;
        revisions.iter().find(same).map(|entry| &*entry.revision)
    }

    /// Whether the run has nothing to do with this workload: on the way back, if it never moved it.
    pub fn passes(&self, workload: &Workload) -> bool {
        self.back.is_some() && self.template(workload).is_none()
    }
}
