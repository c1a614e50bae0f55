use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn named(name: &str, extra: &[(&str, &str)]) -> ForkedBackend {
    let extra_label_selector = extra.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    ForkedBackend { name: name.into(), extra_label_selector, ..ForkedBackend::default() }
}

/// A Service as the API server gives it.
fn service(spec: &Value) -> Value {
    let mut service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "web", "namespace": "default", "uid": "u1", "resourceVersion": "7",
            "labels": { "app": "web" },
            "annotations": {
                "team": "a",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "slipway.rollout.kusionstack.io/epoch": "3",
            },
        },
        "spec": { "type": "ClusterIP", "selector": { "app": "web" }, "ports": [{ "port": 80, "name": "http" }] },
    });
    json_patch::merge(&mut service["spec"], spec);
    with_defaults(&mut service);
    service
}

fn pool() -> Value {
    json!({
        "apiVersion": "inference.networking.x-k8s.io/v1alpha2",
        "kind": "InferencePool",
        "metadata": { "name": "llm", "namespace": "default", "uid": "u2" },
        "spec": { "targetPortNumber": 8000, "selector": { "app": "llm" }, "extensionRef": { "name": "picker" } },
    })
}

/// What the API server does to an object that is written.
fn with_defaults(object: &mut Value) {
    let is_service = object["kind"] == "Service";
    let spec = &mut object["spec"];
    let mut absent = |key: &str, value: Value| {
        if spec[key].is_null() {
            spec[key] = value;
        }
    };
    if !is_service {
        let defaults = json!({ "group": "", "kind": "Service", "failureMode": "FailClose" });
        for (key, value) in map(&defaults) {
            map(&spec["extensionRef"]).get(&key).is_none().then(|| spec["extensionRef"][&key] = value);
        }
        return;
    }
    absent("clusterIP", json!("10.0.0.9"));
    absent("ipFamilies", json!(["IPv4"]));
    absent("ipFamilyPolicy", json!("SingleStack"));
    absent("internalTrafficPolicy", json!("Cluster"));
    absent("sessionAffinity", json!("None"));
    if spec["sessionAffinity"] == "ClientIP" && spec["sessionAffinityConfig"].is_null() {
        spec["sessionAffinityConfig"] = json!({ "clientIP": { "timeoutSeconds": 10800 } });
    }
    spec["clusterIPs"] = json!([spec["clusterIP"]]);
    let has_node_ports = spec["type"] != "ClusterIP" && spec["type"] != "ExternalName";
    for (index, port) in spec["ports"].as_array_mut().into_iter().flatten().enumerate() {
        for (key, value) in [("protocol", json!("TCP")), ("targetPort", port["port"].clone())] {
            map(port).get(key).is_none().then(|| port[key] = value);
        }
        if has_node_ports && port.get("nodePort").is_none() {
            port["nodePort"] = json!(30000 + index);
        }
    }
}

/// The fork as it is once it is created.
fn created(mut fork: Value) -> Value {
    fork["metadata"]["uid"] = json!("u9");
    fork["metadata"]["resourceVersion"] = json!("8");
    with_defaults(&mut fork);
    fork
}

/// What is written is what is there afterwards.
fn patched(existing: &Value, wanted: &Value) -> Value {
    let mut now = existing.clone();
    if let Some(patch) = patch(existing, wanted) {
        json_patch::merge(&mut now, &patch);
        with_defaults(&mut now);
    }
    now
}

#[test]
fn a_fork_of_a_service() {
    let wanted = fork(&service(&json!({})), &named("web-canary", &[]), Role::Canary).unwrap();
    assert!(is_fork(&wanted));
    assert_eq!(role(&wanted), Some(Role::Canary));
    insta::assert_json_snapshot!(wanted);
}

#[test]
fn what_of_a_service_its_fork_has() {
    let cases = [
        ("node port", json!({ "type": "NodePort" }), json!({ "type": "ClusterIP" })),
        (
            "load balancer",
            json!({ "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30999,
                "allocateLoadBalancerNodePorts": true, "loadBalancerClass": "x", "externalIPs": ["1.2.3.4"] }),
            json!({ "type": "ClusterIP", "externalTrafficPolicy": null, "healthCheckNodePort": null,
                "allocateLoadBalancerNodePorts": null, "loadBalancerClass": null, "externalIPs": null }),
        ),
        ("headless", json!({ "clusterIP": "None" }), json!({ "clusterIP": "None", "clusterIPs": null })),
        ("address", json!({ "clusterIP": "10.0.0.1" }), json!({ "clusterIP": null, "clusterIPs": null })),
        ("headless without ports", json!({ "clusterIP": "None", "ports": null }), json!({ "ports": null })),
        (
            "session affinity",
            json!({ "sessionAffinity": "ClientIP" }),
            json!({ "sessionAffinity": "ClientIP", "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 10800 } } }),
        ),
        (
            "dual stack",
            json!({ "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"] }),
            json!({ "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"] }),
        ),
        (
            "where it goes",
            json!({ "internalTrafficPolicy": "Local", "trafficDistribution": "PreferClose", "publishNotReadyAddresses": true }),
            json!({ "internalTrafficPolicy": "Local", "trafficDistribution": "PreferClose", "publishNotReadyAddresses": true }),
        ),
    ];
    for (what, origin, expected) in cases {
        let wanted = fork(&service(&origin), &named("web-stable", &[]), Role::Stable).unwrap();
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(wanted["spec"].get(field).unwrap_or(&Value::Null), value, "{what}: {field}");
        }
        for port in wanted["spec"]["ports"].as_array().into_iter().flatten() {
            assert_eq!(port.get("nodePort"), None, "{what}");
        }
        assert_eq!(patch(&created(wanted.clone()), &wanted), None, "{what}");
    }
}

