//! Metadata: what the server stamps, what it keeps, what it refuses.

use serde_json::{Value, json};

use super::{Target, WriteOptions};
use crate::{
    names::{self, LABEL_RULE, MAX_LABEL, MAX_SUBDOMAIN},
    object::{self, map_mut, meta, meta_mut, set_meta, strings},
    schema::Cause,
    store::Store,
};

pub(super) use crate::names::{SERVICE_RULE, SUBDOMAIN_RULE, is_service_name, is_subdomain, wrong_key};

/// Fields only the server writes.
const SYSTEM_FIELDS: [&str; 5] =
    ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"];

/// The longest prefix of a generated name.
const MAX_GENERATED_PREFIX: usize = 58;
const MAX_ANNOTATIONS_BYTES: usize = 256 * 1024;
const CHECKS_OF_AN_UPDATE: usize = 4;

/// Takes out of a new object what only the server says, and has it say what it is.
pub(super) fn prepare_create(object: &mut Value, target: &Target) {
    // A patch may have left nothing but some fields; a stored object always says what it is.
    let version = target.resource.storage_version().map_or("v1", |version| &version.name);
    let api_version = if target.resource.stored_as.group.is_empty() {
        version.to_owned()
    } else {
        target.resource.api_version(version)
    };
    let fields = map_mut(object);
    fields.insert("apiVersion".to_owned(), api_version.into());
    fields.insert("kind".to_owned(), target.resource.kind.clone().into());
    let metadata = meta_mut(object);
    for field in SYSTEM_FIELDS.iter().filter(|field| **field != "generation") {
        metadata.shift_remove(*field);
    }
    metadata.shift_remove("resourceVersion");
    metadata.shift_remove("selfLink");
    if !target.resource.namespaced {
        metadata.shift_remove("namespace");
    }
    drop_empty(object);
}

/// Stamps a new object: name from generateName, uid, time of creation.
pub(super) fn identify(object: &mut Value, store: &Store) {
    let metadata = meta_mut(object);
    let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, prefix) = (text("name"), text("generateName"));
    if name.is_empty() && !prefix.is_empty() {
        let prefix: String = prefix.chars().take(MAX_GENERATED_PREFIX).collect();
        metadata.insert("name".to_owned(), format!("{prefix}{}", store.suffix()).into());
    }
    metadata.insert("uid".to_owned(), store.uid().into());
    metadata.insert("creationTimestamp".to_owned(), store.clock().stamp().into());
}

/// Keeps what a writer cannot change.
pub(super) fn carry_over(old: &Value, new: &mut Value) {
    for field in ["apiVersion", "kind"] {
        if let Some(value) = old.get(field) {
            map_mut(new).insert(field.to_owned(), value.clone());
        }
    }
    for field in SYSTEM_FIELDS {
        set_meta(new, field, meta(old, field).cloned());
    }
    set_meta(new, "name", meta(old, "name").cloned());
    set_meta(new, "namespace", meta(old, "namespace").cloned());
    set_meta(new, "resourceVersion", meta(old, "resourceVersion").cloned());
    set_meta(new, "selfLink", None);
    drop_empty(new);
}

/// Empty maps and lists in metadata are left out, as the server leaves them out.
fn drop_empty(object: &mut Value) {
    meta_mut(object).retain(|_, value| match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
}

pub(super) fn validate(object: &Value, old: Option<&Value>, target: &Target) -> Vec<Cause> {
    let mut causes = Vec::new();
    if old.is_none() {
        validate_name(object, target, &mut causes);
    }
    for (key, value) in meta(object, "labels").and_then(Value::as_object).into_iter().flatten() {
        names::check_label(key, value, "metadata.labels", &mut causes);
    }
    let mut size = 0;
    for (key, value) in meta(object, "annotations").and_then(Value::as_object).into_iter().flatten() {
        if let Some(why) = names::wrong_key(&key.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", &json!(key), &why));
        }
        size += key.len() + value.as_str().unwrap_or_default().len();
    }
    if size > MAX_ANNOTATIONS_BYTES {
        causes.push(Cause::too_long("metadata.annotations", MAX_ANNOTATIONS_BYTES as u64));
    }
    validate_owners(object, &mut causes);
    for finalizer in object::finalizers(object) {
        if let Some(why) = names::wrong_key(finalizer) {
            causes.push(Cause::invalid("metadata.finalizers", &json!(finalizer), &why));
        }
    }
    let both = object::finalizers(object);
    if both.contains(&"orphan") && both.contains(&"foregroundDeletion") {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        causes.push(Cause::invalid("metadata.finalizers", &json!(both), why));
    }
    // The real server looks at the metadata of an update from several places, and each tells what it finds.
    if old.is_some() {
        causes = std::iter::repeat_n(causes, CHECKS_OF_AN_UPDATE).flatten().collect();
    }
    if let Some(old) = old.filter(|old| object::is_deleting(old)) {
        let known = object::finalizers(old);
        let added: Vec<&str> = object::finalizers(object).into_iter().filter(|name| !known.contains(name)).collect();
        if !added.is_empty() {
            let added: Vec<String> = added.iter().map(|name| format!("{name:?}")).collect();
            let cause = Cause::forbidden(
                "metadata.finalizers",
                &format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    added.join(", ")
                ),
            );
            causes.extend([cause.clone(), cause]);
        }
    }
    causes
}

