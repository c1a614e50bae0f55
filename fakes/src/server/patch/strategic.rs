//! Strategic merge: a JSON merge that joins the keyed lists of built-in kinds item by item.

use serde_json::{Map, Value};

use crate::object::{map_mut, merge as merge_json};

const DIRECTIVE: &str = "$patch";
const DELETE_FROM_PRIMITIVES: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";
const RETAIN_KEYS: &str = "$retainKeys";

/// Lists whose items are joined by a key, by the name of the field; names are unambiguous in the kinds served here,
/// but for `ports`, which Services key by `port`.
fn merge_key(field: &str, items: &[Value]) -> Option<&'static str> {
    Some(match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "volumeClaimTemplates" => "name",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "conditions" => "type",
        "ownerReferences" => "uid",
        "hostAliases" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        "ports" if items.iter().any(|item| item.get("containerPort").is_some()) => "containerPort",
        "ports" => "port",
        _ => return None,
    })
    // StatefulSets replace their volumeClaimTemplates whole.
    .filter(|_| field != "volumeClaimTemplates")
}

/// Lists of plain values that are joined as sets.
fn is_set(field: &str) -> bool {
    field == "finalizers"
}

/// Merges a strategic merge patch into an object.
pub(super) fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if patch.get(DIRECTIVE).and_then(Value::as_str) == Some("replace") {
        let mut replaced = patch.clone();
        replaced.shift_remove(DIRECTIVE);
        *object = Value::Object(replaced);
        return;
    }
    let fields = map_mut(object);
    if let Some(Value::Array(kept)) = patch.get(RETAIN_KEYS) {
        fields.retain(|field, _| kept.iter().any(|kept| kept.as_str() == Some(field)));
    }
    for (field, change) in patch {
        if let Some(list) = field.strip_prefix(DELETE_FROM_PRIMITIVES) {
            remove_values(fields, list, change);
        } else if !field.starts_with('$') {
            merge_field(fields, field, change, patch);
        }
    }
    debug_assert!(!fields.keys().any(|field| field.starts_with(ORDER)));
}

fn merge_field(fields: &mut Map<String, Value>, field: &str, change: &Value, patch: &Map<String, Value>) {
    match change {
        Value::Null => {
            fields.shift_remove(field);
        }
        Value::Object(change) if change.get(DIRECTIVE).and_then(Value::as_str) == Some("delete") => {
            fields.shift_remove(field);
        }
        Value::Object(_) => merge(fields.entry(field).or_insert(Value::Null), change),
        Value::Array(items) => {
            let wanted = patch.get(&format!("{ORDER}{field}")).and_then(Value::as_array);
            merge_list(fields, field, items, wanted.map(Vec::as_slice));
        }
        _ => merge_json(fields.entry(field).or_insert(Value::Null), change),
    }
}

fn merge_list(fields: &mut Map<String, Value>, field: &str, items: &[Value], wanted: Option<&[Value]>) {
    let replaces = |item: &Value| item.get(DIRECTIVE).and_then(Value::as_str) == Some("replace");
    let replace = items.iter().any(replaces);
    let current = fields.entry(field).or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(list) = current else {
        *current = Value::Array(items.to_vec());
        return;
    };
    match merge_key(field, items) {
        Some(key) if !replace => {
            let before = list.clone();
            for item in items {
                merge_item(list, key, item);
            }
            order(list, &before, key, wanted.unwrap_or(items));
        }
        None if is_set(field) => {
            for item in items {
                if !list.contains(item) {
                    list.push(item.clone());
                }
            }
        }
        _ => *list = items.iter().filter(|item| !replaces(item)).cloned().collect(),
    }
}

/// Orders a joined list: items of the patch follow its order, others keep theirs, and a new item of the patch comes
/// before what it is not ordered against.
fn order(list: &mut Vec<Value>, before: &[Value], key: &str, wanted: &[Value]) {
    let place = |items: &[Value], item: &Value| items.iter().position(|known| known.get(key) == item.get(key));
    let (mut patched, kept): (Vec<Value>, Vec<Value>) = list.drain(..).partition(|item| place(wanted, item).is_some());
    patched.sort_by_key(|item| place(wanted, item));
    let (mut patched, mut kept) = (patched.into_iter().peekable(), kept.into_iter().peekable());
    while let (Some(left), Some(right)) = (kept.peek(), patched.peek()) {
        let keeps = matches!((place(before, left), place(before, right)), (Some(left), Some(right)) if left < right);
        list.extend(if keeps { kept.next() } else { patched.next() });
    }
    list.extend(kept);
    list.extend(patched);
}

fn merge_item(list: &mut Vec<Value>, key: &str, item: &Value) {
    let position = list.iter().position(|known| known.get(key) == item.get(key));
    let delete = item.get(DIRECTIVE).and_then(Value::as_str) == Some("delete");
    match (position, delete) {
        (Some(position), true) => {
            list.remove(position);
        }
        (Some(position), false) => merge(&mut list[position], item),
        (None, false) => list.push(item.clone()),
        (None, true) => {}
    }
}

fn remove_values(fields: &mut Map<String, Value>, field: &str, values: &Value) {
    let gone = values.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(Value::Array(list)) = fields.get_mut(field) {
        list.retain(|value| !gone.contains(value));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keyed_lists_are_joined_and_others_replaced() {
        let object = json!({
            "metadata": { "labels": { "a": "1", "b": "2" }, "finalizers": ["x/a"] },
            "spec": {
                "containers": [{ "name": "a", "image": "a:1", "args": ["x", "y"] }, { "name": "b", "image": "b:1" }],
            }
        });
        let table = [
            (
                json!({ "metadata": { "labels": { "a": null, "c": "3" }, "finalizers": ["x/b"] } }),
                "/metadata",
                json!({ "labels": { "b": "2", "c": "3" }, "finalizers": ["x/a", "x/b"] }),
            ),
            (
                json!({ "spec": { "containers": [{ "name": "a", "image": "a:2", "args": ["z"] }] } }),
                "/spec/containers",
                json!([{ "name": "a", "image": "a:2", "args": ["z"] }, { "name": "b", "image": "b:1" }]),
            ),
            (
                json!({ "spec": { "containers": [{ "name": "b", "$patch": "delete" }, { "name": "c" }],
                    "$setElementOrder/containers": [{ "name": "a" }, { "name": "c" }] } }),
                "/spec/containers",
                json!([{ "name": "a", "image": "a:1", "args": ["x", "y"] }, { "name": "c" }]),
            ),
            (
                json!({ "spec": { "containers": [{ "name": "new" }] } }),
                "/spec/containers",
                json!([{ "name": "new" }, { "name": "a", "image": "a:1", "args": ["x", "y"] }, { "name": "b", "image": "b:1" }]),
            ),
            (
                json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["x/a"] } }),
                "/metadata/finalizers",
                json!([]),
            ),
            (json!({ "spec": { "$patch": "replace", "nodeName": "n" } }), "/spec", json!({ "nodeName": "n" })),
        ];
        for (patch, path, expected) in table {
            let mut object = object.clone();
            merge(&mut object, &patch);
            assert_eq!(object.pointer(path), Some(&expected), "{patch}");
        }
    }
}
