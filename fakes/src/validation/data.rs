//! ConfigMaps and Secrets.

use serde_json::{Value, json};

use super::{IMMUTABLE, text};
use crate::{object::same, schema::Cause};

const KEY_RULE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
    'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const FROZEN: &str = "field is immutable when `immutable` is set";
const MAX_KEY: usize = 253;

/// What Secrets of a type have to have.
const WANTED: [(&str, &[&str]); 4] = [
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
];

pub(super) fn config_map(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    for field in ["data", "binaryData"] {
        keys(object, field, causes);
    }
    let binary = object.get("binaryData");
    for key in object.get("data").and_then(Value::as_object).into_iter().flat_map(serde_json::Map::keys) {
        if binary.is_some_and(|binary| binary.get(key).is_some()) {
            let rule = "duplicate of key present in binaryData";
            causes.push(Cause::invalid(&format!("data[{key}]"), &json!(key), rule));
        }
    }
    frozen(object, old, &["data", "binaryData"], causes);
}

pub(super) fn secret(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    keys(object, "data", causes);
    let kind = text(object, "type");
    for key in WANTED.iter().filter(|(known, _)| *known == kind).flat_map(|(_, keys)| *keys) {
        if object.get("data").is_none_or(|data| data.get(key).is_none()) {
            causes.push(Cause::required(&format!("data[{key}]"), ""));
        }
    }
    if old.is_some_and(|old| text(old, "type") != kind) {
        causes.push(Cause::invalid("type", &json!(kind), IMMUTABLE));
    }
    frozen(object, old, &["data"], causes);
}

fn frozen(object: &Value, old: Option<&Value>, fields: &[&str], causes: &mut Vec<Cause>) {
    let is_frozen = |object: &Value| object.get("immutable") == Some(&Value::Bool(true));
    let Some(old) = old.filter(|old| is_frozen(old)) else { return };
    if !is_frozen(object) {
        causes.push(Cause::forbidden("immutable", FROZEN));
    }
    for field in fields {
        if !same(old.get(field), object.get(field)) {
            causes.push(Cause::forbidden(field, FROZEN));
        }
    }
}

fn keys(object: &Value, field: &str, causes: &mut Vec<Cause>) {
    for key in object.get(field).and_then(Value::as_object).into_iter().flat_map(serde_json::Map::keys) {
        let rule = match key.as_str() {
            long if long.len() > MAX_KEY => "must be no more than 253 characters",
            "." => "must not be '.'",
            ".." => "must not be '..'",
            dots if dots.starts_with("..") => "must not start with '..'",
            key if key.is_empty() || !key.chars().all(is_key) => KEY_RULE,
            _ => continue,
        };
        causes.push(Cause::invalid(&format!("{field}[{key}]"), &json!(key), rule));
    }
}

fn is_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}
