//! `BackendRouting`: the forked backends and edited routes of one cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{HttpMirror, HttpRouteFilter, HttpRouteMatch};
use super::kind::root;
use super::policy::RouteDriftPolicy;
use super::shared::{CrossClusterObjectReference, rules, schema};
use super::{MetaCondition, Time};

/// Splits the traffic of one backend between its stable and its canary copy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
pub struct BackendRouting {
    /// Standard metadata.
    #[serde(default)]
    #[schemars(skip)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default)]
    pub spec: BackendRoutingSpec,
    /// What is.
    #[serde(default)]
    pub status: Option<BackendRoutingStatus>,
}
root!(BackendRouting, "backendroutings", skip_default: [spec], skip_none: [status = "status"]);

/// How one backend's traffic is split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.forwarding) || has(self.forkedBackends)",
    "message": "is absent beside forwarding: write both copies of the backend, or remove forwarding",
    "fieldPath": ".forkedBackends",
    "reason": "FieldValueRequired",
}]))]
pub struct BackendRoutingSpec {
    /// `InCluster` or `MultiCluster`.
    #[schemars(extend("x-kubernetes-validations" = [rules::traffic_type()]))]
    pub traffic_type: String,
    /// The user's backend.
    #[schemars(extend("x-kubernetes-validations" = [rules::backend_kind()]))]
    pub backend: CrossClusterObjectReference,
    /// The user's routes to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<CrossClusterObjectReference>,
    /// How long a gateway may go on as before after a change that the API shows, in seconds; 30 if absent. No route refers
    /// to a backend that has been ready for less, and nothing that a route referred to is removed earlier (Slipway's
    /// addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub drain_seconds: Option<i32>,
    /// The clusters that export a `MultiCluster` backend: its Service is forked there (Slipway's addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// The copies of the backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forked_backends: Option<ForkedBackends>,
    /// How requests are spread over the copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarding: Option<BackendForwarding>,
    /// What becomes of a route whose part of ours somebody else has changed: `Repair` (our part is laid over it again, the
    /// default), `Pause` (the route stays as it is) or `Cancel` (our part is taken off it). Written by a run (Slipway's
    /// addition).
    #[serde(default, skip_serializing_if = "RouteDriftPolicy::is_default")]
    pub route_drift_policy: RouteDriftPolicy,
    /// What was changed until then is repaired, whatever the policy: the run was told to go on. Written by a run
    /// (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_repair_time: Option<Time>,
    /// What the steps of a run will ask for, before the first of them begins: each is tried on the routes as they are, and
    /// nothing is written. Written by a run (Slipway's addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planned: Vec<PlannedForwarding>,
}

/// What a step of a run will ask for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedForwarding {
    /// The step, in words.
    pub step: String,
    /// How HTTP requests will be spread, as in `forwarding.http`.
    #[schemars(schema_with = "as_it_is")]
    pub http: HttpForwarding,
}

/// What was checked where it comes from: the schema of a forwarding once more for each step would outgrow the costs that
/// an API server allows its rules.
fn as_it_is(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// The two copies of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForkedBackends {
    /// Selects pods on the stable revision.
    pub stable: ForkedBackend,
    /// Selects pods on the new revision.
    pub canary: ForkedBackend,
}

/// A copy of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForkedBackend {
    /// Name of the copy.
    pub name: String,
    /// Labels that its pods must have beside those of the original.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_label_selector: BTreeMap<String, String>,
    /// The clusters that the copy of a `MultiCluster` backend is made in, because its pods are there: no request is sent to
    /// it before some are ready in each. A copy in another cluster stays while requests may reach it (Slipway's addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<ForkedBackendCluster>,
}

/// A copy of a backend in one of several clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForkedBackendCluster {
    /// Name of the cluster.
    pub name: String,
    /// Labels that its pods must have there beside those that they must have everywhere: a revision is not called the same
    /// in every cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_label_selector: BTreeMap<String, String>,
}

/// How requests are spread over the copies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackendForwarding {
    /// For HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpForwarding>,
}

