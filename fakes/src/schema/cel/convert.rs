//! From JSON to the values CEL rules see, by the types of a schema.

use std::{collections::HashMap, sync::Arc};

use kube_cel::{
    KubeCelExt,
    cel::{
        Context, Program, Value,
        objects::{Key, Map},
    },
};
use serde_json::Value as Json;

use crate::{
    cel::RESERVED,
    schema::{Kind, Schema},
};

/// The value as rules see it. The root shows no more of `metadata` than its names.
pub(super) fn to_cel(json: &Json, schema: &Schema, is_root: bool) -> Value {
    let mut value = convert(json, Some(schema));
    if let (true, Value::Map(map)) = (is_root, &mut value) {
        let metadata = json.get("metadata").and_then(Json::as_object).into_iter().flatten();
        let names = metadata.filter(|(key, _)| ["name", "generateName"].contains(&key.as_str()));
        let names = names.map(|(key, name)| (text_key(key), convert(name, None))).collect();
        let mut fields: HashMap<Key, Value> = (*map.map).clone();
        fields.insert(text_key("metadata"), Value::Map(Map { map: Arc::new(names) }));
        *map = Map { map: Arc::new(fields) };
    }
    value
}

fn convert(json: &Json, schema: Option<&Schema>) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => {
            let kind = schema.and_then(|schema| schema.kind);
            match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) if kind != Some(Kind::Number) => Value::Int(integer),
                (_, Some(float)) if kind == Some(Kind::Integer) && float.fract() == 0.0 => whole(float),
                (_, float) => Value::Float(float.unwrap_or_default()),
            }
        }
        Json::String(text) => formatted(text, schema),
        Json::Array(list) => {
            let items = schema.and_then(Schema::items);
            Value::List(Arc::new(list.iter().map(|item| convert(item, items)).collect()))
        }
        Json::Object(map) => {
            let mut fields = HashMap::with_capacity(map.len());
            for (name, child) in map {
                let property = schema.and_then(|schema| schema.properties.get(name));
                let is_key = property.is_none() && schema.is_some_and(|schema| schema.additional.is_some());
                let key = if is_key {
                    text_key(name)
                } else {
                    escaped(name).map_or_else(|| text_key(name), |name| text_key(&name))
                };
                let child_schema = property.or_else(|| schema.and_then(Schema::additional_schema));
                let value = convert(child, child_schema);
                if !is_key && is_reserved(name) {
                    fields.insert(text_key(name), value.clone());
                }
                fields.insert(key, value);
            }
            Value::Map(Map { map: Arc::new(fields) })
        }
    }
}

fn whole(float: f64) -> Value {
    format!("{float:.0}").parse().map_or(Value::Float(float), Value::Int)
}

fn text_key(text: &str) -> Key {
    Key::String(Arc::new(text.to_owned()))
}

struct Formats {
    functions: Context<'static>,
    parsers: Vec<(&'static str, Program)>,
}

impl Formats {
    fn new() -> Self {
        let sources = [
            ("date-time", "timestamp(text)"),
            ("datetime", "timestamp(text)"),
            ("date", "timestamp(text + 'T00:00:00Z')"),
            ("duration", "duration(text)"),
            ("byte", "base64.decode(text)"),
        ];
        let compiled =
            sources.into_iter().filter_map(|(format, source)| Some((format, Program::compile(source).ok()?)));
        Self { functions: Context::default().with_all(), parsers: compiled.collect() }
    }

    fn parse(&self, format: &str, text: &str) -> Option<Value> {
        let (_, program) = self.parsers.iter().find(|(known, _)| *known == format)?;
        let mut scope = self.functions.new_inner_scope();
        scope.add_variable_from_value("text", Value::String(Arc::new(text.to_owned())));
        program.execute(&scope).ok()
    }
}

thread_local! {
    static FORMATS: Formats = Formats::new();
}

/// A string of a known format is the timestamp, duration or bytes it stands for.
fn formatted(text: &str, schema: Option<&Schema>) -> Value {
    let format = schema.filter(|schema| schema.kind == Some(Kind::String)).and_then(|schema| schema.format.as_deref());
    let parsed = format.and_then(|format| FORMATS.with(|formats| formats.parse(format, text)));
    parsed.unwrap_or_else(|| Value::String(Arc::new(text.to_owned())))
}

/// Whether CEL uses a name itself.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The name of a field in CEL, which reserves some words and characters; none if rules cannot name it.
pub(super) fn escaped(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_known) {
        return None;
    }
    Some(
        name.replace("__", "__underscores__")
            .replace('.', "__dot__")
            .replace('-', "__dash__")
            .replace('/', "__slash__"),
    )
}
