//! The compact form of an application: its workloads, its strategy and its Rollout.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Kind, cluster_name};

/// An application in short: expands to workloads, a RolloutStrategy and a Rollout, all of one name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Application {
    /// The name of the Rollout and of its strategy, and the value of the label `app` of every workload.
    pub name: String,
    /// The workloads. The Rollout is for those of the first one's kind.
    pub workloads: Vec<Workload>,
    /// The fields of the RolloutStrategy, as in its manifest.
    pub strategy: Value,
    /// Fields of the Rollout's `spec` beyond the reference to workloads and strategy.
    #[serde(default)]
    pub rollout: Value,
}

/// A workload in short.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Workload {
    /// The cluster it is in; the hub when absent.
    pub cluster: Option<String>,
    /// Its name.
    pub name: String,
    /// Its kind.
    #[serde(default)]
    pub kind: WorkloadKind,
    /// Pods wanted; a PodDecoration has those of all CollaSets of the application.
    #[serde(default)]
    pub replicas: u32,
    /// The image of its only container; of a PodDecoration, of the container that it adds.
    pub image: String,
    /// `spec.podManagementPolicy` of a StatefulSet.
    #[serde(default)]
    pub policy: Policy,
    /// `spec.minReadySeconds`, where the kind has it.
    #[serde(default)]
    pub min_ready_seconds: u32,
}

/// The kind of a workload.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum WorkloadKind {
    /// Of `apps/v1`.
    #[default]
    StatefulSet,
    /// Of `apps/v1`.
    Deployment,
    /// OpenKruise's StatefulSet.
    AdvancedStatefulSet,
    /// OpenKruise's.
    CloneSet,
    /// KusionStack's.
    CollaSet,
    /// KusionStack's.
    PodDecoration,
}

impl WorkloadKind {
    /// The name under which timelines find the kind.
    pub fn name(self) -> &'static str {
        match self {
            Self::StatefulSet => "StatefulSet",
            Self::Deployment => "Deployment",
            Self::AdvancedStatefulSet => "AdvancedStatefulSet",
            Self::CloneSet => "CloneSet",
            Self::CollaSet => "CollaSet",
            Self::PodDecoration => "PodDecoration",
        }
    }

    /// Where an object of the kind says the image of its first container.
    pub fn image_path(self) -> &'static str {
        match self {
            Self::PodDecoration => "/spec/template/containers/0/image",
            _ => "/spec/template/spec/containers/0/image",
        }
    }

    /// `apiVersion` and `kind`, as a manifest has them.
    fn of_manifest(self) -> (String, &'static str) {
        Kind::find(self.name()).map(|kind| kind.of_manifest()).unwrap_or_default()
    }
}

/// How a StatefulSet starts its pods.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum Policy {
    /// One after the other.
    #[default]
    OrderedReady,
    /// All at once.
    Parallel,
}

impl Application {
    /// The objects, each with its cluster: members' first, as a user would have deployed them before the Rollout.
    pub fn manifests(&self) -> Vec<(String, Value)> {
        let mut all: Vec<_> = self.workloads.iter().map(|w| (w.cluster(), self.workload(w))).collect();
        all.push((super::HUB.to_owned(), self.strategy()));
        all.push((super::HUB.to_owned(), self.rollout()));
        all
    }

    fn workload(&self, workload: &Workload) -> Value {
        let labels = json!({"app": self.name, "workload": workload.name});
        let (api_version, kind) = workload.kind.of_manifest();
        json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"name": workload.name, "namespace": "default", "labels": labels},
            "spec": self.spec(workload, &labels),
        })
    }

    fn spec(&self, workload: &Workload, labels: &Value) -> Value {
        let containers = json!([{"name": "main", "image": workload.image}]);
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": containers}});
        let selector = json!({"matchLabels": labels});
        let mut spec = json!({"replicas": workload.replicas});
        match workload.kind {
            WorkloadKind::StatefulSet | WorkloadKind::AdvancedStatefulSet => {
                spec["serviceName"] = workload.name.as_str().into();
                spec["podManagementPolicy"] = format!("{:?}", workload.policy).into();
            }
            WorkloadKind::Deployment | WorkloadKind::CloneSet | WorkloadKind::CollaSet => {}
            WorkloadKind::PodDecoration => {
                let sidecar = json!({"name": workload.name, "image": workload.image});
                return json!({
                    "selector": {"matchLabels": {"app": self.name}},
                    "template": {"containers": [sidecar]},
                });
            }
        }
        spec["selector"] = selector;
        spec["template"] = template;
        if workload.min_ready_seconds > 0 {
            let seconds = workload.min_ready_seconds;
            if workload.kind == WorkloadKind::AdvancedStatefulSet {
                spec["updateStrategy"] = json!({"rollingUpdate": {"minReadySeconds": seconds}});
            } else {
                spec["minReadySeconds"] = seconds.into();
            }
        }
        spec
    }

    fn strategy(&self) -> Value {
        let mut strategy = json!({
            "apiVersion": "rollout.kusionstack.io/v1alpha1",
            "kind": "RolloutStrategy",
            "metadata": {"name": self.name, "namespace": "default"},
        });
        merge(&mut strategy, &self.strategy);
        strategy
    }

    fn rollout(&self) -> Value {
        let (api_version, kind) = self.workloads.first().map(|first| first.kind).unwrap_or_default().of_manifest();
        let mut spec = json!({
            "strategyRef": self.name,
            "workloadRef": {
                "apiVersion": api_version,
                "kind": kind,
                "match": {"selector": {"matchLabels": {"app": self.name}}},
            },
        });
        merge(&mut spec, &self.rollout);
        json!({
            "apiVersion": "rollout.kusionstack.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": self.name, "namespace": "default"},
            "spec": spec,
        })
    }
}

impl Workload {
    fn cluster(&self) -> String {
        cluster_name(self.cluster.as_deref())
    }
}

fn merge(base: &mut Value, fields: &Value) {
    let (Some(base), Some(fields)) = (base.as_object_mut(), fields.as_object()) else { return };
    for (key, value) in fields {
        base.insert(key.clone(), value.clone());
    }
}
