//! The kinds of workload, and where each of them shows what.

use serde_json::Value;

use super::{deployment::revision_of, int, text};

/// A kind of workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Species {
    /// Of Kubernetes.
    #[default]
    StatefulSet,
    /// Of Kubernetes.
    Deployment,
    /// Of OpenKruise.
    AdvancedStatefulSet,
    /// Of OpenKruise.
    CloneSet,
    /// Of KusionStack.
    CollaSet,
    /// Of KusionStack.
    PodDecoration,
}

/// What labels with a decoration's revision begin with.
const DECORATION: &str = "poddecoration.kusionstack.io/pd-";

impl Species {
    /// The kind of a resource's objects; none when they are no workloads. Two groups have a resource of the same name.
    pub(crate) fn of(plural: &str, object: &Value) -> Option<Self> {
        let kruise = object["apiVersion"].as_str().is_some_and(|version| version.starts_with("apps.kruise.io/"));
        Some(match plural {
            "statefulsets" if kruise => Self::AdvancedStatefulSet,
            "statefulsets" => Self::StatefulSet,
            "deployments" => Self::Deployment,
            "clonesets" => Self::CloneSet,
            "collasets" => Self::CollaSet,
            "poddecorations" => Self::PodDecoration,
            _ => return None,
        })
    }

    /// Whether a pod's name says which of its places it has, and a partition which places are open. Where it does not, a
    /// partition counts pods.
    pub(super) fn has_ordinals(self) -> bool {
        matches!(self, Self::StatefulSet | Self::AdvancedStatefulSet)
    }

    /// Pods wanted.
    pub(super) fn desired(self, object: &Value) -> i32 {
        let replicas = object["spec"]["replicas"].as_i64().map(|_| int(&object["spec"]["replicas"]));
        match self {
            Self::PodDecoration => int(&object["status"]["matchedPods"]),
            Self::CollaSet => replicas.unwrap_or(0),
            _ => replicas.unwrap_or(1),
        }
    }

    /// The partition; zero when there is none. A share of a CloneSet is not told from zero: nothing here writes one. A
    /// Deployment has none, but while it is paused it acts as under the largest.
    pub(crate) fn partition(self, object: &Value) -> i32 {
        if self == Self::Deployment {
            return if object["spec"]["paused"] == true { i32::MAX } else { 0 };
        }
        let strategy = &object["spec"]["updateStrategy"];
        int(match self {
            Self::CloneSet => &strategy["partition"],
            Self::CollaSet => &strategy["rollingUpdate"]["byPartition"]["partition"],
            _ => &strategy["rollingUpdate"]["partition"],
        })
    }

    pub(super) fn min_ready_seconds(self, object: &Value) -> i32 {
        let spec = &object["spec"];
        int(match self {
            Self::AdvancedStatefulSet => &spec["updateStrategy"]["rollingUpdate"]["minReadySeconds"],
            _ => &spec["minReadySeconds"],
        })
    }

    /// The first container of its template.
    pub(super) fn container(self, object: &Value) -> &Value {
        let template = &object["spec"]["template"];
        if self == Self::PodDecoration { &template["containers"][0] } else { &template["spec"]["containers"][0] }
    }

    pub(super) fn updated_revision(self, object: &Value) -> String {
        if self == Self::Deployment {
            return revision_of(&object["spec"]["template"]);
        }
        let kusion = matches!(self, Self::CollaSet | Self::PodDecoration);
        text(&object["status"][if kusion { "updatedRevision" } else { "updateRevision" }])
    }

    /// The label by which a pod says its revision of the workload of this name.
    pub(super) fn revision_label(self, name: &str) -> String {
        if self == Self::PodDecoration { format!("{DECORATION}{name}") } else { "controller-revision-hash".to_owned() }
    }
}

/// Whether a selector by labels selects an object. One that says nothing selects everything.
pub(super) fn selects(labels: &Value, object: &Value) -> bool {
    let has = |(key, value): (&String, &Value)| object["metadata"]["labels"][key] == *value;
    labels.as_object().into_iter().flatten().all(has)
}
