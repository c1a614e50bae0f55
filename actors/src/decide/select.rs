//! Which workloads a Rollout or a step of a strategy means.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::{
    api::{ObjectTypeRef, ResourceMatch},
    intent::Wait,
    view::{Health, MemberView, RolloutView, Workload},
    workloads::WorkloadKind,
};

/// The workloads a Rollout selects, in order of cluster and name.
///
/// Deleting workloads and canary copies are never selected.
pub fn selected(view: &RolloutView) -> Vec<&Arc<Workload>> {
    workloads(&view.members).filter(|workload| is_selected(view, workload)).collect()
}

/// Whether the Rollout selects this workload.
pub fn is_selected(view: &RolloutView, workload: &Workload) -> bool {
    let reference = view.rollout.spec.workload_ref.as_ref();
    let reference = reference.filter(|reference| WorkloadKind::of(reference) == Some(workload.kind));
    reference.is_some_and(|reference| matches(&reference.match_, workload))
}

/// Every workload of the Rollout's kinds that may be taken into a rollout.
pub fn workloads(members: &BTreeMap<String, MemberView>) -> impl Iterator<Item = &Arc<Workload>> {
    members
        .values()
        .flat_map(|member| member.workloads.values())
        .filter(|workload| !workload.deleting && !workload.labels.contains_key(crate::api::keys::LABEL_CANARY_RESOURCE))
}

/// Whether `workload` is meant. A selector alone decides where there is one (an empty one means everything);
/// otherwise any of the names does.
pub fn matches(resources: &ResourceMatch, workload: &Workload) -> bool {
    matches_object(resources, &workload.cluster, &workload.key.name, &workload.labels)
}

/// Whether an object of that name and those labels is meant; an empty cluster may be any.
pub fn matches_object(resources: &ResourceMatch, cluster: &str, name: &str, labels: &BTreeMap<String, String>) -> bool {
    match &resources.selector {
        Some(selector) => selector_matches(selector, labels),
        None => resources.names.iter().any(|reference| reference.matches(cluster, name)),
    }
}

/// Whether a target of that cluster and name means this workload; without a cluster it means one of that name anywhere.
pub fn is_named(kind: Option<&ObjectTypeRef>, cluster: &str, name: &str, workload: &Workload) -> bool {
    kind.is_none_or(|kind| WorkloadKind::of_target(kind) == Some(workload.kind))
        && name == workload.key.name
        && (cluster.is_empty() || cluster == workload.cluster)
}

/// The members whose data cannot be relied on now, with why.
pub fn unreliable(view: &RolloutView) -> impl Iterator<Item = (&str, String)> {
    view.members.iter().filter_map(|(name, member)| match &member.health {
        Health::Ready => None,
        Health::Syncing => Some((name.as_str(), "its workloads are not listed yet".to_owned())),
        Health::Unreachable { error, .. } => Some((name.as_str(), format!("it is unreachable: {error}"))),
    })
}

/// The wait for each of these members.
pub fn unreliable_waits(view: &RolloutView) -> impl Iterator<Item = Wait> {
    unreliable(view).map(|(cluster, why)| Wait {
        cluster: cluster.to_owned(),
        object: String::new(),
        condition: why,
        unblock: None,
    })
}

fn selector_matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let exact = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    exact && selector.match_expressions.iter().flatten().all(|requirement| requirement_matches(requirement, labels))
}

fn requirement_matches(requirement: &LabelSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    let listed = || value.is_some_and(|value| requirement.values.iter().flatten().any(|wanted| wanted == value));
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        // Refused by validation; an operator nobody knows means nothing rather than everything.
        _ => false,
    }
}
