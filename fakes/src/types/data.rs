//! From the recorded data to the tables.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Field, ListType, Omit, Other, Patch, Shape, Struct, Told, Type, TypeId, Types};

const DATA: &str = include_str!("types.json");

#[derive(Debug, Deserialize)]
struct NamedData {
    #[serde(borrow, default)]
    kinds: Vec<&'static str>,
    #[serde(default)]
    custom: bool,
    #[serde(borrow)]
    map: Option<&'static str>,
    unions: Option<Value>,
    #[serde(borrow, rename = "enum", default)]
    choices: Vec<&'static str>,
    #[serde(borrow)]
    is: Option<&'static str>,
    #[serde(borrow, default)]
    fields: BTreeMap<&'static str, FieldData>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FieldData {
    #[serde(borrow, rename = "type")]
    is: &'static str,
    #[serde(default)]
    number: Vec<u32>,
    #[serde(borrow, default)]
    inlined: Vec<&'static str>,
    #[serde(borrow)]
    omit: Option<&'static str>,
    #[serde(default)]
    required: bool,
    default: Option<Value>,
    #[serde(borrow)]
    list: Option<&'static str>,
    #[serde(borrow, default)]
    keys: Vec<&'static str>,
    #[serde(borrow)]
    map: Option<&'static str>,
    #[serde(borrow, default)]
    patch: &'static str,
    #[serde(borrow)]
    merge_key: Option<&'static str>,
}

/// What a field says about the type it is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Relation {
    list: Option<&'static str>,
    keys: Vec<&'static str>,
    map: Option<&'static str>,
}

pub(super) fn types() -> Types {
    let named: BTreeMap<&'static str, NamedData> = serde_json::from_str(DATA).unwrap_or_default();
    let mut builder = Builder { named: &named, all: Vec::new(), known: BTreeMap::new() };
    let mut kinds = BTreeMap::new();
    for (name, data) in &named {
        for kind in &data.kinds {
            kinds.insert(*kind, builder.id(name, &Relation::default()));
        }
    }
    Types { all: builder.all, kinds }
}

struct Builder<'a> {
    named: &'a BTreeMap<&'static str, NamedData>,
    all: Vec<Type>,
    known: BTreeMap<(&'static str, Relation), TypeId>,
}

impl Builder<'_> {
    /// The place of a type, which is put into the table when it is new there.
    fn id(&mut self, text: &'static str, relation: &Relation) -> TypeId {
        let key = (text, relation.clone());
        if let Some(&id) = self.known.get(&key) {
            return id;
        }
        let id = TypeId(u16::try_from(self.all.len()).unwrap_or_default());
        self.known.insert(key, id);
        let named = self.named.get(text);
        // Its place is taken before its parts are, which may be of its own type.
        self.all.push(Type {
            go: go_name(text),
            model: named.filter(|named| named.custom || named.is.is_none()).map(|_| text),
            kinds: named.map(|named| named.kinds.clone()).unwrap_or_default(),
            shape: Shape::Raw,
        });
        let shape = self.shape(text, relation);
        self.all[usize::from(id.0)].shape = shape;
        id
    }

    fn shape(&mut self, text: &'static str, relation: &Relation) -> Shape {
        if text == "[]uint8" {
            return Shape::Bytes;
        }
        if let Some(item) = text.strip_prefix("[]") {
            return Shape::List { item: self.id(item, &Relation::default()), list: list_type(relation) };
        }
        if let Some((_, value)) = text.strip_prefix("map[").and_then(|rest| rest.split_once(']')) {
            return Shape::Map { value: self.id(value, &Relation::default()), atomic: relation.map == Some("atomic") };
        }
        let Some(named) = self.named.get(text) else { return primitive(text) };
        match named.is {
            _ if named.custom => self.custom(text),
            Some("string") => Shape::Text(named.choices.clone()),
            Some(is) => self.shape(is, relation),
            None => self.fields(named, relation),
        }
    }

    fn custom(&mut self, text: &'static str) -> Shape {
        let name = text.rsplit('.').next().unwrap_or_default();
        let other = match name {
            "Quantity" => return Shape::Quantity,
            "Time" => return Shape::Time { micro: false },
            "MicroTime" => return Shape::Time { micro: true },
            "IntOrString" => return Shape::IntOrString,
            "JSONSchemaPropsOrBool" => Other::Flag,
            "JSONSchemaPropsOrArray" => Other::Schemas,
            "JSONSchemaPropsOrStringArray" => Other::Strings,
            _ => return Shape::Raw,
        };
        let schema = self.named.keys().find(|name| name.ends_with(".JSONSchemaProps")).copied();
        schema.map_or(Shape::Raw, |schema| Shape::SchemaOr(self.id(schema, &Relation::default()), other))
    }

    fn fields(&mut self, named: &NamedData, relation: &Relation) -> Shape {
        let mut fields = Vec::with_capacity(named.fields.len());
        let mut always = Vec::new();
        for (&name, data) in &named.fields {
            let field = self.field(name, data);
            if self.is_always(&field, data.is) {
                always.push(name);
            }
            fields.push(field);
        }
        let atomic = relation.map.or(named.map) == Some("atomic");
        Shape::Struct(Struct { fields, always, atomic, map_type: named.map, unions: named.unions.clone() })
    }

    fn field(&mut self, name: &'static str, data: &FieldData) -> Field {
        let is = data.is.trim_start_matches('*');
        let relation = Relation { list: data.list, keys: data.keys.clone(), map: data.map };
        Field {
            name,
            ty: self.id(is, &relation),
            pointer: data.is.starts_with('*'),
            omit: match data.omit {
                Some("never") => Omit::Never,
                Some(_) => Omit::Zero,
                None => Omit::Empty,
            },
            number: data.number.clone(),
            inlined: data.inlined.clone(),
            required: data.required,
            default: data.default.clone(),
            patch: Patch {
                merge: data.patch.split(',').any(|part| part == "merge"),
                replace: data.patch.split(',').any(|part| part == "replace"),
                key: data.merge_key,
            },
            told: Told { list_type: data.list, map_type: data.map, patch_strategy: data.patch },
        }
    }

    /// Go leaves out an empty string or list, but never a struct.
    fn is_always(&self, field: &Field, is: &str) -> bool {
        match field.omit {
            Omit::Never => true,
            Omit::Zero => false,
            Omit::Empty => !field.pointer && self.named.get(is).is_some_and(|named| named.custom || named.is.is_none()),
        }
    }
}

fn primitive(text: &str) -> Shape {
    match text {
        "string" => Shape::Text(Vec::new()),
        "bool" => Shape::Flag,
        "int32" => Shape::Int(32),
        "int64" => Shape::Int(64),
        "float64" => Shape::Float,
        _ => Shape::Raw,
    }
}

fn list_type(relation: &Relation) -> ListType {
    match relation.list {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(relation.keys.clone()),
        _ => ListType::Atomic,
    }
}

/// The name in Go's messages: packages by their last part.
fn go_name(text: &str) -> String {
    if let Some(item) = text.strip_prefix("[]") {
        return format!("[]{}", go_name(item));
    }
    if let Some((key, value)) = text.strip_prefix("map[").and_then(|rest| rest.split_once(']')) {
        return format!("map[{}]{}", go_name(key), go_name(value));
    }
    let mut parts = text.rsplitn(3, '.');
    match (parts.next(), parts.next()) {
        (Some(name), Some(package)) => format!("{package}.{name}"),
        _ => text.to_owned(),
    }
}
