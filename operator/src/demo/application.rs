//! The demo's application: two StatefulSets in every member cluster, one of which serves requests; a Rollout, its strategy
//! and its TrafficTopology in the hub.

use std::fmt::Debug;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Namespace, Service},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use slipway_actors::api::{API_VERSION, Rollout, RolloutStrategy, TrafficTopology, keys};
use slipway_fakes::hooks::{Behaviour, Turn};

use super::{clusters::Clusters, traffic};
use crate::failure::Failure;

/// What the demo shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Play {
    /// Three batches, the second one pod at a time and after a breakpoint, each with its share of requests.
    #[default]
    Batches,
    /// A canary in every cluster with a fifth of the requests and hooks around it, then two batches.
    Canary,
    /// A whole copy in every cluster, which takes over all requests before two batches follow.
    BlueGreen,
    /// A version that breaks in the second batch, and the way back.
    Rollback,
}

/// Its namespace, in every cluster.
pub(crate) const NAMESPACE: &str = "shop";
/// The name of the Rollout and its strategy.
pub(crate) const NAME: &str = "storefront";
/// The application's components.
pub(crate) const COMPONENTS: [&str; 2] = ["backend", "frontend"];
/// Pods of each component in each cluster.
pub(crate) const REPLICAS: i32 = 5;

/// Creates it, at v1.
pub(crate) async fn create(clusters: &Clusters, play: Play, speed: u32) -> Result<(), Failure> {
    create_namespace(&clusters.hub.client()).await?;
    for cluster in clusters.members.values() {
        let client = cluster.client();
        create_namespace(&client).await?;
        for component in COMPONENTS {
            create_object::<StatefulSet>(&client, stateful_set(component)).await?;
        }
        create_object::<Service>(&client, traffic::service()).await?;
        post(&traffic::routes(&client), traffic::route()).await?;
    }
    create_object::<TrafficTopology>(&clusters.hub.client(), traffic::topology(speed)).await?;
    create_object::<RolloutStrategy>(&clusters.hub.client(), strategy(play)).await?;
    create_object::<Rollout>(&clusters.hub.client(), rollout()).await
}

/// Changes its image to v2 in every cluster.
pub(crate) async fn update(clusters: &Clusters) -> Result<(), Failure> {
    for cluster in clusters.members.values() {
        let api: Api<StatefulSet> = Api::namespaced(cluster.client(), NAMESPACE);
        for component in COMPONENTS {
            let containers = json!([{ "name": component, "image": image(component, "v2") }]);
            let patch = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
            api.patch(component, &params(), &Patch::Merge(patch)).await?;
        }
    }
    Ok(())
}

/// From now on pods of v2 do not start.
pub(crate) fn break_version(clusters: &Clusters) {
    for cluster in clusters.members.values() {
        for component in COMPONENTS {
            cluster.kubelet().mark_bad(&image(component, "v2"));
        }
    }
}

/// Gives the rollout a command.
pub(crate) async fn command(clusters: &Clusters, command: &str) -> Result<(), Failure> {
    let api: Api<Rollout> = Api::namespaced(clusters.hub.client(), NAMESPACE);
    let patch = json!({ "metadata": { "annotations": { keys::ANNOTATION_MANUAL_COMMAND: command } } });
    api.patch(NAME, &params(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// How a user gives it a command.
pub(crate) fn command_line(command: &str) -> String {
    format!("kubectl annotate ro {NAME} -n {NAMESPACE} {}={command} --overwrite", keys::ANNOTATION_MANUAL_COMMAND)
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some("slipway-demo".to_owned()), ..PatchParams::default() }
}

async fn create_namespace(client: &Client) -> Result<(), Failure> {
    let namespace = serde_json::from_value(json!({ "metadata": { "name": NAMESPACE } }));
    let namespace: Namespace = namespace.map_err(|error| Failure::Broke(error.to_string()))?;
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    Ok(())
}

async fn create_object<K>(client: &Client, object: Value) -> Result<(), Failure>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug,
{
    post(&Api::<K>::namespaced(client.clone(), NAMESPACE), object).await
}

async fn post<K: Serialize + DeserializeOwned + Clone + Debug>(api: &Api<K>, object: Value) -> Result<(), Failure> {
    let object: K = serde_json::from_value(object).map_err(|error| Failure::Broke(error.to_string()))?;
    let params = PostParams { field_manager: Some("slipway-demo".to_owned()), ..PostParams::default() };
    api.create(&params, &object).await?;
    Ok(())
}

fn image(component: &str, version: &str) -> String {
    format!("registry.example.com/{NAME}/{component}:{version}")
}

fn stateful_set(component: &str) -> Value {
    let labels = json!({ "app.kubernetes.io/name": component, "app.kubernetes.io/part-of": NAME });
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": { "name": component, "namespace": NAMESPACE, "labels": labels },
        "spec": {
            "replicas": REPLICAS,
            "serviceName": component,
            "podManagementPolicy": "Parallel",
            "selector": { "matchLabels": { "app.kubernetes.io/name": component } },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": component, "image": image(component, "v1") }] },
            },
        },
    })
}

/// What the endpoints of the demo's hooks answer, by host.
pub(crate) fn endpoints() -> [(&'static str, Vec<Turn>); 2] {
    let takes_a_while = |times| vec![Turn { times: Some(times), ..Behaviour::Processing.into() }, Behaviour::Ok.into()];
    [("approval.shop.svc", takes_a_while(2)), ("smoke-test.shop.svc", takes_a_while(1))]
}

fn hook(name: &str, types: &[&str]) -> Value {
    let url = format!("http://{name}.{NAMESPACE}.svc/");
    json!({ "name": name, "hookTypes": types, "clientConfig": { "url": url, "periodSeconds": 2 } })
}

fn strategy(play: Play) -> Value {
    let mut strategy = json!({
        "apiVersion": API_VERSION,
        "kind": "RolloutStrategy",
        "metadata": { "name": NAME, "namespace": NAMESPACE },
        "batch": { "batches": [
            { "replicas": 1, "traffic": traffic::share(10) },
            {
                "replicas": 3,
                "replicaSlidingWindow": 1,
                "breakpoint": play == Play::Batches,
                "traffic": traffic::share(50),
            },
            { "replicas": "100%" },
        ] },
    });
    if play == Play::Canary {
        strategy["canary"] = json!({
            "replicas": 1,
            "traffic": traffic::share(20),
            "templateMetadataPatch": { "labels": { "track": "canary" } },
        });
        strategy["webhooks"] = json!([
            hook("approval", &["PreRollout"]),
            hook("smoke-test", &["PostCanaryStepHook", "PostBatchStepHook"]),
        ]);
    }
    if play == Play::BlueGreen {
        let served = json!({ "names": [{ "name": traffic::COMPONENT }] });
        strategy["blueGreen"] = json!({
            "targets": [{ "matchTargets": served, "replicas": "100%" }],
            "preview": { "http": { "mirror": { "percent": 20 } } },
        });
    }
    if matches!(play, Play::Canary | Play::BlueGreen) {
        strategy["batch"]["batches"] = json!([{ "replicas": "50%" }, { "replicas": "100%" }]);
    }
    strategy
}

fn rollout() -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "Rollout",
        "metadata": { "name": NAME, "namespace": NAMESPACE },
        "spec": {
            "strategyRef": NAME,
            "trafficTopologyRefs": [traffic::COMPONENT],
            "workloadRef": {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "match": { "selector": { "matchLabels": { "app.kubernetes.io/part-of": NAME } } },
            },
        },
    })
}
