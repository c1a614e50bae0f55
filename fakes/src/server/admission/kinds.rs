//! The kinds that hold admission configuration: what they start with, and what they refuse.

mod parts;
mod policy;
mod typing;
mod webhook;

use serde_json::{Value, json};

use super::configuration::is_part;
use crate::{
    object::{at, default, field_mut, map_mut, text},
    schema::Cause,
    store::GroupResource,
};

const TIMEOUT_S: i64 = 10;
const HTTPS_PORT: i64 = 443;

/// Fills in what a configuration does not say.
pub(in crate::server) fn set_defaults(resource: &GroupResource, object: &mut Value) {
    if !is_part(resource) {
        return;
    }
    let mutating = resource.plural.starts_with("mutating");
    for webhook in object.get_mut("webhooks").and_then(Value::as_array_mut).into_iter().flatten() {
        webhook_defaults(webhook, mutating);
    }
    match &*resource.plural {
        "validatingadmissionpolicies" | "mutatingadmissionpolicies" => {
            let spec = field_mut(object, "spec");
            default(spec, "failurePolicy", "Fail");
            if let Some(constraints) = spec.get_mut("matchConstraints").filter(|it| it.is_object()) {
                constraint_defaults(constraints);
            }
        }
        "validatingadmissionpolicybindings" | "mutatingadmissionpolicybindings" => {
            if let Some(resources) = object.pointer_mut("/spec/matchResources").filter(|it| it.is_object()) {
                constraint_defaults(resources);
            }
        }
        _ => {}
    }
}

/// Sets what a new configuration starts with.
pub(in crate::server) fn prepare_create(resource: &GroupResource, object: &mut Value) {
    if is_part(resource) && &*resource.plural == "validatingadmissionpolicies" {
        map_mut(object).insert("status".to_owned(), json!({}));
    }
}

fn webhook_defaults(webhook: &mut Value, mutating: bool) {
    rule_defaults(webhook.get_mut("rules"));
    if let Some(service) = webhook.pointer_mut("/clientConfig/service").filter(|it| it.is_object()) {
        default(map_mut(service), "port", HTTPS_PORT);
    }
    let webhook = map_mut(webhook);
    default(webhook, "failurePolicy", "Fail");
    default(webhook, "matchPolicy", "Equivalent");
    default(webhook, "namespaceSelector", json!({}));
    default(webhook, "objectSelector", json!({}));
    default(webhook, "timeoutSeconds", TIMEOUT_S);
    if mutating {
        default(webhook, "reinvocationPolicy", "Never");
    }
}

fn constraint_defaults(constraints: &mut Value) {
    for rules in ["resourceRules", "excludeResourceRules"] {
        rule_defaults(constraints.get_mut(rules));
    }
    let constraints = map_mut(constraints);
    default(constraints, "matchPolicy", "Equivalent");
    default(constraints, "namespaceSelector", json!({}));
    default(constraints, "objectSelector", json!({}));
}

fn rule_defaults(rules: Option<&mut Value>) {
    for rule in rules.and_then(Value::as_array_mut).into_iter().flatten() {
        default(map_mut(rule), "scope", "*");
    }
}

/// What a configuration has wrong.
pub(in crate::server) fn validate(resource: &GroupResource, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    if !is_part(resource) {
        return Vec::new();
    }
    let mut causes = Vec::new();
    let spec = object.get("spec").unwrap_or(&Value::Null);
    match &*resource.plural {
        "validatingwebhookconfigurations" | "mutatingwebhookconfigurations" => {
            webhook::validate(object, old, &mut causes);
        }
        "validatingadmissionpolicies" => {
            let unchanged = conditions_unchanged(spec, old);
            policy::validating(object, spec, unchanged, &mut causes);
        }
        "mutatingadmissionpolicies" => {
            let unchanged = conditions_unchanged(spec, old);
            policy::mutating(spec, unchanged, &mut causes);
        }
        "validatingadmissionpolicybindings" => policy::validating_binding(spec, &mut causes),
        "mutatingadmissionpolicybindings" => policy::mutating_binding(spec, &mut causes),
        _ => {}
    }
    causes
}

/// Conditions that were let in before are not looked at again.
fn conditions_unchanged(spec: &Value, old: Option<&Value>) -> bool {
    let old = old.and_then(|old| old.get("spec"));
    let same = |field: &str| old.is_some_and(|old| old.get(field) == spec.get(field));
    same("matchConditions") && same("paramKind")
}

fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn given<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    at(object, &[field]).filter(|value| !value.is_null())
}

/// A field that has to have one of some values.
fn one_of(object: &Value, field: &str, choices: &[&str], at: &str, causes: &mut Vec<Cause>) {
    if let Some(value) = given(object, field)
        && !choices.contains(&text(object, &[field]))
    {
        causes.push(not_one_of(&format!("{at}.{field}"), value, choices));
    }
}

fn not_one_of(at: &str, value: &Value, choices: &[&str]) -> Cause {
    let choices: Vec<String> = choices.iter().map(|&choice| choice.to_owned()).collect();
    Cause::not_supported(at, value, &choices)
}
