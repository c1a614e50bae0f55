//! What is known of backends and routes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{Health, MemberBackends, MemberView, ObjectKey};
use crate::{
    api::{BackendRouting, TrafficTopology},
    routes,
};

/// The kinds of route that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteKind {
    /// `gateway.networking.k8s.io/v1 HTTPRoute`.
    HttpRoute,
    /// `gateway.networking.k8s.io/v1 GRPCRoute`.
    GrpcRoute,
    /// `networking.k8s.io/v1 Ingress`, with a canary Ingress beside it.
    Ingress,
}

impl RouteKind {
    /// The kind that a reference names, if it is one of ours. Without a kind it is an HTTPRoute.
    pub fn parse(kind: &str) -> Option<Self> {
        match kind {
            "HTTPRoute" | "" => Some(Self::HttpRoute),
            "GRPCRoute" => Some(Self::GrpcRoute),
            "Ingress" => Some(Self::Ingress),
            _ => None,
        }
    }

    /// The kind, as an object names it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
            Self::Ingress => "Ingress",
        }
    }

    /// The kind of its rules, if they are the Gateway API's.
    pub fn rules(self) -> Option<routes::Kind> {
        match self {
            Self::HttpRoute => Some(routes::Kind::Http),
            Self::GrpcRoute => Some(routes::Kind::Grpc),
            Self::Ingress => None,
        }
    }
}

/// A route among all of the clusterset, within a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteId {
    /// The cluster it is in.
    pub cluster: String,
    /// Its kind.
    pub kind: RouteKind,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for RouteId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.kind(), self.name)?;
        if self.cluster.is_empty() { Ok(()) } else { write!(f, " in cluster {}", self.cluster) }
    }
}

/// A route of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its kind.
    pub kind: RouteKind,
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// The version every write decided on this value must carry.
    pub resource_version: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `spec.rules` as they stand: read through a type, a newer field would be lost. Of an Ingress the whole `spec`, since
    /// its default backend is a rule, too.
    pub rules: Value,
    /// Who last changed that, by managed fields.
    pub rules_manager: Option<String>,
    /// Whether it carries a deletion timestamp.
    pub deleting: bool,
    /// Labels and annotations of an Ingress: there it says which requests a canary takes. Null for others.
    pub marks: Value,
    /// Why its gateways have not accepted this generation, if they have not.
    pub unaccepted: Option<String>,
    /// The annotation `rollout.kusionstack.io/condition-extension`.
    pub extension: Option<String>,
}

/// A backend of one cluster: a Service or an InferencePool.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// The version every write decided on this value must carry.
    pub resource_version: String,
    /// Whether it carries a deletion timestamp.
    pub deleting: bool,
    /// The object without its status and managed fields: what a fork is made from.
    pub object: Value,
}

/// An EndpointSlice of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Namespace and name of the slice.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// The Service.
    pub service: String,
    /// The pods that are ready, or addresses where no pod is named.
    pub ready: BTreeSet<String>,
}

/// What a route's actor reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteReport {
    /// Whether absence means anything.
    pub listed: bool,
    /// The route, if it is there.
    pub route: Option<Arc<Route>>,
    /// Of an Ingress, what may be its canary or take the place of that one: those of its namespace that are the canary of
    /// some Ingress, or have the name of its own.
    pub canaries: Vec<Arc<Route>>,
    /// The last write's error, until one succeeds.
    pub error: Option<String>,
}

/// Everything the decisions about one BackendRouting are taken on.
#[derive(Clone, Debug)]
pub struct RoutingView {
    /// The BackendRouting.
    pub routing: Arc<BackendRouting>,
    /// What is known of the backend's cluster; absent if it is no member.
    pub health: Option<Health>,
    /// The backends of its kind in its namespace, by name.
    pub backends: BTreeMap<String, Arc<Backend>>,
    /// Endpoints that are ready, by name of the backend.
    pub ready: BTreeMap<String, usize>,
    /// The last error of a write to a backend, by name, until one succeeds.
    pub errors: BTreeMap<String, String>,
    /// What the actors of its routes report.
    pub routes: BTreeMap<RouteId, RouteReport>,
    /// What is known of the clusters that export the backend, by name, where several do.
    pub members: BTreeMap<String, MemberBackends>,
    /// The names of the ServiceImports of its namespace in the backend's cluster; absent where the kind is not served.
    pub imports: Option<BTreeSet<String>>,
}

/// Everything the decisions about one TrafficTopology are taken on.
#[derive(Clone, Debug)]
pub struct TopologyView {
    /// The TrafficTopology.
    pub topology: Arc<TrafficTopology>,
    /// The BackendRoutings of its namespace, by name.
    pub routings: BTreeMap<String, Arc<BackendRouting>>,
    /// Why the last attempt to create a BackendRouting of that name was refused.
    pub errors: BTreeMap<String, String>,
    /// The member clusters, by name.
    pub members: BTreeMap<String, MemberView>,
}
