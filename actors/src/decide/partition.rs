//! How many pods stay on the old revision.

use crate::{
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
        Release::Held { replicas } => workload.partition.max(desired - replicas.scaled(desired)),
        Release::Step { replicas, window } => {
            let target = replicas.scaled(desired);
            let ceiling = desired - target;
            if workload.partition < ceiling {
                return ceiling;
            }
            let released = match window {
                None => target,
                Some(window) => match counts.filter(|_| workload.observed_generation >= workload.generation) {
                    // A window of zero pods would never move; one pod is the least a step can release.
                    Some(counts) => target.min(counts.updated_available + window.scaled(desired).max(1)),
                    None => return workload.partition,
                },
            };
            workload.partition.min(desired - released)
        }
    }
}
