//! From what schemars says to what a CustomResourceDefinition may say.

use serde_json::{Map, Value, json};

use crate::api::intorpercent::PATTERN;

/// Key of a default that the API server fills in. The defaults that schemars finds are Rust's own, and stay unsaid.
const DEFAULT: &str = "x-default";
/// Key that says that an integer has no format.
const NO_FORMAT: &str = "x-no-format";

/// Restricts a schema, and all below it, to the structural subset.
pub(super) fn restrict(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    unwrap_optional(schema);
    for key in ["$schema", "title", "nullable", "default"] {
        schema.remove(key);
    }
    if let Some(default) = schema.remove(DEFAULT) {
        schema.insert("default".to_owned(), default);
    }
    if schema.remove(NO_FORMAT).is_some() {
        schema.remove("format");
    }
    if schema.contains_key("x-kubernetes-int-or-string") {
        // Keywords for numbers say nothing of strings and the other way round, so both bounds fit in one schema, at
        // any depth; a CEL rule would be too costly inside nested lists without bounds.
        schema.insert("anyOf".to_owned(), json!([{ "type": "integer" }, { "type": "string" }]));
        schema.insert("minimum".to_owned(), json!(0));
        schema.insert("pattern".to_owned(), json!(PATTERN));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.sort_by(|left, right| left.as_str().cmp(&right.as_str()));
    }
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        fields.values_mut().for_each(restrict);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(key) {
            restrict(inner);
        }
    }
}

/// Adds the fields that every object has.
pub(super) fn add_type_meta(schema: &mut Value) {
    let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    fields.insert("apiVersion".to_owned(), json!({ "type": "string", "description": "Group and version." }));
    fields.insert("kind".to_owned(), json!({ "type": "string", "description": "Kind." }));
    fields.insert("metadata".to_owned(), json!({ "type": "object" }));
}

/// Puts the schema of `T` in place of "`T` or null", as schemars says `Option<T>` for a `T` without a type.
fn unwrap_optional(schema: &mut Map<String, Value>) {
    let Some(inner) = schema.get("anyOf").and_then(Value::as_array).and_then(|choices| choices.first()) else { return };
    let Some(inner) = inner.as_object().cloned() else { return };
    schema.remove("anyOf");
    for (key, value) in inner {
        schema.entry(key).or_insert(value);
    }
}
