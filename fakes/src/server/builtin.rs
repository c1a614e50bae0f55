//! What is particular to the built-in kinds: which endpoint writes which part, and what they refuse.

use serde_json::{Value, json};

use super::{Subresource, Target, typed};
use crate::{
    defaults::quality_of_service,
    object::{self, at, default, field_mut, map_mut, same, set_meta, strings},
    registry::{add_stored_version, check_definition},
    schema::Cause,
    types, validation,
};

fn plural(target: &Target) -> &str {
    if target.resource.custom { "" } else { &target.resource.resource.plural }
}

/// Sets what a new object starts with.
pub(super) fn prepare_create(object: &mut Value, target: &Target) {
    match plural(target) {
        "pods" => {
            let class = quality_of_service(object.get("spec").unwrap_or(&Value::Null));
            map_mut(object).insert("status".to_owned(), json!({ "phase": "Pending", "qosClass": class }));
        }
        "namespaces" => {
            map_mut(object).insert("status".to_owned(), json!({ "phase": "Active" }));
            let finalizers = map_mut(object).entry("spec").or_insert(Value::Null);
            let mut finalizers: Vec<Value> =
                strings(finalizers.get("finalizers")).into_iter().map(Value::from).collect();
            if !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
                finalizers.push("kubernetes".into());
            }
            field_mut(object, "spec").insert("finalizers".to_owned(), finalizers.into());
        }
        "customresourcedefinitions" => {
            let status = json!({ "conditions": null, "acceptedNames": { "plural": "", "kind": "" } });
            map_mut(object).insert("status".to_owned(), status);
            add_stored_version(object);
        }
        "jobs" => {
            select_own_pods(object);
            reset_status(object, target);
        }
        "daemonsets" => {
            let annotations = map_mut(object::meta_mut(object).entry("annotations").or_insert(Value::Null));
            annotations.insert("deprecated.daemonset.template.generation".to_owned(), "1".into());
            reset_status(object, target);
        }
        "persistentvolumes" | "persistentvolumeclaims" => {
            map_mut(object).insert("status".to_owned(), json!({ "phase": "Pending" }));
        }
        // A node reports itself.
        "nodes" => {}
        _ => reset_status(object, target),
    }
}

/// Nothing has been observed of a new object.
fn reset_status(object: &mut Value, target: &Target) {
    let status = typed::stored_type(target).filter(|_| target.version().status).and_then(|ty| ty.field("status"));
    if let Some(status) = status {
        map_mut(object).insert("status".to_owned(), types::zero(status.ty.get()));
    }
}

/// A Job selects the pods that carry its uid, unless it is told otherwise.
fn select_own_pods(job: &mut Value) {
    let (name, uid) = (object::name(job).to_owned(), object::uid(job).to_owned());
    let spec = field_mut(job, "spec");
    if spec.get("manualSelector") == Some(&Value::Bool(true)) {
        return;
    }
    let template = map_mut(spec.entry("template").or_insert(Value::Null));
    let metadata = map_mut(template.entry("metadata").or_insert(Value::Null));
    let labels = map_mut(metadata.entry("labels").or_insert(Value::Null));
    let given = Value::Object(labels.clone());
    for prefix in ["", "batch.kubernetes.io/"] {
        default(labels, &format!("{prefix}job-name"), name.clone());
        default(labels, &format!("{prefix}controller-uid"), uid.clone());
    }
    let labels = Value::Object(labels.clone());
    let selector = map_mut(spec.entry("selector").or_insert(Value::Null));
    let selected = map_mut(selector.entry("matchLabels").or_insert(Value::Null));
    default(selected, "batch.kubernetes.io/controller-uid", uid);
    // Labels that a Job has from its pods are one with theirs.
    if object::same(object::meta(job, "labels"), Some(&given)) {
        set_meta(job, "labels", Some(labels));
    }
}

/// Brings what was sent into the form that is kept.
pub(super) fn decode(object: &mut Value, target: &Target) {
    // An entry that is null is stored as an empty one.
    for field in if matches!(plural(target), "secrets" | "configmaps") { &["data", "binaryData"][..] } else { &[] } {
        let entries = map_mut(object).get_mut(*field).and_then(Value::as_object_mut);
        for value in entries.into_iter().flat_map(|entries| entries.values_mut()).filter(|value| value.is_null()) {
            *value = "".into();
        }
    }
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
                "pods" => {
                    for field in ["ownerReferences", "deletionTimestamp"] {
                        set_meta(new, field, object::meta(old, field).cloned());
                    }
                    if let Some(class) = at(old, &["status", "qosClass"]) {
                        default(field_mut(new, "status"), "qosClass", class.clone());
                    }
                }
                "deployments" => set_meta(new, "labels", object::meta(old, "labels").cloned()),
                _ => {}
            }
        }
        (_, true) => {
            keep(new, "status");
            if plural(target) == "customresourcedefinitions" {
                add_stored_version(new);
            }
            if plural(target) == "namespaces" {
                let spec = field_mut(new, "spec");
                match at(old, &["spec", "finalizers"]) {
                    Some(finalizers) => spec.insert("finalizers".to_owned(), finalizers.clone()),
                    None => spec.shift_remove("finalizers"),
                };
            }
        }
        (_, false) => {}
    }
}

/// Counts a change of what is desired in `metadata.generation`.
pub(super) fn count_generation(old: &Value, new: &mut Value, target: &Target) {
    // A class of priority starts at one and stays there.
    let is_counted = target.resource.traits.generation && plural(target) != "priorityclasses";
    if !is_counted || target.subresource == Subresource::Status {
        return;
    }
    let status = target.version().status;
    let desired = |field: &str| field != "metadata" && !(status && field == "status");
    let fields = |object: &Value| -> Vec<String> {
        object.as_object().into_iter().flat_map(|fields| fields.keys()).filter(|f| desired(f)).cloned().collect()
    };
    let mut all = fields(old);
    all.extend(fields(new));
    // Annotations of a Deployment count, because its new ReplicaSet gets them; and so do labels of an EndpointSlice.
    let differs = |field: &str| !same(object::meta(old, field), object::meta(new, field));
    let described = match plural(target) {
        "deployments" => differs("annotations"),
        "endpointslices" => differs("labels"),
        _ => false,
    };
    if described || all.iter().any(|field| !same(old.get(field), new.get(field))) {
        set_meta(new, "generation", Some(json!(object::generation(old) + 1)));
    }
}

/// What the kind itself refuses.
pub(super) fn validate(object: &Value, old: Option<&Value>, target: &Target) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(old) = old.filter(|_| target.subresource == Subresource::Status) {
        validation::status(plural(target), object, old, &mut causes);
        return causes;
    }
    validation::validate(plural(target), object, old, &mut causes);
    match (plural(target), old) {
        ("controllerrevisions", Some(old)) if !same(old.get("data"), object.get("data")) => {
            let data = object.get("data").unwrap_or(&Value::Null);
            causes.push(Cause::invalid("data", data, "field is immutable"));
        }
        ("customresourcedefinitions", _) => causes.extend(check_definition(object, old)),
        _ => {}
    }
    causes
}

/// What the kind lets through but warns of.
pub(super) fn warnings(object: &Value, old: Option<&Value>, target: &Target) -> Vec<String> {
    match target.subresource {
        Subresource::Status => Vec::new(),
        _ => validation::warnings(plural(target), object, old),
    }
}