/// How HTTP requests are spread over the copies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.origin) || !(has(self.stable) || has(self.canary))",
    "message": "is absent beside stable or canary, so other requests would go nowhere: write it",
    "fieldPath": ".origin",
    "reason": "FieldValueRequired",
}]))]
pub struct HttpForwarding {
    /// Where requests go that no other entry takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginHttpForwarding>,
    /// Which requests go to the stable copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<StableHttpForwarding>,
    /// Which requests go to the canary copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryHttpForwarding>,
}

/// Where requests go that no other entry takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OriginHttpForwarding {
    /// Name of the backend.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backend_name: String,
}

/// Which requests go to the stable copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StableHttpForwarding {
    /// Name of the backend.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backend_name: String,
    /// Requests that match any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub matches: Vec<HttpRouteMatch>,
    /// What is done to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub filters: Vec<HttpRouteFilter>,
}

/// Which requests go to the canary copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryHttpForwarding {
    /// Name of the backend.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backend_name: String,
    /// Share of requests, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub weight: Option<i32>,
    /// Requests that match any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub matches: Vec<HttpRouteMatch>,
    /// What is done to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub filters: Vec<HttpRouteFilter>,
    /// Copies of requests for the new version, whose answers nobody gets (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<HttpMirror>,
}

/// What a BackendRouting has led to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendRoutingStatus {
    /// Generation that this status is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// State by aspect: `BackendReady`, `RouteReady`, `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::meta_conditions")]
    pub conditions: Vec<MetaCondition>,
    /// The backend and its copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backends: Option<BackendStatuses>,
    /// The copies of a `MultiCluster` backend, by cluster (Slipway's addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<ClusterBackendStatus>,
    /// The routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<BackendRouteStatus>,
}

/// The backend and its copies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackendStatuses {
    /// The user's backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<BackendStatus>,
    /// The stable copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<BackendStatus>,
    /// The canary copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<BackendStatus>,
}

/// The copies of a backend in one of several clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterBackendStatus {
    /// Name of the cluster.
    pub name: String,
    /// The stable copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<BackendStatus>,
    /// The canary copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<BackendStatus>,
    /// What is waited for there, if anything is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// State of one backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendStatus {
    /// Name of the backend.
    pub name: String,
    /// Its state.
    #[serde(default)]
    pub conditions: BackendConditions,
    /// Since when it selects the right pods and some of them are ready (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_time: Option<Time>,
}

/// State of a backend or of a forwarding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackendConditions {
    /// It is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// It is on its way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminating: Option<bool>,
}

/// State of one route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendRouteStatus {
    /// Group and version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name of the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Name of the route.
    pub name: String,
    /// Its state: `RouteReady`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::meta_condition")]
    pub condition: Option<MetaCondition>,
    /// What of the forwarding is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarding: Option<RouteForwardingStatuses>,
    /// Since when its gateways have accepted it as it is (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<RouteAcceptance>,
    /// Our part of it as it was last seen there whole (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub laid: Option<LaidPart>,
    /// That somebody else has changed our part of it, until it is there again (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<RouteDrift>,
}

/// Our part of a route as it was last seen there whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaidPart {
    /// The generation of the BackendRouting that asked for it.
    pub observed_generation: i64,
    /// How many of the route's rules bear something of it.
    pub rules: i32,
}

/// That somebody else has changed our part of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteDrift {
    /// The route's generation that first showed it.
    pub generation: i64,
    /// The field manager that wrote the route's rules last; empty if that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manager: String,
    /// When it was seen.
    pub time: Time,
}

/// Since when a route's gateways have accepted it as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteAcceptance {
    /// The route's generation.
    pub generation: i64,
    /// What the canary Ingress beside an Ingress says, as a digest; absent where there is none (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// When it was first seen to say that, or to be gone (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_time: Option<Time>,
    /// When that was first seen to be accepted.
    pub time: Time,
}

/// What of the forwarding is in force on a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteForwardingStatuses {
    /// For the user's backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<RouteForwardingStatus>,
    /// For the stable copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<RouteForwardingStatus>,
    /// For the canary copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<RouteForwardingStatus>,
}

/// State of one forwarding on a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteForwardingStatus {
    /// Name of the backend.
    pub backend_name: String,
    /// Its state.
    #[serde(default)]
    pub conditions: BackendConditions,
}
