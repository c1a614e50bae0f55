//! Strategic merge: a JSON merge that joins lists item by item, as the types of the built-in kinds say.

mod order;

use serde_json::{Map, Value};

use crate::{
    apply::{go_type, shown},
    status::Status,
    types::{self, Field, Shape, Type},
};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM_PRIMITIVES: &str = "$deleteFromPrimitiveList";
const ORDER: &str = "$setElementOrder";

type Object = Map<String, Value>;
type Result<T> = std::result::Result<T, Status>;

/// Merges a strategic merge patch into an object of the type.
pub(super) fn merge(object: &mut Value, patch: &Value, ty: &'static Type) -> Result<()> {
    let Value::Object(patch) = patch else { return Err(not_an_object(patch)) };
    if let Value::Object(original) = object {
        merge_map(original, patch.clone(), ty)?;
    }
    Ok(())
}

fn not_an_object(patch: &Value) -> Status {
    let what = types::word(patch);
    Status::bad_request(format!("json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"))
}

/// What the real server answers where its library fails in a way that it does not expect.
fn failure(message: impl Into<String>) -> Status {
    Status::new(500, "", message)
}

fn merge_map(original: &mut Object, mut patch: Object, ty: &'static Type) -> Result<()> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        match directive.as_str() {
            Some("replace") => {
                patch.shift_remove(DIRECTIVE);
                *original = patch;
            }
            Some("delete") => original.clear(),
            _ => return Err(unknown_directive(directive, &patch)),
        }
        return Ok(());
    }
    retain_keys(original, &mut patch)?;
    merge_ordered_lists(original, &mut patch, ty)?;
    for (key, change) in patch {
        match key.strip_prefix(DELETE_FROM_PRIMITIVES) {
            Some(name) => {
                let name = name.strip_prefix('/');
                let name = name.ok_or_else(|| Status::bad_request("invalid patch format of primitive list"))?;
                remove_values(original, name, &change)?;
            }
            None => merge_field(original, &key, change, ty)?,
        }
    }
    Ok(())
}

/// A patch as merging it leaves it behind, which is what the real server shows of it: a directive to replace is taken out
/// when it is followed, and so are nulls in what the object did not have.
pub(super) fn leave_behind(original: &Value, patch: &mut Value) {
    let Value::Object(fields) = patch else { return };
    if fields.get(DIRECTIVE).is_some_and(|directive| directive == "replace") {
        fields.shift_remove(DIRECTIVE);
        return;
    }
    for (key, change) in fields {
        match original.get(key) {
            Some(original) => leave_behind(original, change),
            None => drop_nulls(change),
        }
    }
}

fn drop_nulls(patch: &mut Value) {
    if let Value::Object(fields) = patch {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(drop_nulls);
    }
}

fn unknown_directive(directive: &Value, patch: &Object) -> Status {
    let directive = match directive {
        Value::Null => "%!s(<nil>)".to_owned(),
        Value::Bool(_) | Value::Number(_) => format!("%!s({}={directive})", go_type(directive)),
        other => shown(other),
    };
    let patch = shown(&Value::Object(patch.clone()));
    failure(format!("unknown patch type: {directive} in map: {patch}"))
}

/// Removes from the original what the directive does not list. The patch may have nothing else, either.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<()> {
    let Some(kept) = patch.shift_remove(RETAIN_KEYS) else { return Ok(()) };
    let malformed = || Status::bad_request("invalid patch format of retainKeys");
    let Value::Array(kept) = kept else { return Err(malformed()) };
    let is_kept = |key: &str| kept.iter().any(|kept| kept.as_str() == Some(key));
    let is_directive = |key: &str| key.starts_with(DELETE_FROM_PRIMITIVES) || key.starts_with(ORDER);
    if patch.iter().any(|(key, value)| !value.is_null() && !is_directive(key) && !is_kept(key)) {
        return Err(malformed());
    }
    original.retain(|key, _| is_kept(key));
    Ok(())
}

fn merge_field(original: &mut Object, key: &str, mut change: Value, ty: &'static Type) -> Result<()> {
    if change.is_null() {
        original.shift_remove(key);
        return Ok(());
    }
    match (original.get_mut(key), change) {
        (Some(Value::Object(current)), Value::Object(change)) => {
            let field = field(ty, key)?;
            if is_replaced(field) {
                *current = change;
            } else {
                merge_map(current, change, field.ty.get())?;
            }
        }
        (Some(Value::Array(current)), Value::Array(change)) => {
            let (field, item) = list_field(ty, key)?;
            *current = merge_list_field(std::mem::take(current), change, field, item)?;
        }
        (_, other) => {
            change = other;
            discard_nulls(&mut change);
            match without_directives(change) {
                Some(value) => original.insert(key.to_owned(), value),
                None => original.shift_remove(key),
            };
        }
    }
    Ok(())
}

/// Objects are merged unless their field says otherwise; lists the other way round.
fn is_replaced(field: &Field) -> bool {
    field.patch.replace
}

