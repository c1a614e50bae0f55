//! What is particular to the built-in kinds: which endpoint writes which part, and what they refuse.

use serde_json::{Value, json};

use super::{Subresource, Target};
use crate::{
    object::{self, at, field_mut, map_mut, same, set_meta, text},
    registry::{parse_definition, stored_versions},
    schema::Cause,
    selector::LabelSelector,
};

/// StatefulSet spec fields that an update may change.
const MUTABLE_SET_FIELDS: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

fn plural(target: &Target) -> &str {
    if target.resource.custom { "" } else { &target.resource.resource.plural }
}

/// Sets what a new object starts with.
pub(super) fn prepare_create(object: &mut Value, target: &Target) {
    match plural(target) {
        "pods" => {
            map_mut(object).insert("status".to_owned(), json!({ "phase": "Pending" }));
        }
        "deployments" => drop(map_mut(object).insert("status".to_owned(), json!({}))),
        "statefulsets" | "replicasets" => {
            let mut status = json!({ "replicas": 0 });
            if plural(target) == "statefulsets" {
                status["availableReplicas"] = json!(0);
            }
            map_mut(object).insert("status".to_owned(), status);
        }
        "poddisruptionbudgets" => {
            let status = json!({
                "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0
            });
            map_mut(object).insert("status".to_owned(), status);
        }
        "namespaces" => {
            map_mut(object).insert("status".to_owned(), json!({ "phase": "Active" }));
            field_mut(object, "spec").insert("finalizers".to_owned(), json!(["kubernetes"]));
        }
        "customresourcedefinitions" => {
            let status = json!({
                "conditions": null, "acceptedNames": { "plural": "", "kind": "" },
                "storedVersions": stored_versions(object)
            });
            map_mut(object).insert("status".to_owned(), status);
        }
        _ => {}
    }
}

/// Brings what was sent into the form that is kept.
pub(super) fn decode(object: &mut Value, target: &Target) {
    if plural(target) != "secrets" {
        return;
    }
    let Some(Value::Object(strings)) = map_mut(object).shift_remove("stringData") else { return };
    let data = field_mut(object, "data");
    for (key, value) in strings {
        let bytes = k8s_openapi::ByteString(value.as_str().unwrap_or_default().as_bytes().to_vec());
        data.insert(key, json!(bytes));
    }
}

/// Puts back what the endpoint that was written to does not write.
pub(super) fn merge_subresource(old: &Value, new: &mut Value, target: &Target) {
    let keep = |new: &mut Value, field: &str| match old.get(field) {
        Some(value) => map_mut(new).insert(field.to_owned(), value.clone()),
        None => map_mut(new).shift_remove(field),
    };
    match (target.subresource, target.version().status) {
        (Subresource::Status, _) if target.resource.custom => {
            let status = new.get("status").cloned();
            let managed = object::meta(new, "managedFields").cloned();
            *new = old.clone();
            set_meta(new, "managedFields", managed);
            match status {
                Some(status) => map_mut(new).insert("status".to_owned(), status),
                None => map_mut(new).shift_remove("status"),
            };
        }
        (Subresource::Status, _) => {
            keep(new, "spec");
            match plural(target) {
                "pods" => set_meta(new, "ownerReferences", object::meta(old, "ownerReferences").cloned()),
                "deployments" => set_meta(new, "labels", object::meta(old, "labels").cloned()),
                _ => {}
            }
        }
        (_, true) => {
            keep(new, "status");
            if plural(target) == "namespaces" {
                let finalizers = at(old, &["spec", "finalizers"]).cloned().unwrap_or_default();
                field_mut(new, "spec").insert("finalizers".to_owned(), finalizers);
            }
        }
        (_, false) => {}
    }
}

/// Counts a change of what is desired in `metadata.generation`.
pub(super) fn count_generation(old: &Value, new: &mut Value, target: &Target) {
    if !target.resource.traits.generation || target.subresource == Subresource::Status {
        return;
    }
    let status = target.version().status;
    let desired = |field: &str| field != "metadata" && !(status && field == "status");
    let fields = |object: &Value| -> Vec<String> {
        object.as_object().into_iter().flat_map(|fields| fields.keys()).filter(|f| desired(f)).cloned().collect()
    };
    let mut all = fields(old);
    all.extend(fields(new));
    // Annotations of a Deployment count, because its new ReplicaSet gets them.
    let annotated =
        plural(target) == "deployments" && !same(object::meta(old, "annotations"), object::meta(new, "annotations"));
    if annotated || all.iter().any(|field| !same(old.get(field), new.get(field))) {
        set_meta(new, "generation", Some(json!(object::generation(old) + 1)));
    }
}

