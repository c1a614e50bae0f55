//! The objects of the two worlds: as upstream leaves them, in a scenario in which Slipway finds them.

use serde_json::{Value, json};
use slipway_sim::Scenario;

use super::{PODS, Row, condition};

const CLUSTERS: [&str; 2] = ["east", "west"];
const OURS: &str = "rollout.kusionstack.io";

/// The kinds that upstream moves.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    StatefulSet,
    CollaSet,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::StatefulSet, Self::CollaSet];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::StatefulSet => "StatefulSet",
            Self::CollaSet => "CollaSet",
        }
    }

    fn api_version(self) -> &'static str {
        match self {
            Self::StatefulSet => "apps/v1",
            Self::CollaSet => "apps.kusionstack.io/v1alpha1",
        }
    }

    /// `spec.updateStrategy` with a partition as upstream writes it: it removes one of 0.
    fn strategy(self, partition: i32) -> Value {
        match (self, Some(partition).filter(|partition| *partition > 0)) {
            (Self::StatefulSet, None) => json!({ "type": "RollingUpdate", "rollingUpdate": null }),
            (Self::StatefulSet, Some(kept)) => {
                json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": kept } })
            }
            (Self::CollaSet, kept) => json!({ "rollingUpdate": { "byPartition": { "partition": kept } } }),
        }
    }

    fn workload(self, name: &str) -> Value {
        let mut workload = json!({
            "apiVersion": self.api_version(), "kind": self.name(),
            "metadata": { "name": name, "namespace": "default", "labels": { "app": "web" } },
            "spec": {
                "replicas": PODS,
                "selector": { "matchLabels": { "app": "web" } },
                "template": {
                    "metadata": { "labels": { "app": "web" } },
                    "spec": { "containers": [{ "name": "main", "image": "web:v1" }] },
                },
            },
        });
        if let Self::StatefulSet = self {
            workload["spec"]["serviceName"] = "web".into();
            workload["spec"]["podManagementPolicy"] = "Parallel".into();
        }
        workload
    }

    /// The action by which something of the workload `web` changes.
    fn patch(self, cluster: &str, patch: &Value) -> Value {
        json!({ "patch": { "cluster": cluster, "kind": self.name(), "name": "web", "patch": patch } })
    }
}

