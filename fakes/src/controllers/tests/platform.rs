//! What is around workloads: endpoints, evictions, namespaces, autoscalers.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::web;
use crate::controllers::hpa::Demand;
use crate::{Clock, Cluster, ClusterOptions};

pub(super) fn start() -> Cluster {
    Cluster::start(ClusterOptions::new(Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1)))
}

async fn ask(cluster: &Cluster, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let request = Request::builder().method(method).uri(path).header("content-type", kind).body(body.into()).unwrap();
    let response = cluster.api().handle(request).await;
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

pub(super) async fn must(cluster: &Cluster, method: Method, path: &str, body: Value) -> Value {
    let (status, body) = ask(cluster, method, path, body).await;
    assert!(status.is_success(), "{path}: {body}");
    body
}

pub(super) async fn rest(cluster: &Cluster) {
    loop {
        let before = cluster.store().revision();
        tokio::time::sleep(Duration::from_mins(1)).await;
        if cluster.store().revision() == before {
            return;
        }
    }
}

const SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";
const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test(start_paused = true)]
async fn evictions_keep_a_service_served() {
    let cluster = start();
    must(&cluster, Method::POST, SETS, web("Parallel", 3, 0)).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    });
    must(&cluster, Method::POST, "/api/v1/namespaces/default/services", service).await;
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    });
    must(&cluster, Method::POST, "/apis/policy/v1/namespaces/default/poddisruptionbudgets", budget).await;
    rest(&cluster).await;

    let evict = async |pod: &str| {
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}});
        ask(&cluster, Method::POST, &format!("{PODS}/{pod}/eviction"), eviction).await.0
    };
    let ready = async || {
        let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
        let slices = must(&cluster, Method::GET, slices, Value::Null).await;
        let endpoints = slices["items"][0]["endpoints"].as_array().unwrap();
        endpoints.iter().filter(|endpoint| endpoint["conditions"]["ready"] == true).count()
    };
    for round in 0..3 {
        assert_eq!(ready().await, 3);
        let (first, second) = (format!("web-{}", round % 3), format!("web-{}", (round + 1) % 3));
        assert_eq!((evict(&first).await, evict(&second).await), (StatusCode::CREATED, StatusCode::TOO_MANY_REQUESTS));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(ready().await, 2, "an evicted pod serves no longer");
        rest(&cluster).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_with_what_is_in_it() {
    let cluster = start();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    must(&cluster, Method::POST, "/api/v1/namespaces", namespace).await;
    let mut set = web("Parallel", 3, 0);
    set["metadata"]["namespace"] = "shop".into();
    must(&cluster, Method::POST, "/apis/apps/v1/namespaces/shop/statefulsets", set).await;
    rest(&cluster).await;
    must(&cluster, Method::DELETE, "/api/v1/namespaces/shop", Value::Null).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let pods = must(&cluster, Method::GET, "/api/v1/namespaces/shop/pods", Value::Null).await;
    assert_eq!(pods["items"].as_array().map(Vec::len), Some(3), "nothing happens at once");
    rest(&cluster).await;
    let (status, _) = ask(&cluster, Method::GET, "/api/v1/namespaces/shop", Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_budget_counts_by_the_scale_of_a_custom_owner() {
    let cluster = start();
    let replicas = json!({"type": "object", "properties": {"replicas": {"type": "integer"}}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "owners.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "owners", "kind": "Owner"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": replicas, "status": replicas}}},
            }],
        },
    });
    cluster.api().install_crd(definition).await.unwrap();
    let owner =
        json!({"apiVersion": "example.com/v1", "kind": "Owner", "metadata": {"name": "five"}, "spec": {"replicas": 5}});
    let owner = must(&cluster, Method::POST, "/apis/example.com/v1/namespaces/default/owners", owner).await;
    let reference = json!({
        "apiVersion": "example.com/v1", "kind": "Owner", "name": "five", "uid": owner["metadata"]["uid"],
        "controller": true,
    });
    let metadata = json!({"name": "a", "labels": {"app": "a"}, "ownerReferences": [reference]});
    let spec = json!({"containers": [{"name": "main", "image": "v1"}]});
    must(&cluster, Method::POST, PODS, json!({"metadata": metadata, "spec": spec})).await;
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let spec = json!({"minAvailable": "50%", "selector": {"matchLabels": {"app": "a"}}});
    must(&cluster, Method::POST, budgets, json!({"metadata": {"name": "a"}, "spec": spec})).await;
    rest(&cluster).await;
    let status = must(&cluster, Method::GET, &format!("{budgets}/a"), Value::Null).await["status"].clone();
    assert_eq!([&status["expectedPods"], &status["desiredHealthy"], &status["currentHealthy"]], [5, 3, 1]);
}
#[tokio::test(start_paused = true)]
async fn the_script_scales_within_bounds() {
    let cluster = start();
    must(&cluster, Method::POST, SETS, web("Parallel", 2, 0)).await;
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"},
            "minReplicas": 2, "maxReplicas": 6,
        },
    });
    let path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
    must(&cluster, Method::POST, path, autoscaler).await;
    rest(&cluster).await;
    let replicas =
        async || must(&cluster, Method::GET, &format!("{SETS}/web"), Value::Null).await["spec"]["replicas"].clone();
    let start = cluster.clock().now();
    for (demand, expected) in [(9, 6), (3, 6), (4, 6)] {
        cluster.scaler().demand("default", "web", Demand::Replicas(demand));
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(replicas().await, expected, "{demand}");
    }
    rest(&cluster).await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(replicas().await, 4, "shrinks when the higher proposals are old");
    assert!(cluster.clock().now().duration_since(start).as_secs() >= 300);
    let set = json!({"spec": {"replicas": 9}});
    must(&cluster, Method::PATCH, &format!("{SETS}/web"), set).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(replicas().await, 4, "a target beyond the bounds is brought back, and to what is asked for");
}
