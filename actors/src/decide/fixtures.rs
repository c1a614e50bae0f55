//! Small objects for the tables of the decisions.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    view::{Health, MemberView, ObjectKey, Pod, RolloutView, Workload, WorkloadReport},
    workloads::WorkloadKind,
};

/// A time that tests count from.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A StatefulSet of `desired` pods, all on revision `v1`, with template `v2` waiting.
pub(super) fn workload(cluster: &str, name: &str, desired: i32) -> Workload {
    Workload {
        kind: WorkloadKind::StatefulSet,
        cluster: cluster.into(),
        key: ObjectKey { namespace: "default".into(), name: name.into() },
        uid: format!("{cluster}-{name}"),
        resource_version: "7".into(),
        generation: 2,
        observed_generation: 2,
        deleting: false,
        is_protected: false,
        labels: BTreeMap::from([
            ("app".into(), "demo".into()),
            ("rollout.kusionstack.io/workload".into(), "statefulset".into()),
        ]),
        rollout: Some("demo".into()),
        progressing: None,
        recorded_strategy: Some(json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}).to_string()),
        update_strategy: json!({"type": "RollingUpdate", "rollingUpdate": {"partition": i32::MAX}}),
        strategy_manager: None,
        template_hash: "h2".into(),
        copied_template: None,
        lane: None,
        template_manager: None,
        partition: i32::MAX,
        desired,
        min_ready_seconds: 0,
        pod_selector: "app=demo".into(),
        stable_revision: "v1".into(),
        updated_revision: "v2".into(),
        replicas: desired,
        ready: desired,
        available: desired,
        current_replicas: desired,
        updated_replicas: 0,
        told: None,
        unpartitioned: None,
        halted: None,
    }
}

/// A pod on `revision`, ready since `ready` seconds after the start, if at all.
pub(super) fn pod(name: &str, revision: &str, ready: Option<i64>) -> Arc<Pod> {
    Arc::new(Pod {
        key: ObjectKey { namespace: "default".into(), name: name.into() },
        uid: format!("uid-{name}"),
        resource_version: "1".into(),
        owner_uid: String::new(),
        revision: revision.into(),
        template_label: None,
        ready_since: ready.map(at),
        terminating: false,
        trouble: None,
    })
}

/// Batches 1, 3 with window 1 and a breakpoint, 100 %.
pub(super) fn quick_start() -> Value {
    json!({ "batches": [
        { "targets": [{ "replicas": 1 }] },
        { "targets": [{ "replicas": 3, "replicaSlidingWindow": 1 }], "breakpoint": true },
        { "targets": [{ "replicas": "100%" }] },
    ]})
}

/// Rollout `demo` with the quick start's strategy over `workloads`.
pub(super) fn view(workloads: Vec<Workload>) -> RolloutView {
    let mut members: BTreeMap<String, MemberView> = BTreeMap::new();
    for workload in workloads {
        let member = members.entry(workload.cluster.clone()).or_insert_with(|| MemberView {
            health: Health::Ready,
            workloads: BTreeMap::new(),
            reports: BTreeMap::new(),
        });
        let old = workload.desired - workload.updated_replicas;
        let revision = |ordinal| if ordinal < old { &workload.stable_revision } else { &workload.updated_revision };
        let pods = (0..workload.desired).map(|n| pod(&format!("{}-{n}", workload.key.name), revision(n), Some(0)));
        let report = WorkloadReport { pods: Some(pods.collect()), error: None };
        member.reports.insert(workload.id(), report);
        member.workloads.insert(workload.id(), Arc::new(workload));
    }
    RolloutView {
        charge: crate::view::Charge::Rollout,
        scale: None,
        rollout: object(json!({
            "metadata": {
                "name": "demo", "namespace": "default", "uid": "rollout-uid", "resourceVersion": "10", "generation": 1,
                "finalizers": ["finalizer.rollout.kusionstack.io/protection"],
                "annotations": { "slipway.rollout.kusionstack.io/workload-kinds": "apps/v1 StatefulSet" },
            },
            "spec": {
                "strategyRef": "demo",
                "workloadRef": { "apiVersion": "apps/v1", "kind": "StatefulSet",
                    "match": { "selector": { "matchLabels": { "app": "demo" } } } },
            },
        })),
        strategy: Some(object(json!({ "metadata": { "name": "demo" }, "batchV2": quick_start() }))),
        topologies: BTreeMap::new(),
        routings: BTreeMap::new(),
        runs: BTreeMap::new(),
        create_error: None,
        other_rollouts: std::collections::BTreeSet::new(),
        members,
        hook_answer: None,
    }
}

/// An object of ours from JSON.
pub(super) fn object<T: serde::de::DeserializeOwned>(value: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).unwrap())
}
