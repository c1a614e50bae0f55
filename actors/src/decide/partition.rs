//! How many pods stay on the old revision.

use std::sync::Arc;

use super::workload::update_pending;
use crate::{
    api::{intorpercent::IntOrPercent, keys::FIELD_MANAGER},
    intent::Release,
    view::{Pod, PodCounts, Workload},
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
pub fn partition(release: &Release, workload: &Workload, counts: Option<PodCounts>, pods: Option<&[Arc<Pod>]>) -> i32 {
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
        Release::Back { revision, .. } if workload.updated_revision != *revision => PARKED,
        // What the controller has not seen yet may be our own last write.
        Release::Back { .. } if workload.observed_generation < workload.generation => workload.partition,
        Release::Back { remaining, window, moving, .. } => {
            let Some(counts) = counts else { return workload.partition };
            let room = room(workload, counts, pods.unwrap_or_default(), *window);
            match pods {
                Some(pods) if workload.kind.has_ordinals() => back(workload, pods, *moving, *remaining, room),
                _ if update_pending(workload) || counts.updated < desired => {
                    let left = (desired - counts.updated).max(0);
                    if *moving { left - (left - remaining).clamp(0, room) } else { left }
                }
                _ => PARKED,
            }
        }
    }
}

/// Whether the controller has seen the template of that revision as the newest.
pub fn has_template(workload: &Workload, revision: &str) -> bool {
    workload.observed_generation >= workload.generation && workload.updated_revision == revision
}

/// The pods that are given up: those on another revision than the one to return to.
fn given_up<'a>(workload: &'a Workload, pods: &'a [Arc<Pod>]) -> impl Iterator<Item = &'a Arc<Pod>> {
    pods.iter().filter(|pod| !pod.terminating && !workload.kind.is_on(pod, &workload.updated_revision))
}

/// How many pods may be taken down now on the way back.
fn room(workload: &Workload, counts: PodCounts, pods: &[Arc<Pod>], window: Option<IntOrPercent>) -> i32 {
    let Some(window) = window else { return workload.desired };
    // What cannot start on the revision that is given up would hold up its own replacement, unless it can be deleted:
    // it comes back on the current revision, wherever the partition stands.
    let stays = !workload.kind.has_ordinals() || workload.stable_revision != workload.updated_revision;
    let is_broken = |pod: &&Arc<Pod>| stays && pod.ready_since.is_none() && pod.trouble.is_some();
    let broken = given_up(workload, pods).filter(is_broken).count();
    let broken = i32::try_from(broken).unwrap_or(i32::MAX);
    let unavailable = if workload.kind.owns_pods() {
        workload.desired - counts.available - broken
    } else {
        // It tells nothing of the pods that are given up; those that it has let go already are still among them.
        counts.updated - counts.updated_available
    };
    let unavailable = unavailable.max(0);
    (window.scaled(workload.desired).max(1) - unavailable).max(0)
}

