//! Merging of an applied configuration into a live object.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

use super::{
    PathElement,
    types::{Items, Type},
};

/// Merges the applied value into the live one. Fails with a message if an item of a list cannot be told apart.
pub(super) fn merge(live: &mut Value, applied: &Value, ty: Type<'_>) -> Result<(), String> {
    match (live, applied) {
        (Value::Object(live), Value::Object(applied)) if !ty.is_atomic_map() => {
            for (name, value) in applied {
                match live.get_mut(name) {
                    Some(old) => merge(old, value, ty.field(name).0).map_err(|error| format!(".{name}{error}"))?,
                    None => {
                        live.insert(name.clone(), checked(value, ty.field(name).0)?);
                    }
                }
            }
        }
        (Value::Array(live), Value::Array(applied)) if !matches!(ty.items(), Items::Atomic) => {
            *live = merge_list(std::mem::take(live), applied, ty)?;
        }
        // An applied null takes nothing away from a container with content.
        (Value::Object(live), Value::Null) if !ty.is_atomic_map() && !live.is_empty() => {}
        (Value::Array(live), Value::Null) if !matches!(ty.items(), Items::Atomic) && !live.is_empty() => {}
        (live, applied) => *live = checked(applied, ty)?,
    }
    Ok(())
}

fn checked(applied: &Value, ty: Type<'_>) -> Result<Value, String> {
    check(applied, ty)?;
    Ok(applied.clone())
}

/// Every item of an applied list needs an identity of its own.
fn check(applied: &Value, ty: Type<'_>) -> Result<(), String> {
    match applied {
        Value::Object(map) if !ty.is_atomic_map() => {
            map.iter().try_for_each(|(name, value)| check(value, ty.field(name).0).map_err(|e| format!(".{name}{e}")))
        }
        Value::Array(list) => {
            elements(list, ty.items())?;
            list.iter().try_for_each(|item| check(item, ty.item()))
        }
        _ => Ok(()),
    }
}

fn elements(list: &[Value], items: Items<'_>) -> Result<Vec<PathElement>, String> {
    if matches!(items, Items::Atomic) {
        return Ok(Vec::new());
    }
    let mut seen = BTreeSet::new();
    let mut elements = Vec::with_capacity(list.len());
    for (i, item) in list.iter().enumerate() {
        let Some(element) = items.element(item) else {
            return Err(format!(": element {i}: associative list with keys has an element that omits all key fields"));
        };
        if !seen.insert(element.clone()) {
            return Err(format!(": duplicate entries for key {element}"));
        }
        elements.push(element);
    }
    Ok(elements)
}

/// Merges two lists whose items have identities.
///
/// Applied items come in the order of the configuration. Items only the live list has stay before whatever followed
/// them.
fn merge_list(live: Vec<Value>, applied: &[Value], ty: Type<'_>) -> Result<Vec<Value>, String> {
    let items = ty.items();
    let wanted = elements(applied, items)?;
    let mut left: Vec<(Option<PathElement>, Option<Value>)> =
        live.into_iter().map(|item| (items.element(&item), Some(item))).collect();
    let mut shared: VecDeque<&PathElement> =
        wanted.iter().filter(|element| left.iter().any(|(live, _)| live.as_ref() == Some(element))).collect();
    let mut merged = Vec::with_capacity(left.len().max(applied.len()));
    let (mut at, mut next) = (0, 0);
    while at < left.len() || next < applied.len() {
        if let Some((element, item)) = left.get_mut(at) {
            let is_wanted = element.as_ref().is_some_and(|element| wanted.contains(element));
            if !is_wanted {
                merged.extend(item.take());
                at += 1;
                continue;
            }
            let is_next = next < applied.len() && shared.front().copied() == element.as_ref();
            if !is_next {
                // A shared item whose turn is earlier or later: it comes where the configuration has it.
                at += 1;
                continue;
            }
        }
        let element = &wanted[next];
        let twin = left.iter_mut().find(|(live, _)| live.as_ref() == Some(element)).and_then(|(_, item)| item.take());
        merged.push(match twin {
            Some(mut twin) => {
                merge(&mut twin, &applied[next], ty.item())?;
                twin
            }
            None => checked(&applied[next], ty.item())?,
        });
        shared.pop_front_if(|shared| *shared == element);
        next += 1;
    }
    Ok(merged)
}