/// Warns of what is let through but unwise.
pub(super) fn warn(object: &Value, old: Option<&Value>, options: &WriteOptions) {
    let known = old.map(object::finalizers).unwrap_or_default();
    let standard = ["orphan", "foregroundDeletion", "kubernetes"];
    for finalizer in object::finalizers(object) {
        if !finalizer.contains('/') && !standard.contains(&finalizer) && !known.contains(&finalizer) {
            options.warnings.push(format!(
                "metadata.finalizers: {finalizer:?}: prefer a domain-qualified finalizer name to avoid accidental \
                 conflicts with other finalizer writers"
            ));
        }
    }
}

fn validate_name(object: &Value, target: &Target, causes: &mut Vec<Cause>) {
    let name = object::name(object);
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
        return;
    }
    let plural = &*target.resource.resource.plural;
    let builtin = !target.resource.custom;
    let (limit, rule, fits): (usize, &str, fn(&str) -> bool) = match plural {
        "namespaces" if builtin => (MAX_LABEL, LABEL_RULE, names::is_label),
        "services" if builtin => (MAX_LABEL, SERVICE_RULE, names::is_service_name),
        _ => (MAX_SUBDOMAIN, SUBDOMAIN_RULE, names::is_subdomain),
    };
    let prefix = object::text(object, &["metadata", "generateName"]);
    // A name may not end in a dash, but what comes before the rest of it may.
    let begins = if prefix.len() > 1 { prefix.trim_end_matches('-') } else { prefix };
    if !prefix.is_empty() && !begins.is_empty() && !fits(begins) {
        causes.push(Cause::invalid("metadata.generateName", &json!(prefix), rule));
    }
    if name.len() > limit {
        causes.push(Cause::invalid("metadata.name", &json!(name), &format!("must be no more than {limit} bytes")));
    }
    if !fits(name) {
        let has_dots = rule == LABEL_RULE && names::is_subdomain(name);
        let rule = if has_dots { "must not contain dots" } else { rule };
        causes.push(Cause::invalid("metadata.name", &json!(name), rule));
    }
}

fn validate_owners(object: &Value, causes: &mut Vec<Cause>) {
    let mut controller: Option<String> = None;
    let owners = meta(object, "ownerReferences").and_then(Value::as_array);
    for owner in owners.into_iter().flatten() {
        for part in ["apiVersion", "kind", "name", "uid"] {
            if object::text(owner, &[part]).is_empty() {
                let why = if part == "apiVersion" { "version must not be empty" } else { "must not be empty" };
                causes.push(Cause::invalid(&format!("metadata.ownerReferences.{part}"), &json!(""), why));
            }
        }
        if owner.get("controller").and_then(Value::as_bool).unwrap_or_default() {
            let name = format!("{}/{}", object::text(owner, &["kind"]), object::text(owner, &["name"]));
            if let Some(first) = &controller {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                );
                let all = owners.into_iter().flatten().map(shown_owner).collect();
                causes.push(Cause::invalid("metadata.ownerReferences", &all, &why));
            }
            controller = controller.or(Some(name));
        }
    }
}

/// An owner with its fields in the order the server shows them.
fn shown_owner(owner: &Value) -> Value {
    let fields = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    fields.iter().filter_map(|&field| Some((field.to_owned(), owner.get(field)?.clone()))).collect()
}

/// The values of a list in metadata.
pub(super) fn finalizers_value(finalizers: &[String]) -> Option<Value> {
    (!finalizers.is_empty()).then(|| json!(finalizers))
}

/// The finalizers as owned strings.
pub(super) fn finalizers_owned(object: &Value) -> Vec<String> {
    strings(meta(object, "finalizers")).into_iter().map(str::to_owned).collect()
}
