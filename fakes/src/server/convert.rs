//! Between the version a request speaks and the one objects are stored in.

mod autoscaler;

use serde_json::{Map, Value};

use super::Target;
use crate::object::{self, map_mut};

/// Names of the same fields in `events.k8s.io/v1` and in core.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// Whether stored bytes are not what the request's version looks like.
pub(super) fn differs(target: &Target) -> bool {
    !target.version().storage || target.resource.traits.reworked || is_event(target)
}

/// A stored object in the version of the request.
pub(super) fn outgoing(target: &Target, object: &Value) -> Value {
    let mut object = in_version(target, object);
    map_mut(&mut object).insert("apiVersion".to_owned(), target.api_version().into());
    object
}

/// What a stored object has in the version of the request, still called as it is stored.
pub(super) fn in_version(target: &Target, object: &Value) -> Value {
    let mut object = object.clone();
    if is_event(target) {
        rename(map_mut(&mut object), |(new, core)| (core, new));
    }
    if is_old_autoscaler(target) {
        autoscaler::to_v1(&mut object);
    }
    if let Some(schema) = target.version().schema.as_ref().filter(|_| differs(target)) {
        schema.prune(&mut object);
        schema.set_defaults(&mut object);
    }
    object
}

/// An object of the request in the stored version.
pub(super) fn incoming(target: &Target, mut object: Value) -> Value {
    if !differs(target) {
        return object;
    }
    if is_old_autoscaler(target) {
        autoscaler::from_v1(&mut object);
    }
    let version = if is_event(target) {
        rename(map_mut(&mut object), |(new, core)| (new, core));
        Some("v1".to_owned())
    } else {
        target.resource.storage_version().map(|version| target.resource.api_version(&version.name))
    };
    if let Some(version) = version {
        map_mut(&mut object).insert("apiVersion".to_owned(), version.into());
    }
    object
}

/// Renames the fields that writers through `events.k8s.io` own.
pub(super) fn rename_managed(
    object: &mut Value,
    direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    let entries = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten() {
        if !object::text(entry, &["apiVersion"]).starts_with("events.k8s.io/") {
            continue;
        }
        let Some(Value::Object(fields)) = entry.get_mut("fieldsV1") else { continue };
        for pair in EVENT_FIELDS {
            let (from, to) = direction(pair);
            if let Some(value) = fields.shift_remove(&format!("f:{from}")) {
                fields.insert(format!("f:{to}"), value);
            }
        }
    }
}

fn is_old_autoscaler(target: &Target) -> bool {
    let resource = &target.resource.resource;
    (&*resource.group, &*resource.plural) == ("autoscaling", "horizontalpodautoscalers")
        && target.version().name == "v1"
}

pub(super) fn is_event(target: &Target) -> bool {
    target.resource.stored_as != target.resource.resource
}

fn rename(
    fields: &mut Map<String, Value>,
    direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    for pair in EVENT_FIELDS {
        let (from, to) = direction(pair);
        if let Some(value) = fields.shift_remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
}
