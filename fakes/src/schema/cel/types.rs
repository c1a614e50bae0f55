//! The types of CEL expressions, as far as a schema and the functions tell them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::convert::{self, escaped};
use crate::schema::{Kind, Schema};

/// The type of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::schema) enum Type {
    /// Anything: what is known when the expression is evaluated.
    Dyn,
    /// A type by its name alone: `int`, `kubernetes.Quantity`.
    Named(Arc<str>),
    List(Arc<Type>),
    Map(Arc<Type>, Arc<Type>),
    Optional(Arc<Type>),
    /// The type of a type.
    Metatype,
    Object(Arc<BTreeMap<String, Type>>),
    /// A parameter of a function.
    Parameter(char),
}

impl Type {
    pub(super) fn named(name: &str) -> Self {
        Self::Named(name.into())
    }

    pub(super) fn list(items: Self) -> Self {
        Self::List(Arc::new(items))
    }

    pub(super) fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new(key), Arc::new(value))
    }

    pub(super) fn optional(of: Self) -> Self {
        Self::Optional(Arc::new(of))
    }

    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self, Self::Named(own) if **own == *name)
    }

    /// The type of values of a schema; none if rules cannot see them.
    pub(in crate::schema) fn of(schema: &Schema, is_resource: bool) -> Option<Self> {
        Some(match schema.kind? {
            Kind::IntOrString => Self::Dyn,
            Kind::Array => Self::list(Self::below(schema.items()?)?),
            Kind::Object => match schema.additional_schema().filter(|_| !is_resource) {
                Some(values) => Self::map(Self::named("string"), Self::below(values)?),
                None => Self::Object(Arc::new(fields(schema, is_resource))),
            },
            Kind::String => Self::named(match schema.format.as_deref() {
                Some("byte") => "bytes",
                Some("duration") => "google.protobuf.Duration",
                Some("date" | "date-time") => "google.protobuf.Timestamp",
                _ => "string",
            }),
            Kind::Boolean => Self::named("bool"),
            Kind::Number => Self::named("double"),
            Kind::Integer => Self::named("int"),
        })
    }

    fn below(schema: &Schema) -> Option<Self> {
        Self::of(schema, schema.embedded)
    }
}

fn fields(schema: &Schema, is_resource: bool) -> BTreeMap<String, Type> {
    let known = schema.properties.iter();
    let mut fields: BTreeMap<String, Type> =
        known.filter_map(|(name, child)| Some((escaped(name)?, Type::below(child)?))).collect();
    // Words that are reserved may be written as they are, too.
    let reserved: Vec<(String, Type)> = schema
        .properties
        .keys()
        .filter(|name| convert::is_reserved(name))
        .filter_map(|name| Some((name.clone(), fields.get(&escaped(name)?)?.clone())))
        .collect();
    fields.extend(reserved);
    if is_resource {
        let text = || Type::named("string");
        let names = ["name", "generateName"].map(|name| (name.to_owned(), text()));
        fields.insert("metadata".to_owned(), Type::Object(Arc::new(names.into())));
        fields.extend(["apiVersion", "kind"].map(|name| (name.to_owned(), text())));
    }
    fields
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Named(name) => f.write_str(name),
            Self::List(items) => write!(f, "list({items})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Optional(of) => write!(f, "optional_type({of})"),
            Self::Metatype => f.write_str("type"),
            Self::Object(_) => f.write_str("object"),
            Self::Parameter(name) => write!(f, "{name}"),
        }
    }
}
