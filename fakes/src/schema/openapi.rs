//! What kube-apiserver asks of every node of a schema, beside being structural.

mod lists;
mod rules;

use serde_json::{Map, Value, json};

use super::{
    Cause, Schema,
    parse::{array, flag, text},
    structural::fields,
};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const META_FIELDS: [&str; 3] = ["metadata", "kind", "apiVersion"];
/// Keywords that `OpenAPI` has and definitions have not.
const UNSUPPORTED: [&str; 6] = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];

/// The causes for which a schema is refused: those of the schema, then those of its rules.
///
/// `types` is the schema as it was read; rules are not looked at without it.
pub(super) fn check(schema: &Value, types: Option<&Schema>, at: &str) -> Vec<Cause> {
    let place = Place { types, is_root: true, ..Place::default() };
    let mut found = Found::default();
    if let Some(map) = schema.as_object() {
        found = node(map, at, place);
    }
    found.schema.append(&mut found.rules);
    found.schema
}

/// Whether a schema uses, here or below, what definitions have not: then it is looked at no further.
pub(super) fn has_unsupported(map: &Map<String, Value>) -> bool {
    let preserve = "x-kubernetes-preserve-unknown-fields";
    let own = UNSUPPORTED.iter().any(|key| is_set(map, key)) || map.get(preserve) == Some(&json!(false));
    let branches = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|key| array(map, key)).filter_map(Value::as_object);
    let single = ["items", "additionalProperties", "not"].into_iter().filter_map(|key| map.get(key)?.as_object());
    own || map.get("items").is_some_and(Value::is_array)
        || branches.chain(single).chain(fields(map).map(|(_, child)| child)).any(has_unsupported)
}

/// What is known of a node by what is around it.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    /// The schema as it was read; none where rules are not looked at.
    types: Option<&'a Schema>,
    is_root: bool,
    in_metadata: bool,
    /// Why there may be no default.
    no_default: Option<&'a str>,
    /// The path from which on old and new values cannot be told to belong together.
    uncorrelated: Option<&'a str>,
}

#[derive(Default)]
struct Found {
    schema: Vec<Cause>,
    rules: Vec<Cause>,
}

impl Found {
    fn append(&mut self, mut below: Self) {
        self.schema.append(&mut below.schema);
        self.rules.append(&mut below.rules);
    }
}

fn node(map: &Map<String, Value>, at: &str, place: Place<'_>) -> Found {
    let mut found = Found::default();
    keywords(map, at, place, &mut found.schema);
    additional(map, at, place, &mut found);
    properties(map, at, place, &mut found);
    junctors(map, at, place, &mut found);
    items(map, at, place, &mut found);
    lists::check(map, at, &mut found.schema);
    rules::check(map, at, place, &mut found);
    found
}

fn keywords(map: &Map<String, Value>, at: &str, place: Place<'_>, causes: &mut Vec<Cause>) {
    let kind = text(map, "type").unwrap_or_default();
    if !kind.is_empty() && !TYPES.contains(&kind) {
        causes.push(Cause::not_supported(&format!("{at}.type"), &json!(kind), &TYPES.map(str::to_owned)));
    }
    if let (true, Some(why)) = (is_set(map, "default"), place.no_default) {
        causes.push(Cause::forbidden(&format!("{at}.default"), &format!("must not be set {why}")));
    }
    for key in UNSUPPORTED.into_iter().filter(|key| is_set(map, key)) {
        causes.push(Cause::forbidden(&format!("{at}.{key}"), &format!("{key} is not supported")));
    }
    if kind == "null" {
        let detail = "type cannot be set to null, use nullable as an alternative";
        causes.push(Cause::forbidden(&format!("{at}.type"), detail));
    }
    if map.get("items").is_some_and(|items| items.as_array().is_some_and(|items| !items.is_empty())) {
        causes.push(Cause::forbidden(&format!("{at}.items"), "items must be a schema object and not an array"));
    }
    if place.in_metadata && flag(map, "x-kubernetes-embedded-resource") {
        let at = format!("{at}.x-kubernetes-embedded-resource");
        causes.push(Cause::forbidden(&at, "must not be used inside of resource meta"));
    }
    if flag(map, "uniqueItems") {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        causes.push(Cause::forbidden(&format!("{at}.uniqueItems"), detail));
    }
}

fn is_set(map: &Map<String, Value>, key: &str) -> bool {
    match map.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => key == "default" || !text.is_empty(),
        Some(Value::Object(fields)) if key == "patternProperties" || key == "definitions" => !fields.is_empty(),
        Some(_) => true,
    }
}

fn additional(map: &Map<String, Value>, at: &str, place: Place<'_>, found: &mut Found) {
    let Some(additional) = map.get("additionalProperties").filter(|additional| !additional.is_null()) else { return };
    let at = format!("{at}.additionalProperties");
    if *additional != json!(true) && fields(map).next().is_some() {
        found.schema.push(Cause::forbidden(&at, "additionalProperties and properties are mutual exclusive"));
    }
    let Some(additional) = additional.as_object() else { return };
    let why = "inside additionalProperties applying to object metadata";
    let no_default = if place.in_metadata { Some(why) } else { place.no_default };
    let types = place.types.and_then(Schema::additional_schema);
    found.append(node(additional, &at, Place { types, no_default, is_root: false, ..place }));
}

fn properties(map: &Map<String, Value>, at: &str, place: Place<'_>, found: &mut Found) {
    let is_resource = place.is_root || flag(map, "x-kubernetes-embedded-resource");
    let is_correlated = text(map, "x-kubernetes-map-type").is_none_or(|kind| ["granular", "atomic"].contains(&kind));
    for (name, child) in fields(map) {
        let why = format!("in top-level {name}");
        let types = place.types.and_then(|types| types.properties.get(name));
        let mut below = Place { types, is_root: false, ..place };
        if !is_correlated {
            below.uncorrelated = below.uncorrelated.or(Some(at));
        }
        if is_resource && META_FIELDS.contains(&name.as_str()) {
            below.in_metadata = true;
            if place.is_root {
                below.no_default = Some(&why);
            }
        }
        found.append(node(child, &format!("{at}.properties[{name}]"), below));
    }
}

fn junctors(map: &Map<String, Value>, at: &str, place: Place<'_>, found: &mut Found) {
    let below = Place { types: None, is_root: false, ..place };
    if let Some(not) = map.get("not").and_then(Value::as_object) {
        found.append(node(not, &format!("{at}.not"), below));
    }
    for key in ["allOf", "oneOf", "anyOf"] {
        for (i, branch) in array(map, key).iter().enumerate() {
            if let Some(branch) = branch.as_object() {
                found.append(node(branch, &format!("{at}.{key}[{i}]"), below));
            }
        }
    }
}

fn items(map: &Map<String, Value>, at: &str, place: Place<'_>, found: &mut Found) {
    let Some(items) = map.get("items").and_then(Value::as_object) else { return };
    let types = place.types.and_then(Schema::items);
    let mut below = Place { types, is_root: false, ..place };
    if text(map, "x-kubernetes-list-type") != Some("map") {
        below.uncorrelated = below.uncorrelated.or(Some(at));
    }
    found.append(node(items, &format!("{at}.items"), below));
}
