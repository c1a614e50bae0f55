//! A whole cluster: an API server with its controllers and its kubelet.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::{
    ApiServer, Clock, Store, Webhooks,
    controllers::{self, ControllerOptions, hpa::Scaler},
    gateway::{Gateway, GatewayOptions},
    kubelet::{Kubelet, KubeletOptions},
};

/// How a cluster is made.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Its name, for messages.
    pub name: String,
    /// Decides uids, generated names and every drawn delay.
    pub seed: u64,
    /// Its clock.
    pub clock: Clock,
    /// How controllers behave.
    pub controllers: ControllerOptions,
    /// How pods live.
    pub kubelet: KubeletOptions,
    /// How its gateway behaves; none where there is no gateway.
    pub gateway: Option<GatewayOptions>,
    /// How admission webhooks are reached: over HTTPS, unless something else is handed in.
    pub webhooks: Option<Arc<dyn Webhooks>>,
}

impl ClusterOptions {
    /// A cluster by this clock with seed zero and default behaviour.
    pub fn new(clock: Clock) -> Self {
        Self {
            name: String::new(),
            seed: 0,
            clock,
            controllers: ControllerOptions::default(),
            kubelet: KubeletOptions::default(),
            gateway: None,
            webhooks: None,
        }
    }
}

/// A running cluster; its tasks end when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    api: ApiServer,
    kubelet: Kubelet,
    scaler: Scaler,
    gateway: Option<Gateway>,
    tasks: Vec<JoinHandle<()>>,
}

impl Cluster {
    /// Starts a cluster on the current runtime.
    pub fn start(options: ClusterOptions) -> Self {
        let ClusterOptions { name, seed, clock, controllers, kubelet, gateway, webhooks } = options;
        let api = match webhooks {
            Some(webhooks) => ApiServer::with_webhooks(seed, clock, webhooks),
            None => ApiServer::new(seed, clock),
        };
        let kubelet = Kubelet::new(&api, kubelet, seed);
        let scaler = Scaler::default();
        let controllers = controllers::run_scaled(api.clone(), controllers, scaler.clone(), seed);
        let mut tasks = vec![tokio::spawn(controllers), tokio::spawn(kubelet.clone().run())];
        let gateway = gateway.map(|options| Gateway::new(&name, &api, options, seed));
        tasks.extend(gateway.clone().map(|gateway| tokio::spawn(gateway.run())));
        Self { name, api, kubelet, scaler, gateway, tasks }
    }

    /// The name it was started with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A client of the API server.
    pub fn client(&self) -> kube::Client {
        self.api.client()
    }

    /// The API server.
    pub fn api(&self) -> &ApiServer {
        &self.api
    }

    /// The objects.
    pub fn store(&self) -> &Store {
        self.api.store()
    }

    /// The cluster's clock.
    pub fn clock(&self) -> &Clock {
        self.api.clock()
    }

    /// What autoscalers are told, to make them scale.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// The gateway, if there is one.
    pub fn gateway(&self) -> Option<&Gateway> {
        self.gateway.as_ref()
    }

    /// The kubelet, to make pods fail.
    pub fn kubelet(&self) -> &Kubelet {
        &self.kubelet
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
    use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
    use serde_json::json;

    use super::*;

    fn start() -> Cluster {
        Cluster::start(ClusterOptions::new(Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_stateful_set_rolls_by_its_partition_and_takes_its_pods_along() {
        let cluster = start();
        let sets: Api<StatefulSet> = Api::default_namespaced(cluster.client());
        let pods: Api<Pod> = Api::default_namespaced(cluster.client());
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "web" },
            "spec": {
                "replicas": 3, "serviceName": "web", "podManagementPolicy": "Parallel",
                "selector": { "matchLabels": { "app": "web" } },
                "template": {
                    "metadata": { "labels": { "app": "web" } },
                    "spec": { "containers": [{ "name": "main", "image": "web:1" }] }
                }
            }
        });
        sets.create(&PostParams::default(), &serde_json::from_value(set).unwrap()).await.unwrap();
        tokio::time::sleep(Duration::from_mins(1)).await;
        let status = sets.get("web").await.unwrap().status.unwrap();
        assert_eq!((status.ready_replicas, status.observed_generation), (Some(3), Some(1)));

        let roll = json!({ "spec": {
            "updateStrategy": { "rollingUpdate": { "partition": 2 } },
            "template": { "spec": { "containers": [{ "name": "main", "image": "web:2" }] } }
        } });
        sets.patch("web", &PatchParams::default(), &Patch::Strategic(roll)).await.unwrap();
        tokio::time::sleep(Duration::from_mins(1)).await;
        let images: Vec<String> = pods
            .list(&ListParams::default().labels("app=web"))
            .await
            .unwrap()
            .into_iter()
            .map(|pod| pod.spec.unwrap().containers[0].image.clone().unwrap())
            .collect();
        assert_eq!(images, ["web:1", "web:1", "web:2"]);
        let status = sets.get("web").await.unwrap().status.unwrap();
        assert_eq!((status.updated_replicas, status.ready_replicas), (Some(1), Some(3)));

        sets.delete("web", &DeleteParams::default()).await.unwrap();
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert!(pods.list(&ListParams::default()).await.unwrap().items.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_cluster_stops() {
        let cluster = start();
        let api = cluster.api().clone();
        drop(cluster);
        let set = crate::store::GroupResource::new("apps", "statefulsets");
        let object = json!({
            "metadata": { "name": "web", "namespace": "default" },
            "spec": {
                "selector": { "matchLabels": { "app": "web" } },
                "template": {
                    "metadata": { "labels": { "app": "web" } },
                    "spec": { "containers": [{ "name": "main", "image": "web:1" }] }
                }
            }
        });
        api.create(&set, object, &crate::server::WriteOptions::manager("test")).await.unwrap();
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert!(api.store().list(&crate::store::GroupResource::new("", "pods"), None).is_empty());
    }
}
