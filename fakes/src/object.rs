//! Reading and writing the metadata of an object held as JSON.

use serde_json::{Map, Value};

/// The string at a path of fields, empty when absent.
pub(crate) fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

/// The value at a path of fields.
pub(crate) fn at<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, field| value.get(field))
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, &["metadata", "name"])
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, &["metadata", "namespace"])
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, &["metadata", "uid"])
}

pub(crate) fn meta<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    at(object, &["metadata", field])
}

/// The metadata, made an object when it is absent or something else.
pub(crate) fn meta_mut(object: &mut Value) -> &mut Map<String, Value> {
    field_mut(object, "metadata")
}

/// A field as an object, made one when it is absent or something else.
pub(crate) fn field_mut<'a>(object: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    let fields = map_mut(object);
    map_mut(fields.entry(field).or_insert(Value::Null))
}

/// The value as an object, made one when it is something else.
pub(crate) fn map_mut(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}

pub(crate) fn set_meta(object: &mut Value, field: &str, value: Option<Value>) {
    let metadata = meta_mut(object);
    match value {
        Some(value) => metadata.insert(field.to_owned(), value),
        None => metadata.shift_remove(field),
    };
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    meta(object, "deletionTimestamp").is_some_and(|value| !value.is_null())
}

pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    strings(meta(object, "finalizers"))
}

pub(crate) fn strings(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(crate) fn generation(object: &Value) -> i64 {
    meta(object, "generation").and_then(Value::as_i64).unwrap_or_default()
}

/// The revision the writer says the object is at: none when unset or empty, zero when it is no number.
pub(crate) fn resource_version(object: &Value) -> Option<u64> {
    let version = text(object, &["metadata", "resourceVersion"]);
    if matches!(version, "" | "0") { None } else { Some(version.parse().unwrap_or_default()) }
}

/// Sets a field unless it is there and not null.
pub(crate) fn default(map: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    match map.get_mut(field) {
        Some(Value::Null) | None => {
            map.insert(field.to_owned(), value.into());
        }
        Some(_) => {}
    }
}

/// A field of two objects is equal, where absent, null and empty are the same.
pub(crate) fn same(old: Option<&Value>, new: Option<&Value>) -> bool {
    let nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    match (old.filter(|v| !nothing(v)), new.filter(|v| !nothing(v))) {
        (Some(old), Some(new)) => equal(old, new),
        (old, new) => old.is_none() && new.is_none(),
    }
}

/// Whether two values are equal. Fields that come in the same order, as they nearly always do, need no look-up.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let mut pairs = left.iter().zip(right);
            left.len() == right.len()
                && pairs.all(|((field, left), (beside, value))| {
                    let right = if field == beside { Some(value) } else { right.get(field) };
                    right.is_some_and(|right| equal(left, right))
                })
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (left, right) => left == right,
    }
}

/// RFC 7396, but that what remains keeps its order.
pub(crate) fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    let fields = map_mut(object);
    for (field, change) in patch {
        if change.is_null() {
            fields.shift_remove(field);
        } else {
            merge(fields.entry(field).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_is_equal_in_any_order_of_fields() {
        let value = json!({ "a": 1, "b": [{ "x": "1", "y": null }], "c": {} });
        for other in [
            value.clone(),
            json!({ "c": {}, "b": [{ "y": null, "x": "1" }], "a": 1 }),
            json!({ "a": 1, "b": [{ "x": "1", "y": null }], "d": {} }),
            json!({ "d": 1, "b": [{ "x": "1", "y": null }], "c": {} }),
            json!({ "a": 1, "b": [{ "x": "2", "y": null }], "c": {} }),
            json!({ "a": 1, "b": [], "c": {} }),
            json!({ "a": 1 }),
            json!(1),
        ] {
            assert_eq!(equal(&value, &other), value == other, "{other}");
        }
    }
}
