//! From the JSON of a `CustomResourceDefinition` to a [`Schema`].

use serde_json::{Map, Value};

use super::{Additional, Cause, Checks, Inside, Kind, ListType, Pattern, Schema, cel::Rule, formats, structural};

impl Schema {
    /// Parses `openAPIV3Schema`; `field` is its path in the definition, for the causes.
    ///
    /// A schema that is not structural gives the causes that kube-apiserver gives.
    pub fn parse(schema: &Value, field: &str) -> Result<Self, Vec<Cause>> {
        let mut causes = structural::check(schema, field);
        let mut parser = Parser { causes: Vec::new() };
        let parsed = parser.node(schema, field);
        causes.append(&mut parser.causes);
        if causes.is_empty() { Ok(parsed) } else { Err(causes) }
    }
}

struct Parser {
    causes: Vec<Cause>,
}

impl Parser {
    fn node(&mut self, json: &Value, at: &str) -> Schema {
        let Some(map) = json.as_object() else {
            return Schema::default();
        };
        let kind = kind(map);
        let mut schema = Schema {
            kind,
            nullable: flag(map, "nullable"),
            format: formats::supported(kind, map.get("format").and_then(Value::as_str)),
            default: map.get("default").cloned(),
            preserve_unknown: flag(map, "x-kubernetes-preserve-unknown-fields"),
            embedded: flag(map, "x-kubernetes-embedded-resource"),
            list: list_type(map),
            map_atomic: text(map, "x-kubernetes-map-type") == Some("atomic"),
            checks: self.checks(map, at),
            additional: self.additional(map, at),
            ..Schema::default()
        };
        for (name, child) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let child = self.node(child, &format!("{at}.properties[{name}]"));
            schema.properties.insert(name.clone(), child);
        }
        if let Some(items) = map.get("items").filter(|items| items.is_object()) {
            schema.items = Some(Box::new(self.node(items, &format!("{at}.items"))));
        }
        for (i, rule) in array(map, "x-kubernetes-validations").iter().enumerate() {
            match Rule::parse(rule, &format!("{at}.x-kubernetes-validations[{i}]")) {
                Ok(rule) => schema.rules.push(rule),
                Err(cause) => self.causes.push(cause),
            }
        }
        schema.inside = inside(&schema);
        schema
    }

    fn additional(&mut self, map: &Map<String, Value>, at: &str) -> Option<Additional> {
        Some(match map.get("additionalProperties")? {
            Value::Bool(true) => Additional::Any,
            Value::Bool(false) => Additional::Forbidden,
            schema => Additional::Schema(Box::new(self.node(schema, &format!("{at}.additionalProperties")))),
        })
    }

    fn checks(&mut self, map: &Map<String, Value>, at: &str) -> Checks {
        let mut nested = |key: &str| -> Vec<Schema> {
            let branches = array(map, key).iter().enumerate();
            branches.map(|(i, branch)| self.node(branch, &format!("{at}.{key}[{i}]"))).collect()
        };
        let (all_of, any_of, one_of) = (nested("allOf"), nested("anyOf"), nested("oneOf"));
        let not = map.get("not").map(|not| Box::new(self.node(not, &format!("{at}.not"))));
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
            pattern: self.pattern(map, at),
            min_items: size("minItems"),
            max_items: size("maxItems"),
            min_properties: size("minProperties"),
            max_properties: size("maxProperties"),
            all_of,
            any_of,
            one_of,
            not,
        }
    }

    fn pattern(&mut self, map: &Map<String, Value>, at: &str) -> Option<Pattern> {
        let source = text(map, "pattern").filter(|source| !source.is_empty())?;
        match regex::Regex::new(&formats::from_go_regex(source)) {
            Ok(regex) => Some(Pattern { source: source.to_owned(), regex }),
            Err(error) => {
                let detail = format!("must be a valid regular expression, but isn't: {error}");
                self.causes.push(Cause::invalid(&format!("{at}.pattern"), &Value::from(source), &detail));
                None
            }
        }
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
        transition_rules: schema.rules.iter().any(Rule::is_transition),
    };
    let additional = schema.additional_schema();
    let children = schema.properties.values().chain(schema.items.as_deref()).chain(additional);
    for child in children.chain(&schema.checks.all_of) {
        sum.defaults |= child.default.is_some() || child.inside.defaults;
        sum.keyed_lists |= child.inside.keyed_lists;
        sum.rules |= child.inside.rules;
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
