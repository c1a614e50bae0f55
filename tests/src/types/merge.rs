//! What OpenAPI and what Go say of a type, put together.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use super::{
    discovery::Resource,
    go::{self, expression, model_name},
    openapi::Model,
};

/// Kinds that requests and answers have beside those of the resources.
const OTHER_KINDS: [&str; 3] = ["v1/DeleteOptions", "v1/Status", "policy/v1/Eviction"];

/// What is said of a field; what is usual is left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Field<'a> {
    #[serde(rename = "type")]
    is: String,
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    number: &'a [u32],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    inlined: &'a [String],
    /// When JSON leaves the field out; else when it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    omit: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    map: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    patch: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    merge_key: &'a str,
}

/// The types that requests and answers are made of, a line for each field.
pub(super) fn types(resources: &[Resource], models: &BTreeMap<String, Model>, go: &go::Types) -> Result<String> {
    let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for kind in kinds_of(resources) {
        if let Some(name) = go.kinds.get(&kind).filter(|name| models.contains_key(&model_name(name))) {
            kinds.entry(name).or_default().push(kind);
        }
    }
    let choices = choices(models, go);
    let (mut told, mut left): (BTreeMap<String, String>, Vec<String>) = (BTreeMap::new(), Vec::new());
    left.extend(kinds.keys().map(|&name| name.to_owned()));
    while let Some(name) = left.pop() {
        let model = model_name(&name);
        let Some(named) = go.types.get(&name).filter(|_| !told.contains_key(&model)) else { continue };
        let mut text = String::new();
        let mut part = |part: &str| left.push(part.to_owned());
        let schema = models.get(&model);
        let mut facts: Vec<String> = Vec::new();
        if let Some(kinds) = kinds.get(name.as_str()) {
            facts.push(format!("\"kinds\":{}", serde_json::to_string(kinds)?));
        }
        if named.custom {
            facts.push("\"custom\":true".to_owned());
        }
        if let Some(map) = schema.and_then(|schema| schema.map.as_ref()) {
            facts.push(format!("\"map\":{}", serde_json::to_string(map)?));
        }
        if let Some(unions) = schema.and_then(|schema| schema.unions.as_ref()) {
            facts.push(format!("\"unions\":{unions}"));
        }
        if let Some(choices) = choices.get(&model) {
            facts.push(format!("\"enum\":{}", serde_json::to_string(choices)?));
        }
        if let Some(is) = named.is.as_ref().filter(|_| !named.custom) {
            facts.push(format!("\"is\":{}", serde_json::to_string(&expression(is, &mut part))?));
        } else if !named.custom {
            facts.push(format!("\"fields\":{{{}}}", fields(named, schema, &mut part)?));
        }
        write!(text, "{{{}}}", facts.join(","))?;
        told.insert(model, text);
    }
    let lines: Vec<String> = told.iter().map(|(name, text)| format!("\"{name}\":{text}")).collect();
    Ok(format!("{{\n{}\n}}\n", lines.join(",\n")))
}

/// The kinds of resources, of their lists and of their subresources.
fn kinds_of(resources: &[Resource]) -> BTreeSet<String> {
    let name = |group: &str, version: &str, kind: &str| {
        [group, version, kind].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    };
    let mut kinds: BTreeSet<String> = OTHER_KINDS.map(str::to_owned).into();
    for resource in resources {
        kinds.insert(name(&resource.group, &resource.version, &resource.kind));
        kinds.insert(name(&resource.group, &resource.version, &format!("{}List", resource.kind)));
        for sub in &resource.subresources {
            // Those of the resource's own group and version do not say so.
            let [group, version] =
                if sub.version.is_empty() { [&resource.group, &resource.version] } else { [&sub.group, &sub.version] };
            kinds.insert(name(group, version, &sub.kind));
        }
    }
    kinds
}

fn fields(named: &go::Named, schema: Option<&Model>, part: &mut impl FnMut(&str)) -> Result<String> {
    let mut lines = String::new();
    for field in &named.fields {
        let said = schema.and_then(|schema| schema.properties.get(&field.name));
        let line = serde_json::to_string(&Field {
            is: expression(&field.is, part),
            number: &field.numbers,
            inlined: &field.inlined,
            omit: match (field.omit_empty, field.omit_zero) {
                (_, true) => Some("zero"),
                (true, false) => None,
                (false, false) => Some("never"),
            },
            required: schema.is_some_and(|schema| schema.required.contains(&field.name)),
            default: said.and_then(|said| said.default.as_ref()).filter(|default| !is_implied(default, field)),
            list: said.and_then(|said| said.list.as_deref()),
            keys: said.and_then(|said| said.keys.as_deref()),
            map: said.and_then(|said| said.map.as_deref()),
            patch: &field.patch_strategy,
            merge_key: &field.patch_merge_key,
        })?;
        let comma = if lines.is_empty() { "" } else { "," };
        write!(lines, "{comma}\n \"{}\":{line}", field.name)?;
    }
    Ok(lines)
}

/// OpenAPI tells the zero value of what is never left out as its default.
fn is_implied(default: &Value, field: &go::Field) -> bool {
    let is_zero = match default {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => return map.is_empty(),
    };
    is_zero && !field.omit_empty && !field.is.starts_with('*')
}

/// The values of enumerations, which OpenAPI tells where they are used, by the name of their type.
fn choices(models: &BTreeMap<String, Model>, go: &go::Types) -> BTreeMap<String, Vec<Value>> {
    let mut choices = BTreeMap::new();
    for (name, named) in &go.types {
        let Some(schema) = models.get(&model_name(name)) else { continue };
        for field in &named.fields {
            let Some(said) = schema.properties.get(&field.name) else { continue };
            let values = said.values.as_ref().and_then(|values| values.get("enum")?.as_array().cloned());
            let said = said.items.as_deref().unwrap_or(said);
            let is = field.is.rsplit(['*', ']']).next().unwrap_or_default();
            if let Some(values) = values.or_else(|| said.choices.clone()) {
                choices.insert(model_name(is), values);
            }
        }
    }
    choices
}
