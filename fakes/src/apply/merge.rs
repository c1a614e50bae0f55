//! Merging of an applied configuration into a live object.

use std::collections::VecDeque;

use serde_json::Value;

use super::{
    PathElement,
    types::{Items, Type},
};

/// Merges the applied value, which fits its type, into the live one.
pub(super) fn merge(live: &mut Value, applied: &Value, ty: Type<'_>) {
    match (live, applied) {
        (Value::Object(live), Value::Object(applied)) if !ty.is_atomic_map() => {
            for (name, value) in applied {
                match live.get_mut(name) {
                    Some(old) => merge(old, value, ty.field(name).0),
                    None => {
                        live.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(live), Value::Array(applied)) if !matches!(ty.items(), Items::Atomic) => {
            *live = merge_list(std::mem::take(live), applied, ty);
        }
        // An applied null takes nothing away from a container with content.
        (Value::Object(live), Value::Null) if !ty.is_atomic_map() && !live.is_empty() => {}
        (Value::Array(live), Value::Null) if !matches!(ty.items(), Items::Atomic) && !live.is_empty() => {}
        (live, applied) => applied.clone_into(live),
    }
}

/// Merges two lists whose items have identities.
///
/// Applied items come in the order of the configuration. Items only the live list has stay before whatever followed
/// them.
fn merge_list(live: Vec<Value>, applied: &[Value], ty: Type<'_>) -> Vec<Value> {
    let items = ty.items();
    let applied: Vec<(PathElement, &Value)> =
        applied.iter().filter_map(|item| Some((items.element(item)?, item))).collect();
    let is_applied = |element: &PathElement| applied.iter().any(|(applied, _)| applied == element);
    let mut left: Vec<(Option<PathElement>, Option<Value>)> =
        live.into_iter().map(|item| (items.element(&item), Some(item))).collect();
    let mut shared: VecDeque<&PathElement> = applied.iter().map(|(element, _)| element).collect();
    shared.retain(|element| left.iter().any(|(live, _)| live.as_ref() == Some(element)));
    let mut merged = Vec::with_capacity(left.len().max(applied.len()));
    let (mut at, mut next) = (0, 0);
    while at < left.len() || next < applied.len() {
        if let Some((element, item)) = left.get_mut(at) {
            if !element.as_ref().is_some_and(is_applied) {
                merged.extend(item.take());
                at += 1;
                continue;
            }
            if next >= applied.len() || shared.front().copied() != element.as_ref() {
                // A shared item whose turn was earlier or is later: it comes where the configuration has it.
                at += 1;
                continue;
            }
        }
        let (element, value) = &applied[next];
        let twin = left.iter_mut().find(|(live, _)| live.as_ref() == Some(element)).and_then(|(_, item)| item.take());
        merged.push(match twin {
            Some(mut twin) => {
                merge(&mut twin, value, ty.item());
                twin
            }
            None => Value::clone(value),
        });
        if shared.front().copied() == Some(element) {
            shared.pop_front();
        }
        next += 1;
    }
    merged
}
