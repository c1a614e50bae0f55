//! Label selectors.

use serde_json::{Map, Value, json};

use super::{given, in_order, items, text};
use crate::{names, schema::Cause};

/// Checks a selector; `path` is its field.
pub(super) fn check(selector: &Value, path: &str, causes: &mut Vec<Cause>) {
    names::check_labels(selector.get("matchLabels"), &format!("{path}.matchLabels"), causes);
    for (index, requirement) in items(selector, "matchExpressions").iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let values = items(requirement, "values");
        match text(requirement, "operator") {
            "In" | "NotIn" if values.is_empty() => {
                let rule = "must be specified when `operator` is 'In' or 'NotIn'";
                causes.push(Cause::required(&format!("{path}.values"), rule));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let rule = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.push(Cause::forbidden(&format!("{path}.values"), rule));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                causes.push(Cause::invalid(
                    &format!("{path}.operator"),
                    &json!(other),
                    "not a valid selector operator",
                ));
            }
        }
        names::check_key(text(requirement, "key"), &format!("{path}.key"), causes);
        for (index, value) in values.iter().enumerate() {
            names::check_label_value(value, &format!("{path}.values[{index}]"), causes);
        }
    }
}

/// A selector as messages show it.
pub(super) fn shown(selector: &Value) -> Value {
    let mut shown = Map::new();
    if let Some(Value::Object(labels)) = given(selector, "matchLabels") {
        let mut labels = labels.clone();
        labels.sort_keys();
        shown.insert("matchLabels".to_owned(), labels.into());
    }
    let requirements = items(selector, "matchExpressions");
    if !requirements.is_empty() {
        let ordered = requirements.iter().map(|it| in_order(it, &["key", "operator", "values"]));
        shown.insert("matchExpressions".to_owned(), ordered.collect());
    }
    if selector.is_object() { shown.into() } else { Value::Null }
}
