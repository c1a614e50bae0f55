//! The demo's requests: what carries them to one of its components, who sends them, and where they go.

use std::{collections::BTreeMap, time::Duration};

use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};
use slipway_actors::api::API_VERSION;
use slipway_fakes::{
    Clock,
    gateway::{Client, ClientOptions, Gateway, Request, WHOLE},
};

use super::{
    application::{NAME, NAMESPACE},
    clusters::Clusters,
};
use crate::view::Requests;

/// The component that serves requests.
pub(crate) const COMPONENT: &str = "frontend";
/// The host that requests are for.
const HOST: &str = "storefront.example";
/// How often a client that has nobody to ask looks again, in the clusters' time.
const LOOK: Duration = Duration::from_millis(100);
/// Twice what a gateway may be late, in seconds.
const DRAIN_SECONDS: u32 = 2;
/// However fast the clocks, a drain lasts a quarter of a second of this machine's: its scheduling makes gateways late, too.
const SPEED_PER_DRAIN_SECOND: u32 = 4;

/// How long a gateway may go on as before after it was told of a change, in the clusters' time.
pub(crate) fn drain_seconds(speed: u32) -> u32 {
    DRAIN_SECONDS.max(speed / SPEED_PER_DRAIN_SECOND)
}

/// A client in each cluster.
pub(crate) struct Traffic(BTreeMap<String, (Gateway, Client)>);

impl Traffic {
    /// Begins to send, in each cluster as soon as somebody is there to answer.
    pub(crate) fn start(clusters: &Clusters, seed: u64) -> Self {
        let gateways = clusters.members.iter().filter_map(|(name, it)| Some((name.clone(), it.gateway()?)));
        let start = |((name, gateway), seed): ((String, &Gateway), u64)| {
            let client = Client::new(gateway, ClientOptions::new(request()), seed);
            tokio::spawn(send(gateway.clone(), client.clone(), clusters.clock.clone()));
            (name, (gateway.clone(), client))
        };
        Self(gateways.zip(seed..).map(start).collect())
    }

    /// What becomes of requests now, by cluster; nothing of a cluster that none was sent to.
    pub(crate) fn requests(&self) -> BTreeMap<String, Requests> {
        let in_cluster = |(name, (gateway, client)): (&String, &(Gateway, Client))| {
            let counts = client.counts();
            let mut answered = BTreeMap::new();
            for (image, count) in counts.by_image() {
                *answered.entry(version(&image)).or_default() += count;
            }
            let requests = Requests { shares: shares(gateway), answered, errors: counts.errors(400) };
            (counts.requests() > 0).then(|| (name.clone(), requests))
        };
        self.0.iter().filter_map(in_cluster).collect()
    }
}

async fn send(gateway: Gateway, client: Client, clock: Clock) {
    while shares(&gateway).is_empty() {
        clock.sleep(LOOK).await;
    }
    client.run().await;
}

fn request() -> Request {
    Request::get(HOST, "/")
}

/// What each version gets by the weights in force, in percent. What goes to a backend without pods is nobody's.
fn shares(gateway: &Gateway) -> BTreeMap<String, u64> {
    let mut parts: BTreeMap<String, u64> = BTreeMap::new();
    let rule = gateway.configuration().shares_for(&request());
    for (pod, part) in rule.iter().flat_map(|rule| &rule.backends).flat_map(|backend| &backend.pods) {
        *parts.entry(version(&pod.image)).or_default() += part;
    }
    let percent = |part: u64| (part * 100 + WHOLE / 2) / WHOLE;
    parts.into_iter().map(|(version, part)| (version, percent(part))).filter(|(_, percent)| *percent > 0).collect()
}

fn version(image: &str) -> String {
    image.rsplit(':').next().unwrap_or_default().to_owned()
}

/// The traffic of a step that gives the new version so many percent of the requests.
pub(crate) fn share(percent: i32) -> Value {
    json!({ "http": { "weight": percent } })
}

/// What the component is reached by in its cluster.
pub(crate) fn service() -> Value {
    json!({
        "metadata": { "name": COMPONENT, "namespace": NAMESPACE },
        "spec": { "selector": { "app.kubernetes.io/name": COMPONENT }, "ports": [{ "port": 80 }] },
    })
}

/// The way to its HTTPRoutes.
pub(crate) fn routes(client: &kube::Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
    Api::namespaced_with(client.clone(), NAMESPACE, &ApiResource::from_gvk(&kind))
}

/// What leads requests to it.
pub(crate) fn route() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": { "name": NAME, "namespace": NAMESPACE },
        "spec": {
            "parentRefs": [{ "name": "public" }],
            "hostnames": [HOST],
            "rules": [{ "backendRefs": [{ "name": COMPONENT, "port": 80 }] }],
        },
    })
}

/// What tells Slipway so.
pub(crate) fn topology(speed: u32) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "TrafficTopology",
        "metadata": { "name": COMPONENT, "namespace": NAMESPACE },
        "spec": {
            "workloadRef": {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "match": { "names": [{ "name": COMPONENT }] },
            },
            "trafficType": "InCluster",
            "backend": { "name": COMPONENT },
            "routes": [{ "name": NAME }],
            "drainSeconds": drain_seconds(speed),
        },
    })
}
