//! The fields that an applied configuration claims.

use serde_json::Value;

use super::{
    FieldSet, PathElement,
    types::{Items, Type},
};

/// The fields that a value has.
pub(super) fn field_set(value: &Value, ty: Type<'_>) -> FieldSet {
    claim(value, ty).1
}

/// Whether the value itself is claimed, and what below it is.
fn claim(value: &Value, ty: Type<'_>) -> (bool, FieldSet) {
    let mut set = FieldSet::default();
    match value {
        Value::Object(map) if !ty.is_atomic_map() => {
            for (name, child) in map {
                let (child_ty, is_named) = ty.field(name);
                let (member, below) = claim(child, child_ty);
                let is_empty = child.is_null() || child.as_object().is_some_and(serde_json::Map::is_empty);
                set.put(PathElement::Field(name.clone()), member || is_empty || !is_named, below);
            }
            (false, set)
        }
        Value::Array(list) if !matches!(ty.items(), Items::Atomic) => {
            for item in list {
                let Some(element) = ty.items().element(item) else { continue };
                let below = if set.is_member(&element) { FieldSet::default() } else { claim(item, ty.item()).1 };
                set.put(element, true, below);
            }
            (false, set)
        }
        _ => (true, set),
    }
}

/// The set, with every named field that leads to one of its members.
///
/// A set of `a.b.c` owns `a` as well if `a` is a field of a type, but not if it is the key of a map.
pub(super) fn with_named_fields(set: &FieldSet, ty: Type<'_>) -> FieldSet {
    let mut named = FieldSet::default();
    for (element, member, below) in set.each() {
        let (child_ty, is_named) = match element {
            PathElement::Field(name) => ty.field(name),
            _ => (ty.item(), false),
        };
        let leads = is_named && !below.is_empty();
        named.put(element.clone(), member || leads, with_named_fields(below, child_ty));
    }
    named
}
