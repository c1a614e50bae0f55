//! Whether an applied configuration fits its type.

use std::collections::BTreeSet;

use serde_json::Value;

use super::types::{Items, Type};
use crate::schema::go;

/// What does not fit, with its path, as kube-apiserver words it; none if everything does.
pub(super) fn misfit(applied: &Value, ty: Type<'_>) -> Option<String> {
    let mut errors = Vec::new();
    check(applied, ty, &mut String::new(), &mut errors);
    match errors.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("errors:\n  {}", many.join("\n  "))),
    }
}

/// What a configuration is called in the message about its misfit.
pub(super) fn name_of(applied: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &applied["metadata"];
    let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
    format!("({namespace}/{name}; {}, Kind={})", group_version(&text(&applied["apiVersion"])), text(&applied["kind"]))
}

/// With a slash also in the core group.
pub(crate) fn group_version(api_version: &str) -> String {
    if api_version.contains('/') { api_version.to_owned() } else { format!("/{api_version}") }
}

fn check(value: &Value, ty: Type<'_>, at: &mut String, errors: &mut Vec<String>) {
    if let Some(error) = ty.expected(value) {
        errors.push(located(at, &error));
        return;
    }
    match value {
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            for (name, child) in fields {
                let below =
                    if ty.is_declared(name) { Ok(ty.field(name).0) } else { Err("field not declared in schema") };
                step(at, &format!(".{name}"), |at| match below {
                    Ok(ty) => check(child, ty, at, errors),
                    Err(error) => errors.push(located(at, error)),
                });
            }
        }
        Value::Array(list) => check_list(list, ty, at, errors),
        _ => {}
    }
}

fn check_list(list: &[Value], ty: Type<'_>, at: &mut String, errors: &mut Vec<String>) {
    let items = ty.items();
    let mut seen = BTreeSet::new();
    for (i, item) in list.iter().enumerate() {
        let name = if matches!(items, Items::Atomic) {
            format!("[{i}]")
        } else {
            let Some(element) = items.element(item) else {
                errors.push(located(at, &format!("element {i}: {}", items.missing(item))));
                return;
            };
            if !seen.insert(element.clone()) {
                errors.push(located(at, &format!("duplicate entries for key {element}")));
            }
            element.to_string()
        };
        step(at, &name, |at| check(item, ty.item(), at, errors));
    }
}

/// The paths at which a configuration sets something that is owned as one value.
pub(super) fn atomics(applied: &Value, ty: Type<'_>) -> Vec<String> {
    let mut found = Vec::new();
    find_atomics(applied, ty, &mut String::new(), &mut found);
    found
}

fn find_atomics(value: &Value, ty: Type<'_>, at: &mut String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if ty.is_atomic_map() {
                found.push(at.clone());
            }
            for (name, child) in fields {
                step(at, &format!(".{name}"), |at| find_atomics(child, ty.field(name).0, at, found));
            }
        }
        Value::Array(items) => {
            if matches!(ty.items(), Items::Atomic) {
                found.push(at.clone());
            }
            for (index, item) in items.iter().enumerate() {
                step(at, &format!("[{index}]"), |at| find_atomics(item, ty.item(), at, found));
            }
        }
        _ => {}
    }
}

fn step(at: &mut String, name: &str, walk: impl FnOnce(&mut String)) {
    let before = at.len();
    at.push_str(name);
    walk(at);
    at.truncate(before);
}

fn located(at: &str, error: &str) -> String {
    if at.is_empty() { error.to_owned() } else { format!("{at}: {error}") }
}

/// A value as Go's `%v` shows it.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut fields: Vec<String> = map.iter().map(|(name, child)| format!("{name}:{}", shown(child))).collect();
            fields.sort();
            format!("map[{}]", fields.join(" "))
        }
        Value::Null => "<nil>".to_owned(),
        scalar => scalar.to_string(),
    }
}

/// A value as Go's `%#v` shows it.
pub(super) fn shown_as_source(value: &Value) -> String {
    match value {
        Value::String(text) => go::quote(text),
        Value::Array(list) => {
            format!("[]interface {{}}{{{}}}", list.iter().map(shown_as_source).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let mut fields: Vec<String> =
                map.iter().map(|(name, child)| format!("{}:{}", go::quote(name), shown_as_source(child))).collect();
            fields.sort();
            format!("map[string]interface {{}}{{{}}}", fields.join(", "))
        }
        Value::Null => "interface {}(nil)".to_owned(),
        scalar => scalar.to_string(),
    }
}
