//! What the server refuses in metadata.
//!
//! Several places of the real server look at the metadata of an object, and each tells what it finds: one that all objects
//! pass, and those of the kind.

use serde_json::{Value, json};

use crate::{
    names,
    object::{self, meta, same, text},
    schema::Cause,
    server::{Subresource, Target},
};

const MAX_ANNOTATIONS_BYTES: usize = 256 * 1024;
const IMMUTABLE: &str = "field is immutable";
/// What an update may not say otherwise than it is.
const IMMUTABLE_FIELDS: [&str; 3] = ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"];
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// Who of a kind looks at metadata.
#[derive(Clone, Copy)]
struct Looks {
    /// Whether finalizers have to be standard ones or have a domain.
    qualified: bool,
    /// Whether a change is looked at as a change.
    changes: bool,
    /// Whether the result of a change is looked at as a new object is.
    whole: bool,
}

impl Looks {
    fn of(target: &Target) -> Self {
        let resource = &target.resource.resource;
        let main = target.subresource != Subresource::Status;
        let looks = |qualified, changes, whole| Self { qualified, changes, whole: whole && main };
        if target.resource.custom {
            return looks(false, true, false);
        }
        match (&*resource.group, &*resource.plural) {
            ("policy", _) => looks(false, false, false),
            ("coordination.k8s.io" | "apiextensions.k8s.io" | "apiregistration.k8s.io", _) => looks(false, true, false),
            ("admissionregistration.k8s.io", _) => looks(false, false, true),
            ("flowcontrol.apiserver.k8s.io", _)
            | ("", "persistentvolumes")
            | ("discovery.k8s.io", "endpointslices")
            | ("storage.k8s.io", "csinodes" | "volumeattachments") => looks(true, false, true),
            ("rbac.authorization.k8s.io", _)
            | (
                "",
                "configmaps"
                | "secrets"
                | "pods"
                | "namespaces"
                | "nodes"
                | "serviceaccounts"
                | "endpoints"
                | "persistentvolumeclaims",
            )
            | ("networking.k8s.io", "ingresses" | "ingressclasses")
            | ("apps", "controllerrevisions") => looks(true, true, true),
            _ => looks(true, true, false),
        }
    }

    /// Nobody of the kind looks.
    fn none(self) -> bool {
        !self.changes && !self.whole
    }
}

/// What the places that look before the object is stored refuse.
pub(in crate::server) fn validate(object: &Value, old: Option<&Value>, target: &Target) -> Vec<Cause> {
    let looks = Looks::of(target);
    let mut causes = Vec::new();
    let Some(old) = old else {
        if !looks.none() {
            name(object, target, &mut causes);
            parts(object, &mut causes);
            finalizers(object, &mut causes);
            qualified(object, looks, &mut causes);
        }
        return causes;
    };
    names::check_segment(text(object, &["metadata", "generateName"]), "metadata.generateName", &mut causes);
    parts(object, &mut causes);
    finalizers(object, &mut causes);
    change(object, old, &mut causes);
    if looks.changes {
        change(object, old, &mut causes);
        qualified(object, looks, &mut causes);
    }
    if looks.whole {
        generated(object, target, &mut causes);
        parts(object, &mut causes);
        finalizers(object, &mut causes);
        qualified(object, looks, &mut causes);
    }
    causes
}

/// What is refused in the metadata of a `Scale`, whatever it is the scale of.
pub(in crate::server) fn validate_scale(scale: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    names::check_segment(text(scale, &["metadata", "generateName"]), "metadata.generateName", &mut causes);
    parts(scale, &mut causes);
    finalizers(scale, &mut causes);
    qualified(scale, Looks { qualified: true, changes: false, whole: false }, &mut causes);
    causes
}

/// What is refused in a new object that its kind finds nothing wrong with.
pub(in crate::server) fn validate_valid(object: &Value, target: &Target) -> Vec<Cause> {
    let mut causes = Vec::new();
    if Looks::of(target).none() {
        name_of(object, &mut causes, names::check_segment);
        parts(object, &mut causes);
        finalizers(object, &mut causes);
    }
    causes
}

fn name(object: &Value, target: &Target, causes: &mut Vec<Cause>) {
    generated(object, target, causes);
    let faults = name_rule(target);
    name_of(object, causes, |name, at, causes| {
        causes.extend(faults(name).into_iter().map(|why| Cause::invalid(at, &json!(name), &why)));
    });
}

fn name_of(object: &Value, causes: &mut Vec<Cause>, check: impl Fn(&str, &str, &mut Vec<Cause>)) {
    match object::name(object) {
        "" => causes.push(Cause::required("metadata.name", "name or generateName is required")),
        name => check(name, "metadata.name", causes),
    }
}

