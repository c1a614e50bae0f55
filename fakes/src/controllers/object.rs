//! Reading objects as JSON values: the few paths of object metadata that controllers need.

use std::str::FromStr;

use jiff::Timestamp;
use serde_json::{Value, json};

/// The object's name, empty when it has none.
pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The object's namespace, empty for cluster-scoped objects.
pub(crate) fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

/// The object's uid, empty when the API server has not given one.
pub(crate) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

/// One label's value.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"][key].as_str()
}

/// True when the object is being deleted.
pub(crate) fn is_terminating(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// True when the finalizer is on the object.
pub(crate) fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    list(&object["metadata"]["finalizers"]).iter().any(|found| found == finalizer)
}

/// A list that may be absent.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// An instant in the API's format.
pub(crate) fn timestamp(value: &Value) -> Option<Timestamp> {
    Timestamp::from_str(value.as_str()?).ok()
}

/// An instant as the API writes it: whole seconds.
pub(crate) fn format_timestamp(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The owner references of an object.
pub(crate) fn owners(object: &Value) -> &[Value] {
    list(&object["metadata"]["ownerReferences"])
}

/// The uid of the owner that controls the object.
pub(crate) fn controller_uid(object: &Value) -> Option<&str> {
    owners(object).iter().find(|owner| owner["controller"] == true).and_then(|owner| owner["uid"].as_str())
}

/// An owner reference that makes `owner` the controller.
pub(crate) fn controller_reference(owner: &Value, api_version: &str, kind: &str) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "name": name(owner),
        "uid": uid(owner),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// A condition of `status.conditions` by type.
pub(crate) fn condition<'a>(object: &'a Value, condition_type: &str) -> Option<&'a Value> {
    list(&object["status"]["conditions"]).iter().find(|condition| condition["type"] == condition_type)
}

/// True when a label selector selects the object. An absent selector selects nothing, an empty one everything.
pub(crate) fn selects(selector: &Value, object: &Value) -> bool {
    let Some(selector) = selector.as_object() else { return false };
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").map_or(&[][..], list);
    labels.is_none_or(|labels| labels.iter().all(|(key, value)| value.as_str() == label(object, key)))
        && expressions.iter().all(|expression| expression_matches(expression, object))
}

fn expression_matches(expression: &Value, object: &Value) -> bool {
    let value = label(object, expression["key"].as_str().unwrap_or_default());
    let listed = value.is_some_and(|value| list(&expression["values"]).iter().any(|candidate| candidate == value));
    match expression["operator"].as_str() {
        Some("In") => listed,
        Some("NotIn") => !listed,
        Some("Exists") => value.is_some(),
        Some("DoesNotExist") => value.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors() {
        let pod = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        for (selector, selected) in [
            (Value::Null, false),
            (json!({}), true),
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "db"}}), false),
            (json!({"matchLabels": {"app": "web", "zone": "a"}}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["back", "front"]}]}), true),
            (json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front"]}]}), false),
            (json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}), true),
            (json!({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}), false),
            (json!({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}), true),
        ] {
            assert_eq!(selects(&selector, &pod), selected, "{selector}");
        }
    }

    #[test]
    fn times_lose_their_fraction() {
        let instant = timestamp(&json!("2026-01-02T03:04:05.678Z")).unwrap();
        assert_eq!(format_timestamp(instant), "2026-01-02T03:04:05Z");
    }
}
