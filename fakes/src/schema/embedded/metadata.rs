//! Object metadata, decoded as Go decodes it.

use serde_json::Value;

use crate::types::{self, Reader};

/// Drops unknown fields and those that hold nothing, and returns the unknown ones.
///
/// Fails in Go's words where a field is of the wrong type.
pub(crate) fn coerce(metadata: &mut Value) -> Result<Vec<String>, String> {
    let decoded = types::decode(metadata, types::object_meta(), Reader::Json);
    if let Some(error) = decoded.error {
        return Err(error);
    }
    if let Value::Object(fields) = metadata {
        fields.retain(|_, value| !is_empty(value));
    }
    let mut unknown = decoded.unknown;
    unknown.sort();
    Ok(unknown)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
