//! CRDs of workloads and routes that Kubernetes does not have, with the fields that their controllers here know.

use std::sync::LazyLock;

use serde_json::Value;

static KRUISE: LazyLock<Vec<Value>> = LazyLock::new(|| {
    parse(&[
        include_str!("../crds/apps.kruise.io_clonesets.yaml"),
        include_str!("../crds/apps.kruise.io_statefulsets.yaml"),
    ])
});
static KUSIONSTACK: LazyLock<Vec<Value>> = LazyLock::new(|| {
    parse(&[
        include_str!("../crds/apps.kusionstack.io_collasets.yaml"),
        include_str!("../crds/apps.kusionstack.io_poddecorations.yaml"),
        include_str!("../crds/apps.kusionstack.io_resourcecontexts.yaml"),
    ])
});
static GATEWAY_API: LazyLock<Vec<Value>> = LazyLock::new(|| {
    parse(&[
        include_str!("../crds/gateway.networking.k8s.io_grpcroutes.yaml"),
        include_str!("../crds/gateway.networking.k8s.io_httproutes.yaml"),
    ])
});
static GATEWAYS: LazyLock<Vec<Value>> =
    LazyLock::new(|| parse(&[include_str!("../crds/gateway.networking.k8s.io_gateways.yaml")]));
static MULTICLUSTER: LazyLock<Vec<Value>> = LazyLock::new(|| {
    parse(&[
        include_str!("../crds/multicluster.x-k8s.io_serviceexports.yaml"),
        include_str!("../crds/multicluster.x-k8s.io_serviceimports.yaml"),
    ])
});
static INFERENCE: LazyLock<Vec<Value>> = LazyLock::new(|| {
    parse(&[
        include_str!("../crds/inference.networking.k8s.io_inferencepools.yaml"),
        include_str!("../crds/inference.networking.x-k8s.io_inferencepools.yaml"),
    ])
});

/// OpenKruise's CloneSet and Advanced StatefulSet.
pub fn kruise() -> &'static [Value] {
    &KRUISE
}

/// KusionStack's CollaSet and PodDecoration, and the ResourceContext a CollaSet keeps its pods' identities in.
pub fn kusionstack() -> &'static [Value] {
    &KUSIONSTACK
}

/// The Gateway API's GRPCRoute and HTTPRoute. In a cluster that has only these, routes need no Gateway to be served.
pub fn gateway_api() -> &'static [Value] {
    &GATEWAY_API
}

/// The Gateway API's Gateway.
pub fn gateways() -> &'static [Value] {
    &GATEWAYS
}

/// The ServiceExport and ServiceImport of the Multi-Cluster Services API.
pub fn multicluster() -> &'static [Value] {
    &MULTICLUSTER
}

/// The InferencePool of the Gateway API's inference extension, and what it was before it was done.
pub fn inference() -> &'static [Value] {
    &INFERENCE
}

fn parse(texts: &[&str]) -> Vec<Value> {
    texts.iter().filter_map(|text| serde_saphyr::from_str(text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::server::WriteOptions;
    use crate::store::GroupResource;
    use crate::{ApiServer, Clock};

    #[tokio::test(start_paused = true)]
    async fn all_of_them_are_served() {
        let api = ApiServer::new(1, Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1));
        let all = [kruise(), kusionstack(), gateway_api(), gateways(), multicluster(), inference()];
        for definition in all.into_iter().flatten() {
            api.install_crd(definition.clone()).await.unwrap();
        }
        let served: Vec<_> =
            api.resources().iter().filter(|resource| resource.custom).map(|it| it.kind.clone()).collect();
        let workloads = ["CloneSet", "StatefulSet", "CollaSet", "PodDecoration", "ResourceContext"];
        let pools = ["InferencePool", "InferencePool"];
        let routes = [&["Gateway", "GRPCRoute", "HTTPRoute"][..], &pools, &["ServiceExport", "ServiceImport"]].concat();
        assert_eq!(served, [&workloads[..], &routes].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_keeps_within_its_limits() {
        let api = ApiServer::new(1, Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1));
        for definition in gateway_api() {
            api.install_crd(definition.clone()).await.unwrap();
        }
        let reference = |weight: i64| json!({ "name": "web", "port": 80, "weight": weight });
        let matches = |count: usize| Value::Array(vec![json!({}); count]);
        let many = |count: usize, rule: Value| Value::Array(vec![rule; count]);
        let named = json!({ "name": "a", "backendRefs": [reference(1)] });
        for (rules, refused) in [
            (many(16, json!({ "matches": matches(8), "backendRefs": [reference(1_000_000)] })), None),
            (many(17, json!({})), Some("must have at most 16 items")),
            (many(2, json!({ "matches": matches(65) })), Some("must have at most 64 items")),
            (many(3, json!({ "matches": matches(43) })), Some("at most 128 matches")),
            (many(1, json!({ "backendRefs": vec![reference(1); 17] })), Some("must have at most 16 items")),
            (many(1, json!({ "backendRefs": [reference(1_000_001)] })), Some("less than or equal to 1000000")),
            (many(1, json!({ "backendRefs": [reference(-1)] })), Some("greater than or equal to 0")),
            (many(1, json!({ "backendRefs": [{ "name": "web" }] })), Some("with its port")),
            (many(1, named.clone()), None),
            (many(2, named), Some("names of their own")),
        ] {
            let route = json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
                "metadata": { "generateName": "shop-", "namespace": "default" }, "spec": { "rules": rules },
            });
            let routes = GroupResource::new("gateway.networking.k8s.io", "httproutes");
            let written = api.create(&routes, route, &WriteOptions::manager("test")).await;
            let message = written.err().map(|status| status.message).unwrap_or_default();
            assert!(refused.map_or(message.is_empty(), |refused| message.contains(refused)), "{refused:?}: {message}");
        }
    }
}
