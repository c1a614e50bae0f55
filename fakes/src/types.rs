//! The types of the built-in kinds, as a real API server tells them.
//!
//! `types/*.json` is recorded by `record-types`. It is read once per process, into tables that refer to each other by
//! number, because a process may start thousands of clusters.

mod data;
mod decode;
mod json;
mod parsed;
mod path;
pub(crate) mod protobuf;
mod quantity;
mod resources;
mod time;
mod yaml;

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::Value;

pub(crate) use decode::{Reader, decode, word, zero};
pub(crate) use json::parse;
pub(crate) use parsed::{Parsed, Repeated};
pub(crate) use quantity::Quantity;
pub(crate) use resources::{Resource, resources};
pub(crate) use yaml::parse as parse_yaml;

static TYPES: LazyLock<Types> = LazyLock::new(data::types);

/// All types.
#[derive(Debug)]
struct Types {
    all: Vec<Type>,
    /// By `group/version/kind`; the core group has no name.
    kinds: BTreeMap<&'static str, TypeId>,
}

/// The type of a kind; none if it is not built in.
pub(crate) fn kind(api_version: &str, kind: &str) -> Option<&'static Type> {
    TYPES.kinds.get(format!("{api_version}/{kind}").as_str()).map(|id| id.get())
}

/// The metadata that every object has.
pub(crate) fn object_meta() -> &'static Type {
    static META: LazyLock<&'static Type> = LazyLock::new(|| {
        let config_map = kind("v1", "ConfigMap").and_then(|kind| kind.field("metadata"));
        config_map.map_or_else(|| TypeId(0).get(), |field| field.ty.get())
    });
    *META
}

/// The place of a type in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeId(u16);

impl TypeId {
    pub(crate) fn get(self) -> &'static Type {
        &TYPES.all[usize::from(self.0)]
    }
}

/// One type.
#[derive(Debug)]
pub(crate) struct Type {
    /// As Go's messages name it: `v1.PodSpec`, `[]v1.Container`, `int32`.
    pub(crate) go: String,
    /// As OpenAPI names it, if it has a schema of its own.
    pub(crate) model: Option<&'static str>,
    /// Kinds that are of this type, as `group/version/kind`.
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) shape: Shape,
}

/// What the values of a type look like.
#[derive(Debug)]
pub(crate) enum Shape {
    Struct(Struct),
    Map {
        value: TypeId,
        /// Whether it is owned as one value.
        atomic: bool,
    },
    List {
        item: TypeId,
        list: ListType,
    },
    /// A string; an enumeration has choices.
    Text(Vec<&'static str>),
    Flag,
    /// A signed integer of so many bits.
    Int(u8),
    Float,
    /// Base64 in JSON.
    Bytes,
    Quantity,
    /// A time to the second or to the microsecond.
    Time {
        micro: bool,
    },
    IntOrString,
    /// Any JSON.
    Raw,
    /// A schema, or what may stand for one.
    SchemaOr(TypeId, Other),
}

/// What may stand where a schema could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    Flag,
    Schemas,
    Strings,
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListType {
    /// The list is one value.
    Atomic,
    /// Every item is its own identity.
    Set,
    /// Items are objects, identified by these fields.
    Map(Vec<&'static str>),
}

/// A struct.
#[derive(Debug)]
pub(crate) struct Struct {
    /// By name.
    pub(crate) fields: Vec<Field>,
    /// The names of those that are written even when they are empty.
    pub(crate) always: Vec<&'static str>,
    /// Whether it is owned as one value.
    pub(crate) atomic: bool,
    /// `x-kubernetes-map-type`, as OpenAPI has it.
    pub(crate) map_type: Option<&'static str>,
    /// `x-kubernetes-unions`, as OpenAPI has them.
    pub(crate) unions: Option<Value>,
}

/// A field of a struct.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) ty: TypeId,
    pub(crate) pointer: bool,
    pub(crate) omit: Omit,
    /// Its number in protobuf, after those of the structs it is inlined from; none if it is not part of it.
    pub(crate) number: Vec<u32>,
    /// The Go names of the structs it is inlined from.
    pub(crate) inlined: Vec<&'static str>,
    pub(crate) required: bool,
    /// The default that OpenAPI tells, unless it is the zero value.
    pub(crate) default: Option<Value>,
    pub(crate) patch: Patch,
    pub(crate) told: Told,
}

/// What OpenAPI says of a field word for word.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) list_type: Option<&'static str>,
    pub(crate) map_type: Option<&'static str>,
    pub(crate) patch_strategy: &'static str,
}

/// When a field is left out of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Omit {
    Never,
    Empty,
    Zero,
}

/// How strategic merge patches treat a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Patch {
    pub(crate) merge: bool,
    pub(crate) replace: bool,
    pub(crate) key: Option<&'static str>,
}

impl Type {
    /// The fields, if it is a struct.
    pub(crate) fn as_struct(&self) -> Option<&Struct> {
        match &self.shape {
            Shape::Struct(fields) => Some(fields),
            _ => None,
        }
    }

    /// The named field, if it is a struct that has it.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.as_struct()?.field(name)
    }

    /// The name without its package.
    pub(crate) fn short_name(&self) -> &str {
        self.go.rsplit('.').next().unwrap_or_default()
    }
}

impl Struct {
    /// The named field.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.binary_search_by(|field| field.name.cmp(name)).ok().map(|index| &self.fields[index])
    }
}

#[cfg(test)]
mod tests;
