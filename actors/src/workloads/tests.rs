//! What each kind's fields mean, as tables.

use serde_json::{Value, json};

use super::*;

fn read(kind: WorkloadKind, spec: &Value, status: &Value) -> Workload {
    let object = json!({
        "apiVersion": kind.api_version(), "kind": kind.name(),
        "metadata": {"namespace": "ns", "name": "web", "uid": "u", "resourceVersion": "7", "generation": 3},
        "spec": spec, "status": status,
    });
    kind.read("east", &serde_json::from_value(object).unwrap()).unwrap()
}

#[test]
fn kinds_by_name() {
    let table: Vec<_> = WorkloadKind::ALL
        .into_iter()
        .map(|kind| {
            let ApiResource { api_version, kind: name, plural, .. } = kind.resource();
            assert_eq!(WorkloadKind::named(&api_version, &name), Some(kind));
            format!("{kind:45} {plural:16} {}", kind.noun())
        })
        .collect();
    insta::assert_snapshot!(table.join("\n"));
    for (api_version, kind) in [("", "StatefulSet"), ("apps/v1", "DaemonSet"), ("apps/v1beta1", "StatefulSet")] {
        assert_eq!(WorkloadKind::named(api_version, kind), None);
    }
}

#[test]
fn absent_fields_mean_what_each_api_says() {
    use WorkloadKind::{AdvancedStatefulSet, CloneSet, CollaSet, PodDecoration, StatefulSet};
    for (kind, desired) in
        [(StatefulSet, 1), (CollaSet, 0), (PodDecoration, 0), (CloneSet, 1), (AdvancedStatefulSet, 1)]
    {
        let workload = read(kind, &json!({}), &Value::Null);
        assert_eq!((workload.desired, workload.partition, workload.min_ready_seconds), (desired, 0, 0), "{kind}");
        assert_eq!((workload.unpartitioned, workload.halted), (None, None), "{kind}");
    }
}

/// A partition that is written is the one that is read, in every kind that has one, and leaves the rest alone.
#[test]
fn a_partition_is_read_where_it_is_written() {
    for kind in WorkloadKind::ALL.into_iter().filter(|kind| *kind != WorkloadKind::Deployment) {
        let mut spec = json!({"replicas": 5, "updateStrategy": {"podUpdatePolicy": "Recreate"}});
        json_patch::merge(&mut spec, &kind.partition_patch(&json!(3)));
        let workload = read(kind, &spec, &Value::Null);
        assert_eq!(workload.partition, 3, "{kind}: {spec}");
        assert_eq!(kind.partition_in(&workload.update_strategy), json!(3), "{kind}");
        assert_eq!(workload.update_strategy["podUpdatePolicy"], "Recreate", "{kind}");
    }
}

#[test]
fn a_share_keeps_what_the_clonesets_controller_keeps() {
    let table = [
        (json!(2), 5, 2),
        (json!("0%"), 5, 0),
        (json!("1%"), 5, 1),
        (json!("50%"), 5, 3),
        (json!("99%"), 5, 4),
        (json!("100%"), 5, 5),
        (json!("50%"), 1, 1),
        (json!("50%"), 0, 0),
        (json!("nonsense"), 5, 0),
    ];
    for (partition, replicas, kept) in table {
        let spec = json!({"replicas": replicas, "updateStrategy": {"partition": partition}});
        assert_eq!(read(WorkloadKind::CloneSet, &spec, &Value::Null).partition, kept, "{spec}");
    }
}

