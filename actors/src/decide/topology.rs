//! One TrafficTopology: a BackendRouting for each cluster that has workloads of it, or one over all of them.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{condition, holder, patch, routing::MULTI_CLUSTER, select};
use crate::{
    api::{
        self, BackendRouting, BackendRoutingSpec, CrossClusterObjectNameReference, CrossClusterObjectReference,
        TrafficTopology, TrafficTopologyStatus, keys, traffictopology::TopologyInfo, validate,
    },
    intent::{HubKind, HubWrite, TopologyDecision},
    view::{Health, TopologyView, Workload},
    workloads::WorkloadKind,
};

/// Decides the next step of one TrafficTopology.
pub fn topology(view: &TopologyView, now: Timestamp) -> TopologyDecision {
    let meta = &view.topology.metadata;
    let deleting = meta.deletion_timestamp.is_some();
    let protected = meta.finalizers.iter().flatten().any(|finalizer| finalizer == keys::FINALIZER_TOPOLOGY);
    if !protected {
        let writes = (!deleting).then(|| write_finalizers(&view.topology, true)).into_iter().collect();
        return TopologyDecision { writes };
    }
    if deleting {
        let left: Vec<_> = owned(view).collect();
        let delete = left.iter().filter(|routing| routing.metadata.deletion_timestamp.is_none());
        let mut writes: Vec<_> = delete.map(|routing| delete_routing(routing)).collect();
        if left.is_empty() {
            writes.push(write_finalizers(&view.topology, false));
        }
        return TopologyDecision { writes };
    }
    let plan = plan(view);
    let mut writes: Vec<_> = plan.writes.into_iter().collect();
    writes.extend(write_status(view, plan.topologies, &plan.problems, now));
    TopologyDecision { writes }
}

/// The kind of workload that is watched for.
pub fn kind(topology: &TrafficTopology) -> Option<WorkloadKind> {
    WorkloadKind::of(&topology.spec.workload_ref)
}

