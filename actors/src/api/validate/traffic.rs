//! Checks of what carries traffic: TrafficTopology and BackendRouting.

use super::parts::workloads;
use super::{Errors, FieldError, labels, metadata};
use crate::api::backendrouting::{BackendRouting, ForkedBackend, HttpForwarding};
use crate::api::keys::MULTICLUSTER_API;
use crate::api::traffictopology::TrafficTopology;

/// A kind as apiVersion and kind.
type Kind<'a> = (&'a str, &'a str);

/// Kinds of backends.
const BACKENDS: [Kind<'_>; 4] = [
    ("v1", "Service"),
    ("inference.networking.k8s.io/v1", "InferencePool"),
    ("inference.networking.x-k8s.io/v1alpha2", "InferencePool"),
    (MULTICLUSTER_API, "ServiceImport"),
];
/// Kinds of routes.
const ROUTES: [Kind<'_>; 3] = [
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("gateway.networking.k8s.io/v1", "GRPCRoute"),
    ("networking.k8s.io/v1", "Ingress"),
];

/// Checks a TrafficTopology.
pub fn traffic_topology(topology: &TrafficTopology) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let spec = &topology.spec;
    metadata(&mut errors, &topology.metadata);
    workloads(&mut errors, "spec.workloadRef", &spec.workload_ref);
    traffic_type(&mut errors, &spec.traffic_type);
    let default = |found: &Option<String>, default: &str| found.clone().unwrap_or_else(|| default.to_owned());
    let backend = &spec.backend;
    let (version, kind) = (default(&backend.api_version, BACKENDS[0].0), default(&backend.kind, BACKENDS[0].1));
    object(&mut errors, "spec.backend", &BACKENDS, (&version, &kind), &backend.name);
    let routes = spec.routes.iter().map(|route| {
        let version = default(&route.api_version, ROUTES[0].0);
        (version, default(&route.kind, ROUTES[0].1), String::new(), route.name.clone())
    });
    let routes = routes.collect::<Vec<_>>();
    self::routes(&mut errors, &routes);
    if spec.traffic_type == "MultiCluster" {
        over_clusters(&mut errors, &kind, &routes);
    } else {
        in_cluster(&mut errors, topology, &kind);
    }
    errors.0
}

/// What can be reached from one cluster over all: Services, by routes that can name their ServiceImport.
fn over_clusters(errors: &mut Errors, kind: &str, routes: &[(String, String, String, String)]) {
    if kind == BACKENDS[1].1 {
        let message =
            "is an InferencePool, which no cluster exports; name a Service, or set spec.trafficType to InCluster";
        errors.add("spec.backend", message);
    }
    for (index, (_, kind, ..)) in routes.iter().enumerate().filter(|(_, (_, kind, ..))| kind == "Ingress") {
        let message =
            format_args!("is an {kind}, which cannot refer to a ServiceImport; name an HTTPRoute or a GRPCRoute");
        errors.add(format_args!("spec.routes[{index}]"), message);
    }
}

fn in_cluster(errors: &mut Errors, topology: &TrafficTopology, kind: &str) {
    if kind == "ServiceImport" {
        let message =
            "is a ServiceImport, which only a MultiCluster topology has; name a Service, or set spec.trafficType";
        errors.add("spec.backend", message);
    }
    if topology.spec.gateway_cluster.is_some() {
        let message =
            "has no meaning beside spec.trafficType InCluster; remove it, or set spec.trafficType to MultiCluster";
        errors.add("spec.gatewayCluster", message);
    }
}

