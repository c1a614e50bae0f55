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
static INFERENCE: LazyLock<Vec<Value>> =
    LazyLock::new(|| parse(&[include_str!("../crds/inference.networking.x-k8s.io_inferencepools.yaml")]));

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

/// The InferencePool of the Gateway API's inference extension.
pub fn inference() -> &'static [Value] {
    &INFERENCE
}

fn parse(texts: &[&str]) -> Vec<Value> {
    texts.iter().filter_map(|text| serde_saphyr::from_str(text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let routes = ["Gateway", "GRPCRoute", "HTTPRoute", "InferencePool", "ServiceExport", "ServiceImport"];
        assert_eq!(served, [&workloads[..], &routes[..]].concat());
    }
}