/// What is to be made of a topology.
#[derive(Default)]
struct Plan {
    writes: Vec<HubWrite>,
    topologies: Vec<TopologyInfo>,
    problems: Vec<(&'static str, String)>,
}

fn plan(view: &TopologyView) -> Plan {
    let mut plan = Plan::default();
    let errors = validate::traffic_topology(&view.topology);
    if !errors.is_empty() {
        let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
        plan.problems.push(("InvalidSpec", told.join("; ")));
        return plan;
    }
    let by_cluster = workloads(view);
    let routings = if view.topology.spec.traffic_type == MULTI_CLUSTER {
        over_all(view, &by_cluster, &mut plan)
    } else {
        by_cluster.keys().map(|cluster| (routing_name(view, cluster), spec(&view.topology, cluster))).collect()
    };
    if routings.is_empty() && plan.problems.is_empty() {
        plan.problems.push(("NoWorkload", "spec.workloadRef selects no workload in any cluster".to_owned()));
    }
    let mut placed = BTreeSet::new();
    for (name, spec) in &routings {
        match place(view, name, spec) {
            Ok(write) => {
                placed.insert(name.clone());
                plan.writes.extend(write);
            }
            Err(problem) => {
                plan.problems.push(problem);
                // A run that has it forked gives it back first.
                let is_forked = view.routings.get(name).is_some_and(|known| known.spec.forked_backends.is_some());
                let known = view.topology.status.iter().flat_map(|status| &status.topologies);
                let known = known.filter(|known| is_forked && known.backend_routing_name == *name);
                plan.topologies.extend(known.cloned());
            }
        }
    }
    let wanted: BTreeSet<String> = routings.iter().map(|(name, _)| name.clone()).collect();
    for (cluster, workloads) in by_cluster {
        let name = name_in(view, cluster);
        if !placed.contains(&name) {
            continue;
        }
        // Selectors are ANDed, so that one revision label picks the pods of one workload only.
        if workloads.len() > 1 && workloads.iter().any(|workload| workload.lane.as_deref() != Some(keys::LANE_STABLE)) {
            let names: Vec<_> = workloads.iter().map(|workload| workload.key.name.as_str()).collect();
            let message = format!(
                "cluster {cluster:?}: {} all serve {}, and no selector tells the revisions of several workloads apart: make a TrafficTopology with a backend of its own for each, or set label {}: {} in every pod template",
                names.join(", "),
                view.topology.spec.backend.name,
                keys::LABEL_TRAFFIC_LANE,
                keys::LANE_STABLE,
            );
            plan.problems.push(("SeveralWorkloads", message));
        }
        plan.topologies.extend(workloads.iter().map(|workload| TopologyInfo {
            workload_ref: Some(CrossClusterObjectNameReference::new(cluster, &workload.key.name)),
            backend_routing_name: name.clone(),
        }));
    }
    for routing in owned(view) {
        let name = routing.metadata.name.clone().unwrap_or_default();
        if wanted.contains(&name) {
            // What a member does not show for now is tied to it all the same.
            let known = view.topology.status.iter().flat_map(|status| &status.topologies);
            let known = known.filter(|known| known.backend_routing_name == name && is_hidden(view, routing, known));
            let hidden: Vec<_> = known.filter(|known| !plan.topologies.contains(known)).cloned().collect();
            plan.topologies.extend(hidden);
            continue;
        }
        // Absence means nothing in a cluster that cannot be relied on.
        let cluster = &routing.spec.backend.cluster;
        if let Some(why) = unreliable(view, cluster) {
            plan.problems.push(("ClusterUnreliable", format!("cluster {cluster:?}: {why}")));
            let known = view.topology.status.iter().flat_map(|status| &status.topologies);
            plan.topologies.extend(known.filter(|known| known.backend_routing_name == name).cloned());
        } else if routing.metadata.deletion_timestamp.is_none() {
            plan.writes.push(delete_routing(routing));
        }
    }
    plan.topologies.sort_by_key(key_of);
    plan
}

/// The one BackendRouting of a topology over several clusters: routes where its gateway is, forks where its workloads are.
fn over_all(
    view: &TopologyView,
    by_cluster: &BTreeMap<&str, Vec<&Arc<Workload>>>,
    plan: &mut Plan,
) -> Vec<(String, BackendRoutingSpec)> {
    let spec = &view.topology.spec;
    let gateway = spec.gateway_cluster.as_deref().unwrap_or_default();
    if !gateway.is_empty() && !view.members.contains_key(gateway) {
        let message = format!(
            "spec.gatewayCluster {gateway:?} is no member of the clusterset: name one, or leave it out for the hub"
        );
        plan.problems.push(("ClusterNotFound", message));
        return Vec::new();
    }
    let name = name_in(view, gateway);
    let mut clusters: BTreeSet<String> = by_cluster.keys().map(|cluster| (*cluster).to_owned()).collect();
    // Absence means nothing in a cluster that cannot be relied on.
    let known = view.routings.get(&name).map(|routing| routing.spec.clusters.clone()).unwrap_or_default();
    clusters.extend(known.into_iter().filter(|cluster| unreliable(view, cluster).is_some()));
    if clusters.is_empty() {
        return Vec::new();
    }
    let mut spec = self::spec(&view.topology, gateway);
    // Each cluster has a Service of that name, and the routes' one the import of what they export.
    (spec.backend.api_version, spec.backend.kind) = (keys::MULTICLUSTER_API.to_owned(), "ServiceImport".to_owned());
    spec.clusters = clusters.into_iter().collect();
    vec![(name, spec)]
}

/// Whether a workload on record is in one of several clusters that cannot be relied on.
fn is_hidden(view: &TopologyView, routing: &BackendRouting, known: &TopologyInfo) -> bool {
    let cluster = known.workload_ref.as_ref().map(|workload| workload.cluster.as_str()).unwrap_or_default();
    routing.spec.clusters.iter().any(|name| name == cluster) && unreliable(view, cluster).is_some()
}

fn key_of(info: &TopologyInfo) -> (String, Option<(String, String)>) {
    let workload = info.workload_ref.as_ref().map(|workload| (workload.cluster.clone(), workload.name.clone()));
    (info.backend_routing_name.clone(), workload)
}

/// The write that brings a BackendRouting to what the topology asks for; or why there is none.
fn place(
    view: &TopologyView,
    name: &str,
    spec: &BackendRoutingSpec,
) -> Result<Option<HubWrite>, (&'static str, String)> {
    let holder = holder::of(&view.routings, &spec.backend).and_then(|holder| holder.metadata.name.as_deref());
    if let Some(other) = holder.filter(|holder| *holder != name) {
        let message = format!(
            "{} {} is the backend of BackendRouting {other} already: one backend cannot be split twice",
            spec.backend.kind, spec.backend.name,
        );
        return Err(("BackendInUse", message));
    }
    let Some(existing) = view.routings.get(name) else {
        if let Some(error) = view.errors.get(name) {
            return Err(("NotCreated", format!("BackendRouting {name}: {error}")));
        }
        return Ok(Some(create(view, name, spec)));
    };
    let controller = existing.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if Some(&owner.uid) != view.topology.metadata.uid.as_ref() => {
            return Err((
                "NotOwned",
                format!("BackendRouting {name} is controlled by {} {}: rename one", owner.kind, owner.name),
            ));
        }
        None if existing.spec.backend != spec.backend => {
            return Err((
                "NotOwned",
                format!("BackendRouting {name} exists, has another backend and no controller: rename it"),
            ));
        }
        _ => {}
    }
    if existing.metadata.deletion_timestamp.is_some() {
        return Err(("Deleting", format!("BackendRouting {name} is being deleted, and is made anew afterwards")));
    }
    // The backend of what is forked is not another one before the run gives it back.
    if existing.spec.forked_backends.is_some() && existing.spec.backend != spec.backend {
        return Err((
            "InUse",
            format!("BackendRouting {name} has its backend forked: the new one is taken afterwards"),
        ));
    }
    let mut wanted = existing.spec.clone();
    wanted.traffic_type.clone_from(&spec.traffic_type);
    wanted.backend.clone_from(&spec.backend);
    wanted.routes.clone_from(&spec.routes);
    wanted.clusters.clone_from(&spec.clusters);
    wanted.drain_seconds = spec.drain_seconds;
    let (before, after) = (json!(existing.spec), json!(wanted));
    let change = patch::merge_patch(&before, &after);
    if change.is_none() && controller.is_some() {
        return Ok(None);
    }
    let mut body = json!({ "metadata": { "resourceVersion": existing.metadata.resource_version } });
    if controller.is_none() {
        let mut owners = json!(existing.metadata.owner_references.clone().unwrap_or_default());
        if let Some(owners) = owners.as_array_mut() {
            owners.push(owner(view));
        }
        body["metadata"]["ownerReferences"] = owners;
    }
    if let Some(change) = change {
        body["spec"] = change;
    }
    let key = patch::key(&existing.metadata);
    Ok(Some(HubWrite::Patch { kind: HubKind::BackendRouting, key, patch: body }))
}