#[test]
fn what_a_fork_selects() {
    let lane = "rollout.kusionstack.io/traffic-lane";
    let cases: [(&[(&str, &str)], Value); 4] = [
        (&[], json!({ "app": "web", lane: "stable" })),
        (&[("zone", "a")], json!({ "app": "web", "zone": "a", lane: "stable" })),
        (&[("controller-revision-hash", "web-1")], json!({ "app": "web", "controller-revision-hash": "web-1" })),
        (&[("pod-template-hash", "1"), (lane, "x")], json!({ "app": "web", "pod-template-hash": "1", lane: "x" })),
    ];
    for (extra, expected) in cases {
        let wanted = fork(&service(&json!({})), &named("web-stable", extra), Role::Stable).unwrap();
        assert_eq!(wanted["spec"]["selector"], expected);
        assert_eq!(wanted["metadata"]["labels"][lane], "stable", "of the fork itself");
    }
}

#[test]
fn a_fork_of_an_inference_pool() {
    let wanted = fork(&pool(), &named("llm-canary", &[("pod-template-hash", "2")]), Role::Canary).unwrap();
    let mut spec = pool()["spec"].clone();
    spec["selector"]["pod-template-hash"] = json!("2");
    assert_eq!(wanted["spec"], spec);
    assert_eq!(patch(&created(wanted.clone()), &wanted), None);
}

/// Of v1: its labels are one level deeper.
#[test]
fn a_fork_of_an_inference_pool_that_matches_labels() {
    let mut pool = pool();
    pool["apiVersion"] = json!("inference.networking.k8s.io/v1");
    pool["spec"] = json!({
        "selector": { "matchLabels": { "app": "llm" } }, "targetPorts": [{ "number": 8000 }],
        "endpointPickerRef": { "name": "picker" },
    });
    let to = |hash: &str| fork(&pool, &named("llm-canary", &[("pod-template-hash", hash)]), Role::Canary).unwrap();
    let mut spec = pool["spec"].clone();
    spec["selector"]["matchLabels"]["pod-template-hash"] = json!("2");
    assert_eq!(to("2")["spec"], spec);
    assert_eq!(pod_selector(&to("2")).as_deref(), Some("app=llm,pod-template-hash=2"));
    assert_eq!(patch(&to("2"), &to("2")), None);
    let selected = json!({ "matchLabels": { "pod-template-hash": "3" } });
    assert_eq!(patch(&to("2"), &to("3")).unwrap()["spec"]["selector"], selected, "it selects others");
    pool["spec"]["selector"]["matchLabels"] = json!({});
    assert!(matches!(fork(&pool, &named("llm-canary", &[]), Role::Canary), Err(Refusal::Selectorless { .. })));
}

#[test]
fn what_cannot_be_forked_is_refused() {
    let mut named_otherwise = service(&json!({}));
    named_otherwise["kind"] = json!("ServiceImport");
    let long = "w".repeat(64);
    let cases = [
        (service(&json!({ "type": "ExternalName", "selector": null })), named("web-canary", &[])),
        (service(&json!({ "selector": null })), named("web-canary", &[])),
        (service(&json!({})), named("web-canary", &[("app", "other")])),
        (service(&json!({})), named(&long, &[])),
        (named_otherwise, named("web-canary", &[])),
    ];
    let told: Vec<_> =
        cases.iter().map(|(origin, to)| fork(origin, to, Role::Canary).unwrap_err().to_string()).collect();
    insta::assert_snapshot!(told.join("\n").replace(&long, "<long>"));
}

#[test]
fn a_fork_follows_its_origin() {
    let wanted =
        |origin: &Value, extra: &[(&str, &str)]| fork(origin, &named("web-canary", extra), Role::Canary).unwrap();
    let before = service(&json!({ "trafficDistribution": "PreferClose", "selector": { "tier": "front" } }));
    let mut there = created(wanted(&before, &[("zone", "a")]));
    // Somebody else's are left alone, and the origin's are no longer enforced once they are copied.
    there["metadata"]["annotations"]["neg-status"] = json!("x");
    there["metadata"]["annotations"]["team"] = json!("changed on the fork");
    there["metadata"]["labels"]["somebody"] = json!("else's");
    there["spec"]["selector"]["smuggled"] = json!("in");
    let mut after = service(&json!({ "ports": [{ "port": 81 }] }));
    after["metadata"]["labels"] = json!({ "app2": "web" });
    let changes = patch(&there, &wanted(&after, &[])).unwrap();
    let mut told = changes.clone();
    told["metadata"]["annotations"][ANNOTATION_FORKED] = json!("…");
    insta::assert_json_snapshot!(told);
    let there = patched(&there, &wanted(&after, &[]));
    assert_eq!(patch(&there, &wanted(&after, &[])), None);
    assert_eq!(there["metadata"]["annotations"]["team"], "changed on the fork");
}

