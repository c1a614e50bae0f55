//! The kinds that random requests are about.

use serde_json::Value;

use super::bodies;
use super::dice::Dice;

/// A kind, with what makes an object of it.
#[derive(Debug)]
pub(super) struct Kind {
    /// What objects call it.
    pub(super) word: &'static str,
    pub(super) api_version: &'static str,
    pub(super) plural: &'static str,
    /// How often it is chosen.
    pub(super) weight: usize,
    /// Everything of an object but kind and metadata.
    pub(super) body: fn(&mut Dice) -> Value,
    /// A status, where there is the subresource.
    pub(super) status: Option<fn(&mut Dice) -> Value>,
    pub(super) scale: bool,
}

/// All of them. The objects of a CRD are gadgets, `install/gadget.yaml`.
pub(super) const KINDS: &[Kind] = &[
    Kind { weight: 4, ..kind("ConfigMap", "v1", "configmaps", bodies::config_map) },
    Kind { weight: 2, ..kind("Secret", "v1", "secrets", bodies::secret) },
    Kind { weight: 4, status: Some(bodies::pod_status), ..kind("Pod", "v1", "pods", bodies::pod) },
    Kind { weight: 3, status: Some(bodies::service_status), ..kind("Service", "v1", "services", bodies::service) },
    Kind {
        weight: 4,
        status: Some(bodies::workload_status),
        scale: true,
        ..kind("Deployment", "apps/v1", "deployments", bodies::deployment)
    },
    Kind {
        weight: 4,
        status: Some(bodies::workload_status),
        scale: true,
        ..kind("StatefulSet", "apps/v1", "statefulsets", bodies::stateful_set)
    },
    Kind {
        weight: 2,
        status: Some(bodies::workload_status),
        scale: true,
        ..kind("ReplicaSet", "apps/v1", "replicasets", bodies::replica_set)
    },
    Kind { weight: 2, ..kind("Lease", "coordination.k8s.io/v1", "leases", bodies::lease) },
    Kind {
        weight: 2,
        status: Some(bodies::budget_status),
        ..kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets", bodies::budget)
    },
    Kind {
        weight: 5,
        status: Some(bodies::gadget_status),
        scale: true,
        ..kind("Gadget", "shared.example.com/v1", "gadgets", bodies::gadget)
    },
    Kind { weight: 1, ..kind("Namespace", "v1", "namespaces", bodies::namespace) },
];

const fn kind(
    word: &'static str,
    api_version: &'static str,
    plural: &'static str,
    body: fn(&mut Dice) -> Value,
) -> Kind {
    Kind { word, api_version, plural, weight: 1, body, status: None, scale: false }
}

impl Kind {
    pub(super) fn namespaced(&self) -> bool {
        self.word != "Namespace"
    }

    /// The URL of its objects in the script's namespace.
    pub(super) fn path(&self) -> String {
        let group = if self.api_version.contains('/') { "apis" } else { "api" };
        let namespace = if self.namespaced() { "/namespaces/${ns}" } else { "" };
        format!("/{group}/{}{namespace}/{}", self.api_version, self.plural)
    }

    /// What an object is called on the server. Namespaces of all scripts share one list, so they carry the script's.
    pub(super) fn name(&self, short: &str) -> String {
        if self.namespaced() { short.to_owned() } else { format!("${{ns}}-{short}") }
    }

    pub(super) fn custom(&self) -> bool {
        self.word == "Gadget"
    }
}
