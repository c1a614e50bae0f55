//! How the parts of an object are owned: by field, by item, or as one value.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::{
    schema::{Form, ListType, Schema, go},
    types::{self, Omit, Shape},
};

use super::{FieldSet, PathElement, fit};

/// How an object of one kind is owned.
#[derive(Debug, Clone, Copy)]
pub struct Types<'a> {
    root: Type<'a>,
    has_status: bool,
}

impl<'a> Types<'a> {
    /// Those of a custom resource; without a schema everything is owned by field.
    pub fn custom(schema: Option<&'a Schema>, has_status: bool) -> Self {
        Self { root: schema.map_or(Type::Deduced, Type::CustomRoot), has_status }
    }

    /// Those of a kind that is built in.
    pub(crate) fn built_in(ty: Option<&'static types::Type>, has_status: bool) -> Self {
        Self { root: ty.map_or(Type::Deduced, Type::Known), has_status }
    }

    pub(super) fn root(&self) -> Type<'a> {
        self.root
    }

    /// The fields that a write to the subresource cannot change, and so never owns.
    pub(super) fn reset(&self, subresource: &str) -> FieldSet {
        let mut reset = FieldSet::default();
        let mut add = |name: &str| reset.insert(&[PathElement::Field(name.to_owned())]);
        if !self.has_status {
            return reset;
        }
        match subresource {
            "status" => {
                add("spec");
                if !matches!(self.root, Type::Known(_)) {
                    add("metadata");
                }
            }
            _ => add("status"),
        }
        reset
    }
}

/// The fields nobody ever owns.
pub(super) fn never_owned() -> &'static FieldSet {
    static SET: LazyLock<FieldSet> = LazyLock::new(|| {
        let names = NEVER_OWNED_METADATA.map(|name| (format!("f:{name}"), json!({})));
        let mut metadata: Value = names.into_iter().collect();
        metadata["."] = json!({});
        FieldSet::parse(&json!({"f:apiVersion": {}, "f:kind": {}, "f:metadata": metadata}))
    });
    &SET
}

