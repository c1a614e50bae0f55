//! How many pods stay on the old revision.

use super::workload::update_pending;
use crate::{
    api::keys::FIELD_MANAGER,
    intent::Release,
    view::{PodCounts, Workload},
};

/// The partition of a parked workload: above any number of replicas, so that neither a new template nor a scale-up
/// puts a pod on the new revision.
pub const PARKED: i32 = i32::MAX;

/// The partition `workload` is to have now.
///
/// A partition counts the pods kept on the *old* revision, from ordinal 0 up. It only ever falls during a run, with one
/// exception: a partition below the step's ceiling, which a foreign write or a scale-up leaves behind, is raised to it.
///
/// `counts` are the pods by revision; while they are unknown, or the controller has not seen the newest template yet,
/// a sliding window releases nothing.
pub fn partition(release: &Release, workload: &Workload, counts: Option<PodCounts>) -> i32 {
    let desired = workload.desired;
    match release {
        Release::Parked => PARKED,
        // Every pod has what there is: the next template is not this step's.
        Release::Held { replicas } if replicas.scaled(desired) >= desired && !update_pending(workload) => PARKED,
        Release::Held { replicas } => workload.partition.max(desired - replicas.scaled(desired)),
        Release::Step { replicas, window, .. } => {
            let target = replicas.scaled(desired);
            let ceiling = desired - target;
            if workload.partition < ceiling {
                return ceiling;
            }
            let released = match window {
                None => target,
                Some(window) => match counts.filter(|_| workload.observed_generation >= workload.generation) {
                    // A window of zero pods would never move; one pod is the least a step can release.
                    Some(counts) => {
                        let settled = counts.updated_available + counts.tolerated;
                        target.min(settled + window.scaled(desired).max(1))
                    }
                    None => return workload.partition,
                },
            };
            let wanted = desired - released;
            // Ours only falls; somebody else's may stand below what the window has released.
            if foreign(workload) { wanted } else { workload.partition.min(wanted) }
        }
    }
}

/// Whether the partition was last written by somebody else.
fn foreign(workload: &Workload) -> bool {
    workload.strategy_manager.as_deref().is_some_and(|manager| manager != FIELD_MANAGER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        api::intorpercent::IntOrPercent::{self, Int, Percent},
        decide::fixtures,
    };

    fn step(replicas: IntOrPercent, window: Option<IntOrPercent>) -> Release {
        Release::Step { replicas, window, tolerance: None }
    }

    #[test]
    fn a_table() {
        let held = |replicas| Release::Held { replicas };
        // (release, desired, partition now, updated pods available) → partition
        let table = [
            (Release::Parked, 5, 0, 0, PARKED),
            (step(Int(1), None), 5, PARKED, 0, 4),
            (step(Int(3), None), 5, 4, 1, 2),
            (step(Int(3), Some(Int(1))), 5, PARKED, 0, 4),
            (step(Int(3), Some(Int(1))), 5, 4, 0, 4),
            (step(Int(3), Some(Int(1))), 5, 4, 1, 3),
            (step(Int(3), Some(Int(1))), 5, 3, 3, 2),
            (step(Int(3), Some(Int(0))), 5, 4, 1, 3),
            (step(Percent(100), None), 5, 2, 3, 0),
            (step(Percent(1), None), 3, PARKED, 0, 2),
            // A pod lost on the way takes nothing back.
            (step(Int(3), Some(Int(1))), 5, 3, 0, 3),
            // Somebody lowered the partition, or scaled up: back to the ceiling.
            (step(Int(3), None), 5, 0, 5, 2),
            (step(Int(3), None), 10, 2, 3, 7),
            (held(Int(3)), 5, 4, 1, 4),
            (held(Int(3)), 5, 0, 5, 2),
            (step(Int(3), None), 0, PARKED, 0, 0),
        ];
        for (release, desired, now, available, wanted) in table {
            let mut workload = fixtures::workload("east", "web", desired);
            workload.partition = now;
            let counts = PodCounts { updated_available: available, ..PodCounts::default() };
            assert_eq!(partition(&release, &workload, Some(counts)), wanted, "{release:?} of {desired} at {now}");
        }
    }

    #[test]
    fn what_somebody_else_lowered_goes_back_to_what_the_window_has_released() {
        let mut workload = fixtures::workload("east", "web", 5);
        workload.partition = 0;
        let counts = Some(PodCounts { updated_available: 1, ..PodCounts::default() });
        let release = step(Percent(100), Some(Int(1)));
        for (manager, wanted) in [(None, 0), (Some("slipway"), 0), (Some("argocd-controller"), 3)] {
            workload.strategy_manager = manager.map(str::to_owned);
            assert_eq!(partition(&release, &workload, counts), wanted, "{manager:?}");
        }
    }

    #[test]
    fn a_workload_that_is_done_is_parked_for_the_next_template() {
        let mut workload = fixtures::workload("east", "web", 5);
        (workload.partition, workload.updated_replicas) = (0, 5);
        let held = Release::Held { replicas: Percent(100) };
        assert_eq!(partition(&held, &workload, None), 0, "between two revisions it is left alone");
        workload.stable_revision.clone_from(&workload.updated_revision);
        assert_eq!(partition(&held, &workload, None), PARKED);
    }

    #[test]
    fn a_window_waits_until_pods_and_revisions_are_known() {
        let mut workload = fixtures::workload("east", "web", 5);
        let release = step(Int(3), Some(Int(1)));
        assert_eq!(partition(&release, &workload, None), PARKED);
        workload.generation += 1;
        let counts = PodCounts { updated_available: 5, ..PodCounts::default() };
        assert_eq!(partition(&release, &workload, Some(counts)), PARKED);
    }

    fn count() -> impl Strategy<Value = IntOrPercent> {
        prop_oneof![(0..30).prop_map(Int), (0..=100).prop_map(Percent)]
    }

    proptest! {
        /// Whatever happened before: no more pods are released than the step allows, and what was released within the
        /// step is not taken back.
        #[test]
        fn the_ceiling_holds(
            replicas in count(),
            window in prop::option::of(count()),
            desired in 0..20i32,
            now in prop_oneof![0..25i32, Just(PARKED)],
            available in 0..20i32,
            tolerated in 0..5i32,
        ) {
            let mut workload = fixtures::workload("east", "web", desired);
            workload.partition = now;
            let counts = PodCounts { updated_available: available, tolerated, ..PodCounts::default() };
            let allowed = replicas.scaled(desired);
            let next = partition(&step(replicas, window), &workload, Some(counts));
            prop_assert!(desired - next <= allowed);
            prop_assert!(next <= now.max(desired - allowed));
            if let Some(window) = window && now >= desired {
                prop_assert!(desired - next <= available + tolerated + window.scaled(desired).max(1));
            }
        }
    }
}