/// Checks a BackendRouting.
pub fn backend_routing(routing: &BackendRouting) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let spec = &routing.spec;
    metadata(&mut errors, &routing.metadata);
    traffic_type(&mut errors, &spec.traffic_type);
    let backend = &spec.backend;
    object(&mut errors, "spec.backend", &BACKENDS, (&backend.api_version, &backend.kind), &backend.name);
    let routes = spec
        .routes
        .iter()
        .map(|route| (route.api_version.clone(), route.kind.clone(), route.cluster.clone(), route.name.clone()));
    self::routes(&mut errors, &routes.collect::<Vec<_>>());
    if let Some(forked) = &spec.forked_backends {
        fork(&mut errors, "spec.forkedBackends.stable", &forked.stable);
        fork(&mut errors, "spec.forkedBackends.canary", &forked.canary);
    }
    if let Some(forwarding) = &spec.forwarding {
        if spec.forked_backends.is_none() {
            let message = "is absent beside forwarding; write both copies of the backend, or remove forwarding";
            errors.add("spec.forkedBackends", message);
        }
        if let Some(http) = &forwarding.http {
            http_forwarding(&mut errors, http);
        }
    }
    errors.0
}

fn traffic_type(errors: &mut Errors, found: &str) {
    if !matches!(found, "InCluster" | "MultiCluster") {
        errors.add("spec.trafficType", format_args!("found {found:?}, expected InCluster or MultiCluster"));
    }
}

fn object(errors: &mut Errors, path: &str, known: &[Kind<'_>], found: Kind<'_>, name: &str) {
    if !known.contains(&found) {
        let known: Vec<String> = known.iter().map(|(version, kind)| format!("{version} {kind}")).collect();
        let (version, kind) = found;
        let message = format_args!("found kind {:?}, expected {}", format!("{version} {kind}"), known.join(" or "));
        errors.add(path, message);
    }
    if !labels::is_object_name(name) {
        errors.add(format_args!("{path}.name"), format_args!("found {name:?}, expected the name of an object"));
    }
}

/// Checks routes, each as apiVersion, kind, cluster and name.
fn routes(errors: &mut Errors, routes: &[(String, String, String, String)]) {
    for (index, route) in routes.iter().enumerate() {
        let (version, kind, _, name) = route;
        let path = format!("spec.routes[{index}]");
        object(errors, &path, &ROUTES, (version, kind), name);
        if routes[..index].contains(route) {
            errors.add(path, format_args!("{kind} {name:?} is in this list already; remove one of the two"));
        }
    }
}

fn fork(errors: &mut Errors, path: &str, fork: &ForkedBackend) {
    if !labels::is_object_name(&fork.name) {
        let found = &fork.name;
        let message = format_args!("found {found:?}, expected a name for the copy of the backend");
        errors.add(format_args!("{path}.name"), message);
    }
    for (label, value) in &fork.extra_label_selector {
        labels::key(errors, &format!("{path}.extraLabelSelector"), label);
        labels::label_value(errors, &format!("{path}.extraLabelSelector[{label}]"), value);
    }
    for (index, cluster) in fork.clusters.iter().enumerate() {
        let path = format!("{path}.clusters[{index}]");
        if fork.clusters[..index].iter().any(|other| other.name == cluster.name) {
            let name = &cluster.name;
            errors.add(
                format_args!("{path}.name"),
                format_args!("{name:?} is in this list already; remove one of the two"),
            );
        }
        for (label, value) in &cluster.extra_label_selector {
            labels::key(errors, &format!("{path}.extraLabelSelector"), label);
            labels::label_value(errors, &format!("{path}.extraLabelSelector[{label}]"), value);
        }
    }
}

fn http_forwarding(errors: &mut Errors, http: &HttpForwarding) {
    let path = "spec.forwarding.http";
    if http.origin.is_none() && (http.stable.is_some() || http.canary.is_some()) {
        let message = "is absent beside stable or canary, so other requests would go nowhere; write it";
        errors.add(format_args!("{path}.origin"), message);
    }
    if let Some(weight) = http.canary.as_ref().and_then(|canary| canary.weight)
        && !(0..=100).contains(&weight)
    {
        errors.add(format_args!("{path}.canary.weight"), format_args!("found {weight}, expected 0 to 100"));
    }
}
