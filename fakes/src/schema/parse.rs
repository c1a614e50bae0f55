//! From the JSON of a `CustomResourceDefinition` to a [`Schema`].

use serde_json::{Map, Value};

use super::{
    Additional, Cause, Checks, Inside, Kind, ListType, Pattern, Schema, cel::Rule, defaults, formats, openapi, pattern,
    structural,
};

impl Schema {
    /// Parses `openAPIV3Schema`; `field` is its path in the definition, for the causes.
    ///
    /// A schema that is not structural gives the causes that kube-apiserver gives.
    pub fn parse(schema: &Value, field: &str) -> Result<Self, Vec<Cause>> {
        let parsed = node(schema);
        if schema.as_object().is_some_and(openapi::has_unsupported) {
            return Err(openapi::check(schema, None, field));
        }
        let mut causes = structural::check(schema, field);
        if causes.is_empty() {
            causes.extend(defaults::check(&parsed, field));
        }
        // Rules are only looked at where everything they speak of is known.
        let types = Some(&parsed).filter(|_| causes.is_empty());
        causes.extend(openapi::check(schema, types, field));
        if causes.is_empty() { Ok(parsed) } else { Err(causes) }
    }
}

fn node(json: &Value) -> Schema {
    let Some(map) = json.as_object() else {
        return Schema::default();
    };
    let kind = kind(map);
    let fields = map.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut schema = Schema {
        kind,
        nullable: flag(map, "nullable"),
        format: formats::supported(kind, map.get("format").and_then(Value::as_str)),
        default: map.get("default").filter(|default| !default.is_null()).cloned(),
        properties: fields.map(|(name, child)| (name.clone(), node(child))).collect(),
        items: map.get("items").filter(|items| items.is_object()).map(|items| Box::new(node(items))),
        preserve_unknown: flag(map, "x-kubernetes-preserve-unknown-fields"),
        embedded: flag(map, "x-kubernetes-embedded-resource"),
        list: list_type(map),
        map_atomic: text(map, "x-kubernetes-map-type") == Some("atomic"),
        checks: checks(map),
        additional: additional(map),
        rules: array(map, "x-kubernetes-validations").iter().filter_map(Rule::read).collect(),
        inside: Inside::default(),
    };
    schema.inside = inside(&schema);
    schema
}

fn additional(map: &Map<String, Value>) -> Option<Additional> {
    Some(match map.get("additionalProperties")? {
        Value::Null => return None,
        Value::Bool(true) => Additional::Any,
        Value::Bool(false) => Additional::Forbidden,
        schema => Additional::Schema(Box::new(node(schema))),
    })
}

fn checks(map: &Map<String, Value>) -> Checks {
    let nested = |key: &str| -> Vec<Schema> { array(map, key).iter().map(node).collect() };
    let size = |key: &str| map.get(key).and_then(Value::as_u64);
    let bound = |key: &str| map.get(key).and_then(Value::as_number).cloned();
    Checks {
        required: strings(map, "required"),
        choices: array(map, "enum").to_vec(),
        minimum: bound("minimum"),
        maximum: bound("maximum"),
        exclusive_minimum: flag(map, "exclusiveMinimum"),
        exclusive_maximum: flag(map, "exclusiveMaximum"),
        multiple_of: bound("multipleOf"),
        min_length: size("minLength"),
        max_length: size("maxLength"),
        pattern: text(map, "pattern")
            .filter(|source| !source.is_empty())
            .and_then(|source| Some(Pattern { source: source.to_owned(), regex: pattern::compile(source).ok()? })),
        min_items: size("minItems"),
        max_items: size("maxItems"),
        min_properties: size("minProperties"),
        max_properties: size("maxProperties"),
        all_of: nested("allOf"),
        any_of: nested("anyOf"),
        one_of: nested("oneOf"),
        not: map.get("not").filter(|not| not.is_object()).map(|not| Box::new(node(not))),
    }
}

fn kind(map: &Map<String, Value>) -> Option<Kind> {
    if flag(map, "x-kubernetes-int-or-string") {
        return Some(Kind::IntOrString);
    }
    Some(match text(map, "type")? {
        "object" => Kind::Object,
        "array" => Kind::Array,
        "string" => Kind::String,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        _ => return None,
    })
}

fn list_type(map: &Map<String, Value>) -> ListType {
    match text(map, "x-kubernetes-list-type") {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(strings(map, "x-kubernetes-list-map-keys")),
        _ => ListType::Atomic,
    }
}

fn inside(schema: &Schema) -> Inside {
    let mut sum = Inside {
        defaults: false,
        keyed_lists: schema.list != ListType::Atomic,
        rules: !schema.rules.is_empty(),
        embedded: schema.embedded,
        transition_rules: schema.rules.iter().any(Rule::uses_old),
    };
    let additional = schema.additional_schema();
    let children = schema.properties.values().chain(schema.items.as_deref()).chain(additional);
    for child in children.chain(&schema.checks.all_of) {
        sum.defaults |= child.default.is_some() || child.inside.defaults;
        sum.keyed_lists |= child.inside.keyed_lists;
        sum.rules |= child.inside.rules;
        sum.embedded |= child.inside.embedded;
        sum.transition_rules |= child.inside.transition_rules;
    }
    sum
}

pub(super) fn flag(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).and_then(Value::as_bool).unwrap_or(false)
}

pub(super) fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

pub(super) fn array<'a>(map: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    map.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn strings(map: &Map<String, Value>, key: &str) -> Vec<String> {
    array(map, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
