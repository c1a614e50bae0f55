use serde_json::json;

use super::*;
use crate::types;

fn merged(object: &Value, patch: &Value) -> Result<Value> {
    let mut object = object.clone();
    merge(&mut object, patch, types::kind("v1", "Pod").unwrap())?;
    Ok(object)
}

fn pod() -> Value {
    json!({
        "metadata": { "labels": { "a": "1", "b": "2" }, "finalizers": ["x/a"] },
        "spec": {
            "containers": [{ "name": "a", "image": "a:1", "args": ["x", "y"] }, { "name": "b", "image": "b:1" }],
            "volumes": [{ "name": "v", "emptyDir": {} }],
        }
    })
}

#[test]
fn keyed_lists_are_joined_and_others_replaced() {
    let table = [
        (
            json!({ "metadata": { "labels": { "a": null, "c": "3" }, "finalizers": ["x/b"] } }),
            "/metadata",
            json!({ "labels": { "b": "2", "c": "3" }, "finalizers": ["x/b", "x/a"] }),
        ),
        (
            json!({ "spec": { "containers": [{ "name": "a", "image": "a:2", "args": ["z"] }] } }),
            "/spec/containers",
            json!([{ "name": "a", "image": "a:2", "args": ["z"] }, { "name": "b", "image": "b:1" }]),
        ),
        (
            json!({ "spec": { "containers": [{ "name": "b", "$patch": "delete" }, { "name": "c" }],
                "$setElementOrder/containers": [{ "name": "a" }, { "name": "c" }] } }),
            "/spec/containers",
            json!([{ "name": "a", "image": "a:1", "args": ["x", "y"] }, { "name": "c" }]),
        ),
        (
            json!({ "spec": { "containers": [{ "name": "new" }] } }),
            "/spec/containers",
            json!([{ "name": "new" }, { "name": "a", "image": "a:1", "args": ["x", "y"] }, { "name": "b", "image": "b:1" }]),
        ),
        (
            json!({ "spec": { "containers": [{ "$patch": "replace" }, { "name": "only" }] } }),
            "/spec/containers",
            json!([{ "name": "only" }]),
        ),
        (json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["x/a"] } }), "/metadata/finalizers", json!([])),
        (json!({ "spec": { "$patch": "replace", "nodeName": "n" } }), "/spec", json!({ "nodeName": "n" })),
        (
            json!({ "spec": { "volumes": [{ "name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": { "path": "/" } }] } }),
            "/spec/volumes",
            json!([{ "name": "v", "hostPath": { "path": "/" } }]),
        ),
        (
            json!({ "spec": { "affinity": { "nodeAffinity": null, "podAffinity": {} } } }),
            "/spec/affinity",
            json!({ "podAffinity": {} }),
        ),
    ];
    for (patch, path, expected) in table {
        assert_eq!(merged(&pod(), &patch).unwrap().pointer(path), Some(&expected), "{patch}");
    }
}

#[test]
fn malformed_patches_are_refused() {
    let table = [
        (json!([]), 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (json!({ "metadata": { "$deleteFromPrimitiveList": [] } }), 400, "invalid patch format of primitive list"),
        (json!({ "spec": { "$retainKeys": "x" } }), 400, "invalid patch format of retainKeys"),
        (json!({ "spec": { "$retainKeys": ["a"], "nodeName": "n" } }), 400, "invalid patch format of retainKeys"),
        (json!({ "spec": { "$patch": "x" } }), 500, "unknown patch type: x in map: map[$patch:x]"),
        (
            json!({ "spec": { "containers": [{ "image": "x" }] } }),
            500,
            "map: map[image:x] does not contain declared merge key: name",
        ),
        (
            json!({ "spec": { "containers": [{ "name": "b" }, { "name": "a" }],
                "$setElementOrder/containers": [{ "name": "a" }, { "name": "b" }] } }),
            500,
            "The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:a] \
             map[name:b]]\n",
        ),
    ];
    for (patch, code, message) in table {
        let refused = merged(&pod(), &patch).unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (code, message), "{patch}");
    }
}
