//! `TrafficTopology`: which backend and routes carry the traffic of which workloads.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::root;
use super::shared::{Condition, CrossClusterObjectNameReference, WorkloadRef, rules};

/// Ties workloads to the backend and the routes that carry their traffic.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
pub struct TrafficTopology {
    /// Standard metadata.
    #[serde(default)]
    #[schemars(skip)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default)]
    pub spec: TrafficTopologySpec,
    /// What is.
    #[serde(default)]
    pub status: Option<TrafficTopologyStatus>,
}
root!(TrafficTopology, "traffictopologies", skip_default: [spec], skip_none: [status = "status"]);

/// Backend and routes of some workloads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficTopologySpec {
    /// The workloads.
    pub workload_ref: WorkloadRef,
    /// `InCluster`: a backend and routes in every cluster. `MultiCluster`: routes in one cluster, to the ServiceImport of what
    /// the others export.
    #[schemars(extend("x-kubernetes-validations" = [rules::traffic_type()]))]
    pub traffic_type: String,
    /// The backend.
    pub backend: TopologyBackend,
    /// The routes to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<TopologyRoute>,
    /// The member cluster that a `MultiCluster` topology has its routes in, and the ServiceImport of its backend; the hub if
    /// absent (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_cluster: Option<String>,
    /// How long a gateway may go on as before after a change that the API shows, in seconds; 30 if absent. No route refers
    /// to a backend that has been ready for less, and nothing that a route referred to is removed earlier (Slipway's
    /// addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub drain_seconds: Option<i32>,
}

/// A backend, by default a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rules::backend_kind()]))]
pub struct TopologyBackend {
    /// Group and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "v1"))]
    pub api_version: Option<String>,
    /// Kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "Service"))]
    pub kind: Option<String>,
    /// Name.
    pub name: String,
}

/// A route, by default an HTTPRoute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rules::route_kind()]))]
pub struct TopologyRoute {
    /// Group and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "gateway.networking.k8s.io/v1"))]
    pub api_version: Option<String>,
    /// Kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "HTTPRoute"))]
    pub kind: Option<String>,
    /// Name.
    pub name: String,
}

/// What a TrafficTopology has led to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficTopologyStatus {
    /// Generation that this status is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// State by aspect: `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Each workload with its BackendRouting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topologies: Vec<TopologyInfo>,
}

/// A workload and its BackendRouting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopologyInfo {
    /// The workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_ref: Option<CrossClusterObjectNameReference>,
    /// Name of the BackendRouting, in the same namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backend_routing_name: String,
}
