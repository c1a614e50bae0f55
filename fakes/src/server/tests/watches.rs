use futures::StreamExt;
use http_body_util::BodyStream;

use super::*;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn watch(server: &ApiServer, query: &str) -> BodyStream<ApiBody> {
    let request = Request::get(format!("{MAPS}?watch=1&{query}")).body(Bytes::new()).unwrap();
    let response = server.handle(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.body().is_stream());
    BodyStream::new(response.into_body())
}

async fn next(stream: &mut BodyStream<ApiBody>) -> Option<(String, Value)> {
    let bytes = stream.next().await?.unwrap().into_data().unwrap();
    let event: Value = serde_json::from_slice(&bytes).unwrap();
    Some((event["type"].as_str().unwrap().to_owned(), event["object"].clone()))
}

async fn kinds(stream: &mut BodyStream<ApiBody>) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some((kind, object)) = next(stream).await {
        seen.push(format!("{kind} {}", object["metadata"]["name"].as_str().unwrap_or_default()));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_changes_after_its_revision_until_its_time_is_over() {
    let server = server();
    post(&server, MAPS, config_map("before")).await;
    let from = server.store().revision();
    let mut stream = watch(&server, &format!("resourceVersion={from}&timeoutSeconds=5")).await;
    post(&server, MAPS, config_map("a")).await;
    merge(&server, &format!("{MAPS}/a"), json!({ "data": { "x": "y" } })).await;
    delete(&server, &format!("{MAPS}/a"), Value::Null).await;
    assert_eq!(kinds(&mut stream).await, ["ADDED a", "MODIFIED a", "DELETED a"]);
}

#[tokio::test(start_paused = true)]
async fn leaving_and_entering_a_selection_is_removal_and_addition() {
    let server = server();
    post(&server, MAPS, config_map("a")).await;
    let from = server.store().revision();
    let mut stream = watch(&server, &format!("resourceVersion={from}&timeoutSeconds=5&labelSelector=on%3Dyes")).await;
    for on in ["yes", "no", "yes", "off"] {
        merge(&server, &format!("{MAPS}/a"), json!({ "metadata": { "labels": { "on": on } } })).await;
    }
    assert_eq!(kinds(&mut stream).await, ["ADDED a", "DELETED a", "ADDED a", "DELETED a"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_nowhere_begins_with_what_is_there_and_marks_its_end() {
    let server = server();
    post(&server, MAPS, config_map("a")).await;
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=90";
    let mut stream = watch(&server, query).await;
    assert_eq!(next(&mut stream).await.unwrap().0, "ADDED");
    let (kind, mark) = next(&mut stream).await.unwrap();
    let end = &mark["metadata"]["annotations"]["k8s.io/initial-events-end"];
    assert_eq!((kind.as_str(), end), ("BOOKMARK", &json!("true")));
    let started = tokio::time::Instant::now();
    // A minute later, and shortly before the end.
    for seconds in [60, 88] {
        let secret = json!({ "metadata": { "generateName": "s-" } });
        post(&server, "/api/v1/namespaces/default/secrets", secret).await;
        let (kind, mark) = next(&mut stream).await.unwrap();
        let revision = server.store().revision().to_string();
        assert_eq!((kind.as_str(), &mark["metadata"]["resourceVersion"]), ("BOOKMARK", &json!(revision)));
        assert_eq!(started.elapsed().as_secs(), seconds);
    }
    assert!(next(&mut stream).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_compacted_revision_is_gone() {
    let server = server();
    post(&server, MAPS, config_map("a")).await;
    let oldest = server.store().revision();
    server.store().compact(oldest);
    for (asked, oldest) in [(1, FIRST_REVISION), (FIRST_REVISION, oldest)] {
        let mut stream = watch(&server, &format!("resourceVersion={asked}")).await;
        let (kind, status) = next(&mut stream).await.unwrap();
        assert_eq!((kind.as_str(), &status["code"], &status["reason"]), ("ERROR", &json!(410), &json!("Expired")));
        assert_eq!(status["message"], format!("too old resource version: {asked} ({oldest})"));
        assert!(next(&mut stream).await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_waits_for_a_revision_that_is_to_come() {
    let server = server();
    let next_one = server.store().revision() + 1;
    let mut stream = watch(&server, &format!("resourceVersion={next_one}&timeoutSeconds=5")).await;
    for name in ["at-it", "after-it"] {
        post(&server, MAPS, config_map(name)).await;
    }
    assert_eq!(kinds(&mut stream).await, ["ADDED after-it"]);
}

#[tokio::test(start_paused = true)]
async fn a_kube_watcher_follows() {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::{WatchStreamExt, watcher};
    let server = server();
    post(&server, MAPS, config_map("a")).await;
    let api: kube::Api<ConfigMap> = kube::Api::default_namespaced(server.client());
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let stream = watcher(api.clone(), config).applied_objects();
        futures::pin_mut!(stream);
        assert_eq!(stream.next().await.unwrap().unwrap().metadata.name.as_deref(), Some("a"));
        let now = server.store().revision().to_string();
        merge(&server, &format!("{MAPS}/a"), json!({ "data": { "n": now } })).await;
        assert!(stream.next().await.unwrap().unwrap().data.unwrap().contains_key("n"));
    }
}
