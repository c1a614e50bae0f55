use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::ConfigMap};
use kube::api::{Api, DeleteParams, ListParams, Patch as KubePatch, PatchParams, PostParams};

use super::*;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";
const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test(start_paused = true)]
async fn a_kube_client_creates_reads_changes_and_deletes() {
    let server = server();
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client());
    let map: ConfigMap = serde_json::from_value(config_map("a")).unwrap();
    let created = maps.create(&PostParams::default(), &map).await.unwrap();
    assert_eq!(created.metadata.namespace.as_deref(), Some("default"));
    assert_eq!(created.metadata.creation_timestamp.as_ref().unwrap().0.to_string(), NOW);

    let mut stale = created.clone();
    let patch = KubePatch::Merge(json!({ "data": { "a": null, "b": "2" } }));
    let patched = maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.data.unwrap().into_iter().collect::<Vec<_>>(), [("b".to_owned(), "2".to_owned())]);

    stale.data = None;
    let error = maps.replace("a", &PostParams::default(), &stale).await.unwrap_err().to_string();
    assert!(error.contains("the object has been modified; please apply your changes to the latest version"), "{error}");

    let list = maps.list(&ListParams::default().fields("metadata.name=a")).await.unwrap();
    assert_eq!(list.items.len(), 1);
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(maps.get_opt("a").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn refusals_say_what_the_real_server_says() {
    let server = server();
    post(&server, MAPS, config_map("a")).await;
    let nameless = json!({ "apiVersion": "v1", "kind": "ConfigMap" });
    let with = |field: &str, value: Value| {
        let mut map = config_map("b");
        map["metadata"][field] = value;
        map
    };
    let (missing, modified) = (format!("{MAPS}/b"), format!("{MAPS}/a"));
    let other_uid = json!({ "metadata": { "uid": "u" } });
    let table = [
        (post(&server, MAPS, config_map("a")).await, 409, "configmaps \"a\" already exists"),
        (get(&server, &missing).await, 404, "configmaps \"b\" not found"),
        (get(&server, &format!("{SETS}/x")).await, 404, "statefulsets.apps \"x\" not found"),
        (get(&server, "/api/v1/things").await, 404, "the server could not find the requested resource"),
        (
            post(&server, MAPS, nameless).await,
            422,
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
        ),
        (
            post(&server, MAPS, with("namespace", json!("other"))).await,
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            post(&server, MAPS, with("resourceVersion", json!("1"))).await,
            500,
            "resourceVersion should not be set on objects to be created",
        ),
        (
            post(&server, "/api/v1/namespaces/none/configmaps", config_map("b")).await,
            404,
            "namespaces \"none\" not found",
        ),
        (
            put(&server, &missing, config_map("a")).await,
            400,
            "the name of the object (a) does not match the name on the URL (b)",
        ),
        (put(&server, &missing, config_map("b")).await, 404, "configmaps \"b\" not found"),
        (merge(&server, &modified, other_uid).await, 422, "metadata.uid: Invalid value: \"u\": field is immutable"),
        (
            post(&server, MAPS, with("labels", json!({ "app": "no spaces" }))).await,
            422,
            "a valid label must be an empty string or consist of",
        ),
    ];
    for (answer, code, text) in table {
        let (found, message) = message(&answer);
        assert!(found == code && message.contains(text), "{code} {text}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_changes_nothing_is_no_write() {
    let server = server();
    let (_, created) = post(&server, MAPS, config_map("a")).await;
    let before = server.store().revision();
    let (code, same) = put(&server, &format!("{MAPS}/a"), created.clone()).await;
    assert_eq!((code, &same["metadata"]["resourceVersion"]), (200, &created["metadata"]["resourceVersion"]));
    let (code, dry) = merge(&server, &format!("{MAPS}/a?dryRun=All"), json!({ "data": { "x": "y" } })).await;
    assert_eq!((code, dry["data"]["x"].as_str()), (200, Some("y")));
    assert_eq!(server.store().revision(), before);
}

#[tokio::test(start_paused = true)]
async fn spec_and_status_are_written_apart_and_generation_counts_the_spec() {
    let server = server();
    let (_, created) = post(&server, SETS, stateful_set("web")).await;
    assert_eq!(created["metadata"]["generation"], 1);
    let path = format!("{SETS}/web");
    let both = json!({ "spec": { "replicas": 3 }, "status": { "replicas": 9 } });
    let (_, spec) = merge(&server, &path, both.clone()).await;
    assert_eq!((&spec["spec"]["replicas"], &spec["status"]["replicas"]), (&json!(3), &json!(0)));
    assert_eq!(spec["metadata"]["generation"], 2);
    let (_, status) = merge(&server, &format!("{path}/status"), both).await;
    assert_eq!((&status["status"]["replicas"], &status["metadata"]["generation"]), (&json!(9), &json!(2)));
    let (_, labelled) = merge(&server, &path, json!({ "metadata": { "labels": { "x": "y" } } })).await;
    assert_eq!(labelled["metadata"]["generation"], 2);
    let (code, scaled) = merge(&server, &format!("{path}/scale"), json!({ "spec": { "replicas": 5 } })).await;
    assert_eq!((code, &scaled["kind"], &scaled["status"]["selector"]), (200, &json!("Scale"), &json!("app=web")));
    let (_, now) = get(&server, &path).await;
    assert_eq!((&now["spec"]["replicas"], &now["metadata"]["generation"]), (&json!(5), &json!(3)));
    let refused = merge(&server, &path, json!({ "spec": { "serviceName": "other" } })).await;
    assert!(message(&refused).1.starts_with(
        "StatefulSet.apps \"web\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than"
    ));
}

#[tokio::test(start_paused = true)]
async fn a_stateful_set_is_read_by_its_type_with_defaults() {
    let server = server();
    let sets: Api<StatefulSet> = Api::default_namespaced(server.client());
    let set = serde_json::from_value(stateful_set("web")).unwrap();
    let spec = sets.create(&PostParams::default(), &set).await.unwrap().spec.unwrap();
    assert_eq!((spec.replicas, spec.revision_history_limit), (Some(1), Some(10)));
    assert_eq!(spec.update_strategy.unwrap().rolling_update.unwrap().partition, Some(0));
    assert_eq!(spec.template.spec.unwrap().containers[0].image_pull_policy.as_deref(), Some("IfNotPresent"));
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_an_object_until_the_last_is_gone() {
    let server = server();
    let mut map = config_map("a");
    map["metadata"]["finalizers"] = json!(["example.com/hold"]);
    post(&server, MAPS, map).await;
    let path = format!("{MAPS}/a");
    let (code, marked) = delete(&server, &path, Value::Null).await;
    assert_eq!((code, &marked["metadata"]["deletionTimestamp"]), (200, &json!(NOW)));
    let more = json!({ "metadata": { "finalizers": ["example.com/hold", "example.com/more"] } });
    assert_eq!(merge(&server, &path, more).await.0, 422);
    let (code, _) = merge(&server, &path, json!({ "metadata": { "finalizers": null } })).await;
    assert_eq!((code, get(&server, &path).await.0), (200, 404));
}

#[tokio::test(start_paused = true)]
async fn propagation_policies_become_finalizers() {
    let server = server();
    for (policy, finalizers) in
        [("Foreground", json!(["foregroundDeletion"])), ("Orphan", json!(["orphan"])), ("Background", Value::Null)]
    {
        let name = policy.to_lowercase();
        post(&server, SETS, stateful_set(&name)).await;
        let options = json!({ "propagationPolicy": policy });
        let (_, answer) = delete(&server, &format!("{SETS}/{name}"), options).await;
        assert_eq!(answer["metadata"]["finalizers"], finalizers, "{policy}");
    }
    let (_, set) = post(&server, SETS, stateful_set("web")).await;
    let wrong = json!({ "preconditions": { "uid": "u" } });
    let refused = delete(&server, &format!("{SETS}/web"), wrong).await;
    let expected = format!(
        "Operation cannot be fulfilled on StatefulSet.apps \"web\": the UID in the precondition (u) does not match the UID \
         in record ({}). The object might have been deleted and then recreated",
        set["metadata"]["uid"].as_str().unwrap()
    );
    assert_eq!(message(&refused), (409, expected.as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_pod_gets_its_grace_only_where_a_kubelet_runs_it() {
    let server = server();
    let pod = |name: &str, node: Option<&str>| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
            "spec": { "nodeName": node, "containers": [{ "name": "main", "image": "web:1" }] }
        })
    };
    post(&server, PODS, pod("idle", None)).await;
    post(&server, PODS, pod("running", Some("n1"))).await;
    assert_eq!(delete(&server, &format!("{PODS}/idle"), Value::Null).await.0, 200);
    assert_eq!(get(&server, &format!("{PODS}/idle")).await.0, 404);
    let running = format!("{PODS}/running");
    let (_, marked) = delete(&server, &running, Value::Null).await;
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-01-01T00:00:30Z");
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    let (_, again) = delete(&server, &running, Value::Null).await;
    assert_eq!(again["metadata"]["resourceVersion"], marked["metadata"]["resourceVersion"]);
    delete(&server, &running, json!({ "gracePeriodSeconds": 0 })).await;
    assert_eq!(get(&server, &running).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_waits_for_finalizers_of_its_spec_and_of_its_metadata() {
    let server = server();
    let metadata = json!({ "name": "x", "finalizers": ["example.com/hold"] });
    let mut namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
    post(&server, "/api/v1/namespaces", namespace.clone()).await;
    let maps = "/api/v1/namespaces/x/configmaps";
    post(&server, maps, config_map("free")).await;
    let (_, terminating) = delete(&server, "/api/v1/namespaces/x", Value::Null).await;
    assert_eq!(terminating["status"]["phase"], "Terminating");
    assert_eq!(get(&server, &format!("{maps}/free")).await.0, 200, "its content is the controller's business");
    let refused = post(&server, maps, config_map("late")).await;
    assert!(message(&refused).1.contains("because it is being terminated"), "{refused:?}");
    merge(&server, "/api/v1/namespaces/x", json!({ "spec": { "finalizers": null } })).await;
    namespace["spec"]["finalizers"] = json!([]);
    let (_, finalized) = put(&server, "/api/v1/namespaces/x/finalize", namespace).await;
    assert_eq!((&finalized["spec"], &finalized["status"]["phase"]), (&json!({}), &json!("Terminating")));
    merge(&server, "/api/v1/namespaces/x", json!({ "metadata": { "finalizers": null } })).await;
    assert_eq!(get(&server, "/api/v1/namespaces/x").await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn pages_show_one_moment() {
    let server = server();
    for name in ["a", "b", "c", "d"] {
        post(&server, MAPS, config_map(name)).await;
    }
    let (_, first) = get(&server, &format!("{MAPS}?limit=2")).await;
    assert_eq!(first["metadata"]["remainingItemCount"], 2);
    assert_eq!(first["items"][0]["kind"], Value::Null, "items of a built-in list carry no kind");
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    delete(&server, &format!("{MAPS}/c"), Value::Null).await;
    post(&server, MAPS, config_map("e")).await;
    let (_, second) = get(&server, &format!("{MAPS}?limit=2&continue={token}")).await;
    let names: Vec<_> = second["items"].as_array().unwrap().iter().map(|i| i["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["c", "d"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    server.store().compact(server.store().revision());
    let (code, expired) = get(&server, &format!("{MAPS}?limit=2&continue={token}")).await;
    assert_eq!((code, expired["reason"].as_str()), (410, Some("Expired")));
    let inconsistent = expired["metadata"]["continue"].as_str().unwrap();
    let (_, rest) = get(&server, &format!("{MAPS}?limit=5&continue={inconsistent}")).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 2, "d and e");
}
