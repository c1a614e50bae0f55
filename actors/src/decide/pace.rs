//! How often numbers are written.
//!
//! Every pod that comes or goes changes the numbers in two statuses. Transitions are written at once; numbers alone at
//! most once a second, which is as fine as `lastUpdateTime` is.

use jiff::{Timestamp, ToSpan};

use crate::api::{RolloutRunStatus, RolloutStatus, ScaleRunStatus, StepState, Time};

/// When a change of numbers alone may be written; `None` means now.
fn due(last_update: Option<&Time>, now: Timestamp) -> Option<Timestamp> {
    let due = last_update?.0.checked_add(1.second()).ok()?;
    (due > now).then_some(due)
}

/// When this status of a Rollout may be written; `None` means now.
pub fn rollout(old: &RolloutStatus, new: &RolloutStatus, now: Timestamp) -> Option<Timestamp> {
    let bare = |status: &RolloutStatus| RolloutStatus { workload_statuses: Vec::new(), ..status.clone() };
    due(old.last_update_time.as_ref(), now).filter(|_| bare(old) == bare(new))
}

/// When this status of a run may be written; `None` means now.
pub fn run(old: &RolloutRunStatus, new: &RolloutRunStatus, now: Timestamp) -> Option<Timestamp> {
    let bare = |status: &RolloutRunStatus| {
        let mut bare = RolloutRunStatus { target_statuses: Vec::new(), waits: Vec::new(), ..status.clone() };
        if let Some(progress) = &mut bare.progress {
            (progress.available, progress.since) = (0, None);
        }
        let records = bare.batch_status.iter_mut().flat_map(|batch| &mut batch.records);
        records.filter(|record| record.state != StepState::Succeeded).for_each(|record| record.targets.clear());
        bare
    };
    due(old.last_update_time.as_ref(), now).filter(|_| bare(old) == bare(new))
}

/// When this status of a ScaleRun may be written; `None` means now.
pub fn scale(old: &ScaleRunStatus, new: &ScaleRunStatus, now: Timestamp) -> Option<Timestamp> {
    let bare = |status: &ScaleRunStatus| {
        let mut bare = ScaleRunStatus { waits: Vec::new(), ..status.clone() };
        let ways = bare.batches.iter_mut().chain(&mut bare.rollback);
        let records = ways.flat_map(|way| &mut way.records).filter(|record| record.state != StepState::Succeeded);
        // How many pods are wanted is no mere number: whoever sees its own there scales no more.
        records.flat_map(|record| &mut record.targets).for_each(|target| {
            (target.current_replicas, target.available_replicas) = (0, 0);
        });
        bare
    };
    due(old.last_update_time.as_ref(), now).filter(|_| bare(old) == bare(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{RolloutPhase, RolloutWorkloadStatus},
        decide::fixtures::at,
    };

    #[test]
    fn numbers_wait_for_the_next_second_and_transitions_do_not() {
        let old = RolloutStatus { last_update_time: Some(Time(at(10))), ..RolloutStatus::default() };
        let numbers = RolloutStatus { workload_statuses: vec![RolloutWorkloadStatus::default()], ..old.clone() };
        let transition = RolloutStatus { phase: RolloutPhase::Progressing, ..numbers.clone() };
        assert_eq!(rollout(&old, &numbers, at(10)), Some(at(11)));
        assert_eq!(rollout(&old, &numbers, at(11)), None);
        assert_eq!(rollout(&old, &transition, at(10)), None);
    }
}
