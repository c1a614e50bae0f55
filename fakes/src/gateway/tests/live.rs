//! A gateway in a cluster: lags, status, clients.

use std::time::Duration;

use super::*;
use crate::cluster::{Cluster, ClusterOptions};
use crate::server::{DeleteOptions, WriteOptions};
use crate::store::{GroupResource, Key};
use crate::{Clock, crds};

const SLOW: GatewayOptions = GatewayOptions {
    routes: Delay::between(1000, 1000),
    endpoints: Delay::between(3000, 3000),
    status: Delay::between(500, 500),
};

fn start(name: &str, gateway: Option<GatewayOptions>) -> Cluster {
    let clock = Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1);
    Cluster::start(ClusterOptions { name: name.to_owned(), gateway, ..ClusterOptions::new(clock) })
}

async fn defined(cluster: &Cluster, definitions: &[&[Value]]) {
    for definition in definitions.iter().flat_map(|some| some.iter()) {
        cluster.api().install_crd(definition.clone()).await.unwrap();
    }
}

async fn create(cluster: &Cluster, group: &str, plural: &str, object: Value) {
    cluster.api().create(&GroupResource::new(group, plural), object, &WriteOptions::manager("test")).await.unwrap();
}

async fn delete(cluster: &Cluster, group: &str, plural: &str, name: &str) {
    let key = Key::new(&GroupResource::new(group, plural), "default", name);
    cluster.api().delete(&key, &DeleteOptions::default()).await.unwrap();
}

const GATEWAY_API: &str = "gateway.networking.k8s.io";

async fn create_route(cluster: &Cluster, references: Value) {
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "name": "shop", "namespace": "default" },
        "spec": { "parentRefs": [{ "name": "public" }], "rules": [{ "backendRefs": references }] },
    });
    create(cluster, GATEWAY_API, "httproutes", object).await;
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "namespace": "default" },
        "spec": { "selector": { "app": name }, "ports": [{ "port": 80 }] },
    })
}

fn pod(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "default", "labels": { "app": app, "version": "1" } },
        "spec": { "containers": [{ "name": "main", "image": "web:1" }] },
    })
}

/// The conditions of the route's parents: type, status, reason and generation.
fn conditions(cluster: &Cluster) -> Vec<String> {
    let routes = GroupResource::new(GATEWAY_API, "httproutes");
    let route = cluster.store().find(&routes, "default", "shop").unwrap();
    let parents = route.value["status"]["parents"].as_array().cloned().unwrap_or_default();
    let conditions = parents.iter().flat_map(|parent| parent["conditions"].as_array().unwrap().clone());
    let told = |it: Value| format!("{} {} {} {}", it["type"], it["status"], it["reason"], it["observedGeneration"]);
    conditions.map(|it| told(it).replace('"', "")).collect()
}

fn status(cluster: &Cluster) -> u16 {
    answer(&cluster.gateway().unwrap().configuration(), &Request::get("any", "/")).status
}

#[tokio::test(start_paused = true)]
async fn everything_comes_into_force_in_its_own_time() {
    let cluster = start("east", Some(SLOW));
    defined(&cluster, &[crds::gateway_api()]).await;
    create(&cluster, "", "pods", pod("web-0", "web")).await;
    create(&cluster, "", "services", service("web")).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    create_route(&cluster, json!([reference("web", 1)])).await;
    assert_eq!((status(&cluster), conditions(&cluster).len()), (404, 0));
    tokio::time::sleep(Duration::from_millis(600)).await;
    let accepted = ["Accepted True Accepted 1", "ResolvedRefs True ResolvedRefs 1"];
    assert_eq!(
        (status(&cluster), conditions(&cluster)),
        (404, accepted.map(str::to_owned).to_vec()),
        "accepted, not in force"
    );
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(status(&cluster), 200);

    // A new Service with a ready pod, and a route to it: the route is faster than the endpoints.
    create(&cluster, "", "pods", pod("new-0", "new")).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    create(&cluster, "", "services", service("new")).await;
    delete(&cluster, GATEWAY_API, "httproutes", "shop").await;
    create_route(&cluster, json!([reference("new", 1)])).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(status(&cluster), 500, "the Service is not known yet");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(status(&cluster), 200);
    let client = Client::new(cluster.gateway().unwrap(), ClientOptions::new(Request::get("any", "/")), 1);
    tokio::spawn(client.clone().run());
    delete(&cluster, "", "pods", "new-0").await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(status(&cluster), 200, "not noticed yet");
    let statuses: Vec<u16> = client.counts().statuses.into_keys().collect();
    assert_eq!(statuses, [200, 503], "the pod serves until it ends, and then nobody answers");
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(status(&cluster), 503);
}

#[tokio::test(start_paused = true)]
async fn a_route_is_answered_by_its_gateway_alone() {
    let cluster = start("east", Some(SLOW));
    defined(&cluster, &[crds::gateway_api(), crds::gateways()]).await;
    create_route(&cluster, json!([reference("web", 1)])).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((status(&cluster), conditions(&cluster).len()), (404, 0), "there is no Gateway of that name");
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": "public", "namespace": "default" },
        "spec": { "gatewayClassName": "any", "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }] },
    });
    create(&cluster, GATEWAY_API, "gateways", gateway).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(status(&cluster), 500);
    assert_eq!(conditions(&cluster), ["Accepted True Accepted 1", "ResolvedRefs False BackendNotFound 1"]);
    create(&cluster, "", "services", service("web")).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(conditions(&cluster), ["Accepted True Accepted 1", "ResolvedRefs True ResolvedRefs 1"]);
    assert_eq!(status(&cluster), 503);
    let revision = cluster.store().revision();
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(cluster.store().revision(), revision, "what was said once is not said again");
    delete(&cluster, GATEWAY_API, "gateways", "public").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((status(&cluster), conditions(&cluster).len()), (404, 0));
}

