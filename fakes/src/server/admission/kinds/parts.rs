//! What configurations of all kinds are made of: rules, selectors, conditions.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    given, list, not_one_of, one_of,
    typing::{self, Frame},
};
use crate::{cel, object::text, schema::Cause, server::metadata};

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const MUTATING_OPERATIONS: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];
const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];
const MAX_CONDITIONS: usize = 64;

/// Choices for `failurePolicy`.
pub(super) const FAILURE_POLICIES: [&str; 2] = ["Fail", "Ignore"];
/// Choices for `matchPolicy`.
pub(super) const MATCH_POLICIES: [&str; 2] = ["Equivalent", "Exact"];
/// Choices for `reinvocationPolicy`.
pub(super) const REINVOCATION_POLICIES: [&str; 2] = ["IfNeeded", "Never"];

/// One rule of a webhook or a policy.
pub(super) fn rule(rule: &Value, at: &str, causes: &mut Vec<Cause>) {
    let operations = list(rule, "operations");
    if operations.is_empty() {
        causes.push(Cause::required(&format!("{at}.operations"), ""));
    }
    alone(rule, "operations", "operations", at, causes);
    for (index, operation) in operations.iter().enumerate() {
        if !operation.as_str().is_some_and(|it| OPERATIONS.contains(&it)) {
            causes.push(not_one_of(&format!("{at}.operations[{index}]"), operation, &OPERATIONS));
        }
    }
    for (field, what) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        if list(rule, field).is_empty() {
            causes.push(Cause::required(&format!("{at}.{field}"), ""));
        }
        alone(rule, field, what, at, causes);
    }
    for (index, version) in list(rule, "apiVersions").iter().enumerate() {
        if version == "" {
            causes.push(Cause::required(&format!("{at}.apiVersions[{index}]"), ""));
        }
    }
    resources(rule, &format!("{at}.resources"), causes);
    one_of(rule, "scope", &SCOPES, at, causes);
}

/// `*` stands for all others, so it stands alone.
fn alone(rule: &Value, field: &str, what: &str, at: &str, causes: &mut Vec<Cause>) {
    let items = list(rule, field);
    if items.len() > 1 && items.iter().any(|it| it == "*") {
        let why = format!("if '*' is present, must not specify other {what}");
        causes.push(Cause::invalid(&format!("{at}.{field}"), &json!(items), &why));
    }
}

fn resources(rule: &Value, at: &str, causes: &mut Vec<Cause>) {
    let all = list(rule, "resources");
    if all.is_empty() {
        causes.push(Cause::required(at, ""));
    }
    let (mut any_subresource, mut any_resource) = (BTreeSet::new(), BTreeSet::new());
    let mut plain = false;
    for (index, pattern) in all.iter().enumerate() {
        let (at, text) = (format!("{at}[{index}]"), pattern.as_str().unwrap_or_default());
        if text.is_empty() {
            causes.push(Cause::required(&at, ""));
            continue;
        }
        let Some((resource, subresource)) = text.split_once('/') else {
            plain = text != "*";
            continue;
        };
        if any_subresource.contains(resource) {
            let why = format!("if '{resource}/*' is present, must not specify {text}");
            causes.push(Cause::invalid(&at, pattern, &why));
        }
        if any_resource.contains(subresource) {
            let why = format!("if '*/{subresource}' is present, must not specify {text}");
            causes.push(Cause::invalid(&at, pattern, &why));
        }
        if subresource == "*" {
            any_subresource.insert(resource);
        }
        if resource == "*" {
            any_resource.insert(subresource);
        }
    }
    let has = |pattern: &str| all.iter().any(|it| it == pattern);
    if all.len() > 1 && has("*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        causes.push(Cause::invalid(at, &json!(all), why));
    }
    if has("*") && plain {
        let why = "if '*' is present, must not specify other resources without subresources";
        causes.push(Cause::invalid(at, &json!(all), why));
    }
}

/// `matchConstraints` of a policy, or `matchResources` of a binding.
pub(super) fn match_resources(resources: &Value, at: &str, causes: &mut Vec<Cause>) {
    one_of(resources, "matchPolicy", &MATCH_POLICIES, at, causes);
    for field in ["namespaceSelector", "objectSelector"] {
        selector(resources, field, at, causes);
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        for (index, it) in list(resources, field).iter().enumerate() {
            let at = format!("{at}.{field}[{index}]");
            names(it, &at, causes);
            rule(it, &at, causes);
        }
    }
}

