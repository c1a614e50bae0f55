//! Runs that no Rollout answers for any more.

use std::sync::Arc;

use super::run;
use crate::{
    api::{GROUP, Rollout, RolloutRun},
    intent::HubWrite,
};

/// Lets go of the runs that are being deleted and have no Rollout left: only a Rollout's own decisions take the protection
/// off its runs, so without one a deletion would wait for ever. What such a run left on workloads, a Rollout that selects
/// them takes off.
pub fn release<'a>(runs: impl IntoIterator<Item = &'a Arc<RolloutRun>>, rollouts: &[Arc<Rollout>]) -> Vec<HubWrite> {
    let deleted = runs.into_iter().filter(|run| run.metadata.deletion_timestamp.is_some());
    let orphans = deleted.filter(|run| !rollouts.iter().any(|rollout| owns(rollout, run)));
    orphans.filter_map(|run| run::unprotect(run)).collect()
}

/// Whether this very Rollout, and not one of the same name before it, controls the run.
fn owns(rollout: &Rollout, run: &RolloutRun) -> bool {
    let owners = run.metadata.owner_references.iter().flatten();
    rollout.metadata.namespace == run.metadata.namespace
        && owners.filter(|owner| owner.controller == Some(true)).any(|owner| {
            let group = owner.api_version.split('/').next();
            (group, owner.kind.as_str()) == (Some(GROUP), "Rollout")
                && Some(&owner.uid) == rollout.metadata.uid.as_ref()
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decide::fixtures;

    #[test]
    fn only_a_deleted_run_without_its_rollout_is_let_go() {
        let view = fixtures::view(vec![]);
        let run = |owner: &str, deleted: bool| {
            fixtures::object::<RolloutRun>(json!({ "metadata": {
                "name": "demo-1", "namespace": "default", "resourceVersion": "3",
                "deletionTimestamp": deleted.then_some("2027-01-15T08:00:00Z"),
                "finalizers": ["finalizer.rollout.kusionstack.io/protection", "other"],
                "ownerReferences": [{ "apiVersion": "rollout.kusionstack.io/v1alpha1", "kind": "Rollout",
                    "name": "demo", "uid": owner, "controller": true }],
            }}))
        };
        let rollouts = [view.rollout.clone()];
        assert_eq!(release([&run("rollout-uid", true)], &rollouts), []);
        assert_eq!(release([&run("an-earlier-uid", false)], &rollouts), []);
        let writes = release([&run("an-earlier-uid", true)], &rollouts);
        let [HubWrite::Patch { patch, .. }] = &writes[..] else { panic!("{writes:?}") };
        assert_eq!(*patch, json!({ "metadata": { "resourceVersion": "3", "finalizers": ["other"] } }));
        assert_eq!(release([&run("rollout-uid", true)], &[]).len(), 1);
    }
}
