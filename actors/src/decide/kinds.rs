//! Which kinds of workload a Rollout has to do with.
//!
//! What was taken must be given back, also when `spec.workloadRef` has since named another kind. So the kinds are recorded
//! on the Rollout before the first workload of each is taken, and only those are watched: a cluster's other kinds are
//! nobody's business here.

use std::collections::BTreeSet;

use super::{run, select};
use crate::{
    api::{Rollout, keys},
    view::RolloutView,
    workloads::WorkloadKind,
};

/// The kinds whose workloads must be known in every member.
pub fn watched(view: &RolloutView) -> BTreeSet<WorkloadKind> {
    let mut kinds = recorded(&view.rollout);
    kinds.extend(current(view));
    kinds
}

/// The kinds of which workloads may be taken.
pub fn recorded(rollout: &Rollout) -> BTreeSet<WorkloadKind> {
    let annotations = rollout.metadata.annotations.as_ref();
    let text = annotations.and_then(|annotations| annotations.get(keys::ANNOTATION_WORKLOAD_KINDS));
    let names = text.into_iter().flat_map(|text| text.split(','));
    names
        .filter_map(|name| {
            let (api_version, kind) = name.trim().split_once(' ')?;
            WorkloadKind::named(api_version, kind)
        })
        .collect()
}

/// The record as it has to be before anything else happens, if it is not so already.
pub fn record(view: &RolloutView) -> Option<String> {
    let recorded = recorded(&view.rollout);
    let wanted = watched(view);
    (wanted != recorded).then(|| text(&wanted))
}

/// The record without the kinds of which nothing is left to give back, if there are any.
pub fn forget(view: &RolloutView) -> Option<String> {
    // What does not show may still be there.
    if select::unreliable(view).next().is_some() {
        return None;
    }
    let name = view.rollout.metadata.name.as_deref();
    let mut needed = current(view);
    let all = view.members.values().flat_map(|member| member.workloads.values());
    needed.extend(all.filter(|workload| workload.rollout.as_deref() == name).map(|workload| workload.kind));
    let recorded = recorded(&view.rollout);
    let kept: BTreeSet<_> = recorded.intersection(&needed).copied().collect();
    (kept != recorded).then(|| text(&kept))
}

/// The kinds that the Rollout names, and those of runs that have not ended.
fn current(view: &RolloutView) -> BTreeSet<WorkloadKind> {
    let named = view.rollout.spec.workload_ref.as_ref().and_then(WorkloadKind::of);
    let runs = view.runs.values().filter(|run| !run::completed(run));
    let targets = runs.filter_map(|run| run.spec.target_type.as_ref().and_then(WorkloadKind::of_target));
    named.into_iter().chain(targets).collect()
}

/// The record of these kinds.
pub fn text(kinds: &BTreeSet<WorkloadKind>) -> String {
    let names: Vec<_> = kinds.iter().map(ToString::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{api::WorkloadRef, decide::fixtures, view::Health};

    const SETS: &str = "apps/v1 StatefulSet";
    const BOTH: &str = "apps/v1 StatefulSet, apps.kusionstack.io/v1alpha1 CollaSet";

    fn view(recorded: &str, api_version: &str, kind: &str) -> RolloutView {
        let mut view = fixtures::view(vec![fixtures::workload("east", "web", 5)]);
        let mut rollout = view.rollout.as_ref().clone();
        let annotations = rollout.metadata.annotations.get_or_insert_default();
        annotations.insert(keys::ANNOTATION_WORKLOAD_KINDS.to_owned(), recorded.to_owned());
        let reference = rollout.spec.workload_ref.take().unwrap();
        rollout.spec.workload_ref =
            Some(WorkloadRef { api_version: api_version.into(), kind: kind.into(), ..reference });
        view.rollout = Arc::new(rollout);
        view
    }

    #[test]
    fn a_kind_is_recorded_before_anything_of_it_is_taken() {
        // (recorded, what the Rollout names) → what is to be recorded
        let table = [
            ("", ("apps/v1", "StatefulSet"), Some(SETS)),
            (SETS, ("apps/v1", "StatefulSet"), None),
            (SETS, ("apps.kusionstack.io/v1alpha1", "CollaSet"), Some(BOTH)),
            (SETS, ("apps/v1", "DaemonSet"), None),
            ("", ("apps/v1", "DaemonSet"), None),
        ];
        for (recorded, (version, kind), expected) in table {
            assert_eq!(record(&view(recorded, version, kind)).as_deref(), expected, "{recorded} {kind}");
        }
    }

    #[test]
    fn a_kind_is_forgotten_once_nothing_of_it_is_ours() {
        let mut view = view(BOTH, "apps.kusionstack.io/v1alpha1", "CollaSet");
        assert_eq!(forget(&view), None, "a StatefulSet is still ours");
        let member = view.members.get_mut("east").unwrap();
        for workload in member.workloads.values_mut() {
            Arc::make_mut(workload).rollout = None;
        }
        member.health = Health::Syncing;
        assert_eq!(forget(&view), None, "another may show");
        view.members.get_mut("east").unwrap().health = Health::Ready;
        assert_eq!(forget(&view).as_deref(), Some("apps.kusionstack.io/v1alpha1 CollaSet"));
    }
}
