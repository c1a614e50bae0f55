//! What makes a schema structural, and the causes when it is not.

use serde_json::{Map, Value, json};

use super::{
    Cause,
    parse::{array, flag, text},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// The causes, sorted, for which a schema is not structural.
pub(super) fn check(schema: &Value, field: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(map) = schema.as_object() {
        node(map, Level::Root, field, &mut causes);
    }
    causes.sort_by_key(|cause| format!("{}: {}", cause.field, cause.message));
    causes
}

fn node(map: &Map<String, Value>, level: Level, at: &str, causes: &mut Vec<Cause>) {
    let kind = text(map, "type").unwrap_or_default();
    let embedded = flag(map, "x-kubernetes-embedded-resource");
    if kind == "array" && !map.contains_key("items") {
        causes.push(Cause::required(&format!("{at}.items"), "must be specified"));
    }
    if let Some(items) = map.get("items").and_then(Value::as_object) {
        node(items, Level::Item, &format!("{at}.items"), causes);
    }
    for (name, child) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(child) = child.as_object() {
            node(child, Level::Field, &format!("{at}.properties[{name}]"), causes);
        }
    }
    if let Some(additional) = map.get("additionalProperties") {
        let at = format!("{at}.additionalProperties");
        if level == Level::Root {
            causes.push(Cause::forbidden(&at, "must not be used at the root"));
        }
        if embedded {
            causes.push(Cause::forbidden(&at, "must not be used if x-kubernetes-embedded-resource is set"));
        }
        if let Some(child) = additional.as_object() {
            node(child, Level::Field, &at, causes);
        }
    }
    extensions(map, at, causes);
    type_of(map, kind, level, at, causes);
    metadata(map, level == Level::Root || embedded, level, at, causes);
    list_keys(map, at, causes);
    junctors(map, at, causes);
}

fn extensions(map: &Map<String, Value>, at: &str, causes: &mut Vec<Cause>) {
    if !flag(map, "x-kubernetes-int-or-string") {
        return;
    }
    for key in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
        if flag(map, key) {
            let detail = "must be false if x-kubernetes-int-or-string is true";
            causes.push(Cause::invalid(&format!("{at}.{key}"), &json!(true), detail));
        }
    }
}

fn type_of(map: &Map<String, Value>, kind: &str, level: Level, at: &str, causes: &mut Vec<Cause>) {
    const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
    let at = format!("{at}.type");
    let needs_none = flag(map, "x-kubernetes-int-or-string") || flag(map, "x-kubernetes-preserve-unknown-fields");
    if flag(map, "x-kubernetes-embedded-resource") && kind != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        causes.push(if kind.is_empty() {
            Cause::required(&at, detail)
        } else {
            Cause::invalid(&at, &json!(kind), detail)
        });
    } else if kind.is_empty() && !needs_none {
        causes.push(Cause::required(
            &at,
            match level {
                Level::Root => "must not be empty at the root",
                Level::Item => "must not be empty for specified array items",
                Level::Field => "must not be empty for specified object fields",
            },
        ));
    }
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        causes.push(Cause::invalid(&at, &json!(kind), "must be object at the root"));
    }
    if !kind.is_empty() && !TYPES.contains(&kind) {
        causes.push(Cause::not_supported(&at, &json!(kind), &TYPES.map(str::to_owned)));
    }
}

fn metadata(map: &Map<String, Value>, is_resource: bool, level: Level, at: &str, causes: &mut Vec<Cause>) {
    let Some(properties) = map.get("properties").and_then(Value::as_object) else { return };
    for name in ["kind", "apiVersion"] {
        let Some(child) = properties.get(name).filter(|_| is_resource) else { continue };
        let kind = child.get("type").cloned().unwrap_or_default();
        if kind != "string" {
            causes.push(Cause::invalid(&format!("{at}.properties[{name}].type"), &kind, "must be string"));
        }
    }
    let Some(metadata) = properties.get("metadata").and_then(Value::as_object) else { return };
    let at = format!("{at}.properties[metadata]");
    if is_resource && text(metadata, "type") != Some("object") {
        let kind = metadata.get("type").cloned().unwrap_or_else(|| json!(""));
        causes.push(Cause::invalid(&format!("{at}.type"), &kind, "must be object"));
    }
    let is_allowed = |(key, value): (&String, &Value)| match key.as_str() {
        "type" | "description" | "title" => true,
        "properties" => {
            value.as_object().is_some_and(|fields| fields.keys().all(|name| name == "name" || name == "generateName"))
        }
        _ => false,
    };
    if level == Level::Root && !metadata.iter().all(is_allowed) {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        causes.push(Cause::forbidden(&at, detail));
    }
}

fn list_keys(map: &Map<String, Value>, at: &str, causes: &mut Vec<Cause>) {
    let at = format!("{at}.x-kubernetes-list-map-keys");
    let keys = array(map, "x-kubernetes-list-map-keys");
    match text(map, "x-kubernetes-list-type") {
        Some("map") if keys.is_empty() => {
            causes.push(Cause::required(&at, "must not be empty if x-kubernetes-list-type is map"));
        }
        Some("map") => {
            let known = map.get("items").and_then(|items| items.get("properties")).and_then(Value::as_object);
            let is_known = |key: &&str| known.is_some_and(|known| known.contains_key(*key));
            if !keys.iter().filter_map(Value::as_str).all(|key| is_known(&key)) {
                causes.push(Cause::invalid(&at, &json!(keys), "entries must all be names of item properties"));
            }
        }
        _ if keys.is_empty() => {}
        _ => {
            let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
            let at = at.replace("list-map-keys", "list-type");
            causes.push(Cause::required(&at, detail));
        }
    }
}

fn junctors(map: &Map<String, Value>, at: &str, causes: &mut Vec<Cause>) {
    let int_or_string = json!([{"type": "integer"}, {"type": "string"}]);
    for key in ["allOf", "anyOf", "oneOf"] {
        // The one pattern that may name types inside a junctor.
        if key == "anyOf" && map.get(key) == Some(&int_or_string) {
            continue;
        }
        for (i, branch) in array(map, key).iter().enumerate() {
            let Some(branch) = branch.as_object() else { continue };
            if key == "allOf" && i == 0 && branch.get("anyOf") == Some(&int_or_string) {
                continue;
            }
            nested(branch, &format!("{at}.{key}[{i}]"), causes);
        }
    }
    if let Some(not) = map.get("not").and_then(Value::as_object) {
        nested(not, &format!("{at}.not"), causes);
    }
}

/// Below a junctor only value validations may stand.
fn nested(map: &Map<String, Value>, at: &str, causes: &mut Vec<Cause>) {
    const FORBIDDEN: [(&str, &str); 12] = [
        ("type", "must be empty to be structural"),
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"),
        ("nullable", "must be false to be structural"),
        ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
        ("x-kubernetes-embedded-resource", "must be false to be structural"),
        ("x-kubernetes-int-or-string", "must be false to be structural"),
        ("x-kubernetes-list-map-keys", "must be empty to be structural"),
        ("x-kubernetes-list-type", "must be undefined to be structural"),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ];
    for (key, detail) in FORBIDDEN {
        if map.get(key).is_some_and(|value| *value != json!(false) && *value != json!("")) {
            causes.push(Cause::forbidden(&format!("{at}.{key}"), detail));
        }
    }
    for (name, child) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(child) = child.as_object() {
            nested(child, &format!("{at}.properties[{name}]"), causes);
        }
    }
    if let Some(items) = map.get("items").and_then(Value::as_object) {
        nested(items, &format!("{at}.items"), causes);
    }
    junctors(map, at, causes);
}