fn field(ty: &'static Type, key: &str) -> Result<&'static Field> {
    let Some(fields) = ty.as_struct() else {
        let kind = match ty.shape {
            Shape::Map { .. } => "map",
            Shape::List { .. } | Shape::Bytes => "slice",
            Shape::Text(_) => "string",
            // Types that write their own JSON are structs to Go, without fields that JSON names.
            _ => return Err(no_such_field(ty, key)),
        };
        return Err(failure(format!("merging an object in json but data type is not struct, instead is: {kind}")));
    };
    fields.field(key).ok_or_else(|| no_such_field(ty, key))
}

fn no_such_field(ty: &Type, key: &str) -> Status {
    failure(format!("unable to find api field in struct {} for the json field {key:?}", ty.short_name()))
}

/// A list and the type of its items.
fn list_field(ty: &'static Type, key: &str) -> Result<(&'static Field, &'static Type)> {
    let field = field(ty, key)?;
    match field.ty.get().shape {
        Shape::List { item, .. } => Ok((field, item.get())),
        _ => Err(failure("expected slice or array type, but got: struct")),
    }
}

fn merge_list_field(original: Vec<Value>, patch: Vec<Value>, field: &Field, item: &'static Type) -> Result<Vec<Value>> {
    if field.patch.merge { merge_list(original, patch, field.patch.key, item) } else { Ok(patch) }
}

fn merge_list(original: Vec<Value>, patch: Vec<Value>, key: Option<&str>, item: &'static Type) -> Result<Vec<Value>> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if !order::are_maps(&original, &patch)? {
        let mut merged: Vec<Value> = Vec::with_capacity(original.len() + patch.len());
        for value in original.iter().chain(&patch) {
            if !merged.contains(value) {
                merged.push(value.clone());
            }
        }
        return order::normalise(merged, &patch, &original, None);
    }
    let Some(key) = key else { return Err(failure("cannot merge lists without merge key for struct")) };
    let (mut merged, patch) = follow_directives(original, patch, key)?;
    let before = merged.clone();
    for change in &patch {
        let Value::Object(change) = change else { continue };
        let wanted = change.get(key).ok_or_else(|| no_merge_key(change, key))?;
        match merged.iter_mut().find(|known| known.get(key) == Some(wanted)) {
            Some(Value::Object(known)) => merge_map(known, change.clone(), item)?,
            _ => merged.push(Value::Object(change.clone())),
        }
    }
    order::normalise(merged, &patch, &before, Some(key))
}

/// Deletes the items that the patch says to delete; a replacement starts from the items of the patch alone.
fn follow_directives(mut original: Vec<Value>, patch: Vec<Value>, key: &str) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut left = Vec::with_capacity(patch.len());
    let mut is_replaced = false;
    for change in patch {
        let Some(directive) = change.get(DIRECTIVE) else {
            left.push(change);
            continue;
        };
        let item = change.as_object().cloned().unwrap_or_default();
        match directive.as_str() {
            Some("delete") => {
                let gone = item.get(key).ok_or_else(|| no_merge_key(&item, key))?;
                original.retain(|known| known.get(key) != Some(gone));
            }
            Some("replace") => is_replaced = true,
            Some("merge") => return Err(failure("merging lists cannot yet be specified in the patch")),
            _ => return Err(unknown_directive(directive, &item)),
        }
    }
    Ok(if is_replaced { (left, Vec::new()) } else { (original, left) })
}

fn no_merge_key(item: &Object, key: &str) -> Status {
    let item = shown(&Value::Object(item.clone()));
    failure(format!("map: {item} does not contain declared merge key: {key}"))
}

fn remove_values(original: &mut Object, name: &str, gone: &Value) -> Result<()> {
    if let Some(Value::Array(list)) = original.get_mut(name)
        && let Value::Array(gone) = gone
        && !order::are_maps(list, gone)?
    {
        list.retain(|value| !gone.contains(value));
    }
    Ok(())
}

/// Merges the lists whose order the patch gives.
fn merge_ordered_lists(original: &mut Object, patch: &mut Object, ty: &'static Type) -> Result<()> {
    let directives: Vec<String> = patch.keys().filter(|key| key.starts_with(ORDER)).cloned().collect();
    for directive in directives {
        let malformed = || Status::bad_request("invalid patch format of setElementOrder list");
        let Some(Value::Array(wanted)) = patch.shift_remove(&directive) else {
            return Err(failure("expected a []interface {}, but received a string"));
        };
        let name = directive.strip_prefix(ORDER).and_then(|name| name.strip_prefix('/')).ok_or_else(malformed)?;
        let (field, item) = list_field(ty, name)?;
        let key = field.patch.key;
        let list = |value: Option<Value>| match value {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => Err(failure("expected a []interface {}, but received a map[string]interface {}")),
        };
        let current = list(original.get(name).cloned())?;
        let change = list(patch.get(name).cloned())?;
        order::check(change.as_deref().unwrap_or_default(), &wanted, key)?;
        let before = current.clone().unwrap_or_default();
        let merged = match (current, change) {
            (None, None) => continue,
            (Some(current), None) => current,
            (None, Some(change)) => change.into_iter().filter_map(without_directives).collect(),
            (Some(current), Some(change)) => merge_list_field(current, change, field, item)?,
        };
        let ordered = order::normalise(merged, &wanted, &before, key)?;
        original.insert(name.to_owned(), Value::Array(ordered));
        patch.shift_remove(name);
    }
    Ok(())
}

fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(discard_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// The value without what is marked by a directive; none if it is itself.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => {
            Some(map.into_iter().filter_map(|(key, value)| Some((key, without_directives(value)?))).collect())
        }
        Value::Array(list) => Some(list.into_iter().filter_map(without_directives).collect()),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests;
