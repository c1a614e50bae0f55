//! Fake clusters on loopback, and the operator as a process that works on them.

use std::{path::PathBuf, process::Stdio};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{
    Api, ResourceExt,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use slipway_actors::api::{Rollout, RolloutStrategy, crd, keys};
use slipway_fakes::{Clock, Cluster, ClusterOptions};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

/// A hub that serves the API and a member that does not.
pub(crate) struct Setup {
    pub(crate) hub: Cluster,
    pub(crate) east: Cluster,
    pub(crate) kubeconfig: PathBuf,
    _dir: tempfile::TempDir,
}

impl Setup {
    pub(crate) async fn start() -> Self {
        let clock = Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1);
        let cluster = || Cluster::start(ClusterOptions::new(clock.clone()));
        let (hub, east) = (cluster(), cluster());
        for definition in crd::all() {
            hub.api().install_crd(serde_json::to_value(definition).unwrap()).await.unwrap();
        }
        let (mut clusters, mut contexts) = (Vec::new(), Vec::new());
        for (name, cluster) in [("hub", &hub), ("east", &east)] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let server = format!("http://{}", listener.local_addr().unwrap());
            cluster.api().serve(listener);
            clusters.push(json!({ "name": name, "cluster": { "server": server } }));
            contexts.push(json!({ "name": name, "context": { "cluster": name, "user": "me" } }));
        }
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = dir.path().join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "hub",
            "clusters": clusters, "contexts": contexts, "users": [{ "name": "me", "user": {} }],
        });
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        Self { hub, east, kubeconfig, _dir: dir }
    }

    pub(crate) fn operator(&self, args: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command.args(["operator", "--kubeconfig"]).arg(&self.kubeconfig).args(args);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true).spawn().unwrap()
    }

    /// A workload, its Rollout, and a strategy of one batch with `more` in it.
    pub(crate) async fn create_rollout(&self, more: Value) {
        let labels = json!({ "app": "web" });
        let workload = json!({
            "metadata": { "name": "web", "labels": labels },
            "spec": { "replicas": 1, "serviceName": "web", "selector": { "matchLabels": labels }, "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "main", "image": "web:v1" }] },
            } },
        });
        let mut strategy = json!({ "metadata": { "name": "web" }, "batch": { "batches": [{ "replicas": "100%" }] } });
        for (field, value) in more.as_object().into_iter().flatten() {
            strategy[field] = value.clone();
        }
        let rollout = json!({ "metadata": { "name": "web" }, "spec": { "strategyRef": "web", "workloadRef": {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "match": { "selector": { "matchLabels": labels } },
        } } });
        create::<StatefulSet>(&self.east, workload).await;
        create::<RolloutStrategy>(&self.hub, strategy).await;
        create::<Rollout>(&self.hub, rollout).await;
    }

    /// Waits until the member's workload is under the Rollout's control, and its own controller has brought it up.
    /// Without the latter a change of its template would be a change of nothing.
    pub(crate) async fn controlled(&self) {
        let api: Api<StatefulSet> = Api::default_namespaced(self.east.client());
        let mut workloads = watcher(api, watcher::Config::default()).applied_objects().boxed();
        while let Some(workload) = workloads.try_next().await.unwrap() {
            let is_ours = workload.annotations().get(keys::ANNOTATION_NAME).is_some_and(|it| it == "web");
            if is_ours && workload.status.is_some_and(|status| status.ready_replicas == Some(1)) {
                return;
            }
        }
    }
}

async fn create<K>(cluster: &Cluster, object: Value)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object).unwrap();
    Api::default_namespaced(cluster.client()).create(&PostParams::default(), &object).await.unwrap();
}
