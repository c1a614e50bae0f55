//! Metadata: what the server stamps, what it keeps, what it refuses.

mod rules;

use serde_json::{Value, json};

pub(super) use self::rules::{validate, validate_scale, validate_valid};
use super::{Target, WriteOptions};
use crate::{
    object::{self, map_mut, meta, meta_mut, set_meta, strings},
    store::Store,
};

pub(super) use crate::names::{SERVICE_RULE, SUBDOMAIN_RULE, is_service_name, is_subdomain, wrong_key};

/// Fields only the server writes.
const SYSTEM_FIELDS: [&str; 5] =
    ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"];

/// The longest prefix of a generated name.
const MAX_GENERATED_PREFIX: usize = 58;

/// A create says nothing of an end. An update that creates may.
pub(super) fn drop_end(object: &mut Value) {
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        set_meta(object, field, None);
    }
}

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
    if !says_other_kind(object, target) {
        map_mut(object).insert("kind".to_owned(), target.resource.kind.clone().into());
    }
    let metadata = meta_mut(object);
    for field in ["uid", "creationTimestamp", "resourceVersion", "selfLink"] {
        metadata.shift_remove(field);
    }
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

/// Whether a custom resource says that it is of another kind than the URL, which validation refuses.
pub(super) fn says_other_kind(object: &Value, target: &Target) -> bool {
    let kind = object::text(object, &["kind"]);
    target.resource.custom && !kind.is_empty() && kind != &*target.resource.kind
}

/// Keeps what a writer cannot change. What it may only leave alone stays as it was sent, to be refused.
pub(super) fn carry_over(old: &Value, new: &mut Value, target: &Target) {
    let other_kind = says_other_kind(new, target);
    for field in ["apiVersion", "kind"] {
        if let Some(value) = old.get(field).filter(|_| field == "apiVersion" || !other_kind) {
            map_mut(new).insert(field.to_owned(), value.clone());
        }
    }
    drop_empty(new);
    for field in SYSTEM_FIELDS {
        let kept = match field {
            "uid" | "deletionGracePeriodSeconds" => meta(new, field).is_some(),
            "deletionTimestamp" => !object::is_deleting(old),
            _ => false,
        };
        if !kept {
            set_meta(new, field, meta(old, field).cloned());
        }
    }
    set_meta(new, "name", meta(old, "name").cloned());
    set_meta(new, "namespace", meta(old, "namespace").cloned());
    set_meta(new, "resourceVersion", meta(old, "resourceVersion").cloned());
    set_meta(new, "selfLink", None);
}

/// Empty maps and lists in metadata are left out, as the server leaves them out.
fn drop_empty(object: &mut Value) {
    meta_mut(object).retain(|field, value| match value {
        // An empty record asks for all to be forgotten.
        Value::Array(_) if field == "managedFields" => true,
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
}

/// Takes owners out that are there twice. A patch is looked at only after admission.
pub(super) fn drop_repeated_owners(object: &mut Value, patched: bool, options: &WriteOptions) {
    let Some(Value::Array(owners)) = meta(object, "ownerReferences") else { return };
    let repeated = |index: usize, owner: &Value| owners.iter().take(index).any(|other| other == owner);
    let (mut kept, mut uids) = (Vec::new(), Vec::new());
    for (index, owner) in owners.iter().enumerate() {
        if repeated(index, owner) {
            uids.push(object::text(owner, &["uid"]).to_owned());
        } else {
            kept.push(owner.clone());
        }
    }
    if uids.is_empty() {
        return;
    }
    set_meta(object, "ownerReferences", Some(kept.into()));
    let when = if patched { " after mutating admission happens" } else { "" };
    options.warnings.push(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may \
         reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        uids.join(", ")
    ));
}

/// Warns of what is let through in custom resources but unwise.
pub(super) fn warn(object: &Value, old: Option<&Value>, target: &Target, options: &WriteOptions) {
    if !target.resource.custom {
        return;
    }
    let known = old.map(object::finalizers).unwrap_or_default();
    let mut added = object::finalizers(object);
    added.retain(|finalizer| rules::is_unqualified(finalizer) && !known.contains(finalizer));
    added.sort_unstable();
    added.dedup();
    for finalizer in added {
        options.warnings.push(format!(
            "metadata.finalizers: {finalizer:?}: prefer a domain-qualified finalizer name to avoid accidental \
             conflicts with other finalizer writers"
        ));
    }
}

/// The values of a list in metadata.
pub(super) fn finalizers_value(finalizers: &[String]) -> Option<Value> {
    (!finalizers.is_empty()).then(|| json!(finalizers))
}

/// The finalizers as owned strings.
pub(super) fn finalizers_owned(object: &Value) -> Vec<String> {
    strings(meta(object, "finalizers")).into_iter().map(str::to_owned).collect()
}
