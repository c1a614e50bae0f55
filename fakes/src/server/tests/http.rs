use super::*;

#[tokio::test(start_paused = true)]
async fn discovery_lists_what_is_served_in_both_forms() {
    let server = server();
    let accept = [("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json")];
    let (_, core) = send(&server, Method::GET, "/api", &accept, &Value::Null).await;
    let resources = core["items"][0]["versions"][0]["resources"].as_array().unwrap();
    let pods = resources.iter().find(|r| r["resource"] == "pods").unwrap();
    assert_eq!((&pods["responseKind"]["kind"], &pods["scope"]), (&json!("Pod"), &json!("Namespaced")));
    let (_, groups) = send(&server, Method::GET, "/apis", &accept, &Value::Null).await;
    assert_eq!(groups["kind"], "APIGroupDiscoveryList");
    assert_eq!(get(&server, "/apis").await.1["kind"], "APIGroupList");
    let (_, apps) = get(&server, "/apis/apps/v1").await;
    let names: Vec<_> = apps["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"statefulsets/scale") && names.contains(&"statefulsets/status"), "{names:?}");
    for (path, code) in [("/version", 200), ("/readyz", 200), ("/openapi/v3/apis/apps/v1", 200), ("/nothing", 404)] {
        assert_eq!(get(&server, path).await.0, code, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn large_answers_come_compressed_to_those_who_ask() {
    use std::io::Read as _;
    let server = server();
    let mut map = config_map("large");
    map["data"]["long"] = "a".repeat(200_000).into();
    post(&server, "/api/v1/namespaces/default/configmaps", map).await;
    let path = "/api/v1/namespaces/default/configmaps/large";
    let request = Request::get(path).header("accept-encoding", "br, gzip").body(Bytes::new()).unwrap();
    let response = server.handle(request).await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let packed = response.into_body().collect().await.unwrap().to_bytes();
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&*packed).read_to_end(&mut plain).unwrap();
    assert!(packed.len() < 10_000);
    assert_eq!(serde_json::from_slice::<Value>(&plain).unwrap(), get(&server, path).await.1);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_all_namespaces_is_in_the_order_of_paths() {
    let server = server();
    for namespace in ["a", "a-b"] {
        post(&server, "/api/v1/namespaces", json!({ "metadata": { "name": namespace } })).await;
        post(&server, &format!("/api/v1/namespaces/{namespace}/secrets"), json!({ "metadata": { "name": "s" } })).await;
    }
    let (_, list) = get(&server, "/api/v1/secrets").await;
    let namespaces: Vec<_> = list["items"].as_array().unwrap().iter().map(|i| &i["metadata"]["namespace"]).collect();
    assert_eq!(namespaces, ["a-b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn events_are_one_resource_in_two_groups() {
    let server = server();
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "e" }, "note": "hello",
        "regarding": { "kind": "Pod", "name": "p" }, "reason": "R", "type": "Normal", "reportingController": "c"
    });
    let (code, created) = post(&server, "/apis/events.k8s.io/v1/namespaces/default/events", event).await;
    assert_eq!((code, &created["note"], &created["apiVersion"]), (201, &json!("hello"), &json!("events.k8s.io/v1")));
    let selector = "fieldSelector=involvedObject.name%3Dp";
    let (_, list) = get(&server, &format!("/api/v1/namespaces/default/events?{selector}")).await;
    let item = &list["items"][0];
    assert_eq!((&item["message"], &item["involvedObject"]["name"]), (&json!("hello"), &json!("p")));
}

#[tokio::test(start_paused = true)]
async fn the_same_requests_give_the_same_bytes() {
    async fn run() -> Vec<u8> {
        let server = server();
        let mut all = Vec::new();
        for index in 0..5 {
            let mut map = config_map("x");
            map["metadata"] = json!({ "generateName": format!("m{index}-") });
            post(&server, "/api/v1/namespaces/default/configmaps", map).await;
        }
        for stored in server.store().list(&GroupResource::new("", "configmaps"), None) {
            all.extend_from_slice(&stored.bytes);
        }
        all
    }
    assert_eq!(run().await, run().await);
}