/// The metadata fields nobody ever owns.
pub(super) const NEVER_OWNED_METADATA: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// What every object has at its root, whatever its schema says.
const NAMED_AT_ROOT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// How one value is owned.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type<'a> {
    /// By the schema of a custom resource.
    Custom(&'a Schema),
    /// The same, at the root, where metadata is the well-known one.
    CustomRoot(&'a Schema),
    /// By a built-in type.
    Known(&'static types::Type),
    /// A field of its own, of which there is nothing to know.
    Plain,
    /// One value, whatever is in it.
    Atomic,
    /// By its form alone: lists are one value, objects are owned by field.
    Deduced,
}

/// How the items of a list are told apart.
#[derive(Debug, Clone, Copy)]
pub(super) enum Items<'a> {
    Atomic,
    Set,
    Keyed(Keys<'a>),
}

/// The keys of a map list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keys<'a> {
    Custom(&'a [String], Option<&'a Schema>),
    Known(&'static [&'static str], &'static types::Type),
}

impl<'a> Type<'a> {
    fn known(ty: &'static types::Type) -> Self {
        match ty.shape {
            Shape::Raw if ty.short_name() == "RawExtension" => Self::Atomic,
            Shape::Raw | Shape::SchemaOr(..) => Self::Deduced,
            _ => Self::Known(ty),
        }
    }

    /// The type of a field, and whether the type names it.
    pub(super) fn field(self, name: &str) -> (Self, bool) {
        match self {
            Self::CustomRoot(_) if name == "metadata" => (Self::Known(types::object_meta()), true),
            Self::Custom(schema) if name == "metadata" && schema.is_resource() => {
                (Self::Known(types::object_meta()), true)
            }
            Self::CustomRoot(_) if NAMED_AT_ROOT.contains(&name) => (Self::Plain, true),
            Self::Custom(schema) | Self::CustomRoot(schema) => match schema.property(name) {
                Some(child) => (Self::Custom(child), true),
                None => (schema.field(name).map_or(Self::Deduced, Self::Custom), false),
            },
            Self::Known(ty) => match &ty.shape {
                Shape::Struct(fields) => match fields.field(name) {
                    Some(field) => (Self::known(field.ty.get()), true),
                    None => (Self::Deduced, false),
                },
                Shape::Map { value, .. } => (Self::known(value.get()), false),
                _ => (Self::Deduced, false),
            },
            Self::Plain => (Self::Plain, true),
            Self::Atomic => (Self::Atomic, false),
            Self::Deduced => (Self::Deduced, false),
        }
    }

    /// Whether an object of this type may have the field.
    pub(super) fn is_declared(self, name: &str) -> bool {
        match self {
            Self::Custom(schema) => schema.field(name).is_some() || schema.takes_any_field(),
            Self::CustomRoot(schema) => {
                schema.field(name).is_some() || schema.takes_any_field() || NAMED_AT_ROOT.contains(&name)
            }
            Self::Known(ty) => ty.as_struct().is_none_or(|fields| fields.field(name).is_some()),
            Self::Plain | Self::Atomic | Self::Deduced => true,
        }
    }

    /// The form of the values; none if any will do.
    fn form(self) -> Option<Form> {
        match self {
            Self::Custom(schema) | Self::CustomRoot(schema) => schema.form(),
            Self::Known(ty) => Some(match ty.shape {
                Shape::Struct(_) | Shape::Map { .. } => Form::Map,
                Shape::List { .. } => Form::List,
                Shape::Text(_) | Shape::Bytes => Form::Text,
                Shape::Int(_) | Shape::Float => Form::Number,
                Shape::Flag => Form::Flag,
                Shape::Quantity | Shape::Time { .. } => Form::Scalar,
                Shape::IntOrString | Shape::Raw | Shape::SchemaOr(..) => return None,
            }),
            Self::Plain | Self::Atomic | Self::Deduced => None,
        }
    }

    /// What the type expects instead of the value, in kube-apiserver's words.
    pub(super) fn expected(self, value: &Value) -> Option<String> {
        let wrapped = || format!("&{{{}}}", fit::shown(value));
        match (self.form()?, value) {
            (_, Value::Null)
            | (Form::Map, Value::Object(_))
            | (Form::List, Value::Array(_))
            | (Form::Text, Value::String(_))
            | (Form::Number, Value::Number(_))
            | (Form::Flag, Value::Bool(_))
            | (Form::Scalar, Value::String(_) | Value::Number(_) | Value::Bool(_)) => None,
            (Form::Map, _) => Some(format!("expected map, got {}", wrapped())),
            (Form::List, _) => Some(format!("expected list, got {}", wrapped())),
            (Form::Text, _) => {
                Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", fit::shown_as_source(value)))
            }
            (Form::Number, _) => Some(format!("expected numeric (int or float), got {}", go_type(value))),
            (Form::Flag, _) => Some(format!("expected boolean, got {}", wrapped())),
            (Form::Scalar, _) => Some(format!("expected any scalar, got {}", wrapped())),
        }
    }

    /// Whether an object of this type is owned as one value.
    pub(super) fn is_atomic_map(self) -> bool {
        match self {
            Self::Custom(schema) | Self::CustomRoot(schema) => schema.is_atomic_map(),
            Self::Known(ty) => match &ty.shape {
                Shape::Struct(fields) => fields.atomic,
                Shape::Map { atomic, .. } => *atomic,
                _ => false,
            },
            Self::Atomic => true,
            Self::Plain | Self::Deduced => false,
        }
    }

    /// How the items of a list of this type are told apart.
    pub(super) fn items(self) -> Items<'a> {
        match self {
            Self::Custom(schema) | Self::CustomRoot(schema) => match schema.list_type() {
                ListType::Atomic => Items::Atomic,
                ListType::Set => Items::Set,
                ListType::Map(keys) => Items::Keyed(Keys::Custom(keys, schema.items())),
            },
            Self::Known(ty) => match &ty.shape {
                Shape::List { list: types::ListType::Set, .. } => Items::Set,
                Shape::List { list: types::ListType::Map(keys), item } => Items::Keyed(Keys::Known(keys, item.get())),
                _ => Items::Atomic,
            },
            Self::Plain | Self::Atomic | Self::Deduced => Items::Atomic,
        }
    }

    /// The type of the items of a list.
    pub(super) fn item(self) -> Self {
        match self {
            Self::Custom(schema) | Self::CustomRoot(schema) => schema.items().map_or(Self::Deduced, Self::Custom),
            Self::Known(ty) => match &ty.shape {
                Shape::List { item, .. } => Self::known(item.get()),
                _ => Self::Deduced,
            },
            Self::Plain => Self::Plain,
            Self::Atomic => Self::Atomic,
            Self::Deduced => Self::Deduced,
        }
    }

    /// The fields that are there, though empty, wherever the object around them is: Go's structs.
    pub(super) fn always(self) -> &'static [&'static str] {
        match self {
            Self::Known(ty) => ty.as_struct().map_or(&[], |fields| &fields.always),
            _ => &[],
        }
    }
}

