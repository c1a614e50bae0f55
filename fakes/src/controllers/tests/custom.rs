//! Custom workloads in a whole cluster, over HTTP: from the moment their CRDs are there.

use http::Method;

use super::platform::{must, rest, start};
use super::*;
use crate::crds;
use crate::kubelet::KubeletOptions;

const PODS: &str = "/api/v1/namespaces/default/pods";

/// A workload of an API group's version that wants pods labelled `app: web`.
fn workload(api_version: &str, kind: &str, replicas: i32) -> Value {
    json!({
        "apiVersion": api_version, "kind": kind, "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "v1"}]},
            },
        },
    })
}

async fn images(cluster: &crate::Cluster) -> Vec<String> {
    let pods = must(cluster, Method::GET, PODS, Value::Null).await;
    let image = |pod: &Value| pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
    let mut images: Vec<_> = pods["items"].as_array().unwrap().iter().map(image).collect();
    images.sort();
    images
}

#[tokio::test(start_paused = true)]
async fn workloads_come_up_roll_by_partition_scale_and_go() {
    for (definitions, path, api_version, kind, partition) in [
        (crds::kruise(), "clonesets", "apps.kruise.io/v1alpha1", "CloneSet", "/spec/updateStrategy/partition"),
        (
            crds::kusionstack(),
            "collasets",
            "apps.kusionstack.io/v1alpha1",
            "CollaSet",
            "/spec/updateStrategy/rollingUpdate/byPartition/partition",
        ),
        (
            crds::kruise(),
            "statefulsets",
            "apps.kruise.io/v1beta1",
            "StatefulSet",
            "/spec/updateStrategy/rollingUpdate/partition",
        ),
    ] {
        let cluster = start();
        // The controller finds a resource that comes only when the cluster has been there for a while.
        rest(&cluster).await;
        for definition in definitions {
            cluster.api().install_crd(definition.clone()).await.unwrap();
        }
        let all = format!("/apis/{api_version}/namespaces/default/{path}");
        let one = format!("{all}/web");
        must(&cluster, Method::POST, &all, workload(api_version, kind, 3)).await;
        rest(&cluster).await;
        assert_eq!(images(&cluster).await, ["v1"; 3], "{kind}");

        let patch = |path: &str, value: Value| {
            let fields = path.trim_start_matches('/').rsplit('/');
            fields.fold(value, |value, field| json!({field: value}))
        };
        let image = json!([{"name": "main", "image": "v2"}]);
        let mut update = patch(partition, 2.into());
        update["spec"]["template"] = json!({"spec": {"containers": image}});
        must(&cluster, Method::PATCH, &one, update).await;
        rest(&cluster).await;
        assert_eq!(images(&cluster).await, ["v1", "v1", "v2"], "{kind}");
        let set = must(&cluster, Method::GET, &one, Value::Null).await;
        assert_eq!(set["status"]["observedGeneration"], set["metadata"]["generation"], "{kind}");
        assert_eq!(
            (&set["status"]["updatedReplicas"], &set["status"]["readyReplicas"]),
            (&json!(1), &json!(3)),
            "{kind}"
        );

        must(&cluster, Method::PATCH, &format!("{one}/scale"), json!({"spec": {"replicas": 5}})).await;
        rest(&cluster).await;
        let scale = must(&cluster, Method::GET, &format!("{one}/scale"), Value::Null).await;
        assert_eq!(scale["status"]["replicas"], 5, "{kind}");
        assert_eq!(images(&cluster).await, ["v1", "v1", "v2", "v2", "v2"], "{kind}");

        must(&cluster, Method::DELETE, &one, Value::Null).await;
        rest(&cluster).await;
        assert_eq!(images(&cluster).await, [""; 0], "{kind}");
        assert_eq!(cluster.store().list(&resource("controllerrevisions"), None).len(), 0, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_their_resources_they_change_no_history() {
    async fn history(definitions: &[Value]) -> Vec<String> {
        let cluster = Cluster::new(7, KubeletOptions::default());
        cluster.create("statefulsets", web("Parallel", 3, 0)).await;
        cluster.rest().await;
        for definition in definitions {
            cluster.api.install_crd(definition.clone()).await.unwrap();
        }
        cluster.edit("statefulsets", "web", image("v2")).await;
        cluster.rest().await;
        let events = cluster.api.store().events_since(0, &resource("pods")).unwrap();
        let shown = |event: &Arc<crate::store::Event>| format!("{:?} {}", event.kind, event.key().name);
        events.iter().map(shown).collect()
    }
    assert_eq!(history(&[]).await, history(crds::kruise()).await, "a built-in set does not feel them");
}
