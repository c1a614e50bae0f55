//! Defaults of kinds that describe the cluster: network, storage, access, priorities.

use serde_json::{Map, Value, json};

use crate::object::{default, field_mut, map_mut};

const RBAC: &str = "rbac.authorization.k8s.io";

pub(super) fn network_policy(object: &mut Value) {
    let spec = field_mut(object, "spec");
    let has_egress = spec.get("egress").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty());
    if spec.get("policyTypes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let types = if has_egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        spec.insert("policyTypes".to_owned(), types);
    }
    for direction in ["ingress", "egress"] {
        for rule in items(spec, direction) {
            super::ports(map_mut(rule));
        }
    }
}

pub(super) fn ingress_class(object: &mut Value) {
    if let Some(Value::Object(parameters)) = field_mut(object, "spec").get_mut("parameters") {
        default(parameters, "scope", "Cluster");
    }
}

pub(super) fn binding(object: &mut Value) {
    let role = field_mut(object, "roleRef");
    if role.get("apiGroup").and_then(Value::as_str).is_none_or(str::is_empty) {
        role.insert("apiGroup".to_owned(), RBAC.into());
    }
    for subject in items(map_mut(object), "subjects") {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            default(map_mut(subject), "apiGroup", RBAC);
        }
    }
}

pub(super) fn volume(object: &mut Value) {
    let spec = field_mut(object, "spec");
    default(spec, "persistentVolumeReclaimPolicy", "Retain");
    default(spec, "volumeMode", "Filesystem");
    default(field_mut(object, "status"), "phase", "Pending");
}

pub(super) fn claim(object: &mut Value) {
    default(field_mut(object, "spec"), "volumeMode", "Filesystem");
    default(field_mut(object, "status"), "phase", "Pending");
}

pub(super) fn storage_class(object: &mut Value) {
    default(map_mut(object), "reclaimPolicy", "Delete");
    default(map_mut(object), "volumeBindingMode", "Immediate");
}

pub(super) fn priority_class(object: &mut Value) {
    default(map_mut(object), "preemptionPolicy", "PreemptLowerPriority");
}

fn items<'a>(map: &'a mut Map<String, Value>, field: &str) -> impl Iterator<Item = &'a mut Value> {
    map.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}
