//! The copy of a workload that a canary is.

use serde_json::{Map, Value, json};

use super::{WorkloadKind, template_hash};
use crate::{api::keys, decide::patch::merge_patch, intent::CanaryGoal};

/// What of a workload's metadata says something about the workload alone.
const OWN_ANNOTATIONS: [&str; 2] =
    ["kubectl.kubernetes.io/last-applied-configuration", keys::ANNOTATION_RECORDED_STRATEGY];

/// The object to create: the workload as it is now, under another name, with pods, selector and size of its own, and
/// with nothing that keeps its pods on an older template.
pub(crate) fn copy(kind: WorkloadKind, workload: &Value, name: &str, goal: &CanaryGoal) -> Value {
    let meta = &workload["metadata"];
    let mut labels = map(&meta["labels"]);
    labels.insert(keys::LABEL_CANARY_RESOURCE.to_owned(), json!("true"));
    let mut annotations = map(&meta["annotations"]);
    annotations.retain(|key, _| !OWN_ANNOTATIONS.contains(&key.as_str()));
    annotations
        .insert(keys::ANNOTATION_CANARY_TEMPLATE.to_owned(), json!(template_hash(&workload["spec"]["template"])));
    let lane = pod_labels(goal);
    let mut spec = workload["spec"].clone();
    let free = match kind {
        WorkloadKind::Deployment => json!({ "paused": null }),
        _ => kind.partition_patch(&json!(0)),
    };
    json_patch::merge(&mut spec, &free);
    spec["replicas"] = json!(goal.replicas);
    json_patch::merge(&mut spec["selector"], &json!({ "matchLabels": lane }));
    json_patch::merge(&mut spec["template"], &json!({ "metadata": { "labels": lane } }));
    if !goal.patch.annotations.is_empty() {
        json_patch::merge(&mut spec["template"], &json!({ "metadata": { "annotations": goal.patch.annotations } }));
    }
    json!({
        "apiVersion": workload["apiVersion"],
        "kind": workload["kind"],
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": annotations,
            "finalizers": [keys::FINALIZER_CANARY_RELEASE],
        },
        "spec": spec,
    })
}

/// The merge patch that brings an older copy up to date, or `None` if there is nothing to change. A selector never
/// changes.
pub(crate) fn refresh(copy: &Value, wanted: &Value) -> Option<Value> {
    let part = |object: &Value| {
        let meta = &object["metadata"];
        json!({
            "metadata": {
                "labels": { keys::LABEL_CANARY_RESOURCE: meta["labels"][keys::LABEL_CANARY_RESOURCE] },
                "annotations": { keys::ANNOTATION_CANARY_TEMPLATE: meta["annotations"][keys::ANNOTATION_CANARY_TEMPLATE] },
            },
            "spec": {
                "replicas": object["spec"]["replicas"],
                "template": object["spec"]["template"],
                "updateStrategy": object["spec"]["updateStrategy"],
            },
        })
    };
    let mut patch = merge_patch(&part(copy), &part(wanted))?;
    patch["metadata"]["resourceVersion"] = copy["metadata"]["resourceVersion"].clone();
    Some(patch)
}

/// The labels by which the copy's pods are told from the workload's own.
fn pod_labels(goal: &CanaryGoal) -> Map<String, Value> {
    let user = goal.patch.labels.iter().map(|(key, value)| (key.clone(), json!(value)));
    let ours = [(keys::LABEL_CANARY_RESOURCE, "true"), (keys::LABEL_TRAFFIC_LANE, keys::LANE_CANARY)];
    user.chain(ours.map(|(key, value)| (key.to_owned(), json!(value)))).collect()
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::MetadataPatch;

    fn goal(replicas: i32) -> CanaryGoal {
        let labels = BTreeMap::from([("track".to_owned(), "new".to_owned())]);
        let annotations = BTreeMap::from([("note".to_owned(), "canary".to_owned())]);
        CanaryGoal { replicas, patch: MetadataPatch { labels, annotations }, hold: false }
    }

    fn workload(image: &str) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 3,
                "labels": { "app": "web", keys::LABEL_WORKLOAD: "statefulset" },
                "annotations": {
                    keys::ANNOTATION_NAME: "shop", keys::ANNOTATION_RECORDED_STRATEGY: "{}",
                    "kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "a",
                },
                "ownerReferences": [{ "name": "x" }], "finalizers": ["theirs"], "managedFields": [],
            },
            "spec": {
                "replicas": 5, "selector": { "matchLabels": { "app": "web" } }, "serviceName": "web",
                "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": i32::MAX } },
                "template": {
                    "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "c", "image": image }] },
                },
            },
            "status": { "replicas": 5 },
        })
    }

    #[test]
    fn a_deployments_copy_is_not_parked() {
        let mut parked = workload("web:2");
        parked["spec"]["paused"] = json!(true);
        let copy = copy(WorkloadKind::Deployment, &parked, "web-canary", &goal(2));
        assert_eq!(copy["spec"]["paused"], Value::Null);
    }

    #[test]
    fn a_copy_has_a_life_of_its_own() {
        let copy = copy(WorkloadKind::StatefulSet, &workload("web:2"), "web-canary", &goal(2));
        insta::assert_json_snapshot!(copy);
    }

    #[test]
    fn a_copy_follows_template_and_size_alone() {
        let made = |image, replicas| copy(WorkloadKind::StatefulSet, &workload(image), "web-canary", &goal(replicas));
        let mut old = made("web:2", 2);
        old["metadata"]["resourceVersion"] = json!("9");
        old["spec"]["podManagementPolicy"] = json!("OrderedReady");
        assert_eq!(refresh(&old, &made("web:2", 2)), None);
        let patch = refresh(&old, &made("web:3", 1)).unwrap();
        assert_eq!(patch["metadata"]["resourceVersion"], "9");
        let mut patched = old.clone();
        json_patch::merge(&mut patched, &patch);
        assert_eq!(patched["spec"]["template"], made("web:3", 1)["spec"]["template"]);
        assert_eq!((&patched["spec"]["replicas"], &patched["spec"]["selector"]), (&json!(1), &old["spec"]["selector"]));
    }
}
