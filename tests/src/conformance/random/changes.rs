//! Changes of objects, in the forms that patches have.

use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::spoil::{mistype, oddity, pointers};

/// Some of an object's fields, at every level. Items of lists are whole, because their keys may be what joins them.
pub(super) fn part(dice: &mut Dice, value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let mut some = Map::new();
    for (name, value) in fields {
        if dice.chance(2, 3) {
            some.insert(name.clone(), part(dice, value));
        }
    }
    Value::Object(some)
}

/// An object with some of its top fields exchanged for another's.
pub(super) fn exchange(dice: &mut Dice, object: &mut Value, other: &Value) {
    for (name, value) in other.as_object().into_iter().flatten() {
        match (object.get_mut(name), value) {
            (Some(Value::Object(fields)), Value::Object(others)) => {
                for (name, value) in others {
                    if dice.chance(1, 4) {
                        fields.insert(name.clone(), value.clone());
                    }
                }
            }
            _ if dice.chance(1, 2) => object[name] = value.clone(),
            _ => {}
        }
    }
}

/// A patch with one or two small changes: values of another object, and nulls, which remove.
pub(super) fn merge(dice: &mut Dice, object: &Value, other: &Value) -> Value {
    let mut patch = json!({});
    for _ in 0..=dice.below(2) {
        let removes = dice.chance(1, 3);
        let from = if removes { object } else { other };
        let found = branches(from);
        if found.is_empty() {
            continue;
        }
        let pointer = dice.pick(&found);
        let value = if removes { Value::Null } else { from.pointer(&pointer).cloned().unwrap_or_default() };
        set(&mut patch, &pointer, value);
    }
    patch
}

/// Pointers to fields that can be reached without going through a list.
fn branches(value: &Value) -> Vec<String> {
    let fixed = ["/apiVersion", "/kind", "/metadata", "/metadata/name"];
    let in_list = |pointer: &str| pointer.split('/').any(|part| part.parse::<usize>().is_ok());
    pointers(value).into_iter().filter(|it| !in_list(it) && !fixed.contains(&it.as_str())).collect()
}

fn set(patch: &mut Value, pointer: &str, value: Value) {
    let mut at = patch;
    for part in pointer.split('/').skip(1) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[part.replace("~1", "/").replace("~0", "~")];
    }
    *at = value;
}

/// A strategic patch: a merge patch, with directives now and then.
pub(super) fn strategic(dice: &mut Dice, object: &Value, other: &Value) -> Value {
    let mut patch = merge(dice, object, other);
    if dice.chance(1, 3) {
        direct(dice, &mut patch);
    }
    patch
}

/// Puts a directive somewhere.
fn direct(dice: &mut Dice, patch: &mut Value) {
    let mut places = pointers(patch);
    places.push(String::new());
    places.retain(|pointer| patch.pointer(pointer).is_some_and(Value::is_object));
    let place = dice.pick(&places);
    let Some(found) = patch.pointer_mut(&place) else { return };
    let (name, value) = dice.weighted(&[
        (4, ("$patch", json!("replace"))),
        (3, ("$patch", json!("delete"))),
        (1, ("$patch", json!("merge"))),
        (1, ("$patch", json!("odd"))),
        (2, ("$retainKeys", json!(["type"]))),
        (2, ("$deleteFromPrimitiveList/finalizers", json!(["example.com/one"]))),
        (2, ("$setElementOrder/containers", json!([{ "name": "b" }, { "name": "a" }]))),
    ]);
    found[name] = value;
}

/// The operations of a JSON patch.
pub(super) fn json_patch(dice: &mut Dice, object: &Value, other: &Value) -> Value {
    let mut operations: Vec<Value> = (0..=dice.below(3)).map(|_| operation(dice, object, other)).collect();
    if dice.chance(1, 20) {
        let broken =
            [json!({ "op": "destroy", "path": "/data" }), json!({ "op": "add" }), json!({ "path": "/data" }), json!(7)];
        operations.push(dice.pick(&broken));
    }
    if dice.chance(1, 40) { json!({ "op": "remove", "path": "/data" }) } else { operations.into() }
}

fn operation(dice: &mut Dice, object: &Value, other: &Value) -> Value {
    let (own, others) = (pointers(object), pointers(other));
    let any = dice.pick(&own);
    let value = object.pointer(&any).cloned().unwrap_or_default();
    match dice.below(10) {
        0..=2 => {
            let path = dice.pick(&others);
            json!({ "op": "add", "path": path, "value": other.pointer(&path) })
        }
        3 => json!({ "op": "replace", "path": any, "value": oddity(dice, &value) }),
        4 => json!({ "op": "replace", "path": any, "value": mistype(dice, &value) }),
        5 => json!({ "op": "replace", "path": any, "value": other.pointer(&any) }),
        6 => json!({ "op": "remove", "path": any }),
        7 => json!({ "op": "test", "path": any, "value": value }),
        8 => {
            let path = dice.pick(&[
                format!("{any}/-"),
                format!("{any}/none"),
                "/metadata/labels/new".to_owned(),
                "none".to_owned(),
            ]);
            json!({ "op": dice.pick(&["add", "remove", "test", "replace"]), "path": path, "value": "x" })
        }
        _ => json!({ "op": dice.pick(&["copy", "move"]), "from": any, "path": "/metadata/annotations" }),
    }
}
