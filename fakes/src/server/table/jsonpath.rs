//! The value of a printer column.

use jiff::Timestamp;
use jsonpath_rust::JsonPath;
use serde_json::Value;

use super::age::age;

/// The first value at a path such as `.status.conditions[?(@.type=="Ready")].status`.
pub(super) fn first<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if plain {
        let mut parts = path.trim_start_matches('.').split('.');
        return parts.try_fold(object, |value, part| value.get(part));
    }
    // A backslash keeps a dot in a name together; jsonpath-rust writes such a name in brackets.
    let path = bracketed(path);
    object.query(&format!("${path}")).ok()?.into_iter().next()
}

fn bracketed(path: &str) -> String {
    if !path.contains("\\.") {
        return path.to_owned();
    }
    let marked = path.replace("\\.", "\u{0}");
    let mut out = String::new();
    for part in marked.split('.').filter(|part| !part.is_empty()) {
        if part.contains('\u{0}') {
            out.push_str("['");
            out.push_str(&part.replace('\u{0}', "."));
            out.push_str("']");
        } else {
            out.push('.');
            out.push_str(part);
        }
    }
    out
}

/// The cell of a printer column, by the column's type.
pub(super) fn cell(object: &Value, path: &str, kind: &str, now: Timestamp) -> Value {
    let Some(value) = first(object, path) else { return Value::Null };
    match kind {
        "integer" => value.as_i64().map_or(Value::Null, Value::from),
        "number" => value.as_f64().map_or(Value::Null, Value::from),
        "boolean" => value.as_bool().map_or(Value::Null, Value::from),
        "date" => match value.as_str().map(str::parse::<Timestamp>) {
            Some(Ok(time)) => age(now, time).into(),
            _ => "<invalid>".into(),
        },
        _ => match value {
            Value::Null => Value::Null,
            Value::String(text) => text.clone().into(),
            other => other.to_string().into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_take_their_value_by_path_and_type() {
        let object = json!({
            "metadata": { "creationTimestamp": "2026-01-01T00:00:00Z", "labels": { "a.b/c": "x" } },
            "spec": { "replicas": 3, "ratio": 0.5, "on": true, "list": ["a"] },
            "status": { "conditions": [{ "type": "A", "status": "False" }, { "type": "Ready", "status": "True" }] }
        });
        let now = "2026-01-01T00:10:30Z".parse().unwrap();
        let table = [
            (".spec.replicas", "integer", json!(3)),
            (".spec.ratio", "number", json!(0.5)),
            (".spec.on", "boolean", json!(true)),
            (".spec.on", "string", json!("true")),
            (".spec.list", "string", json!("[\"a\"]")),
            (".spec.missing", "string", Value::Null),
            (".metadata.creationTimestamp", "date", json!("10m")),
            (".spec.on", "date", json!("<invalid>")),
            (".metadata.labels.a\\.b/c", "string", json!("x")),
            (".status.conditions[?(@.type==\"Ready\")].status", "string", json!("True")),
            (".status.conditions[?(@.type=='Ready')].status", "string", json!("True")),
            (".status.conditions[0].type", "string", json!("A")),
        ];
        for (path, kind, expected) in table {
            assert_eq!(cell(&object, path, kind, now), expected, "{path} as {kind}");
        }
    }
}