/// Mutating policies have nothing to do with deletions.
pub(super) fn mutating_operations(resources: &Value, at: &str, causes: &mut Vec<Cause>) {
    let operations = list(resources, "resourceRules").iter().flat_map(|rule| list(rule, "operations"));
    for operation in operations {
        if !operation.as_str().is_some_and(|it| MUTATING_OPERATIONS.contains(&it)) {
            causes.push(not_one_of(&format!("{at}.resourceRules.operations"), operation, &MUTATING_OPERATIONS));
        }
    }
}

fn names(rule: &Value, at: &str, causes: &mut Vec<Cause>) {
    let mut seen: Vec<&Value> = Vec::new();
    for (index, name) in list(rule, "resourceNames").iter().enumerate() {
        let at = format!("{at}.resourceNames[{index}]");
        if let Some(why) = wrong_segment(name.as_str().unwrap_or_default()) {
            causes.push(Cause::invalid(&at, name, &why));
        }
        if seen.contains(&name) {
            causes.push(Cause::duplicate(&at, name));
        }
        seen.push(name);
    }
}

/// Why a name cannot be part of a path.
pub(super) fn wrong_segment(name: &str) -> Option<String> {
    match name {
        "." | ".." => Some(format!("may not be '{name}'")),
        _ => ["/", "%"].into_iter().find(|it| name.contains(it)).map(|it| format!("may not contain '{it}'")),
    }
}

/// A label selector.
pub(super) fn selector(object: &Value, field: &str, at: &str, causes: &mut Vec<Cause>) {
    let Some(selector) = given(object, field) else { return };
    for (index, expression) in list(selector, "matchExpressions").iter().enumerate() {
        let at = format!("{at}.{field}.matchExpressions[{index}]");
        let values = list(expression, "values");
        match text(expression, &["operator"]) {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                causes.push(Cause::required(&format!("{at}.values"), why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.push(Cause::forbidden(&format!("{at}.values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let why = "not a valid selector operator";
                causes.push(Cause::invalid(&format!("{at}.operator"), &json!(other), why));
            }
        }
    }
}

/// What every expression may name.
const NAMES: [&str; 4] = ["object", "oldObject", "request", "namespaceObject"];

/// The names an expression may use, beside those that all may.
pub(super) fn names_with(more: &[&'static str]) -> Vec<&'static str> {
    [&NAMES[..], more].concat()
}

/// `matchConditions`, with parameters or without.
pub(super) fn conditions(of: &Value, params: &[&'static str], at: &str, causes: &mut Vec<Cause>) {
    let names = [names_with(&["authorizer"]), params.to_vec()].concat();
    let frame = Frame { names: &names, variables: None, wanted: "bool" };
    let all = list(of, "matchConditions");
    if all.len() > MAX_CONDITIONS {
        causes.push(Cause::too_many(at, all.len(), MAX_CONDITIONS as u64));
    }
    let mut names: Vec<&str> = Vec::new();
    for (index, condition) in all.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let name = text(condition, &["name"]);
        match text(condition, &["expression"]).trim() {
            "" => causes.push(Cause::required(&format!("{at}.expression"), "")),
            source => expression(source, &frame, &format!("{at}.expression"), causes),
        }
        if name.is_empty() {
            causes.push(Cause::required(&format!("{at}.name"), ""));
        } else if let Some(why) = metadata::wrong_key(name) {
            causes.push(Cause::invalid(&format!("{at}.name"), &json!(name), &why));
        }
        if !name.is_empty() && names.contains(&name) {
            causes.push(Cause::duplicate(&format!("{at}.name"), &json!(name)));
        }
        names.push(name);
    }
}

/// An expression that has to compile.
pub(super) fn expression(source: &str, frame: &Frame<'_>, at: &str, causes: &mut Vec<Cause>) {
    let mistake = match cel::parse(source) {
        Ok(expression) => typing::mistake(source, &expression, frame),
        Err(mistake) => Some(format!("compilation failed: {mistake}")),
    };
    causes.extend(mistake.map(|mistake| Cause::invalid(at, &json!(source), &mistake)));
}
