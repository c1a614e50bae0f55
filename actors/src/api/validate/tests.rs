//! Each case: a change to a good object, and the paths that are then refused.

use json_patch::merge;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::api::{RolloutRun, ScaleRun};

/// Lays `change` over `good`, checks it, and compares the paths of the errors.
fn refuses<T: DeserializeOwned>(good: &Value, check: impl Fn(&T) -> Vec<FieldError>, cases: &[(Value, &[&str])]) {
    for (change, expected) in std::iter::once(&(json!({}), &[][..])).chain(cases) {
        let mut object = good.clone();
        merge(&mut object, change);
        let errors = check(&serde_json::from_value(object).unwrap());
        let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(&paths, expected, "{change}: {errors:?}");
        for error in errors {
            assert!(error.message.len() > 20 && !error.message.ends_with('.'), "{error}");
        }
    }
}

#[test]
fn rollouts() {
    let good = json!({
        "metadata": {"name": "web"},
        "spec": {"strategyRef": "web", "workloadRef": {"kind": "StatefulSet", "match": {"selector": {}}}},
    });
    let annotated = |key: &str, value: &str| json!({"metadata": {"annotations": {key: value}}});
    let triggered = |value: &str| annotated("rollout.kusionstack.io/trigger", value);
    let one_time = |value: &str| annotated("rollout.kusionstack.io/one-time-strategy", value);
    let refused: &[&str] = &["metadata.annotations[rollout.kusionstack.io/trigger]"];
    let once: &[&str] = &["metadata.annotations[rollout.kusionstack.io/one-time-strategy]"];
    let of_match = |found: Value| json!({"spec": {"workloadRef": {"match": found}}});
    let of_selector = |selector: Value| of_match(json!({"selector": selector}));
    let of_expression = |expression: Value| of_selector(json!({"matchExpressions": [expression]}));
    let expressions = "spec.workloadRef.match.selector.matchExpressions[0]";
    refuses(
        &good,
        rollout,
        &[
            (json!({"spec": null}), &["spec.strategyRef", "spec.workloadRef"]),
            (json!({"metadata": {"name": "Web"}}), &["metadata.name"]),
            (json!({"metadata": {"name": null}}), &["metadata.name"]),
            (json!({"metadata": {"name": null, "generateName": "web-"}}), &[]),
            (json!({"spec": {"historyLimit": 0}}), &[]),
            (json!({"spec": {"historyLimit": -1}}), &["spec.historyLimit"]),
            (json!({"spec": {"trafficTopologyRefs": ["web", "api"]}}), &[]),
            (
                json!({"spec": {"trafficTopologyRefs": ["web", "", "web"]}}),
                &["spec.trafficTopologyRefs[1]", "spec.trafficTopologyRefs[2]"],
            ),
            (json!({"spec": {"workloadRef": {"kind": ""}}}), &["spec.workloadRef.kind"]),
            (triggered("web-1"), &[]),
            (triggered(""), &[]),
            (triggered("2026-01-01T00:00:00Z"), &[]),
            (triggered("Web_1"), refused),
            (triggered("example.com/web"), refused),
            (one_time(r#"{"batchV2": {"batches": [{"targets": [{"replicas": 1}]}]}}"#), &[]),
            (one_time("{}"), once),
            (one_time("[]"), once),
            (one_time(r#"{"batch": {"batches": [{"replicas": "x"}, {"replicas": -1}]}}"#), &[once[0], once[0]]),
            (json!({"spec": {"triggerPolicy": "Manual"}}), &[]),
            (json!({"spec": {"triggerPolicy": "auto"}}), &["spec.triggerPolicy"]),
            (json!({"spec": {"strategyRef": ""}}), &["spec.strategyRef"]),
            (json!({"spec": {"workloadRef": null}}), &["spec.workloadRef"]),
            (of_match(json!({"selector": null})), &["spec.workloadRef.match"]),
            (of_match(json!({"selector": null, "names": []})), &["spec.workloadRef.match"]),
            (of_match(json!({"selector": null, "names": [{"name": "web"}]})), &[]),
            (of_match(json!({"names": [{"name": ""}]})), &["spec.workloadRef.match.names[0].name"]),
            (of_selector(json!({"matchLabels": {"example.com/app": "web", "tier": ""}})), &[]),
            (of_selector(json!({"matchLabels": {"a b": "web"}})), &["spec.workloadRef.match.selector.matchLabels"]),
            (
                of_selector(json!({"matchLabels": {"Up.com/a": "web"}})),
                &["spec.workloadRef.match.selector.matchLabels"],
            ),
            (
                of_selector(json!({"matchLabels": {"app": "-web"}})),
                &["spec.workloadRef.match.selector.matchLabels[app]"],
            ),
            (of_expression(json!({"key": "app", "operator": "In", "values": ["web"]})), &[]),
            (of_expression(json!({"key": "app", "operator": "Is"})), &[&format!("{expressions}.operator")]),
            (of_expression(json!({"key": "", "operator": "Exists"})), &[&format!("{expressions}.key")]),
            (of_expression(json!({"key": "app", "operator": "In"})), &[&format!("{expressions}.values")]),
            (
                of_expression(json!({"key": "app", "operator": "Exists", "values": ["web"]})),
                &[&format!("{expressions}.values")],
            ),
        ],
    );
}

#[test]
fn strategies() {
    let good = json!({"metadata": {"name": "web"}, "batch": {"batches": [{"replicas": 1}, {"replicas": "100%"}]}});
    let batch = |step: Value| json!({"batch": {"batches": [step]}});
    let v2 = |step: Value| json!({"batch": null, "batchV2": {"batches": [step]}});
    refuses(
        &good,
        strategy,
        &[
            (json!({"batch": null}), &["batch"]),
            (json!({"batch": {"batches": []}}), &["batch.batches"]),
            (json!({"batch": null, "batchV2": {}}), &["batchV2.batches"]),
            (json!({"batch": null, "canary": {"replicas": 1}}), &["batch"]),
            (json!({"batchV2": {"batches": [{"targets": [{"replicas": 1}]}]}}), &["batchV2"]),
            (json!({"canary": {"replicas": 1}, "canaryV2": {"targets": [{"replicas": 1}]}}), &["canaryV2"]),
            (batch(json!({"replicas": "250%"})), &[]),
            (batch(json!({"replicas": "-5%"})), &["batch.batches[0].replicas"]),
            (batch(json!({"replicas": "ten"})), &["batch.batches[0].replicas"]),
            (batch(json!({"replicas": -1})), &["batch.batches[0].replicas"]),
            (batch(json!({"replicas": 1, "replicaSlidingWindow": "1"})), &["batch.batches[0].replicaSlidingWindow"]),
            (batch(json!({"replicas": 1, "replicaSlidingWindow": 0})), &["batch.batches[0].replicaSlidingWindow"]),
            (batch(json!({"replicas": 1, "replicaSlidingWindow": "00%"})), &["batch.batches[0].replicaSlidingWindow"]),
            (batch(json!({"replicas": 1, "replicaSlidingWindow": 1})), &[]),
            (json!({"batch": {"toleration": {"initialDelaySeconds": -1}}}), &["batch.toleration.initialDelaySeconds"]),
            (
                json!({"policies": {
                    "progressDeadlineSeconds": 0, "progressDeadlinePolicy": "Stop", "templateChangePolicy": "restart",
                    "clusterFailurePolicy": {"type": "Wait", "maxClusters": "two", "gracePeriodSeconds": -1},
                }}),
                &[
                    "policies.progressDeadlineSeconds",
                    "policies.progressDeadlinePolicy",
                    "policies.templateChangePolicy",
                    "policies.clusterFailurePolicy.type",
                    "policies.clusterFailurePolicy.maxClusters",
                    "policies.clusterFailurePolicy.gracePeriodSeconds",
                ],
            ),
            (
                json!({"policies": {"progressDeadlineSeconds": 600, "clusterFailurePolicy": {"type": "Skip", "maxClusters": "50%"}}}),
                &[],
            ),
            (batch(json!({"replicas": 1, "matchTargets": {}})), &["batch.batches[0].matchTargets"]),
            (
                json!({"batch": {"toleration": {"taskFailureThreshold": "some"}}}),
                &["batch.toleration.taskFailureThreshold"],
            ),
            (v2(json!({"targets": []})), &["batchV2.batches[0].targets"]),
            (
                v2(json!({"targets": [{"replicas": 1}, {"replicas": "x", "replicaSlidingWindow": -2}]})),
                &["batchV2.batches[0].targets[1].replicas", "batchV2.batches[0].targets[1].replicaSlidingWindow"],
            ),
            (batch(json!({"replicas": 1, "traffic": {"http": {"weight": 20, "filters": []}}})), &[]),
            (
                batch(json!({"replicas": 1, "traffic": {"http": {"weight": 101}}})),
                &["batch.batches[0].traffic.http.weight"],
            ),
            (
                batch(
                    json!({"replicas": 1, "traffic": {"http": {"weight": 20, "matches": [{}], "stableTraffic": {}}}}),
                ),
                &["batch.batches[0].traffic.http.matches", "batch.batches[0].traffic.http.stableTraffic"],
            ),
            (
                json!({"canary": {"replicas": "all", "templateMetadataPatch": {"labels": {"a": "b c"}, "annotations": {"": "x"}}}}),
                &[
                    "canary.replicas",
                    "canary.templateMetadataPatch.labels[a]",
                    "canary.templateMetadataPatch.annotations",
                ],
            ),
        ],
    );
}

#[test]
fn blue_green() {
    let good = json!({"metadata": {"name": "web"}, "batch": {"batches": [{"replicas": 1}, {"replicas": "100%"}]}});
    refuses(
        &good,
        strategy,
        &[
            (json!({"blueGreen": {"targets": [{"replicas": "100%"}], "preview": {"http": {"mirror": {}}}}}), &[]),
            (json!({"batch": null, "blueGreen": {"targets": [{"replicas": "100%"}]}}), &[]),
            (
                json!({"canary": {"replicas": 1}, "blueGreen": {"targets": [], "preview": {"http": {"weight": 10}}}}),
                &["blueGreen", "blueGreen.targets", "blueGreen.preview.http.weight"],
            ),
            (
                json!({
                    "batch": {"batches": [{"replicas": 1}, {"replicas": 2, "traffic": {"http": {"weight": 20}}}]},
                    "blueGreen": {
                        "targets": [{"replicas": "100%"}], "preview": {"http": {"stableTraffic": {}}},
                        "templateMetadataPatch": {"labels": {"a": "b c"}},
                    },
                }),
                &[
                    "blueGreen.preview.http.stableTraffic",
                    "blueGreen.templateMetadataPatch.labels[a]",
                    "batch.batches[1].traffic",
                ],
            ),
        ],
    );
}

#[test]
fn hooks() {
    let good = json!({"metadata": {"name": "web"}, "batch": {"batches": [{"replicas": 1}]}});
    let hook =
        |name: &str, url: &str| json!({"name": name, "hookTypes": ["PreBatchStepHook"], "clientConfig": {"url": url}});
    let of_url = |url: &str| json!({"webhooks": [hook("a", url)]});
    let with = |change: Value| {
        let mut hook = hook("a", "http://a");
        merge(&mut hook, &change);
        json!({"webhooks": [hook]})
    };
    let pem = k8s_openapi::ByteString(b"-----BEGIN CERTIFICATE-----\n".to_vec());
    let refused: &[&str] = &["webhooks[0].clientConfig.url"];
    refuses(
        &good,
        strategy,
        &[
            (of_url("https://hooks.example.com:8443/before"), &[]),
            (of_url("http://10.0.0.1"), &[]),
            (of_url("http://[::1]:80/"), &[]),
            (of_url(""), refused),
            (of_url("hooks.example.com"), refused),
            (of_url("ftp://hooks.example.com"), refused),
            (of_url("https:///before"), refused),
            (of_url("https://:80"), refused),
            (of_url("https://user@"), refused),
            (of_url("https://user:secret@hooks.example.com"), refused),
            (of_url("https://hooks.example.com/?a=b"), refused),
            (of_url("https://hooks.example.com/#a"), refused),
            (of_url("https://hooks.example.com/a b"), refused),
            (with(json!({"clientConfig": {"caBundle": ""}})), &[]),
            (with(json!({"clientConfig": {"caBundle": pem}})), &[]),
            (with(json!({"clientConfig": {"caBundle": "AAAA"}})), &["webhooks[0].clientConfig.caBundle"]),
            (
                with(json!({"clientConfig": {"timeoutSeconds": -1, "periodSeconds": -1}})),
                &["webhooks[0].clientConfig.timeoutSeconds", "webhooks[0].clientConfig.periodSeconds"],
            ),
            (with(json!({"failureThreshold": 0})), &["webhooks[0].failureThreshold"]),
            (with(json!({"deadlineSeconds": 1})), &[]),
            (with(json!({"deadlineSeconds": 0})), &["webhooks[0].deadlineSeconds"]),
            (with(json!({"deadlineSeconds": -60})), &["webhooks[0].deadlineSeconds"]),
            (with(json!({"provider": "own"})), &["webhooks[0].provider"]),
            (with(json!({"hookTypes": ["PreRollout", "PreBatchHook"]})), &["webhooks[0].hookTypes[1]"]),
            (json!({"webhooks": [hook("a", "http://a"), hook("a", "http://b")]}), &["webhooks[1].name"]),
            (
                json!({"webhooks": [{"name": "a", "clientConfig": {"url": "http://a"}, "failurePolicy": "fail"}]}),
                &["webhooks[0].hookTypes", "webhooks[0].failurePolicy"],
            ),
        ],
    );
}

fn good_run() -> Value {
    let target = |replicas: Value| json!({"cluster": "a", "name": "web", "replicas": replicas});
    json!({
        "metadata": {"name": "web-1"},
        "spec": {
            "targetType": {"apiVersion": "apps/v1", "kind": "StatefulSet"},
            "batch": {"batches": [
                {"targets": [target(json!(1))]},
                {"targets": [target(json!("50%"))], "breakpoint": true},
                {"targets": [target(json!("100%"))]},
            ]},
        },
    })
}

#[test]
fn runs() {
    let batch = |targets: Value| json!({"spec": {"batch": {"batches": [{"targets": targets}]}}});
    let batches = "spec.batch.batches[0].targets";
    refuses(
        &good_run(),
        run,
        &[
            (json!({"spec": null}), &["spec.targetType", "spec.batch.batches"]),
            (json!({"spec": {"targetType": {"kind": ""}}}), &["spec.targetType.kind"]),
            (json!({"spec": {"trafficTopologyRefs": ["Web"]}}), &["spec.trafficTopologyRefs[0]"]),
            (
                json!({"spec": {"policies": {"progressDeadlineSeconds": -5}}}),
                &["spec.policies.progressDeadlineSeconds"],
            ),
            (json!({"spec": {"batch": {"batches": []}}}), &["spec.batch.batches"]),
            (json!({"spec": {"canary": {"targets": []}}}), &["spec.canary.targets"]),
            (
                json!({"spec": {
                    "canary": {
                        "targets": [{"name": "web", "replicas": 2}], "blueGreen": {},
                        "traffic": {"http": {"weight": 20}},
                    },
                    "batch": {"batches": [{"targets": [{"name": "web", "replicas": 2}], "traffic": {}}]},
                }}),
                &["spec.canary.traffic.http.weight", "spec.batch.batches[0].traffic"],
            ),
            (batch(json!([])), &[batches]),
            (batch(json!([{"name": "", "replicas": 1}])), &["spec.batch.batches[0].targets[0].name"]),
            (
                batch(
                    json!([{"cluster": "a", "name": "web", "replicas": 1}, {"cluster": "b", "name": "web", "replicas": 1}]),
                ),
                &[],
            ),
            (
                batch(json!([{"name": "web", "replicas": 1}, {"name": "web", "replicas": 2}])),
                &["spec.batch.batches[0].targets[1]"],
            ),
            (
                batch(json!([{"name": "web", "replicas": "1", "replicaSlidingWindow": "0"}])),
                &["spec.batch.batches[0].targets[0].replicas", "spec.batch.batches[0].targets[0].replicaSlidingWindow"],
            ),
        ],
    );
}

#[test]
fn updates_of_a_run() {
    let old = |state: &str| {
        let mut old = good_run();
        old["spec"]["canary"] = json!({"targets": [{"name": "web", "replicas": 1}]});
        old["status"] = json!({
            "canaryStatus": {"state": "Pending"},
            "batchStatus": {"currentBatchIndex": 1, "currentBatchState": state},
        });
        old
    };
    let check = |state: &str, cases: &[(Value, &[&str])]| {
        let stored: RolloutRun = serde_json::from_value(old(state)).unwrap();
        refuses(&old(state), |new: &RolloutRun| run_update(&stored, new), cases);
    };
    let change = |index: usize, change: Value| {
        let mut batches = good_run()["spec"]["batch"]["batches"].clone();
        merge(&mut batches[index], &change);
        json!({"spec": {"batch": {"batches": batches}}})
    };
    let with_target = |target: Value| json!({"targets": [target]});
    let more = with_target(json!({"cluster": "a", "name": "web", "replicas": 3}));
    let window = with_target(json!({"cluster": "a", "name": "web", "replicas": "50%", "replicaSlidingWindow": 1}));
    let first_only = json!({"spec": {"batch": {"batches": [good_run()["spec"]["batch"]["batches"][0]]}}});
    check(
        "Pending",
        &[
            (json!({"spec": {"targetType": {"kind": "Deployment"}}}), &["spec.targetType"]),
            (
                json!({"spec": {"webhooks": [{}], "trafficTopologyRefs": ["web"]}}),
                &["spec.webhooks", "spec.trafficTopologyRefs"],
            ),
            (json!({"spec": {"canary": null}}), &["spec.canary"]),
            (json!({"spec": {"canary": {"targets": [{"name": "web", "replicas": 2}]}}}), &[]),
            (json!({"spec": {"canary": {"podTemplateMetadataPatch": {}}}}), &["spec.canary.podTemplateMetadataPatch"]),
            (json!({"spec": {"batch": null}}), &["spec.batch"]),
            (first_only, &["spec.batch.batches"]),
            (change(0, more.clone()), &["spec.batch.batches[0]"]),
            (change(1, more.clone()), &[]),
            (change(1, window.clone()), &[]),
            (change(1, json!({"breakpoint": false})), &["spec.batch.batches[1].breakpoint"]),
            (change(2, json!({"breakpoint": true})), &[]),
        ],
    );
    check(
        "Running",
        &[
            (change(1, more), &[]),
            (change(1, window), &["spec.batch.batches[1]"]),
            (change(1, with_target(json!({"name": "other", "replicas": 1}))), &["spec.batch.batches[1]"]),
            (change(2, json!({"properties": {"a": "b"}})), &[]),
        ],
    );
    let mut begun: Value = old("Pending");
    begun["status"]["canaryStatus"]["state"] = json!("Running");
    let stored: RolloutRun = serde_json::from_value(begun.clone()).unwrap();
    refuses(
        &begun,
        |new: &RolloutRun| run_update(&stored, new),
        &[
            (json!({"spec": {"canary": {"targets": [{"name": "web", "replicas": 2}]}}}), &["spec.canary"]),
            (json!({"spec": {"canary": {"blueGreen": {}}}}), &["spec.canary"]),
        ],
    );
}

fn good_scale_run() -> Value {
    let batch = |replicas: i32| json!({"targets": [{"cluster": "a", "name": "web", "replicas": replicas}]});
    json!({
        "metadata": {"name": "web-1"},
        "spec": {
            "targetType": {"apiVersion": "apps/v1", "kind": "StatefulSet"},
            "batch": {"batches": [batch(5), batch(10), batch(20)]},
            "rollback": {"batches": [batch(5)]},
        },
    })
}

#[test]
fn scale_runs() {
    let batch = |targets: Value| json!({"spec": {"batch": {"batches": [{"targets": targets}]}}});
    let twice = json!([{"name": "web", "replicas": 1}, {"name": "web", "replicas": 1}]);
    refuses(
        &good_scale_run(),
        scale_run,
        &[
            (json!({"spec": null}), &["spec.targetType", "spec.batch"]),
            (json!({"spec": {"batch": {"batches": []}}}), &["spec.batch.batches"]),
            (
                json!({"spec": {"targetType": {"apiVersion": "apps.kusionstack.io/v1alpha1", "kind": "PodDecoration"}}}),
                &["spec.targetType.kind"],
            ),
            (json!({"spec": {"rollback": null}}), &[]),
            (json!({"spec": {"rollback": {"batches": []}}}), &["spec.rollback.batches"]),
            (
                json!({"spec": {"webhooks": [{"name": "a", "hookTypes": ["PreBatchStepHook"]}]}}),
                &["spec.webhooks[0].clientConfig.url"],
            ),
            (batch(json!([])), &["spec.batch.batches[0].targets"]),
            (batch(json!([{"name": "", "replicas": 1}])), &["spec.batch.batches[0].targets[0].name"]),
            (batch(json!([{"name": "web", "replicas": -1}])), &["spec.batch.batches[0].targets[0].replicas"]),
            (batch(twice.clone()), &["spec.batch.batches[0].targets[1]"]),
            (
                json!({"spec": {"rollback": {"batches": [{"targets": twice}]}}}),
                &["spec.rollback.batches[0].targets[1]"],
            ),
        ],
    );
}

#[test]
fn updates_of_a_scale_run() {
    let check = |status: Value, cases: &[(Value, &[&str])]| {
        let mut old = good_scale_run();
        old["status"] = status;
        let stored: ScaleRun = serde_json::from_value(old.clone()).unwrap();
        refuses(&old, |new: &ScaleRun| scale_run_update(&stored, new), cases);
    };
    let batches = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut batches = good_scale_run()["spec"]["batch"]["batches"].as_array().unwrap().clone();
        change(&mut batches);
        json!({"spec": {"batch": {"batches": batches}}})
    };
    let change = |index: usize| batches(&|all| all[index]["targets"][0]["replicas"] = json!(7));
    let rolled_back = json!({"spec": {"rollback": {"batches": [{"targets": [{"name": "web", "replicas": 1}]}]}}});
    check(
        json!({"batches": {"currentBatchIndex": 1, "currentBatchState": "Pending"}}),
        &[
            (json!({"spec": {"targetType": {"kind": "CollaSet"}}}), &["spec.targetType"]),
            (json!({"spec": {"webhooks": [{}]}}), &["spec.webhooks"]),
            (change(0), &["spec.batch.batches[0]"]),
            (change(1), &[]),
            (batches(&|all| all.truncate(1)), &[]),
            (batches(&Vec::clear), &["spec.batch.batches"]),
            (rolled_back.clone(), &[]),
        ],
    );
    check(
        json!({"batches": {"currentBatchIndex": 1, "currentBatchState": "Running"}, "rollback": {"currentBatchIndex": 0, "currentBatchState": "Running"}}),
        &[
            (change(1), &["spec.batch.batches[1]"]),
            (change(2), &[]),
            (batches(&|all| all.truncate(1)), &["spec.batch.batches"]),
            (rolled_back, &["spec.rollback.batches[0]"]),
        ],
    );
}

#[test]
fn traffic_topologies() {
    let good = json!({
        "metadata": {"name": "web"},
        "spec": {
            "trafficType": "InCluster",
            "workloadRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "match": {"selector": {}}},
            "backend": {"name": "web"},
            "routes": [{"name": "web"}, {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"}],
        },
    });
    refuses(
        &good,
        traffic_topology,
        &[
            (json!({"spec": {"trafficType": "Everywhere"}}), &["spec.trafficType"]),
            (json!({"spec": {"workloadRef": {"match": {"selector": null}}}}), &["spec.workloadRef.match"]),
            (json!({"spec": {"backend": {"name": ""}}}), &["spec.backend.name"]),
            (json!({"spec": {"backend": {"kind": "Pod"}}}), &["spec.backend"]),
            (
                json!({"spec": {"backend": {"apiVersion": "inference.networking.x-k8s.io/v1alpha2", "kind": "InferencePool"}}}),
                &[],
            ),
            (
                json!({"spec": {"backend": {"apiVersion": "inference.networking.k8s.io/v1", "kind": "InferencePool"}}}),
                &[],
            ),
            (json!({"spec": {"routes": [{"kind": "TCPRoute", "name": "web"}]}}), &["spec.routes[0]"]),
            (json!({"spec": {"routes": [{"name": ""}]}}), &["spec.routes[0].name"]),
            (json!({"spec": {"routes": [{"name": "web"}, {"kind": "HTTPRoute", "name": "web"}]}}), &["spec.routes[1]"]),
            (json!({"spec": {"routes": null}}), &[]),
            (json!({"spec": {"gatewayCluster": "a"}}), &["spec.gatewayCluster"]),
            (json!({"spec": {"backend": import()}}), &["spec.backend"]),
        ],
    );
}

fn import() -> Value {
    json!({"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ServiceImport", "name": "web"})
}

#[test]
fn traffic_topologies_over_clusters() {
    let good = json!({
        "metadata": {"name": "web"},
        "spec": {
            "trafficType": "MultiCluster", "gatewayCluster": "a",
            "workloadRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "match": {"selector": {}}},
            "backend": {"name": "web"},
            "routes": [{"name": "web"}],
        },
    });
    let pool = json!({"apiVersion": "inference.networking.x-k8s.io/v1alpha2", "kind": "InferencePool"});
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"});
    refuses(
        &good,
        traffic_topology,
        &[
            (json!({"spec": {"gatewayCluster": null}}), &[]),
            (json!({"spec": {"backend": import()}}), &[]),
            (json!({"spec": {"backend": pool}}), &["spec.backend"]),
            (json!({"spec": {"routes": [{"name": "web"}, ingress]}}), &["spec.routes[1]"]),
        ],
    );
}

#[test]
fn backend_routings() {
    let good = json!({
        "metadata": {"name": "web"},
        "spec": {
            "trafficType": "InCluster",
            "backend": {"apiVersion": "v1", "kind": "Service", "cluster": "a", "name": "web"},
            "routes": [
                {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "cluster": "a", "name": "web"},
                {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "cluster": "b", "name": "web"},
            ],
            "forkedBackends": {"stable": {"name": "web-stable"}, "canary": {"name": "web-canary"}},
            "forwarding": {"http": {"origin": {"backendName": "web-stable"}, "canary": {"backendName": "web-canary", "weight": 10}}},
        },
    });
    let labelled = |labels: Value| json!({"spec": {"forkedBackends": {"canary": {"extraLabelSelector": labels}}}});
    let canary = "spec.forkedBackends.canary";
    refuses(
        &good,
        backend_routing,
        &[
            (json!({"spec": {"trafficType": ""}}), &["spec.trafficType"]),
            (json!({"spec": {"backend": {"apiVersion": null}}}), &["spec.backend"]),
            (
                json!({"spec": {"routes": [{"apiVersion": "v1", "kind": "Service", "name": "web"}]}}),
                &["spec.routes[0]"],
            ),
            (json!({"spec": {"forkedBackends": {"stable": {"name": ""}}}}), &["spec.forkedBackends.stable.name"]),
            (labelled(json!({"lane": "canary"})), &[]),
            (labelled(json!({"a b": "c"})), &[&format!("{canary}.extraLabelSelector")]),
            (labelled(json!({"a": "b c"})), &[&format!("{canary}.extraLabelSelector[a]")]),
            (json!({"spec": {"forkedBackends": null}}), &["spec.forkedBackends"]),
            (json!({"spec": {"forkedBackends": null, "forwarding": null}}), &[]),
            (json!({"spec": {"forwarding": {"http": {"origin": null}}}}), &["spec.forwarding.http.origin"]),
            (
                json!({"spec": {"forwarding": {"http": {"canary": {"weight": 200}}}}}),
                &["spec.forwarding.http.canary.weight"],
            ),
        ],
    );
}
