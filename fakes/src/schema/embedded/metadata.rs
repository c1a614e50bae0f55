//! Object metadata, decoded as Go decodes it.

use serde_json::Value;

/// The fields of object metadata and what they hold.
const FIELDS: [(&str, Holds); 15] = [
    ("name", Holds::Text),
    ("generateName", Holds::Text),
    ("namespace", Holds::Text),
    ("selfLink", Holds::Text),
    ("uid", Holds::Uid),
    ("resourceVersion", Holds::Text),
    ("generation", Holds::Integer),
    ("creationTimestamp", Holds::Time),
    ("deletionTimestamp", Holds::Time),
    ("deletionGracePeriodSeconds", Holds::Integer),
    ("labels", Holds::Texts),
    ("annotations", Holds::Texts),
    ("ownerReferences", Holds::Owners),
    ("finalizers", Holds::List),
    ("managedFields", Holds::Entries),
];

#[derive(Clone, Copy)]
enum Holds {
    Text,
    Uid,
    Integer,
    Time,
    Texts,
    List,
    Owners,
    Entries,
}

/// Drops unknown fields and those that hold nothing, and returns the unknown ones.
///
/// Fails in Go's words where a field is of the wrong type.
pub(crate) fn coerce(metadata: &mut Value) -> Result<Vec<String>, String> {
    let found = form(metadata);
    let Value::Object(map) = metadata else {
        return Err(format!("json: cannot unmarshal {found} into Go value of type v1.ObjectMeta"));
    };
    let mut unknown = Vec::new();
    for (name, value) in map.iter_mut() {
        match FIELDS.iter().find(|(known, _)| known == name) {
            Some((_, holds)) => holds.check(name, value)?,
            None => unknown.push(name.clone()),
        }
    }
    map.retain(|name, value| !unknown.contains(name) && !is_empty(value));
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

fn form(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl Holds {
    fn check(self, name: &str, value: &mut Value) -> Result<(), String> {
        let wrong = |value: &Value, wanted: &str| {
            let found = form(value);
            Err(format!("json: cannot unmarshal {found} into Go struct field ObjectMeta.{name} of type {wanted}"))
        };
        match (self, value) {
            (_, Value::Null)
            | (Self::Text | Self::Uid | Self::Time, Value::String(_))
            | (Self::Owners | Self::Entries, Value::Array(_)) => Ok(()),
            (Self::Integer, Value::Number(number)) if number.is_i64() => Ok(()),
            (Self::Texts, Value::Object(map)) => map.values_mut().try_for_each(|value| match value {
                Value::String(_) => Ok(()),
                Value::Null => {
                    *value = Value::from("");
                    Ok(())
                }
                other => wrong(other, "string"),
            }),
            (Self::List, Value::Array(list)) => list.iter().try_for_each(|value| match value {
                Value::String(_) | Value::Null => Ok(()),
                other => wrong(other, "string"),
            }),
            (Self::Time, other) => Err(format!("json: cannot unmarshal {} into Go value of type string", form(other))),
            (Self::Text, other) => wrong(other, "string"),
            (Self::Uid, other) => wrong(other, "types.UID"),
            (Self::Integer, other) => wrong(other, "int64"),
            (Self::Texts, other) => wrong(other, "map[string]string"),
            (Self::List, other) => wrong(other, "[]string"),
            (Self::Owners, other) => wrong(other, "[]v1.OwnerReference"),
            (Self::Entries, other) => wrong(other, "[]v1.ManagedFieldsEntry"),
        }
    }
}