/// The partition that leaves the lowest ordinals on the revision that is given up, `remaining` of them in the end.
fn back(workload: &Workload, pods: &[Arc<Pod>], moving: bool, remaining: i32, room: i32) -> i32 {
    let mut ordinals: Vec<i32> = given_up(workload, pods).filter_map(|pod| pod.ordinal()).collect();
    ordinals.sort_unstable();
    let (Some(lowest), left) = (ordinals.first(), i32::try_from(ordinals.len()).unwrap_or(i32::MAX)) else {
        // Parking must not find the workload between two revisions.
        return if update_pending(workload) { 0 } else { PARKED };
    };
    let taken = if moving { (left - remaining).clamp(0, room) } else { 0 };
    let keep = usize::try_from(left - taken).unwrap_or(0);
    keep.checked_sub(1).and_then(|last| ordinals.get(last)).map_or(*lowest, |last| last + 1)
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
        workloads::WorkloadKind,
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
            assert_eq!(partition(&release, &workload, Some(counts), None), wanted, "{release:?} of {desired} at {now}");
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
            assert_eq!(partition(&release, &workload, counts, None), wanted, "{manager:?}");
        }
    }

    #[test]
    fn a_workload_that_is_done_is_parked_for_the_next_template() {
        let mut workload = fixtures::workload("east", "web", 5);
        (workload.partition, workload.updated_replicas) = (0, 5);
        let held = Release::Held { replicas: Percent(100) };
        assert_eq!(partition(&held, &workload, None, None), 0, "between two revisions it is left alone");
        workload.stable_revision.clone_from(&workload.updated_revision);
        assert_eq!(partition(&held, &workload, None, None), PARKED);
    }

    #[test]
    fn a_window_waits_until_pods_and_revisions_are_known() {
        let mut workload = fixtures::workload("east", "web", 5);
        let release = step(Int(3), Some(Int(1)));
        assert_eq!(partition(&release, &workload, None, None), PARKED);
        workload.generation += 1;
        let counts = PodCounts { updated_available: 5, ..PodCounts::default() };
        assert_eq!(partition(&release, &workload, Some(counts), None), PARKED);
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
            let next = partition(&step(replicas, window), &workload, Some(counts), None);
            prop_assert!(desired - next <= allowed);
            prop_assert!(next <= now.max(desired - allowed));
            if let Some(window) = window && now >= desired {
                prop_assert!(desired - next <= available + tolerated + window.scaled(desired).max(1));
            }
        }
    }

    /// `revisions` by ordinal: `n` on the new revision, `s` on the stable one, `d` new and not ready, `b` new and broken,
    /// `-` stable and not ready yet.
    fn pods(revisions: &str) -> Vec<Arc<Pod>> {
        let pod = |(ordinal, state): (usize, char)| {
            let revision = if "ndb".contains(state) { "v2" } else { "v1" };
            let pod = fixtures::pod(&format!("web-{ordinal}"), revision, "ns".contains(state).then_some(0));
            let trouble = (state == 'b').then(|| "CrashLoopBackOff".to_owned());
            Arc::new(Pod { trouble, ..pod.as_ref().clone() })
        };
        revisions.chars().enumerate().map(pod).collect()
    }

    fn undo(revisions: &str, remaining: i32, window: Option<IntOrPercent>, moving: bool) -> i32 {
        undo_from("v1", revisions, remaining, window, moving)
    }

    fn undo_from(current: &str, revisions: &str, remaining: i32, window: Option<IntOrPercent>, moving: bool) -> i32 {
        let pods = pods(revisions);
        let mut workload = fixtures::workload("east", "web", i32::try_from(pods.len()).unwrap());
        (workload.updated_revision, workload.stable_revision) = ("v1".into(), current.into());
        workload.updated_replicas = i32::try_from(pods.iter().filter(|pod| pod.revision == "v1").count()).unwrap();
        let counts = crate::decide::count(&workload, &pods, fixtures::at(100));
        let release = Release::Back { revision: "v1".into(), restore: true, remaining, window, moving };
        partition(&release, &workload, Some(counts), Some(&pods))
    }

    #[test]
    fn the_way_back() {
        // (pods, may remain, window, moving) → partition
        let table = [
            ("ssnnn", 3, None, true, 5),
            ("ssnnn", 1, None, true, 3),
            ("ssnnn", 0, None, true, 2),
            ("ssnnn", 0, None, false, 5),
            ("ssnnn", 0, Some(Int(1)), true, 4),
            ("ssnn-", 0, Some(Int(1)), true, 4),
            ("ssnns", 0, Some(Int(1)), true, 3),
            ("ssdnn", 0, Some(Int(1)), true, 5),
            ("ssbnn", 0, Some(Int(1)), true, 5),
            ("ssnnn", 0, Some(Percent(50)), true, 2),
            ("sssss", 0, None, true, PARKED),
        ];
        for (revisions, remaining, window, moving, wanted) in table {
            assert_eq!(undo(revisions, remaining, window, moving), wanted, "{revisions} to {remaining} by {window:?}");
        }
    }

    #[test]
    fn after_completion_a_broken_pod_does_not_hold_up_its_replacement() {
        assert_eq!(undo_from("v2", "ssbnn", 0, Some(Int(1)), true), 4);
        assert_eq!(undo_from("v2", "ssdnn", 0, Some(Int(1)), true), 5, "it may still become ready");
    }

    #[test]
    fn without_ordinals_a_partition_counts_what_is_given_up() {
        let undo = |kind: WorkloadKind, revisions: &str| {
            let pods = pods(revisions);
            let mut workload = fixtures::workload("east", "web", i32::try_from(pods.len()).unwrap());
            (workload.kind, workload.updated_revision) = (kind, workload.stable_revision.clone());
            let mut counts = crate::decide::count(&workload, &pods, fixtures::at(100));
            if !kind.owns_pods() {
                counts.available = 0;
            }
            let (remaining, window) = (0, Some(Int(1)));
            let release = Release::Back { revision: "v1".into(), restore: true, remaining, window, moving: true };
            partition(&release, &workload, Some(counts), Some(&pods).filter(|_| kind.owns_pods()).map(|pods| &**pods))
        };
        let table = [
            (WorkloadKind::CloneSet, "nsnsn", 2),
            (WorkloadKind::CloneSet, "nsn-n", 3),
            (WorkloadKind::CloneSet, "nsdsn", 3),
            // Nobody deletes it, so it may not hold up its own replacement.
            (WorkloadKind::CloneSet, "nsbsn", 2),
            (WorkloadKind::PodDecoration, "nsnsn", 2),
            (WorkloadKind::PodDecoration, "nsn-n", 3),
        ];
        for (kind, revisions, wanted) in table {
            assert_eq!(undo(kind, revisions), wanted, "{revisions} of a {}", kind.name());
        }
    }

    #[test]
    fn nothing_moves_before_the_template_is_back() {
        let mut workload = fixtures::workload("east", "web", 5);
        let back = Release::Back { revision: "v1".into(), restore: true, remaining: 0, window: None, moving: true };
        workload.partition = 2;
        assert_eq!(partition(&back, &workload, None, None), PARKED, "the template is v2");
        workload.updated_revision = "v1".into();
        assert_eq!(partition(&back, &workload, None, None), 2, "the pods are not known");
        workload.generation += 1;
        assert_eq!(partition(&back, &workload, Some(PodCounts::default()), Some(&[])), 2, "not observed");
    }

    proptest! {
        /// Undoing leaves what the earlier batches allow, and takes down no more serving pods than the window.
        #[test]
        fn the_way_back_is_as_narrow_as_the_way_there(
            revisions in "[nsdb-]{1,12}",
            remaining in 0..12i32,
            window in prop::option::of(count()),
        ) {
            let partition = undo(&revisions, remaining, window, true);
            let new = |(ordinal, state): &(usize, char)| "ndb".contains(*state) && *ordinal >= usize::try_from(partition).unwrap();
            let taken: Vec<_> = revisions.chars().enumerate().filter(new).collect();
            let left = revisions.chars().filter(|state| "ndb".contains(*state)).count() - taken.len();
            let all = revisions.chars().filter(|state| "ndb".contains(*state)).count();
            prop_assert!(left >= usize::try_from(remaining).unwrap().min(all));
            if let Some(window) = window {
                let width = window.scaled(i32::try_from(revisions.len()).unwrap()).max(1);
                prop_assert!(taken.len() <= usize::try_from(width).unwrap());
            }
        }
    }
}
