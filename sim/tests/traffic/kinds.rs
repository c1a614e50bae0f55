//! The other kinds of route and backend, with users who edit them.

use slipway_sim::{Scenario, run};

/// A cluster `east` with pods on v1 and, beside them, v2; `west` has v1 alone.
const CLUSTERS: &str = "
description: kinds
clusters: [{name: east, gateway: {}}, {name: west}]
clients: [{name: shop, cluster: east, host: shop.example, path: /shop.Cart/Add}]
objects:
- cluster: east
  manifest: {apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
- cluster: west
  manifest: {apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
- cluster: east
  manifest: {apiVersion: v1, kind: Service, metadata: {name: new}, spec: {selector: {app: new}, ports: [{port: 80}]}}
- cluster: east
  manifest: {apiVersion: v1, kind: Pod, metadata: {name: old, labels: {app: web}}, spec: {containers: [{name: a, image: 'web:v1'}]}}
- cluster: east
  manifest: {apiVersion: v1, kind: Pod, metadata: {name: new, labels: {app: new}}, spec: {containers: [{name: a, image: 'web:v2'}]}}
- cluster: west
  manifest: {apiVersion: v1, kind: Pod, metadata: {name: old, labels: {app: web}}, spec: {containers: [{name: a, image: 'west:v1'}]}}
";

/// What the client of a scenario was answered by, and its errors.
fn answered(further: &str) -> String {
    let text = format!("{CLUSTERS}{further}rest: 1m\n");
    let scenario = Scenario::parse("kinds.yaml", &text).unwrap_or_else(|error| panic!("{error}"));
    let outcome = run(&scenario, 1);
    assert!(outcome.ok && !outcome.timeline.contains("refused"), "{}", outcome.timeline);
    let (_, clients) = outcome.timeline.split_once("CLIENT").unwrap_or_default();
    clients.lines().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn grpc_routes() {
    let shop = answered(
        "
- cluster: east
  manifest:
    apiVersion: gateway.networking.k8s.io/v1
    kind: GRPCRoute
    metadata: {name: shop}
    spec:
      parentRefs: [{name: public}]
      rules:
      - matches: [{method: {service: shop.Cart}}]
        backendRefs: [{name: web, port: 80, weight: 3}, {name: new, port: 80, weight: 1}]
",
    );
    assert!(shop.contains("web:v1") && shop.contains("web:v2") && shop.ends_with('-'), "{shop}");
}

#[test]
fn ingresses() {
    let shop = answered(
        "
- cluster: east
  manifest:
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop}
    spec: {rules: [{host: shop.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
timeline:
- at: 1m
  do:
    create:
      cluster: east
      manifest:
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: shop-new
          annotations: {nginx.ingress.kubernetes.io/canary: 'true', nginx.ingress.kubernetes.io/canary-weight: '50'}
        spec: {rules: [{host: shop.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: new, port: {number: 80}}}}]}}]}
",
    );
    assert!(shop.contains("web:v1") && shop.contains("web:v2") && shop.ends_with('-'), "{shop}");
}

#[test]
fn imports_and_pools() {
    let shop = answered(
        "
- cluster: west
  manifest: {apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ServiceExport, metadata: {name: web}}
- cluster: east
  manifest: {apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ServiceImport, metadata: {name: web}, spec: {type: ClusterSetIP, ports: [{port: 80}]}}
- cluster: east
  manifest:
    apiVersion: inference.networking.x-k8s.io/v1alpha2
    kind: InferencePool
    metadata: {name: new}
    spec: {selector: {app: new}, targetPortNumber: 8000, extensionRef: {name: picker}}
- cluster: east
  manifest:
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: public}
    spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
- cluster: east
  manifest:
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: shop}
    spec:
      parentRefs: [{name: public}]
      rules:
      - backendRefs:
        - {group: multicluster.x-k8s.io, kind: ServiceImport, name: web, port: 80}
        - {group: inference.networking.x-k8s.io, kind: InferencePool, name: new}
",
    );
    assert!(shop.contains("west:v1") && shop.contains("web:v2") && shop.ends_with('-'), "{shop}");
}
