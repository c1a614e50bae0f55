//! The kinds a scenario can name.

use serde::Deserialize;
use serde_json::Value;
use slipway_fakes::crds;

/// A kind and where its objects are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The kind, as in a manifest; where two groups have the same, as people tell them apart.
    pub kind: &'static str,
    /// API group, empty for core.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// Plural name, as in URLs.
    pub plural: &'static str,
}

/// Definitions of kinds that Kubernetes does not have.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Crds {
    /// CloneSet and Advanced StatefulSet.
    Kruise,
    /// CollaSet and PodDecoration.
    Kusionstack,
    /// GRPCRoute and HTTPRoute.
    GatewayApi,
    /// Gateway. Where it is not defined, routes need none.
    Gateways,
    /// ServiceExport and ServiceImport.
    Multicluster,
    /// InferencePool.
    Inference,
}

impl Crds {
    /// As a scenario names them.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kruise => "kruise",
            Self::Kusionstack => "kusionstack",
            Self::GatewayApi => "gateway-api",
            Self::Gateways => "gateways",
            Self::Multicluster => "multicluster",
            Self::Inference => "inference",
        }
    }

    /// The definitions.
    pub fn all(self) -> &'static [Value] {
        match self {
            Self::Kruise => crds::kruise(),
            Self::Kusionstack => crds::kusionstack(),
            Self::GatewayApi => crds::gateway_api(),
            Self::Gateways => crds::gateways(),
            Self::Multicluster => crds::multicluster(),
            Self::Inference => crds::inference(),
        }
    }

    /// Whether they are of kinds that carry traffic.
    pub fn is_network(self) -> bool {
        !matches!(self, Self::Kruise | Self::Kusionstack)
    }
}

const ROLLOUT: &str = "rollout.kusionstack.io";
const KRUISE: &str = "apps.kruise.io";
const KUSIONSTACK: &str = "apps.kusionstack.io";
const GATEWAY_API: &str = "gateway.networking.k8s.io";
const MULTICLUSTER: &str = "multicluster.x-k8s.io";
const INFERENCE: &str = "inference.networking.k8s.io";
const ALPHA_INFERENCE: &str = "inference.networking.x-k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

/// What scenarios call the kind of OpenKruise that has the name of one of Kubernetes.
const ADVANCED_STATEFULSET: &str = "AdvancedStatefulSet";
/// What scenarios call what InferencePools were before they were done.
const ALPHA_INFERENCE_POOL: &str = "AlphaInferencePool";

const KINDS: [Kind; 28] = [
    kind("StatefulSet", "apps", "v1", "statefulsets"),
    kind(ADVANCED_STATEFULSET, KRUISE, "v1beta1", "statefulsets"),
    kind("CloneSet", KRUISE, "v1alpha1", "clonesets"),
    kind("CollaSet", KUSIONSTACK, "v1alpha1", "collasets"),
    kind("PodDecoration", KUSIONSTACK, "v1alpha1", "poddecorations"),
    kind("Deployment", "apps", "v1", "deployments"),
    kind("ControllerRevision", "apps", "v1", "controllerrevisions"),
    kind("Pod", "", "v1", "pods"),
    kind("Service", "", "v1", "services"),
    kind("ConfigMap", "", "v1", "configmaps"),
    kind("Namespace", "", "v1", "namespaces"),
    kind("MutatingAdmissionPolicy", ADMISSION, "v1", "mutatingadmissionpolicies"),
    kind("MutatingAdmissionPolicyBinding", ADMISSION, "v1", "mutatingadmissionpolicybindings"),
    kind("HTTPRoute", GATEWAY_API, "v1", "httproutes"),
    kind("GRPCRoute", GATEWAY_API, "v1", "grpcroutes"),
    kind("Gateway", GATEWAY_API, "v1", "gateways"),
    kind("Ingress", "networking.k8s.io", "v1", "ingresses"),
    kind("EndpointSlice", "discovery.k8s.io", "v1", "endpointslices"),
    kind("ServiceImport", MULTICLUSTER, "v1alpha1", "serviceimports"),
    kind("ServiceExport", MULTICLUSTER, "v1alpha1", "serviceexports"),
    kind("InferencePool", INFERENCE, "v1", "inferencepools"),
    kind(ALPHA_INFERENCE_POOL, ALPHA_INFERENCE, "v1alpha2", "inferencepools"),
    kind("Rollout", ROLLOUT, "v1alpha1", "rollouts"),
    kind("RolloutRun", ROLLOUT, "v1alpha1", "rolloutruns"),
    kind("RolloutStrategy", ROLLOUT, "v1alpha1", "rolloutstrategies"),
    kind("TrafficTopology", ROLLOUT, "v1alpha1", "traffictopologies"),
    kind("BackendRouting", ROLLOUT, "v1alpha1", "backendroutings"),
    kind("ScaleRun", ROLLOUT, "v1alpha1", "scaleruns"),
];

const fn kind(kind: &'static str, group: &'static str, version: &'static str, plural: &'static str) -> Kind {
    Kind { kind, group, version, plural }
}

impl Kind {
    /// Looks a kind up. The error says which ones there are.
    pub fn find(name: &str) -> Result<Self, String> {
        KINDS.into_iter().find(|kind| kind.kind == name).ok_or_else(|| {
            let known: Vec<_> = KINDS.iter().map(|kind| kind.kind).collect();
            format!("unknown kind `{name}`: use one of {}", known.join(", "))
        })
    }

    /// The kind of a manifest.
    pub fn of(manifest: &Value) -> Result<Self, String> {
        let is_of = |group: &str| manifest["apiVersion"].as_str().is_some_and(|version| version.starts_with(group));
        match manifest["kind"].as_str() {
            Some("StatefulSet") if is_of(KRUISE) => Self::find(ADVANCED_STATEFULSET),
            Some("InferencePool") if is_of(ALPHA_INFERENCE) => Self::find(ALPHA_INFERENCE_POOL),
            Some(name) => Self::find(name),
            None => Err("the manifest has no kind: write `kind:` as for kubectl apply".into()),
        }
    }

    /// The definitions that have to be installed before there can be objects of the kind.
    pub fn crds(&self) -> Option<Crds> {
        match self.group {
            KRUISE => Some(Crds::Kruise),
            KUSIONSTACK => Some(Crds::Kusionstack),
            GATEWAY_API if self.kind == "Gateway" => Some(Crds::Gateways),
            GATEWAY_API => Some(Crds::GatewayApi),
            MULTICLUSTER => Some(Crds::Multicluster),
            INFERENCE | ALPHA_INFERENCE => Some(Crds::Inference),
            _ => None,
        }
    }

    /// `apiVersion` and `kind`, as a manifest has them.
    pub fn of_manifest(&self) -> (String, &'static str) {
        let kind = match self.kind {
            ADVANCED_STATEFULSET => "StatefulSet",
            ALPHA_INFERENCE_POOL => "InferencePool",
            kind => kind,
        };
        (format!("{}/{}", self.group, self.version), kind)
    }

    /// The URL path of the kind's collection in a namespace.
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        if self.kind == "Namespace" || self.group == ADMISSION {
            return format!("{root}/{}/{}", self.version, self.plural);
        }
        format!("{root}/{}/namespaces/{namespace}/{}", self.version, self.plural)
    }

    /// The kind as kubectl prints it in front of a name.
    pub fn word(&self) -> String {
        self.kind.to_lowercase()
    }
}