#[tokio::test(start_paused = true)]
async fn an_import_reaches_the_clusters_that_export() {
    let (east, west) = (start("east", Some(SLOW)), start("west", None));
    for cluster in [&east, &west] {
        defined(cluster, &[crds::gateway_api(), crds::multicluster()]).await;
        create(cluster, "", "services", service("web")).await;
        create(cluster, "", "pods", pod(&format!("{}-0", cluster.name()), "web")).await;
    }
    let gateway = east.gateway().unwrap();
    gateway.join("west", west.store());
    let of_kind = |kind: &str, spec: Value| {
        let api_version = "multicluster.x-k8s.io/v1alpha1";
        json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": "web", "namespace": "default" }, "spec": spec })
    };
    let import = of_kind("ServiceImport", json!({ "type": "ClusterSetIP", "ports": [{ "port": 80 }] }));
    create(&east, "multicluster.x-k8s.io", "serviceimports", import).await;
    create(&west, "multicluster.x-k8s.io", "serviceexports", of_kind("ServiceExport", Value::Null)).await;
    let backend = json!({ "group": "multicluster.x-k8s.io", "kind": "ServiceImport", "name": "web", "port": 80 });
    create_route(&east, json!([backend])).await;
    let clusters = || -> Vec<String> {
        let shares = gateway.configuration().shares().remove(0);
        shares.backends[0].pods.iter().map(|(pod, _)| format!("{}/{}", pod.cluster, pod.pod)).collect()
    };
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(clusters(), ["west/west-0"]);
    create(&east, "multicluster.x-k8s.io", "serviceexports", of_kind("ServiceExport", Value::Null)).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(clusters(), ["east/east-0", "west/west-0"]);
    gateway.leave("west");
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(clusters(), ["east/east-0"]);
    gateway.join("west", west.store());
    delete(&east, "", "pods", "east-0").await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(clusters(), ["west/west-0"]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_selects_pods_itself() {
    let labels = json!({ "app": "llm" });
    let picker = json!({ "name": "picker" });
    let done = json!({ "selector": { "matchLabels": labels }, "targetPorts": [{ "number": 8000 }], "endpointPickerRef": picker });
    let alpha = json!({ "selector": labels, "targetPortNumber": 8000, "extensionRef": picker });
    pool_selects("inference.networking.k8s.io", "v1", done).await;
    pool_selects("inference.networking.x-k8s.io", "v1alpha2", alpha).await;
}

async fn pool_selects(group: &str, version: &str, spec: Value) {
    let cluster = start("east", Some(SLOW));
    defined(&cluster, &[crds::gateway_api(), crds::inference()]).await;
    let pool = json!({
        "apiVersion": format!("{group}/{version}"), "kind": "InferencePool",
        "metadata": { "name": "llm", "namespace": "default" }, "spec": spec,
    });
    create(&cluster, group, "inferencepools", pool).await;
    let backend = json!({ "group": group, "kind": "InferencePool", "name": "llm" });
    create_route(&cluster, json!([backend])).await;
    create(&cluster, "", "pods", pod("web-0", "web")).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(status(&cluster), 503);
    assert_eq!(conditions(&cluster)[1], "ResolvedRefs True ResolvedRefs 1");
    create(&cluster, "", "pods", pod("llm-0", "llm")).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(status(&cluster), 200);
}

/// A client's counts, while pods and routes come and go, with everything drawn from a seed.
async fn count(seed: u64) -> Vec<Counts> {
    let clock = Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1);
    let gateway = Some(GatewayOptions::default());
    let cluster = Cluster::start(ClusterOptions { seed, gateway, ..ClusterOptions::new(clock) });
    defined(&cluster, &[crds::gateway_api()]).await;
    let client = Client::new(cluster.gateway().unwrap(), ClientOptions::new(Request::get("any", "/")), seed);
    tokio::spawn(client.clone().run());
    let mut counts = Vec::new();
    for name in ["a", "b"] {
        create(&cluster, "", "services", service(name)).await;
        create(&cluster, "", "pods", pod(&format!("{name}-0"), name)).await;
    }
    create_route(&cluster, json!([reference("a", 2), reference("b", 1)])).await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        counts.push(client.counts());
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn clients_count_and_a_seed_decides_everything() {
    let counts = count(1).await;
    assert_eq!(counts, count(1).await);
    assert_ne!(counts, count(2).await);
    let (first, last) = (&counts[0], &counts[5]);
    assert_eq!((first.requests(), last.requests()), (49, 299));
    let [early, late] = [first, last].map(|counts| counts.statuses.get(&200).copied().unwrap_or_default());
    assert!(early < late && late > 200, "{counts:?}");
    assert_eq!(last.errors(500) + last.statuses[&404] + late, 299);
    assert_eq!(last.by_image(), BTreeMap::from([("web:1".to_owned(), late)]));
    assert_eq!(last.by_label("app").values().sum::<u64>(), late);
    assert!(last.by_label("app")["a"] > last.by_label("app")["b"], "{:?}", last.by_label("app"));
}
