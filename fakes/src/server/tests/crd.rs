use super::*;

const THINGS: &str = "/apis/example.com/v1/namespaces/default/things";

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "things.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "plural": "things", "kind": "Thing", "shortNames": ["th"] },
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": { "type": "object", "properties": {
                            "size": { "type": "integer", "minimum": 1 },
                            "mode": { "type": "string", "default": "Auto", "enum": ["Auto", "Manual"] }
                        } },
                        "status": { "type": "object", "properties": { "phase": { "type": "string" } } }
                    }
                } },
                "additionalPrinterColumns": [
                    { "name": "Size", "type": "integer", "jsonPath": ".spec.size" },
                    { "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" }
                ]
            }]
        }
    })
}

fn thing(spec: &Value) -> Value {
    json!({
        "apiVersion": "example.com/v1", "kind": "Thing", "metadata": { "name": "a" }, "spec": spec,
        "status": { "phase": "x" }
    })
}

#[tokio::test(start_paused = true)]
async fn a_definition_serves_its_resource_at_once_with_its_schema() {
    let server = server();
    assert_eq!(get(&server, THINGS).await.0, 404);
    let installed = server.install_crd(definition()).await.unwrap();
    assert_eq!(installed.value["status"]["acceptedNames"]["listKind"], "ThingList");
    assert_eq!(get(&server, THINGS).await.1["kind"], "ThingList");

    let refused = post(&server, THINGS, thing(&json!({ "size": 0 }))).await;
    let expected = "Thing.example.com \"a\" is invalid: spec.size: Invalid value: 0: spec.size in body should be \
                    greater than or equal to 1";
    assert_eq!(message(&refused), (422, expected));
    let (code, created) = post(&server, THINGS, thing(&json!({ "size": 2, "mystery": 1 }))).await;
    assert_eq!((code, &created["spec"]), (201, &json!({ "size": 2, "mode": "Auto" })));
    assert_eq!((&created["status"], &created["metadata"]["generation"]), (&Value::Null, &json!(1)));

    let path = format!("{THINGS}/a");
    let both = |size: u32, phase: &str| json!({ "spec": { "size": size }, "status": { "phase": phase } });
    let (_, status) = merge(&server, &format!("{path}/status"), both(9, "On")).await;
    assert_eq!((&status["spec"]["size"], &status["status"]["phase"]), (&json!(2), &json!("On")));
    let (_, spec) = merge(&server, &path, both(3, "Off")).await;
    assert_eq!((&spec["spec"]["size"], &spec["status"]["phase"]), (&json!(3), &json!("On")));
    assert_eq!(spec["metadata"]["generation"], 2);

    let refused = put(&server, &path, thing(&json!({ "size": 4 }))).await;
    assert!(message(&refused).1.contains("metadata.resourceVersion: Invalid value"), "{refused:?}");
    let strategic = [("content-type", "application/strategic-merge-patch+json")];
    assert_eq!(send(&server, Method::PATCH, &path, &strategic, &json!({})).await.0, 415);
}

#[tokio::test(start_paused = true)]
async fn a_definition_goes_when_its_objects_are_gone() {
    let server = server();
    server.install_crd(definition()).await.unwrap();
    let mut held = thing(&json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    post(&server, THINGS, held).await;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.com";
    delete(&server, path, Value::Null).await;
    assert!(get(&server, path).await.1["metadata"]["deletionTimestamp"].is_string());
    merge(&server, &format!("{THINGS}/a"), json!({ "metadata": { "finalizers": null } })).await;
    assert_eq!(get(&server, path).await.0, 404);
    assert_eq!(get(&server, THINGS).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_table_shows_printer_columns() {
    let server = server();
    server.install_crd(definition()).await.unwrap();
    post(&server, THINGS, thing(&json!({ "size": 2 }))).await;
    tokio::time::advance(std::time::Duration::from_secs(125)).await;
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")];
    let (_, table) = send(&server, Method::GET, THINGS, &accept, &Value::Null).await;
    let names: Vec<_> = table["columnDefinitions"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    assert_eq!(names, ["Name", "Size", "Age"]);
    assert_eq!(table["rows"][0]["cells"], json!(["a", 2, "2m5s"]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}
