//! Values that expressions write as typed literals: `Object.spec{replicas: 3}`, `JSONPatch{op: "add", …}`.

use kube_cel::cel::{
    Value as Cel,
    objects::{Key, Map},
};
use serde_json::{Map as Fields, Value};

use crate::cel::{TYPE_OF_LITERAL, to_json};

/// The configuration an expression wants applied, with the kind of the object it is for.
pub(super) fn configuration(found: &Cel, object: &Value) -> Result<Value, String> {
    let (of_type, mut fields) = split(found)?;
    if of_type.as_deref() != Some("Object") {
        let found = of_type.unwrap_or_else(|| found.type_of().to_string());
        return Err(format!("unsupported return type from ApplyConfiguration expression: {found}"));
    }
    check(found, None)?;
    strip(&mut fields);
    for field in ["apiVersion", "kind"] {
        if let (Some(value), Some(fields)) = (object.get(field), fields.as_object_mut()) {
            fields.insert(field.to_owned(), value.clone());
        }
    }
    Ok(fields)
}

/// The type a value was written as, and its fields.
pub(super) fn split(value: &Cel) -> Result<(Option<String>, Value), String> {
    let mut fields = to_json(value)?;
    let of_type = fields.as_object_mut().and_then(|fields: &mut Fields<_, _>| fields.shift_remove(TYPE_OF_LITERAL));
    Ok((of_type.and_then(|it| it.as_str().map(str::to_owned)), fields))
}

/// Takes out of a value, at every depth, what says how it was written.
pub(super) fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.shift_remove(TYPE_OF_LITERAL);
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Literals name the place they stand at: in a field `spec` of `Object` stands an `Object.spec`.
pub(super) fn check(value: &Cel, place: Option<&str>) -> Result<(), String> {
    match value {
        Cel::List(items) => items.iter().try_for_each(|item| check(item, place)),
        Cel::Map(map) => check_map(map, place),
        _ => Ok(()),
    }
}

fn check_map(map: &Map, place: Option<&str>) -> Result<(), String> {
    let of_type = map.map.iter().find_map(|(key, value)| match (key, value) {
        (Key::String(key), Cel::String(of_type)) if key.as_str() == TYPE_OF_LITERAL => Some(of_type.as_str()),
        _ => None,
    });
    if let (Some(of_type), Some(place)) = (of_type, place)
        && of_type != place
    {
        return Err(format!(
            "type mismatch: unexpected type name {of_type:?}, expected {place:?}, which matches field name path from \
             root Object type"
        ));
    }
    let mut fields: Vec<(String, &Cel)> = map.map.iter().map(|(key, value)| (key.to_string(), value)).collect();
    fields.sort_by(|(left, _), (right, _)| left.cmp(right));
    fields.into_iter().try_for_each(|(name, value)| {
        let below = of_type.filter(|of_type| *of_type != "JSONPatch").map(|of_type| format!("{of_type}.{name}"));
        check(value, below.as_deref().or(place.filter(|_| of_type.is_none())))
    })
}

#[cfg(test)]
mod tests {
    use kube_cel::cel::Context;
    use serde_json::json;

    use super::*;

    fn made(source: &str) -> Result<Value, String> {
        let expression = crate::cel::parse(source)?;
        let found = Cel::resolve(&expression, &Context::default()).map_err(|error| error.to_string())?;
        configuration(&found, &json!({ "apiVersion": "v1", "kind": "Pod" }))
    }

    #[test]
    fn literals_become_a_configuration() {
        let made_of = |source: &str| made(source).unwrap();
        assert_eq!(
            made_of("Object{spec: Object.spec{containers: [Object.spec.containers{name: 'a'}]}}"),
            json!({ "apiVersion": "v1", "kind": "Pod", "spec": { "containers": [{ "name": "a" }] } })
        );
        assert_eq!(
            made_of("Object{metadata: Object.metadata{labels: {'a-b': 'c'}}}")["metadata"],
            json!({ "labels": { "a-b": "c" } })
        );
    }

    #[test]
    fn a_literal_in_the_wrong_place_is_refused() {
        let why = made("Object{spec: Object.status{}}").unwrap_err();
        assert!(
            why.starts_with("type mismatch: unexpected type name \"Object.status\", expected \"Object.spec\""),
            "{why}"
        );
        assert!(made("{'a': 1}").unwrap_err().starts_with("unsupported return type"));
    }
}
