//! Removal of what an applier no longer applies.

use serde_json::{Map, Value, json};

use super::{
    FieldSet, PathElement,
    owned::{field_set, with_named_fields},
    types::{Items, Type},
};

/// Removes from a merged object what was applied last time and is owned by nobody now.
pub(super) fn prune(merged: &Value, last: &FieldSet, owned: &FieldSet, ty: Type<'_>) -> Value {
    let named = |set: &FieldSet| with_named_fields(set, ty);
    let last = named(last);
    let all = named(&field_set(merged, ty));
    let bare = named(&field_set(&without(merged, &last, ty), ty));
    let kept = without(merged, &all.clone().difference(&bare.union(named(owned))), ty);
    let kept = named(&field_set(&kept, ty));
    without(merged, &all.difference(&kept).intersection(&last), ty)
}

/// A copy of the value without the fields of the set.
fn without(value: &Value, set: &FieldSet, ty: Type<'_>) -> Value {
    match value {
        Value::Object(map) if !ty.is_atomic_map() => {
            let mut left = Map::new();
            for (name, child) in map {
                let element = PathElement::Field(name.clone());
                if set.is_member(&element) {
                    continue;
                }
                let child = match set.below(&element) {
                    Some(below) => without(child, below, ty.field(name).0),
                    None => child.clone(),
                };
                left.insert(name.clone(), child);
            }
            Value::Object(left)
        }
        Value::Array(list) if !matches!(ty.items(), Items::Atomic) => {
            let left = list.iter().filter_map(|item| {
                let Some(element) = ty.items().element(item) else { return Some(item.clone()) };
                if set.is_member(&element) {
                    return None;
                }
                Some(match set.below(&element) {
                    Some(below) => without(item, below, ty.item()),
                    None => item.clone(),
                })
            });
            Value::Array(left.collect())
        }
        // One value: taking away a part of it takes all of it.
        Value::Object(_) => json!({}),
        Value::Array(_) => json!([]),
        scalar => scalar.clone(),
    }
}
