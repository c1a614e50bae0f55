use serde_json::json;

use super::{decode::Decoded, *};

fn read(kind_name: &str, mut object: Value) -> (Value, Decoded) {
    let (version, kind_name) = kind_name.rsplit_once('/').unwrap();
    let decoded = decode(&mut object, kind(version, kind_name).unwrap(), Reader::Json);
    (object, decoded)
}

#[test]
fn every_resource_has_a_type_for_its_objects() {
    let untyped: Vec<&str> = resources()
        .iter()
        .filter(|resource| {
            let version = format!("{}/{}", resource.group, resource.version);
            kind(version.trim_start_matches('/'), resource.kind).is_none()
        })
        .map(|resource| resource.plural)
        .collect();
    assert!(untyped.is_empty(), "{untyped:?}");
    assert!(object_meta().field("finalizers").is_some());
}

#[test]
fn unknown_fields_are_dropped_and_named() {
    let (set, decoded) = read(
        "apps/v1/StatefulSet",
        json!({
            "metadata": { "name": "a" }, "extra": 1,
            "spec": {
                "replicas": 1, "selector": {}, "serviceName": null,
                "template": { "spec": { "containers": [{ "name": "a" }, { "name": "b", "imgae": "x" }] } }
            }
        }),
    );
    assert_eq!(decoded.error, None);
    assert_eq!(decoded.unknown, ["extra", "spec.template.spec.containers[1].imgae"]);
    assert_eq!(set["spec"]["template"]["spec"]["containers"][1], json!({ "name": "b", "resources": {} }));
}

#[test]
fn what_is_empty_is_written_as_go_writes_it() {
    let (pod, _) = read(
        "v1/Pod",
        json!({
            "metadata": { "labels": {}, "creationTimestamp": null, "deletionTimestamp": null },
            "spec": {
                "hostNetwork": false, "priority": 0, "nodeName": "", "nodeSelector": null,
                "containers": [{ "name": "a", "args": [], "resources": { "limits": { "cpu": 0.5, "memory": "1024Mi" } } }],
            },
        }),
    );
    let expected = json!({
        "metadata": {},
        "spec": {
            "priority": 0,
            "containers": [{ "name": "a", "resources": { "limits": { "cpu": "500m", "memory": "1Gi" } } }],
        },
        "status": {},
    });
    assert_eq!(pod, expected);
}

#[test]
fn what_does_not_fit_is_refused_in_go_words() {
    let container = |container: Value| json!({ "spec": { "containers": [container] } });
    let go = |rest: &str| format!("json: cannot unmarshal {rest}");
    for (kind, object, expected) in [
        (
            "apps/v1/Deployment",
            json!({ "spec": { "replicas": "three" } }),
            go("string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ),
        (
            "apps/v1/Deployment",
            json!({ "spec": { "replicas": 1.5, "template": [] } }),
            go("number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ),
        (
            "apps/v1/Deployment",
            json!({ "spec": { "strategy": { "rollingUpdate": { "maxSurge": true } } } }),
            go("bool into Go struct field RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge of type int32"),
        ),
        (
            "v1/Pod",
            json!({ "spec": { "containers": {} } }),
            go("object into Go struct field PodSpec.spec.containers of type []v1.Container"),
        ),
        (
            "v1/Pod",
            container(json!({ "imagePullPolicy": 1 })),
            go("number into Go struct field Container.spec.containers.imagePullPolicy of type v1.PullPolicy"),
        ),
        (
            "v1/Pod",
            container(json!({ "resources": { "limits": { "cpu": "much" } } })),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".to_owned(),
        ),
        (
            "v1/ConfigMap",
            json!({ "data": { "a": 1 } }),
            go("number into Go struct field ConfigMap.data of type string"),
        ),
        (
            "v1/ConfigMap",
            json!({ "metadata": { "creationTimestamp": "yesterday" } }),
            r#"parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006""#.to_owned(),
        ),
    ] {
        assert_eq!(read(kind, object.clone()).1.error, Some(expected), "{kind} {object}");
    }
}

#[test]
fn times_are_written_in_utc() {
    let (lease, decoded) = read(
        "coordination.k8s.io/v1/Lease",
        json!({
            "metadata": { "deletionTimestamp": "2026-01-01T02:00:00.5+02:00" },
            "spec": { "renewTime": "2026-01-01T00:00:00.250000Z" },
        }),
    );
    assert_eq!(decoded.error, None);
    assert_eq!(lease["metadata"]["deletionTimestamp"], "2026-01-01T00:00:00Z");
    assert_eq!(lease["spec"]["renewTime"], "2026-01-01T00:00:00.250000Z");
}