/// A name may not end in a dash, but what comes before the rest of it may.
fn generated(object: &Value, target: &Target, causes: &mut Vec<Cause>) {
    let prefix = text(object, &["metadata", "generateName"]);
    if prefix.is_empty() {
        return;
    }
    let masked = match prefix.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let kept: String = rest.chars().take(rest.chars().count() - 1).collect();
            format!("{kept}a")
        }
        _ => prefix.to_owned(),
    };
    let faults = name_rule(target)(&masked).into_iter();
    causes.extend(faults.map(|why| Cause::invalid("metadata.generateName", &json!(prefix), &why)));
}

fn name_rule(target: &Target) -> fn(&str) -> Vec<String> {
    let resource = &target.resource.resource;
    match (&*resource.group, &*resource.plural) {
        ("", "namespaces" | "services") | ("apps", "statefulsets") if !target.resource.custom => names::label_faults,
        ("rbac.authorization.k8s.io", _) => names::segment_faults,
        _ => names::subdomain_faults,
    }
}

/// Labels, annotations and owners.
fn parts(object: &Value, causes: &mut Vec<Cause>) {
    names::check_labels(meta(object, "labels"), "metadata.labels", causes);
    let annotations = meta(object, "annotations");
    names::check_annotations(annotations, "metadata.annotations", causes);
    let entries = annotations.and_then(Value::as_object).into_iter().flatten();
    let size: usize = entries.map(|(key, value)| key.len() + value.as_str().unwrap_or_default().len()).sum();
    if size > MAX_ANNOTATIONS_BYTES {
        causes.push(Cause::too_long("metadata.annotations", MAX_ANNOTATIONS_BYTES as u64));
    }
    owners(object, causes);
}

fn owners(object: &Value, causes: &mut Vec<Cause>) {
    let mut controller: Option<String> = None;
    let owners = meta(object, "ownerReferences").and_then(Value::as_array);
    for owner in owners.into_iter().flatten() {
        owner_parts(owner, causes);
        if owner.get("controller").and_then(Value::as_bool).unwrap_or_default() {
            let name = format!("{}/{}", text(owner, &["kind"]), text(owner, &["name"]));
            if let Some(first) = &controller {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                );
                let all = owners.into_iter().flatten().map(shown_owner).collect();
                causes.push(Cause::invalid_struct("metadata.ownerReferences", &all, &why));
            }
            controller = controller.or(Some(name));
        }
    }
}

fn owner_parts(owner: &Value, causes: &mut Vec<Cause>) {
    let version = text(owner, &["apiVersion"]);
    let is_versioned = match version.split_once('/') {
        Some((_, version)) => !version.is_empty() && !version.contains('/'),
        None => !version.is_empty(),
    };
    if !is_versioned {
        let why = "version must not be empty";
        causes.push(Cause::invalid("metadata.ownerReferences.apiVersion", &json!(version), why));
    }
    for part in ["kind", "name", "uid"] {
        if text(owner, &[part]).is_empty() {
            let at = format!("metadata.ownerReferences.{part}");
            causes.push(Cause::invalid(&at, &json!(""), "must not be empty"));
        }
    }
    if version == "v1" && text(owner, &["kind"]) == "Event" {
        let why = "/v1, Kind=Event is disallowed from being an owner";
        causes.push(Cause::invalid_struct("metadata.ownerReferences", &shown_owner(owner), why));
    }
}

/// An owner with its fields in the order the server shows them.
fn shown_owner(owner: &Value) -> Value {
    let fields = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    fields.iter().filter_map(|&field| Some((field.to_owned(), owner.get(field)?.clone()))).collect()
}

fn finalizers(object: &Value, causes: &mut Vec<Cause>) {
    let all = object::finalizers(object);
    for finalizer in &all {
        names::check_key(finalizer, "metadata.finalizers", causes);
    }
    if all.contains(&"orphan") && all.contains(&"foregroundDeletion") {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        causes.push(Cause::invalid("metadata.finalizers", &json!(all), why));
    }
}

fn qualified(object: &Value, looks: Looks, causes: &mut Vec<Cause>) {
    for (index, finalizer) in object::finalizers(object).into_iter().enumerate().filter(|_| looks.qualified) {
        if is_unqualified(finalizer) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(&format!("metadata.finalizers[{index}]"), &json!(finalizer), why));
        }
    }
}

/// A finalizer that neither Kubernetes knows nor a domain owns.
pub(super) fn is_unqualified(finalizer: &str) -> bool {
    !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer)
}

/// What a change may not do.
fn change(object: &Value, old: &Value, causes: &mut Vec<Cause>) {
    if object::is_deleting(old) {
        let known = object::finalizers(old);
        let mut added: Vec<&str> =
            object::finalizers(object).into_iter().filter(|name| !known.contains(name)).collect();
        added.sort_unstable();
        added.dedup();
        if !added.is_empty() {
            let added: Vec<String> = added.iter().map(|name| format!("{name:?}")).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    for field in IMMUTABLE_FIELDS {
        let (old, new) = (meta(old, field), meta(object, field));
        if !same(old, new) {
            causes.push(Cause::invalid(&format!("metadata.{field}"), new.unwrap_or(&Value::Null), IMMUTABLE));
        }
    }
    parts(object, causes);
}
