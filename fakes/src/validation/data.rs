//! ConfigMaps and Secrets.

use serde_json::{Value, json};

use super::{IMMUTABLE, text};
use crate::{object::same, schema::Cause};

const KEY_RULE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
    'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const FROZEN: &str = "field is immutable when `immutable` is set";
const MAX_KEY: usize = 253;

/// One of these is enough.
const BASIC_AUTH: [&str; 2] = ["username", "password"];

pub(super) fn config_map(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    frozen(object, old, &["data", "binaryData"], causes);
    keys(object, "data", causes);
    let binary = object.get("binaryData");
    for key in object.get("data").and_then(Value::as_object).into_iter().flat_map(serde_json::Map::keys) {
        if binary.is_some_and(|binary| binary.get(key).is_some()) {
            let rule = "duplicate of key present in binaryData";
            causes.push(Cause::invalid(&format!("data[{key}]"), &json!(key), rule));
        }
    }
    keys(object, "binaryData", causes);
}

pub(super) fn secret(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let kind = text(object, "type");
    if old.is_some_and(|old| text(old, "type") != kind) {
        causes.push(Cause::invalid("type", &json!(kind), IMMUTABLE));
    }
    frozen(object, old, &["data"], causes);
    keys(object, "data", causes);
    wanted(object, kind, causes);
}

/// What a Secret of the type has to have.
fn wanted(object: &Value, kind: &str, causes: &mut Vec<Cause>) {
    let value = |key: &str| object.get("data").and_then(|data| data.get(key));
    let missing: &[&str] = match kind {
        "kubernetes.io/basic-auth" if BASIC_AUTH.iter().all(|key| value(key).is_none()) => &BASIC_AUTH,
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(|key| key == "") => &["ssh-privatekey"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        _ => &[],
    };
    for key in missing.iter().filter(|key| value(key).is_none_or(|value| value == "" && **key == "ssh-privatekey")) {
        causes.push(Cause::required(&format!("data[{key}]"), ""));
    }
    let account = object.pointer("/metadata/annotations/kubernetes.io~1service-account.name");
    if kind == "kubernetes.io/service-account-token" && account.is_none_or(|name| name == "") {
        causes.push(Cause::required("metadata.annotations[kubernetes.io/service-account.name]", ""));
    }
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
        let dots = match key.as_str() {
            "." => Some("must not be '.'"),
            ".." => Some("must not be '..'"),
            dots if dots.starts_with("..") => Some("must not start with '..'"),
            _ => None,
        };
        let long = (key.len() > MAX_KEY).then_some("must be no more than 253 characters");
        let odd = (key.is_empty() || !key.chars().all(is_key)).then_some(KEY_RULE);
        for rule in long.into_iter().chain(odd).chain(dots) {
            causes.push(Cause::invalid(&format!("{field}[{key}]"), &json!(key), rule));
        }
    }
}

fn is_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}