#[test]
fn what_stands_in_the_way_of_a_batch() {
    use WorkloadKind::{AdvancedStatefulSet, CloneSet, CollaSet, Deployment, PodDecoration, StatefulSet};
    let strategy = |strategy: Value| json!({"updateStrategy": strategy});
    let rolling = |rolling: Value| json!({"updateStrategy": {"rollingUpdate": rolling}});
    let table = [
        (StatefulSet, strategy(json!({"type": "OnDelete"}))),
        (StatefulSet, strategy(json!({"type": "RollingUpdate"}))),
        (CollaSet, rolling(json!({"byLabel": {}}))),
        (CollaSet, json!({"paused": true})),
        (PodDecoration, rolling(json!({"selector": {"matchLabels": {"a": "b"}}}))),
        (CloneSet, strategy(json!({"type": "InPlaceOnly", "paused": true}))),
        (AdvancedStatefulSet, strategy(json!({"type": "OnDelete"}))),
        (AdvancedStatefulSet, rolling(json!({"paused": true}))),
        (Deployment, json!({"strategy": {"type": "Recreate"}})),
    ];
    let lines: Vec<_> = table
        .iter()
        .map(|(kind, spec)| {
            let workload = read(*kind, spec, &Value::Null);
            let parked = if workload.unpartitioned.is_some() { "not parked" } else { "parked" };
            let obstacle = workload.unpartitioned.or(workload.halted).unwrap_or("-");
            format!("{kind:40} {spec}\n    {parked}: {obstacle}")
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn status_is_read_in_each_kinds_words() {
    let pods = json!({
        "observedGeneration": 3, "replicas": 5, "readyReplicas": 4, "availableReplicas": 3, "updatedReplicas": 2,
        "updatedReadyReplicas": 1, "currentRevision": "web-1", "updateRevision": "web-2",
    });
    for kind in [WorkloadKind::StatefulSet, WorkloadKind::CloneSet, WorkloadKind::AdvancedStatefulSet] {
        let workload = read(kind, &json!({"replicas": 5}), &pods);
        assert_eq!((workload.replicas, workload.ready, workload.available, workload.updated_replicas), (5, 4, 3, 2));
        assert_eq!((workload.stable_revision.as_str(), workload.updated_revision.as_str()), ("web-1", "web-2"));
        assert_eq!(workload.told.is_some(), kind == WorkloadKind::CloneSet);
    }
    let collaset = json!({
        "observedGeneration": 3, "replicas": 5, "updatedReplicas": 2, "updatedReadyReplicas": 2,
        "updatedAvailableReplicas": 1, "currentRevision": "web-1", "updatedRevision": "web-2",
    });
    let workload = read(WorkloadKind::CollaSet, &json!({"replicas": 5}), &collaset);
    assert_eq!((workload.stable_revision.as_str(), workload.updated_revision.as_str()), ("web-1", "web-2"));
    let told = workload.told.unwrap();
    assert_eq!((told.updated, told.updated_ready, told.updated_available), (2, 2, 1));
    let decoration = json!({
        "observedGeneration": 3, "matchedPods": 5, "updatedPods": 2, "updatedReadyPods": 2, "updatedAvailablePods": 1,
        "currentRevision": "web-1", "updatedRevision": "web-2",
    });
    let workload = read(WorkloadKind::PodDecoration, &json!({}), &decoration);
    assert_eq!((workload.desired, workload.replicas, workload.updated_replicas), (5, 5, 2));
    let told = workload.told.unwrap();
    assert_eq!((told.updated, told.updated_ready, told.updated_available), (2, 2, 1));
}

#[test]
fn a_clonesets_pods_carry_a_name_or_a_hash() {
    let pod = |revision: &str| Pod {
        key: ObjectKey::default(),
        uid: String::new(),
        resource_version: String::new(),
        owner_uid: String::new(),
        revision: revision.to_owned(),
        template_label: None,
        ready_since: None,
        terminating: false,
        trouble: None,
    };
    let table = [("web-abc", true, true), ("abc", true, false), ("bc", false, false), ("", false, false)];
    for (label, cloneset, others) in table {
        assert_eq!(WorkloadKind::CloneSet.is_on(&pod(label), "web-abc"), cloneset, "{label}");
        assert_eq!(WorkloadKind::CollaSet.is_on(&pod(label), "web-abc"), others, "{label}");
    }
}

#[test]
fn the_template_alone_makes_its_hash() {
    let one: Value = serde_json::from_str(r#"{"spec": {"a": 1, "b": [{"c": 1, "d": 2}]}}"#).unwrap();
    let same: Value = serde_json::from_str(r#"{"spec": {"b": [{"d": 2, "c": 1}], "a": 1}}"#).unwrap();
    let other: Value = serde_json::from_str(r#"{"spec": {"a": 1, "b": [{"c": 1, "d": 3}]}}"#).unwrap();
    assert_eq!(template_hash(&one), template_hash(&same));
    assert_ne!(template_hash(&one), template_hash(&other));
    assert_eq!(template_hash(&one).len(), 16);
}
