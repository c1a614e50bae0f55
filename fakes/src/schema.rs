//! Structural OpenAPI v3 schemas of custom resources: pruning, defaulting, validation.
//!
//! A schema is parsed once, when its `CustomResourceDefinition` arrives, into a compact tree. Messages, reasons and
//! field paths are those of kube-apiserver, because clients show and match them.

mod cause;
mod cel;
mod defaults;
mod embedded;
pub(crate) mod field_path;
mod formats;
pub(crate) mod go;
mod lists;
mod openapi;
mod parse;
mod pattern;
mod prune;
mod structural;
mod validate;

use std::collections::BTreeMap;

use serde_json::{Number, Value};

pub use cause::{Cause, invalid_status};
pub(crate) use cel::functions::context as cel_functions;
pub(crate) use formats::unknown as unknown_formats;
pub use validate::Findings;

/// One node of a structural schema, with everything below it.
#[expect(clippy::struct_excessive_bools, reason = "each is a keyword of the schema language")]
#[derive(Debug, Default)]
pub struct Schema {
    kind: Option<Kind>,
    nullable: bool,
    format: Option<String>,
    default: Option<Value>,
    properties: BTreeMap<String, Schema>,
    additional: Option<Additional>,
    items: Option<Box<Schema>>,
    preserve_unknown: bool,
    embedded: bool,
    list: ListType,
    map_atomic: bool,
    checks: Checks,
    rules: Vec<cel::Rule>,
    inside: Inside,
}

/// How the items of a list are told apart: the `x-kubernetes-list-type` of its schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ListType {
    /// The list is one value.
    #[default]
    Atomic,
    /// Every item is its own identity.
    Set,
    /// Items are objects, identified by these fields.
    Map(Vec<String>),
}

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An object.
    Map,
    /// A list.
    List,
    /// A string.
    Text,
    /// A number.
    Number,
    /// A boolean.
    Flag,
    /// A string, number or boolean.
    Scalar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

#[derive(Debug)]
enum Additional {
    Forbidden,
    Any,
    Schema(Box<Schema>),
}

/// Value validations: what a nested `allOf`, `anyOf`, `oneOf` or `not` may hold, too.
#[derive(Debug, Default)]
struct Checks {
    required: Vec<String>,
    choices: Vec<Value>,
    minimum: Option<Number>,
    maximum: Option<Number>,
    exclusive_minimum: bool,
    exclusive_maximum: bool,
    multiple_of: Option<Number>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    pattern: Option<Pattern>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    min_properties: Option<u64>,
    max_properties: Option<u64>,
    all_of: Vec<Schema>,
    any_of: Vec<Schema>,
    one_of: Vec<Schema>,
    not: Option<Box<Schema>>,
}

#[derive(Debug)]
struct Pattern {
    source: String,
    regex: std::sync::Arc<regex::Regex>,
}

/// What a node or anything below it carries, so that a walk can leave out subtrees.
#[expect(clippy::struct_excessive_bools, reason = "a set of facts")]
#[derive(Debug, Clone, Copy, Default)]
struct Inside {
    defaults: bool,
    keyed_lists: bool,
    rules: bool,
    embedded: bool,
    transition_rules: bool,
}

impl Schema {
    /// The schema of the named field of an object, whether a property or a key of a map.
    pub fn field(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).or_else(|| self.additional_schema())
    }

    /// The schema of a field that the schema names.
    pub fn property(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name)
    }

    /// The schema of the items of a list.
    pub fn items(&self) -> Option<&Schema> {
        self.items.as_deref()
    }

    /// How the items of a list are told apart.
    pub fn list_type(&self) -> &ListType {
        &self.list
    }

    /// Whether an object is owned and replaced as one value (`x-kubernetes-map-type: atomic`).
    pub fn is_atomic_map(&self) -> bool {
        self.map_atomic
    }

    /// Whether the values are resources, with type and metadata.
    pub fn is_resource(&self) -> bool {
        self.embedded
    }

    /// Whether an object may have fields that the schema does not name.
    pub fn takes_any_field(&self) -> bool {
        let is_free = self.properties.is_empty() && self.additional.is_none();
        self.preserve_unknown || is_free || matches!(self.additional, Some(Additional::Any))
    }

    /// The form of the values; none if the schema does not say.
    pub fn form(&self) -> Option<Form> {
        Some(match self.kind? {
            Kind::Object => Form::Map,
            Kind::Array => Form::List,
            Kind::Integer | Kind::Number => Form::Number,
            Kind::Boolean => Form::Flag,
            Kind::String if self.format.as_deref().is_none_or(|format| format == "byte") => Form::Text,
            Kind::String | Kind::IntOrString => Form::Scalar,
        })
    }

    /// Whether the values are texts, truths or integers, which field selectors may name.
    pub(crate) fn is_selectable(&self) -> bool {
        matches!(self.kind, Some(Kind::String | Kind::Boolean | Kind::Integer))
    }

    /// The default of a missing field.
    pub fn default_value(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    fn additional_schema(&self) -> Option<&Schema> {
        match &self.additional {
            Some(Additional::Schema(schema)) => Some(schema),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
