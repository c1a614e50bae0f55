//! The compact form of an application: its workloads, its strategy and its Rollout.

use serde::Deserialize;
use serde_json::{Value, json};

use super::cluster_name;

/// An application in short: expands to StatefulSets, a RolloutStrategy and a Rollout, all of one name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Application {
    /// The name of the Rollout and of its strategy, and the value of the label `app` of every workload.
    pub name: String,
    /// The workloads.
    pub workloads: Vec<Workload>,
    /// The fields of the RolloutStrategy, as in its manifest.
    pub strategy: Value,
    /// Fields of the Rollout's `spec` beyond the reference to workloads and strategy.
    #[serde(default)]
    pub rollout: Value,
}

/// A StatefulSet in short.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Workload {
    /// The cluster it is in; the hub when absent.
    pub cluster: Option<String>,
    /// Its name.
    pub name: String,
    /// Pods wanted.
    pub replicas: u32,
    /// The image of its only container.
    pub image: String,
    /// `spec.podManagementPolicy`.
    #[serde(default)]
    pub policy: Policy,
    /// `spec.minReadySeconds`.
    #[serde(default)]
    pub min_ready_seconds: u32,
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
        let mut spec = json!({
            "replicas": workload.replicas,
            "serviceName": workload.name,
            "podManagementPolicy": format!("{:?}", workload.policy),
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": workload.image}]},
            },
        });
        if workload.min_ready_seconds > 0 {
            spec["minReadySeconds"] = workload.min_ready_seconds.into();
        }
        json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": workload.name, "namespace": "default", "labels": labels},
            "spec": spec,
        })
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
        let mut spec = json!({
            "strategyRef": self.name,
            "workloadRef": {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
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