fn create(view: &TopologyView, name: &str, spec: &BackendRoutingSpec) -> HubWrite {
    let meta = &view.topology.metadata;
    let key = crate::view::ObjectKey { namespace: meta.namespace.clone().unwrap_or_default(), name: name.to_owned() };
    let class = meta.labels.iter().flatten().filter(|(label, _)| *label == keys::LABEL_ROLLOUT_CLASS);
    let object = json!({
        "apiVersion": api::API_VERSION,
        "kind": HubKind::BackendRouting.kind(),
        "metadata": {
            "namespace": key.namespace, "name": name, "ownerReferences": [owner(view)],
            "labels": class.collect::<BTreeMap<_, _>>(),
            "finalizers": [keys::FINALIZER_PROTECTION],
        },
        "spec": spec,
    });
    HubWrite::Create { kind: HubKind::BackendRouting, key, object }
}

fn owner(view: &TopologyView) -> Value {
    let meta = &view.topology.metadata;
    json!({
        "apiVersion": api::API_VERSION, "kind": HubKind::TrafficTopology.kind(), "name": meta.name, "uid": meta.uid,
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The selected workloads, by cluster.
fn workloads(view: &TopologyView) -> BTreeMap<&str, Vec<&Arc<Workload>>> {
    let reference = &view.topology.spec.workload_ref;
    let mut found: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for workload in select::workloads(&view.members) {
        if WorkloadKind::of(reference) == Some(workload.kind) && select::matches(&reference.match_, workload) {
            found.entry(&workload.cluster).or_default().push(workload);
        }
    }
    found
}

fn owned(view: &TopologyView) -> impl Iterator<Item = &Arc<BackendRouting>> {
    let uid = view.topology.metadata.uid.as_ref();
    view.routings.values().filter(move |routing| {
        let mut owners = routing.metadata.owner_references.iter().flatten();
        owners.any(|owner| owner.controller == Some(true) && Some(&owner.uid) == uid)
    })
}

/// The name of the BackendRouting that workloads of a cluster belong to.
fn name_in(view: &TopologyView, cluster: &str) -> String {
    if view.topology.spec.traffic_type != MULTI_CLUSTER {
        return routing_name(view, cluster);
    }
    format!("{}-msc", view.topology.metadata.name.as_deref().unwrap_or_default())
}

fn routing_name(view: &TopologyView, cluster: &str) -> String {
    let name = view.topology.metadata.name.as_deref().unwrap_or_default();
    if cluster.is_empty() { format!("{name}-ics") } else { format!("{name}-ics-{cluster}") }
}

/// What a topology asks of its BackendRouting in one cluster.
fn spec(topology: &TrafficTopology, cluster: &str) -> BackendRoutingSpec {
    let spec = &topology.spec;
    let or = |text: &Option<String>, default: &str| text.clone().unwrap_or_else(|| default.to_owned());
    BackendRoutingSpec {
        traffic_type: spec.traffic_type.clone(),
        backend: CrossClusterObjectReference {
            api_version: or(&spec.backend.api_version, "v1"),
            kind: or(&spec.backend.kind, "Service"),
            cluster: cluster.to_owned(),
            name: spec.backend.name.clone(),
        },
        routes: spec
            .routes
            .iter()
            .map(|route| CrossClusterObjectReference {
                api_version: or(&route.api_version, "gateway.networking.k8s.io/v1"),
                kind: or(&route.kind, "HTTPRoute"),
                cluster: cluster.to_owned(),
                name: route.name.clone(),
            })
            .collect(),
        drain_seconds: spec.drain_seconds,
        ..BackendRoutingSpec::default()
    }
}

/// Why nothing can be told from what a cluster does not show.
fn unreliable(view: &TopologyView, cluster: &str) -> Option<String> {
    match &view.members.get(cluster)?.health {
        Health::Ready => None,
        Health::Syncing => Some("its workloads are not listed yet".to_owned()),
        Health::Unreachable { error, .. } => Some(format!("it is unreachable: {error}")),
    }
}

fn delete_routing(routing: &BackendRouting) -> HubWrite {
    HubWrite::Delete {
        kind: HubKind::BackendRouting,
        key: patch::key(&routing.metadata),
        uid: routing.metadata.uid.clone().unwrap_or_default(),
        resource_version: routing.metadata.resource_version.clone().unwrap_or_default(),
    }
}

fn write_finalizers(topology: &TrafficTopology, protect: bool) -> HubWrite {
    let meta = &topology.metadata;
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    finalizers.retain(|finalizer| finalizer != keys::FINALIZER_TOPOLOGY);
    if protect {
        finalizers.push(keys::FINALIZER_TOPOLOGY.to_owned());
    }
    let version = meta.resource_version.as_deref().unwrap_or_default();
    HubWrite::Patch {
        kind: HubKind::TrafficTopology,
        key: patch::key(meta),
        patch: patch::finalizers(version, &finalizers),
    }
}

fn write_status(
    view: &TopologyView,
    topologies: Vec<TopologyInfo>,
    problems: &[(&'static str, String)],
    now: Timestamp,
) -> Option<HubWrite> {
    let meta = &view.topology.metadata;
    let old = view.topology.status.clone().unwrap_or_default();
    let mut status =
        TrafficTopologyStatus { observed_generation: meta.generation.unwrap_or_default(), topologies, ..old.clone() };
    // A BackendRouting that is about to be made does not count yet.
    let is_missing = |info: &TopologyInfo| !view.routings.contains_key(&info.backend_routing_name);
    let (ready, reason, message) = match problems.first() {
        Some((reason, _)) => {
            let told: Vec<_> = problems.iter().map(|(_, message)| message.as_str()).collect();
            (false, *reason, told.join("; "))
        }
        None if status.topologies.iter().any(is_missing) => {
            (false, "Creating", "BackendRoutings are being made".to_owned())
        }
        None => (true, "Ready", String::new()),
    };
    condition::set(&mut status.conditions, "Ready", ready, reason, message, now);
    (view.topology.status.is_none() || old != status).then(|| HubWrite::PatchStatus {
        kind: HubKind::TrafficTopology,
        key: patch::key(meta),
        patch: patch::status(meta.resource_version.as_deref(), &old, &status),
    })
}
