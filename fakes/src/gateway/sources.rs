//! What stores say of routes and backends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::backend::{Backend, BackendId, Endpoint};
use super::rule::RouteId;
use crate::controllers::endpointslice::SERVICE_LABEL;
use crate::controllers::object::{self, list};
use crate::controllers::pod;
use crate::store::{GroupResource, Store, Stored};

/// The resources that a gateway looks at.
#[derive(Clone, Debug)]
pub(super) struct Kinds {
    pub(super) http_routes: GroupResource,
    pub(super) grpc_routes: GroupResource,
    pub(super) ingresses: GroupResource,
    pub(super) gateways: GroupResource,
    pub(super) services: GroupResource,
    pub(super) slices: GroupResource,
    pub(super) pods: GroupResource,
    pub(super) imports: GroupResource,
    pub(super) exports: GroupResource,
    pub(super) pools: GroupResource,
    /// What they were before they were done.
    pub(super) alpha_pools: GroupResource,
}

impl Kinds {
    pub(super) fn new() -> Self {
        Self {
            http_routes: GroupResource::new("gateway.networking.k8s.io", "httproutes"),
            grpc_routes: GroupResource::new("gateway.networking.k8s.io", "grpcroutes"),
            ingresses: GroupResource::new("networking.k8s.io", "ingresses"),
            gateways: GroupResource::new("gateway.networking.k8s.io", "gateways"),
            services: GroupResource::new("", "services"),
            slices: GroupResource::new("discovery.k8s.io", "endpointslices"),
            pods: GroupResource::new("", "pods"),
            imports: GroupResource::new("multicluster.x-k8s.io", "serviceimports"),
            exports: GroupResource::new("multicluster.x-k8s.io", "serviceexports"),
            pools: GroupResource::new("inference.networking.k8s.io", "inferencepools"),
            alpha_pools: GroupResource::new("inference.networking.x-k8s.io", "inferencepools"),
        }
    }

    /// The kind of route that a resource holds.
    pub(super) fn route_kind(&self, resource: &GroupResource) -> Option<&'static str> {
        [(&self.http_routes, "HTTPRoute"), (&self.grpc_routes, "GRPCRoute"), (&self.ingresses, "Ingress")]
            .into_iter()
            .find_map(|(known, kind)| (known == resource).then_some(kind))
    }

    /// The resource of a kind of route.
    pub(super) fn routes(&self, kind: &str) -> &GroupResource {
        match kind {
            "GRPCRoute" => &self.grpc_routes,
            "Ingress" => &self.ingresses,
            _ => &self.http_routes,
        }
    }
}

/// The id of a stored route.
pub(super) fn route_id(kind: &str, stored: &Stored) -> RouteId {
    RouteId::new(kind, &stored.key.namespace, &stored.key.name)
}

/// The Service of a slice.
pub(super) fn service_of(slice: &Stored) -> Option<&str> {
    object::label(&slice.value, SERVICE_LABEL).filter(|name| !name.is_empty())
}

/// What stands behind a backend now; none when there is no such backend. `stores` are the gateway's cluster, named
/// `home`, and its members.
pub(super) fn backend(id: &BackendId, home: &str, stores: &BTreeMap<String, Store>, kinds: &Kinds) -> Option<Backend> {
    let store = stores.get(home)?;
    match id.kind.as_str() {
        "Service" => service(id, home, store, kinds),
        "ServiceImport" => {
            let import = store.find(&kinds.imports, &id.namespace, &id.name)?;
            let exported =
                stores.iter().filter(|(_, store)| store.find(&kinds.exports, &id.namespace, &id.name).is_some());
            let behind = exported.filter_map(|(cluster, store)| service(id, cluster, store, kinds));
            let endpoints = behind.flat_map(|backend| backend.endpoints).collect();
            Some(Backend { ports: ports(&import.value), endpoints })
        }
        "InferencePool" => pool(id, home, store, kinds),
        _ => None,
    }
}

fn service(id: &BackendId, cluster: &str, store: &Store, kinds: &Kinds) -> Option<Backend> {
    let service = store.find(&kinds.services, &id.namespace, &id.name)?;
    let slices = store.list(&kinds.slices, Some(&id.namespace));
    let own = slices.iter().filter(|slice| service_of(slice) == Some(&id.name));
    let mut endpoints: Vec<_> = own
        .flat_map(|slice| list(&slice.value["endpoints"]))
        // A condition that is not told counts as true.
        .filter(|endpoint| endpoint["conditions"]["ready"] != false)
        .map(|endpoint| target(endpoint, cluster, store, kinds, &id.namespace))
        .collect();
    // A pod with two families of addresses is one pod.
    endpoints.sort();
    endpoints.dedup();
    Some(Backend { ports: ports(&service.value), endpoints: endpoints.into_iter().map(Arc::new).collect() })
}

/// The pod of an endpoint. One that is no pod is told by its address.
fn target(endpoint: &Value, cluster: &str, store: &Store, kinds: &Kinds, namespace: &str) -> Endpoint {
    let reference = &endpoint["targetRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(if reference["name"].is_string() { &reference["name"] } else { &endpoint["addresses"][0] });
    match store.find(&kinds.pods, namespace, &name).filter(|pod| *object::uid(&pod.value) == reference["uid"]) {
        Some(pod) => of_pod(&pod, cluster),
        None => Endpoint {
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            pod: name,
            uid: text(&reference["uid"]),
            ..Endpoint::default()
        },
    }
}

fn pool(id: &BackendId, cluster: &str, store: &Store, kinds: &Kinds) -> Option<Backend> {
    // They are told apart by their groups, and no scenario has two of one name.
    let find = |pools| store.find(pools, &id.namespace, &id.name);
    let pool = find(&kinds.pools).or_else(|| find(&kinds.alpha_pools))?;
    let pods = store.list(&kinds.pods, Some(&id.namespace));
    let serving = pods.iter().filter(|pod| pool_selects(&pool, pod) && is_serving(&pod.value));
    Some(Backend { endpoints: serving.map(|pod| Arc::new(of_pod(pod, cluster))).collect(), ..Backend::default() })
}

/// Whether a pool's selector, a map of labels, selects a pod. An empty one selects nothing.
pub(super) fn pool_selects(pool: &Stored, pod: &Stored) -> bool {
    let selector = &pool.value["spec"]["selector"];
    let labels = if selector["matchLabels"].is_object() { &selector["matchLabels"] } else { selector };
    let selector = labels.as_object().filter(|selector| !selector.is_empty());
    selector.is_some_and(|selector| selector.iter().all(|(key, value)| pod.value["metadata"]["labels"][key] == *value))
}

fn is_serving(value: &Value) -> bool {
    pod::is_ready(value) && pod::is_active(value)
}

fn of_pod(pod: &Stored, cluster: &str) -> Endpoint {
    let labels = pod.value["metadata"]["labels"].as_object().into_iter().flatten();
    let image = pod.value["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    Endpoint {
        cluster: cluster.to_owned(),
        namespace: pod.key.namespace.clone(),
        pod: pod.key.name.clone(),
        uid: object::uid(&pod.value).to_owned(),
        labels: labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
        image: image.to_owned(),
    }
}

fn ports(object: &Value) -> BTreeSet<i64> {
    list(&object["spec"]["ports"]).iter().filter_map(|port| port["port"].as_i64()).collect()
}
