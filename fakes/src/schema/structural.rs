//! What makes a schema structural, and the causes when it is not.

mod complete;

use serde_json::{Map, Value, json};

use super::{
    Cause,
    parse::{array, flag, text},
    pattern,
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
        complete::check(map, field, &mut causes);
    }
    causes.sort_by_key(ToString::to_string);
    causes
}

fn node(map: &Map<String, Value>, level: Level, at: &str, causes: &mut Vec<Cause>) {
    let kind = text(map, "type").unwrap_or_default();
    let embedded = flag(map, "x-kubernetes-embedded-resource");
    if kind == "array" && map.get("items").is_none_or(Value::is_null) {
        causes.push(Cause::required(&format!("{at}.items"), "must be specified"));
    }
    if let Some(items) = map.get("items").and_then(Value::as_object) {
        node(items, Level::Item, &format!("{at}.items"), causes);
    }
    for (name, child) in fields(map) {
        node(child, Level::Field, &format!("{at}.properties[{name}]"), causes);
    }
    if let Some(additional) = map.get("additionalProperties").filter(|additional| !additional.is_null()) {
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
    junctors(map, at, causes);
    regex(map, at, causes);
    let is_empty = fields(map).next().is_none();
    if embedded && is_empty && !flag(map, "x-kubernetes-preserve-unknown-fields") {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without \
                      x-kubernetes-preserve-unknown-fields";
        causes.push(Cause::required(&format!("{at}.properties"), detail));
    }
}

/// The properties that are schemas.
pub(super) fn fields(map: &Map<String, Value>) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    let fields = map.get("properties").and_then(Value::as_object).into_iter().flatten();
    fields.filter_map(|(name, child)| Some((name, child.as_object()?)))
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
}

fn metadata(map: &Map<String, Value>, is_resource: bool, level: Level, at: &str, causes: &mut Vec<Cause>) {
    let Some(properties) = map.get("properties").and_then(Value::as_object) else { return };
    for name in ["kind", "apiVersion"] {
        let Some(child) = properties.get(name).filter(|_| is_resource) else { continue };
        let kind = child.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind != "string" {
            causes.push(Cause::invalid(&format!("{at}.properties[{name}].type"), &json!(kind), "must be string"));
        }
    }
    let Some(metadata) = properties.get("metadata").and_then(Value::as_object) else { return };
    let at = format!("{at}.properties[metadata]");
    if is_resource && text(metadata, "type") != Some("object") {
        let kind = text(metadata, "type").unwrap_or_default();
        causes.push(Cause::invalid(&format!("{at}.type"), &json!(kind), "must be object"));
    }
    let is_allowed = |(key, value): (&String, &Value)| match key.as_str() {
        "type" | "default" => true,
        "properties" => {
            value.as_object().is_some_and(|fields| fields.keys().all(|name| name == "name" || name == "generateName"))
        }
        _ => is_zero(value),
    };
    if level == Level::Root && !metadata.iter().all(is_allowed) {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        causes.push(Cause::forbidden(&at, detail));
    }
}

/// Whether a value is what Go takes for not being set.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(_) => false,
    }
}

fn regex(map: &Map<String, Value>, at: &str, causes: &mut Vec<Cause>) {
    let Some(source) = text(map, "pattern").filter(|source| !source.is_empty()) else { return };
    if let Err(error) = pattern::compile(source) {
        let detail = format!("must be a valid regular expression, but isn't: {error}");
        causes.push(Cause::invalid(&format!("{at}.pattern"), &json!(source), &detail));
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
            let at = format!("{at}.{key}[{i}]");
            if key == "allOf" && i == 0 && branch.get("anyOf") == Some(&int_or_string) {
                let rest: Map<String, Value> = branch.clone().into_iter().filter(|(key, _)| key != "anyOf").collect();
                nested(&rest, &at, causes);
            } else {
                nested(branch, &at, causes);
            }
        }
    }
    if let Some(not) = map.get("not").and_then(Value::as_object) {
        nested(not, &format!("{at}.not"), causes);
    }
}

/// Below a junctor only value validations may stand.
fn nested(map: &Map<String, Value>, at: &str, causes: &mut Vec<Cause>) {
    const FORBIDDEN: [(&str, &str); 13] = [
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
        ("x-kubernetes-map-type", "must be undefined to be structural"),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ];
    for (key, detail) in FORBIDDEN {
        let is_set = |value: &Value| key == "additionalProperties" && value.is_object() || !is_zero(value);
        if map.get(key).is_some_and(is_set) {
            causes.push(Cause::forbidden(&format!("{at}.{key}"), detail));
        }
    }
    for (name, child) in fields(map) {
        nested(child, &format!("{at}.properties[{name}]"), causes);
        if name == "metadata" {
            let detail = "must not be specified in a nested context";
            causes.push(Cause::forbidden(&format!("{at}.properties[metadata]"), detail));
        }
    }
    if let Some(items) = map.get("items").and_then(Value::as_object) {
        nested(items, &format!("{at}.items"), causes);
    }
    junctors(map, at, causes);
    regex(map, at, causes);
}
