//! Backends: what references name, and the pods behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// The kinds that a reference can name, with their groups.
const KINDS: [(&str, &str); 4] = [
    ("", "Service"),
    ("multicluster.x-k8s.io", "ServiceImport"),
    ("inference.networking.x-k8s.io", "InferencePool"),
    ("inference.networking.k8s.io", "InferencePool"),
];

/// A backend by its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackendId {
    /// `Service`, `ServiceImport`, `InferencePool`, or what a wrong reference says.
    pub kind: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl BackendId {
    /// Names a backend.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A pod that serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The cluster it is in.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// Its uid: a pod of a StatefulSet leaves its name to the next.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The image of its first container.
    pub image: String,
}

/// What is behind a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// The ports it has; empty where any will do.
    pub ports: BTreeSet<i64>,
    /// The pods that are ready.
    pub endpoints: Vec<Arc<Endpoint>>,
}

/// A reference to a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) to: BackendId,
    pub(super) port: Option<i64>,
    /// What is wrong with the reference itself, whatever backends there are: the reason of `ResolvedRefs`.
    pub(super) fault: Option<&'static str>,
}

impl Reference {
    /// Reads a `backendRef` of a route in `namespace`. Nothing grants a reference to another namespace here.
    pub(super) fn read(value: &Value, namespace: &str) -> Self {
        let text = |key: &str, default: &'static str| value[key].as_str().unwrap_or(default).to_owned();
        let (group, kind) = (text("group", ""), text("kind", "Service"));
        let to = BackendId::new(&kind, value["namespace"].as_str().unwrap_or(namespace), &text("name", ""));
        let fault = if !KINDS.contains(&(&group, &kind)) {
            Some("InvalidKind")
        } else if to.namespace != namespace {
            Some("RefNotPermitted")
        } else {
            None
        };
        Self { to, port: value["port"].as_i64(), fault }
    }

    /// Whether a backend has what the reference asks for.
    pub(super) fn resolves(&self, backend: Option<&Backend>) -> bool {
        let has_port =
            |backend: &Backend| backend.ports.is_empty() || self.port.is_none_or(|port| backend.ports.contains(&port));
        self.fault.is_none() && backend.is_some_and(has_port)
    }
}