impl Items<'_> {
    /// The path element of an item; none if the item has no identity.
    pub(super) fn element(self, item: &Value) -> Option<PathElement> {
        match self {
            Self::Atomic => None,
            Self::Set if item.is_object() || item.is_array() || item.is_null() => None,
            Self::Set => Some(PathElement::Value(item.clone())),
            Self::Keyed(keys) => keys.element(item),
        }
    }
}

impl Items<'_> {
    /// Why an item has no identity.
    pub(super) fn missing(self, item: &Value) -> String {
        let Self::Keyed(keys) = self else {
            return match item {
                Value::Object(_) => "associative list without keys has an element that's a map type",
                Value::Array(_) => "not supported: associative list with lists as elements",
                _ => "associative list without keys has an element that's an explicit null",
            }
            .to_owned();
        };
        if item.is_null() {
            return "associative list with keys may not have a null element".to_owned();
        }
        if !item.is_object() {
            return "associative list with keys may not have non-map elements".to_owned();
        }
        let names: Vec<String> = match keys {
            Keys::Custom(names, _) => names.iter().map(|name| go::quote(name)).collect(),
            Keys::Known(names, _) => names.iter().map(|name| go::quote(name)).collect(),
        };
        format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values \
             for any key fields)",
            names.join(" ")
        )
    }
}

/// What Go calls the type of a value that it read without knowing its type.
pub(crate) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

impl Keys<'_> {
    fn element(self, item: &Value) -> Option<PathElement> {
        let item = item.as_object()?;
        let mut keys: Vec<(String, Value)> = match self {
            Self::Custom(names, schema) => {
                let value = |name: &String| {
                    let default = || schema?.property(name)?.default_value();
                    item.get(name).or_else(default).cloned()
                };
                names.iter().filter_map(|name| Some((name.clone(), value(name)?))).collect()
            }
            Self::Known(names, ty) => {
                let default = |name: &str| {
                    let field = ty.field(name)?;
                    // What is never left out is there with its zero value.
                    let zero = || match (field.omit, field.pointer, &field.ty.get().shape) {
                        (Omit::Never, false, Shape::Text(_)) => Some(Value::from("")),
                        (Omit::Never, false, Shape::Int(_)) => Some(Value::from(0)),
                        _ => None,
                    };
                    field.default.clone().or_else(zero)
                };
                let value = |name: &str| item.get(name).cloned().or_else(|| default(name));
                names.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?))).collect()
            }
        };
        keys.sort_by(|(left, _), (right, _)| left.cmp(right));
        (!keys.is_empty()).then_some(PathElement::Key(keys))
    }
}