#[test]
fn an_origin_that_was_made_again_takes_its_fork_over() {
    let wanted = |uid: &str, spec: &Value| {
        let mut origin = service(spec);
        origin["metadata"]["uid"] = json!(uid);
        fork(&origin, &named("web-stable", &[]), Role::Stable).unwrap()
    };
    let there = created(wanted("u1", &json!({})));
    let now = patched(&there, &wanted("u2", &json!({})));
    assert_eq!(now["metadata"]["ownerReferences"].as_array().unwrap().len(), 1);
    assert_eq!(now["metadata"]["ownerReferences"][0]["uid"], "u2");
    assert!(!has_to_be_replaced(&there, &wanted("u2", &json!({}))));
    assert!(has_to_be_replaced(&there, &wanted("u2", &json!({ "clusterIP": "None" }))));
}

#[test]
fn a_fork_of_an_earlier_release_is_taken_over() {
    let wanted = fork(&service(&json!({ "type": "NodePort" })), &named("web-stable", &[]), Role::Stable).unwrap();
    let mut there = created(wanted.clone());
    there["metadata"] = json!({ "name": "web-stable", "labels": wanted["metadata"]["labels"], "resourceVersion": "1" });
    there["spec"]["type"] = json!("NodePort");
    there["spec"]["ports"][0]["nodePort"] = json!(30007);
    assert!(is_fork(&there));
    let now = patched(&there, &wanted);
    assert_eq!(now["spec"]["ports"][0].get("nodePort"), None);
    assert_eq!(patch(&now, &wanted), None);
}

fn origin() -> impl Strategy<Value = Value> {
    let labels = || prop::collection::btree_map("[a-d]", "[x-z]", 0..3);
    let ports = prop::collection::btree_map(1..5i64, (any::<bool>(), any::<bool>()), 1..4);
    let kind = prop::sample::select(vec!["ClusterIP", "NodePort", "LoadBalancer", "Headless"]);
    let options = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (labels(), labels(), labels(), ports, kind, options).prop_map(|(labels, annotations, selector, ports, kind, on)| {
        let ports = ports.into_iter().map(|(port, (is_named, is_secure))| {
            let mut value = json!({ "port": port, "name": format!("p{port}") });
            is_named.then(|| value["targetPort"] = json!("http"));
            is_secure.then(|| value["appProtocol"] = json!("https"));
            value
        });
        let mut spec = json!({ "ports": ports.collect::<Vec<_>>(), "selector": selector });
        if kind == "Headless" {
            spec["clusterIP"] = json!("None");
        } else {
            spec["type"] = json!(kind);
        }
        on.0.then(|| spec["trafficDistribution"] = json!("PreferClose"));
        on.1.then(|| spec["publishNotReadyAddresses"] = json!(true));
        on.2.then(|| spec["sessionAffinity"] = json!("ClientIP"));
        on.3.then(|| spec["internalTrafficPolicy"] = json!("Local"));
        let mut origin = service(&spec);
        origin["metadata"]["labels"] = json!(labels);
        origin["metadata"]["annotations"] = json!(annotations);
        origin
    })
}

fn extra_labels() -> impl Strategy<Value = ForkedBackend> {
    prop::collection::btree_map("[e-g]", "[x-z]", 0..3).prop_map(|extra: BTreeMap<String, String>| ForkedBackend {
        name: "f".into(),
        extra_label_selector: extra,
        ..ForkedBackend::default()
    })
}

proptest! {
    /// A fork that was created needs no patch; and one patch brings it from any origin to any other, as if it had been made
    /// of that.
    #[test]
    fn one_patch_brings_a_fork_in_step(
        before in origin(), after in origin(), first in extra_labels(), second in extra_labels(), meddled in any::<bool>(),
    ) {
        let (old, new) = (fork(&before, &first, Role::Stable).unwrap(), fork(&after, &second, Role::Stable).unwrap());
        let mut there = created(old.clone());
        prop_assert_eq!(patch(&there, &old), None);
        if meddled {
            there["spec"]["selector"]["more"] = json!("x");
            there["metadata"]["labels"]["more"] = json!("x");
        }
        prop_assume!(!has_to_be_replaced(&there, &new));
        let mut now = patched(&there, &new);
        prop_assert_eq!(patch(&now, &new), None, "{:#}", now);
        if meddled {
            now["metadata"]["labels"].as_object_mut().unwrap().remove("more");
        }
        let fresh = created(new);
        prop_assert_eq!(&now["spec"], &fresh["spec"]);
        prop_assert_eq!(&now["metadata"]["labels"], &fresh["metadata"]["labels"]);
        prop_assert_eq!(&now["metadata"]["annotations"], &fresh["metadata"]["annotations"]);
    }
}