impl Row {
    /// The operator is away while what upstream left comes to be there, and takes over then.
    pub(super) fn scenario(&self, kind: Kind) -> Scenario {
        let mut timeline = vec![json!({ "at": "0s", "do": { "crash-operator": { "restart-after": "2m" } } })];
        let mut then = |after: &str, action: Value| timeline.push(json!({ "after": after, "do": action }));
        // The webhook froze the partition as the template changed, and the executor lowered it later.
        for (cluster, after) in CLUSTERS.into_iter().zip(["20s", "1ms"]) {
            then(after, kind.patch(cluster, &self.new_template(kind)));
        }
        if self.released > 0 {
            for cluster in CLUSTERS {
                let strategy = kind.strategy(PODS - self.released);
                then("5s", kind.patch(cluster, &json!({ "spec": { "updateStrategy": strategy } })));
            }
        }
        for (cluster, manifest) in self.copies(kind).chain(self.hub(kind)) {
            then("1s", json!({ "create": { "cluster": cluster, "manifest": manifest } }));
        }
        for command in &self.commands {
            let when = if *command == "retry" { json!({ "error": true }) } else { json!({ "phase": "Paused" }) };
            timeline.push(json!({ "when": when, "after": "3m", "do": { "command": command } }));
        }
        let images = match self.updated {
            0 => json!({ "web:v1": PODS }),
            PODS => json!({ "web:v2": PODS }),
            some => json!({ "web:v1": PODS - some, "web:v2": some }),
        };
        let expected = json!({ "images": images, "ready": PODS, "parked": true });
        let except = if self.asked_before {
            json!({ "no_step_past_hook": "what upstream asked is not seen here" })
        } else {
            json!({})
        };
        let scenario = json!({
            "description": self.name,
            "clusters": CLUSTERS.map(|name| json!({ "name": name })),
            "objects": CLUSTERS.map(|cluster| json!({ "cluster": cluster, "manifest": kind.workload("web") })),
            "hooks": { "one": [{ "answer": "ok" }], "two": [{ "answer": "ok" }] },
            "timeline": timeline,
            "expect": {
                "runs": 1,
                "rollout": "Initialized",
                "run": { "phase": self.end, "error": "" },
                "workloads": { "east/web": expected, "west/web": expected },
            },
            "except": except,
        });
        Scenario::parse(self.name, &scenario.to_string()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn new_template(&self, kind: Kind) -> Value {
        let mark = self.mark.as_object().map(|step| {
            let mut mark = json!({ "kind": "Rollout", "rollout": "web", "rolloutID": "web-1" });
            mark.as_object_mut().unwrap().extend(step.clone());
            mark.to_string()
        });
        json!({
            "metadata": {
                "labels": { format!("{OURS}/workload"): kind.name().to_lowercase() },
                "annotations": { format!("{OURS}/name"): "web", format!("{OURS}/progressing-info"): mark },
            },
            "spec": {
                "template": { "spec": { "containers": [{ "name": "main", "image": "web:v2" }] } },
                "updateStrategy": kind.strategy(PODS),
            },
        })
    }

    /// The copies, as upstream makes them of the workload as it was then.
    fn copies(&self, kind: Kind) -> impl Iterator<Item = (Option<&'static str>, Value)> {
        let copy = self.copy.map(|replicas| {
            let mut copy = kind.workload("web-canary");
            let lane = json!({
                "app": "web", format!("{OURS}/canary-resource"): "true", format!("{OURS}/traffic-lane"): "canary",
            });
            let from = self.new_template(kind);
            copy["metadata"]["labels"] = json!({
                "app": "web", format!("{OURS}/workload"): kind.name().to_lowercase(), format!("{OURS}/canary-resource"): "true",
            });
            copy["metadata"]["annotations"] = from["metadata"]["annotations"].clone();
            copy["metadata"]["finalizers"] = json!(["finalizer.rollout.kusionstack.io/canary-release"]);
            copy["spec"]["replicas"] = replicas.into();
            copy["spec"]["selector"]["matchLabels"] = lane.clone();
            copy["spec"]["template"]["metadata"]["labels"] = lane;
            copy["spec"]["template"]["spec"] = from["spec"]["template"]["spec"].clone();
            copy["spec"]["updateStrategy"] = kind.strategy(PODS);
            copy
        });
        CLUSTERS.into_iter().filter_map(move |cluster| Some((Some(cluster), copy.clone()?)))
    }

    /// What is on the hub: strategy, Rollout and run.
    fn hub(&self, kind: Kind) -> impl Iterator<Item = (Option<&'static str>, Value)> {
        let object = |kind: &str, name: &str, fields: Value| {
            let mut object = json!({
                "apiVersion": format!("{OURS}/v1alpha1"), "kind": kind,
                "metadata": { "name": name, "namespace": "default" },
            });
            object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            object
        };
        let counts = [json!(1), json!(3), json!("100%")];
        let webhooks: Vec<_> = ["one", "two"]
            .into_iter()
            .filter(|_| !self.hook_types.is_empty())
            .map(|name| {
                json!({
                    "name": name, "hookTypes": self.hook_types,
                    "clientConfig": { "url": format!("http://{name}/"), "periodSeconds": 1 },
                })
            })
            .collect();
        let step = |(index, count): (usize, &Value)| {
            let targets = CLUSTERS.map(|cluster| json!({ "cluster": cluster, "name": "web", "replicas": count }));
            json!({ "targets": targets, "breakpoint": self.breakpoint && index == 1 })
        };
        let batches: Vec<_> = counts.iter().enumerate().map(step).collect();
        let mut spec = json!({
            "targetType": { "apiVersion": kind.api_version(), "kind": kind.name() },
            "webhooks": webhooks,
            "batch": { "batches": batches },
        });
        if self.canary {
            let targets = CLUSTERS.map(|cluster| json!({ "cluster": cluster, "name": "web", "replicas": 2 }));
            spec["canary"] = json!({ "targets": targets });
        }
        let strategy = json!({ "batch": { "batches": counts.each_ref().map(|count| json!({ "replicas": count })) } });
        let over = matches!(self.status["phase"].as_str(), Some("Succeeded" | "Canceled"));
        let rollout = json!({
            "spec": {
                "strategyRef": "web",
                "workloadRef": {
                    "apiVersion": kind.api_version(), "kind": kind.name(),
                    "match": { "selector": { "matchLabels": { "app": "web" } } },
                },
            },
            "status": {
                "observedGeneration": 1,
                "phase": if over { "Initialized" } else { "Progressing" },
                "rolloutID": "web-1",
                "conditions": [
                    condition("Available", "True", "Available", "all dependencies are valid"),
                    condition("Trigger", "True", "SucceedCreate", "rolloutRun web-1 is created"),
                    condition("Progressing", if over { "False" } else { "True" }, if over { "" } else { "Running" }, ""),
                ],
            },
        });
        let mut run = json!({ "spec": spec });
        if !self.status.is_null() {
            run["status"] = self.status.clone();
        }
        let mut run = object("RolloutRun", "web-1", run);
        run["metadata"]["ownerReferences"] = json!([{
            "apiVersion": format!("{OURS}/v1alpha1"), "kind": "Rollout", "name": "web",
            "controller": true, "blockOwnerDeletion": true,
        }]);
        let mut rollout = object("Rollout", "web", rollout);
        let protection = json!(["finalizer.rollout.kusionstack.io/protection"]);
        rollout["metadata"]["finalizers"] = protection.clone();
        if !over {
            run["metadata"]["finalizers"] = protection;
        }
        [object("RolloutStrategy", "web", strategy), rollout, run].into_iter().map(|object| (None, object))
    }
}
