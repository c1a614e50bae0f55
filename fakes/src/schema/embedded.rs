//! Type and metadata of resources: of a custom resource, and of those inside of it.

mod metadata;

use serde_json::{Value, json};

use super::{Cause, Schema};
use crate::names;

pub(crate) use metadata::coerce as coerce_metadata;

/// Brings the metadata of resources below a schema into the form that is kept, and records the unknown fields it drops.
///
/// `at` is the value's path. Fails where type or metadata are of the wrong type.
pub(crate) fn coerce(schema: &Schema, value: &mut Value, at: &str, unknown: &mut Vec<String>) -> Result<(), Cause> {
    if !schema.inside.embedded {
        return Ok(());
    }
    match value {
        Value::Object(map) => {
            if schema.embedded {
                for name in ["apiVersion", "kind"] {
                    if let Some(value) = map.get(name).filter(|value| !value.is_string()) {
                        return Err(Cause::invalid(&child(at, name), value, "must be a string"));
                    }
                }
                if let Some(metadata) = map.get_mut("metadata") {
                    let at = child(at, "metadata");
                    let before = metadata.clone();
                    let fields = metadata::coerce(metadata).map_err(|why| Cause::invalid(&at, &before, &why))?;
                    unknown.extend(fields.into_iter().map(|field| format!("{at}.{field}")));
                }
            }
            for (name, value) in map.iter_mut() {
                if let Some(property) = schema.properties.get(name) {
                    coerce(property, value, &child(at, name), unknown)?;
                } else if let Some(values) = schema.additional_schema() {
                    coerce(values, value, &format!("{at}[{name}]"), unknown)?;
                }
            }
        }
        Value::Array(list) => {
            let Some(items) = schema.items() else { return Ok(()) };
            for (i, value) in list.iter_mut().enumerate() {
                coerce(items, value, &format!("{at}[{i}]"), unknown)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn child(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// The causes for which type and metadata of resources inside of an object are refused.
pub(super) fn check(schema: &Schema, object: &Value, causes: &mut Vec<Cause>) {
    check_at(schema, object, "", causes);
}

/// Like [`check`], for a value at a path.
pub(super) fn check_at(schema: &Schema, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    if !schema.inside.embedded {
        return;
    }
    match value {
        Value::Object(map) => {
            if schema.embedded {
                resource(map, at, causes);
            }
            for (name, value) in map {
                if let Some(property) = schema.properties.get(name) {
                    check_at(property, value, &child(at, name), causes);
                } else if let Some(values) = schema.additional_schema() {
                    check_at(values, value, &format!("{at}[{name}]"), causes);
                }
            }
        }
        Value::Array(list) => {
            let Some(items) = schema.items() else { return };
            for (i, value) in list.iter().enumerate() {
                check_at(items, value, &format!("{at}[{i}]"), causes);
            }
        }
        _ => {}
    }
}

fn resource(map: &serde_json::Map<String, Value>, at: &str, causes: &mut Vec<Cause>) {
    let (version_at, kind_at) = (child(at, "apiVersion"), child(at, "kind"));
    let mut invalid = |at: &str, value: &Value, detail: &str| causes.push(Cause::invalid(at, value, detail));
    match map.get("apiVersion") {
        Some(value @ Value::String(version)) if version.is_empty() => invalid(&version_at, value, "must not be empty"),
        Some(value @ Value::String(version)) if version.matches('/').count() > 1 => {
            invalid(&version_at, value, &format!("unexpected GroupVersion string: {version}"));
        }
        Some(Value::String(_)) => {}
        Some(value) => invalid(&version_at, value, "must be a string"),
        None => causes.push(Cause::required(&version_at, "")),
    }
    let mut invalid = |at: &str, value: &Value, detail: &str| causes.push(Cause::invalid(at, value, detail));
    match map.get("kind") {
        Some(value @ Value::String(kind)) if kind.is_empty() => invalid(&kind_at, value, "must not be empty"),
        Some(value @ Value::String(kind)) => {
            if let Some(why) = names::wrong_kind(kind) {
                invalid(&kind_at, value, &why);
            }
        }
        Some(value) => invalid(&kind_at, value, "must be a string"),
        None => causes.push(Cause::required(&kind_at, "")),
    }
    if let Some(metadata) = map.get("metadata") {
        metadata_of(metadata, &child(at, "metadata"), causes);
    }
}

fn metadata_of(metadata: &Value, at: &str, causes: &mut Vec<Cause>) {
    let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default();
    let (name, namespace) = (text("name"), text("namespace"));
    names::check_segment(name, &format!("{at}.name"), causes);
    if let Some(why) = Some(namespace).filter(|namespace| !namespace.is_empty()).and_then(names::wrong_label) {
        causes.push(Cause::invalid(&format!("{at}.namespace"), &json!(namespace), &why));
    }
    names::check_labels(metadata.get("labels"), &format!("{at}.labels"), causes);
    names::check_annotations(metadata.get("annotations"), &format!("{at}.annotations"), causes);
}
