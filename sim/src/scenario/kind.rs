//! The kinds a scenario can name.

use serde_json::Value;

/// A kind and where its objects are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The kind, as in a manifest.
    pub kind: &'static str,
    /// API group, empty for core.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// Plural name, as in URLs.
    pub plural: &'static str,
}

const ROLLOUT: &str = "rollout.kusionstack.io";

const KINDS: [Kind; 13] = [
    kind("StatefulSet", "apps", "v1", "statefulsets"),
    kind("Deployment", "apps", "v1", "deployments"),
    kind("Pod", "", "v1", "pods"),
    kind("Service", "", "v1", "services"),
    kind("ConfigMap", "", "v1", "configmaps"),
    kind("Namespace", "", "v1", "namespaces"),
    kind("HTTPRoute", "gateway.networking.k8s.io", "v1", "httproutes"),
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
        match manifest["kind"].as_str() {
            Some(name) => Self::find(name),
            None => Err("the manifest has no kind: write `kind:` as for kubectl apply".into()),
        }
    }

    /// The URL path of the kind's collection in a namespace.
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        if self.kind == "Namespace" {
            return format!("{root}/{}/{}", self.version, self.plural);
        }
        format!("{root}/{}/namespaces/{namespace}/{}", self.version, self.plural)
    }

    /// The kind as kubectl prints it in front of a name.
    pub fn word(&self) -> String {
        self.kind.to_lowercase()
    }
}
