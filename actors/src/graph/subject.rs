//! What a cluster can be watched for.

use gateway_api::apis::standard::{grpcroutes::GrpcRoute, httproutes::HttpRoute};
use k8s_openapi::api::{
    apps::v1::ReplicaSet,
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
    networking::v1::Ingress,
};
use kube::{
    Api, Client,
    api::DynamicObject,
    core::{ApiResource, GroupVersionKind},
};

use crate::{
    api::{BackendRouting, Rollout, RolloutRun, RolloutStrategy, ScaleRun, TrafficTopology, keys},
    intent::HubKind,
    view::RouteKind,
    workloads::WorkloadKind,
};

/// One watch: a kind, and which of its objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Rollouts,
    RolloutRuns,
    RolloutStrategies,
    ScaleRuns,
    TrafficTopologies,
    BackendRoutings,
    Workloads { kind: WorkloadKind },
    Pods { namespace: String, selector: String },
    ReplicaSets { namespace: String, selector: String },
    Routes { kind: RouteKind, namespace: String },
    Services { namespace: String },
    InferencePools { version: PoolVersion, namespace: String },
    EndpointSlices { namespace: String },
    ServiceExports { namespace: String },
    ServiceImports { namespace: String },
}

impl From<HubKind> for Subject {
    fn from(kind: HubKind) -> Self {
        match kind {
            HubKind::Rollout => Self::Rollouts,
            HubKind::RolloutRun => Self::RolloutRuns,
            HubKind::ScaleRun => Self::ScaleRuns,
            HubKind::TrafficTopology => Self::TrafficTopologies,
            HubKind::BackendRouting => Self::BackendRoutings,
        }
    }
}

impl Subject {
    /// What the hub is watched for.
    pub(crate) const HUB: [Self; 6] = [
        Self::Rollouts,
        Self::RolloutRuns,
        Self::RolloutStrategies,
        Self::ScaleRuns,
        Self::TrafficTopologies,
        Self::BackendRoutings,
    ];

    /// Group, version, kind and plural.
    pub(crate) fn resource(&self) -> ApiResource {
        match self {
            Self::Rollouts => ApiResource::erase::<Rollout>(&()),
            Self::RolloutRuns => ApiResource::erase::<RolloutRun>(&()),
            Self::RolloutStrategies => ApiResource::erase::<RolloutStrategy>(&()),
            Self::ScaleRuns => ApiResource::erase::<ScaleRun>(&()),
            Self::TrafficTopologies => ApiResource::erase::<TrafficTopology>(&()),
            Self::BackendRoutings => ApiResource::erase::<BackendRouting>(&()),
            Self::Workloads { kind } => kind.resource(),
            Self::Pods { .. } => ApiResource::erase::<Pod>(&()),
            Self::ReplicaSets { .. } => ApiResource::erase::<ReplicaSet>(&()),
            Self::Routes { kind: RouteKind::HttpRoute, .. } => ApiResource::erase::<HttpRoute>(&()),
            Self::Routes { kind: RouteKind::GrpcRoute, .. } => ApiResource::erase::<GrpcRoute>(&()),
            Self::Routes { kind: RouteKind::Ingress, .. } => ApiResource::erase::<Ingress>(&()),
            Self::Services { .. } => ApiResource::erase::<Service>(&()),
            Self::InferencePools { version, .. } => version.resource(),
            Self::EndpointSlices { .. } => ApiResource::erase::<EndpointSlice>(&()),
            Self::ServiceExports { .. } => multicluster("ServiceExport", "serviceexports"),
            Self::ServiceImports { .. } => multicluster("ServiceImport", "serviceimports"),
        }
    }

    /// The label selector of the watch, if it has one.
    pub(crate) fn selector(&self) -> Option<&str> {
        match self {
            Self::Pods { selector, .. } | Self::ReplicaSets { selector, .. } => Some(selector),
            _ => None,
        }
    }

    /// The part of the API the watch covers. Pods, ReplicaSets, routes, backends and their endpoints are watched by
    /// namespace, because a fleet has too many of them that are nobody's business here; the others over the whole cluster,
    /// one watch for all Rollouts.
    pub(crate) fn scope(&self, client: Client) -> Api<DynamicObject> {
        match self {
            Self::Pods { namespace, .. }
            | Self::ReplicaSets { namespace, .. }
            | Self::Routes { namespace, .. }
            | Self::Services { namespace }
            | Self::InferencePools { namespace, .. }
            | Self::EndpointSlices { namespace }
            | Self::ServiceExports { namespace }
            | Self::ServiceImports { namespace } => self.namespaced(client, namespace),
            _ => Api::all_with(client, &self.resource()),
        }
    }

    /// The kind in one namespace.
    pub(crate) fn namespaced(&self, client: Client, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(client, namespace, &self.resource())
    }
}

/// InferencePools moved to another group when they were done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PoolVersion {
    /// `inference.networking.k8s.io/v1`.
    V1,
    /// `inference.networking.x-k8s.io/v1alpha2`.
    V1Alpha2,
}

impl PoolVersion {
    /// The version that a reference names.
    pub(crate) fn of(api_version: &str) -> Self {
        if api_version.starts_with("inference.networking.x-k8s.io/") { Self::V1Alpha2 } else { Self::V1 }
    }

    fn resource(self) -> ApiResource {
        let (group, version) = match self {
            Self::V1 => ("inference.networking.k8s.io", "v1"),
            Self::V1Alpha2 => ("inference.networking.x-k8s.io", "v1alpha2"),
        };
        let kind = GroupVersionKind::gvk(group, version, "InferencePool");
        ApiResource::from_gvk_with_plural(&kind, "inferencepools")
    }
}

/// A resource of the Multi-Cluster Services API, for which there is no binding.
fn multicluster(kind: &str, plural: &str) -> ApiResource {
    let (group, version) = keys::MULTICLUSTER_API.split_once('/').unwrap_or_default();
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.resource().plural)?;
        match self {
            Self::Workloads { kind: kind @ WorkloadKind::AdvancedStatefulSet } => {
                write!(f, ".{}", kind.resource().group)
            }
            Self::Pods { namespace, selector } | Self::ReplicaSets { namespace, selector } => {
                write!(f, " in {namespace} with {selector}")
            }
            Self::InferencePools { namespace, .. } => write!(f, ".{} in {namespace}", self.resource().group),
            Self::Routes { namespace, .. }
            | Self::Services { namespace }
            | Self::EndpointSlices { namespace }
            | Self::ServiceExports { namespace }
            | Self::ServiceImports { namespace } => {
                write!(f, " in {namespace}")
            }
            _ => Ok(()),
        }
    }
}
