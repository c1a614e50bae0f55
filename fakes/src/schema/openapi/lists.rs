//! The list and map types of a node, and the keys of its items.

use serde_json::{Map, Value, json};

use super::{Cause, array, flag, text};

pub(super) fn check(map: &Map<String, Value>, at: &str, causes: &mut Vec<Cause>) {
    if map.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(false)) {
        let at = format!("{at}.x-kubernetes-preserve-unknown-fields");
        causes.push(Cause::invalid(&at, &json!(false), "must be true or undefined"));
    }
    kind_of(map, "x-kubernetes-map-type", "object", at, causes);
    let map_type = text(map, "x-kubernetes-map-type");
    known(map_type, &["atomic", "granular"], &format!("{at}.x-kubernetes-map-type"), causes);
    let list_type = text(map, "x-kubernetes-list-type");
    if !kind_of(map, "x-kubernetes-list-type", "array", at, causes) && list_type == Some("set") {
        set_of(map, at, causes);
    }
    known(list_type, &["atomic", "set", "map"], &format!("{at}.x-kubernetes-list-type"), causes);
    keys(map, list_type, at, causes);
    if list_type == Some("map") {
        items_of_map(map, at, causes);
    }
    identities(map, list_type, at, causes);
}

fn known(value: Option<&str>, known: &[&str], at: &str, causes: &mut Vec<Cause>) {
    if let Some(value) = value.filter(|value| !known.contains(value)) {
        let known: Vec<String> = known.iter().map(|&known| known.to_owned()).collect();
        causes.push(Cause::not_supported(at, &json!(value), &known));
    }
}

/// A list type asks for a list, a map type for an object. Returns whether there is none.
fn kind_of(map: &Map<String, Value>, key: &str, wanted: &str, at: &str, causes: &mut Vec<Cause>) -> bool {
    let kind = text(map, "type").unwrap_or_default();
    if text(map, key).is_none() || kind == wanted {
        return false;
    }
    let (at, detail) = (format!("{at}.type"), format!("must be {wanted} if {key} is specified"));
    causes.push(if kind.is_empty() {
        Cause::required(&at, &detail)
    } else {
        Cause::invalid(&at, &json!(kind), &detail)
    });
    true
}

fn item(map: &Map<String, Value>) -> Option<&Map<String, Value>> {
    map.get("items").and_then(Value::as_object)
}

/// The items of a set are told apart as wholes.
fn set_of(map: &Map<String, Value>, at: &str, causes: &mut Vec<Cause>) {
    let Some(item) = item(map) else { return };
    let list_type = text(item, "x-kubernetes-list-type");
    let (key, is_atomic) = match text(item, "type") {
        Some("array") => ("x-kubernetes-list-type", list_type.is_none_or(|kind| kind == "atomic")),
        Some("object") => ("x-kubernetes-map-type", text(item, "x-kubernetes-map-type") == Some("atomic")),
        _ => return,
    };
    if !is_atomic {
        let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
        causes.push(Cause::invalid(&format!("{at}.items.{key}"), &json!(list_type), detail));
    }
}

fn keys(map: &Map<String, Value>, list_type: Option<&str>, at: &str, causes: &mut Vec<Cause>) {
    let keys = array(map, "x-kubernetes-list-map-keys");
    let (at, detail) =
        (format!("{at}.x-kubernetes-list-type"), "must be map if x-kubernetes-list-map-keys is non-empty");
    match list_type {
        _ if keys.is_empty() => {}
        None => causes.push(Cause::required(&at, detail)),
        Some("map") => {}
        Some(other) => causes.push(Cause::invalid(&at, &json!(other), detail)),
    }
}

fn items_of_map(map: &Map<String, Value>, at: &str, causes: &mut Vec<Cause>) {
    let keys = array(map, "x-kubernetes-list-map-keys");
    let keys_at = format!("{at}.x-kubernetes-list-map-keys");
    if keys.is_empty() {
        causes.push(Cause::required(&keys_at, "must not be empty if x-kubernetes-list-type is map"));
    }
    let Some(item) = item(map) else {
        let detail = "must have a schema if x-kubernetes-list-type is map";
        return causes.push(Cause::required(&format!("{at}.items"), detail));
    };
    let kind = text(item, "type").unwrap_or_default();
    if kind != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        return causes.push(Cause::invalid(&format!("{at}.items.type"), &json!(kind), detail));
    }
    let known = item.get("properties").and_then(Value::as_object);
    for (i, key) in keys.iter().enumerate() {
        let name = key.as_str().unwrap_or_default();
        match known.and_then(|known| known.get(name)).and_then(Value::as_object) {
            Some(property) if matches!(text(property, "type"), Some("array" | "object")) => {
                let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                causes.push(Cause::invalid(&format!("{at}.items.properties[{name}].type"), &json!(kind), detail));
            }
            Some(_) => {}
            None => causes.push(Cause::invalid(&keys_at, &json!(keys), "entries must all be names of item properties")),
        }
        if keys.iter().take(i).any(|earlier| earlier == key) {
            causes.push(Cause::invalid(&keys_at, &json!(keys), "must not contain duplicate entries"));
        }
    }
}

/// What identifies an item is there and not null.
fn identities(map: &Map<String, Value>, list_type: Option<&str>, at: &str, causes: &mut Vec<Cause>) {
    let Some((item, list_type)) = item(map).zip(list_type.filter(|kind| ["set", "map"].contains(kind))) else { return };
    let at = format!("{at}.items");
    if flag(item, "nullable") {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        causes.push(Cause::forbidden(&format!("{at}.nullable"), &detail));
    }
    if list_type == "set" {
        return;
    }
    for key in array(map, "x-kubernetes-list-map-keys") {
        let name = key.as_str().unwrap_or_default();
        let property = item.get("properties").and_then(|known| known.get(name)).and_then(Value::as_object);
        let Some(property) = property else { continue };
        let at = format!("{at}.properties[{name}]");
        if !array(item, "required").contains(key) && property.get("default").is_none_or(Value::is_null) {
            let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required \
                          property";
            causes.push(Cause::required(&format!("{at}.default"), detail));
        }
        if flag(property, "nullable") {
            let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            causes.push(Cause::forbidden(&format!("{at}.nullable"), detail));
        }
    }
}