/// What the kind itself refuses.
pub(super) fn validate(object: &Value, old: Option<&Value>, target: &Target) -> Vec<Cause> {
    if target.subresource == Subresource::Status {
        return Vec::new();
    }
    let mut causes = Vec::new();
    match plural(target) {
        "statefulsets" => {
            workload(object, &mut causes);
            not_negative(object, "spec.updateStrategy.rollingUpdate.partition", &mut causes);
            if let Some(old) = old {
                immutable_set_fields(old, object, &mut causes);
            }
        }
        "deployments" | "replicasets" => {
            workload(object, &mut causes);
            if let Some(old) = old {
                immutable(old, object, &["spec", "selector"], &mut causes);
            }
        }
        "pods" => match old {
            None => pod_spec(object.get("spec").unwrap_or(&Value::Null), "spec", &mut causes),
            Some(old) => immutable_pod_fields(old, object, &mut causes),
        },
        "controllerrevisions" => {
            if let Some(old) = old {
                immutable(old, object, &["data"], &mut causes);
            }
        }
        "configmaps" | "secrets" => {
            let frozen = old.filter(|old| old.get("immutable") == Some(&Value::Bool(true)));
            if let Some(old) = frozen.filter(|old| !same(old.get("data"), object.get("data"))) {
                debug_assert!(old.is_object());
                causes.push(Cause::forbidden("data", "field is immutable when `immutable` is set"));
            }
        }
        "customresourcedefinitions" => {
            if let Err(found) = parse_definition(object) {
                causes.extend(found);
            }
        }
        _ => {}
    }
    causes
}

fn workload(object: &Value, causes: &mut Vec<Cause>) {
    not_negative(object, "spec.replicas", causes);
    let template = at(object, &["spec", "template"]).unwrap_or(&Value::Null);
    match at(object, &["spec", "selector"]).filter(|selector| !selector.is_null()) {
        None => causes.push(Cause::required("spec.selector", "")),
        Some(selector) => match LabelSelector::from_object(selector) {
            Err(why) => causes.push(Cause::invalid("spec.selector", selector, &why)),
            Ok(parsed) if parsed.is_empty() => {
                causes.push(Cause::invalid("spec.selector", selector, "empty selector is invalid for statefulset"));
            }
            Ok(parsed) if !parsed.matches(template) => causes.push(Cause::invalid(
                "spec.template.metadata.labels",
                at(template, &["metadata", "labels"]).unwrap_or(&Value::Null),
                "`selector` does not match template `labels`",
            )),
            Ok(_) => {}
        },
    }
    pod_spec(template.get("spec").unwrap_or(&Value::Null), "spec.template.spec", causes);
}

fn pod_spec(spec: &Value, field: &str, causes: &mut Vec<Cause>) {
    let containers = spec.get("containers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if containers.is_empty() {
        causes.push(Cause::required(&format!("{field}.containers"), ""));
    }
    let mut seen: Vec<&str> = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        let at = format!("{field}.containers[{index}]");
        let name = text(container, &["name"]);
        if name.is_empty() {
            causes.push(Cause::required(&format!("{at}.name"), ""));
        } else if seen.contains(&name) {
            causes.push(Cause::duplicate(&format!("{at}.name"), &json!(name)));
        }
        seen.push(name);
        if text(container, &["image"]).is_empty() {
            causes.push(Cause::required(&format!("{at}.image"), ""));
        }
    }
}

fn not_negative(object: &Value, field: &str, causes: &mut Vec<Cause>) {
    let value = field.split('.').try_fold(object, |value, part| value.get(part));
    if let Some(value) = value.filter(|value| value.as_i64().is_some_and(|n| n < 0)) {
        causes.push(Cause::invalid(field, value, "must be greater than or equal to 0"));
    }
}

fn immutable(old: &Value, new: &Value, path: &[&str], causes: &mut Vec<Cause>) {
    let (old, new) = (at(old, path), at(new, path));
    if !same(old, new) {
        causes.push(Cause::invalid(&path.join("."), new.unwrap_or(&Value::Null), "field is immutable"));
    }
}

fn differs_beyond(old: Option<&Value>, new: Option<&Value>, allowed: &[&str]) -> bool {
    let strip = |value: Option<&Value>| {
        let mut value = value.cloned().unwrap_or_default();
        map_mut(&mut value).retain(|field, value| !allowed.contains(&field.as_str()) && !value.is_null());
        value
    };
    strip(old) != strip(new)
}

fn immutable_set_fields(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    if differs_beyond(old.get("spec"), new.get("spec"), &MUTABLE_SET_FIELDS) {
        causes.push(Cause::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

fn immutable_pod_fields(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let without_images = |pod: &Value| {
        let mut spec = pod.get("spec").cloned().unwrap_or_default();
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                map_mut(container).shift_remove("image");
            }
        }
        spec
    };
    let mut mutable = vec!["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"];
    // Binding is an update here: there is no scheduler with an endpoint of its own.
    if text(old, &["spec", "nodeName"]).is_empty() {
        mutable.push("nodeName");
    }
    if differs_beyond(Some(&without_images(old)), Some(&without_images(new)), &mutable) {
        causes.push(Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
             tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
}
