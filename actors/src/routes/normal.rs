//! Rules as the API server keeps them, so that what was written is known again.

use serde_json::{Value, json};

use super::{Backend, Forwarding, Kind, list, with, without};

/// Whether our part lies over the rules just as it is wanted, whatever defaults the API server added to them.
///
/// What is refused is not laid.
pub fn is_laid(kind: Kind, rules: &Value, backend: &Backend, forwarding: &Forwarding) -> bool {
    let Ok(wanted) = with(kind, rules, backend, forwarding) else { return false };
    let (mut wanted, read) = (normal(kind, &wanted), normal(kind, rules));
    let both = wanted.as_array_mut().into_iter().flatten().zip(list(&read));
    for (wanted, read) in both {
        // An API server that does not know the names of rules keeps none.
        if let (None, Some(fields)) = (read.get("name"), wanted.as_object_mut()) {
            fields.remove("name");
        }
    }
    wanted == read
}

/// How many of the rules bear something of ours.
pub fn bearing(kind: Kind, rules: &Value, backend: &Backend) -> usize {
    let users = normal(kind, &without(rules, backend));
    list(&normal(kind, rules)).iter().filter(|rule| !list(&users).contains(rule)).count()
}

/// How many of the rules bear our part just as it is wanted, whatever the user has made of the others. A rule that the user
/// adds takes none of them away.
pub fn kept(kind: Kind, rules: &Value, backend: &Backend, forwarding: &Forwarding) -> usize {
    let Ok(wanted) = with(kind, rules, backend, forwarding) else { return 0 };
    let (users, read) = (normal(kind, &without(rules, backend)), normal(kind, rules));
    let mut wanted = normal(kind, &wanted);
    if list(&read).iter().all(|rule| rule.get("name").is_none()) {
        // An API server that does not know the names of rules keeps none.
        for rule in wanted.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            rule.remove("name");
        }
    }
    let ours = list(&wanted).iter().filter(|rule| !list(&users).contains(rule));
    ours.filter(|rule| list(&read).contains(rule)).count()
}

/// The rules with every default in them, without what says nothing, and with mirrors in an order of their own, since it
/// depends on which backend's part was laid first.
pub fn normal(kind: Kind, rules: &Value) -> Value {
    let rules = list(rules).iter().map(|rule| {
        let mut rule = rule.clone();
        if kind == Kind::Http && list(&rule["matches"]).is_empty() {
            rule["matches"] = json!([{}]);
        }
        for one in items(&mut rule, "matches") {
            condition(kind, one);
        }
        for reference in items(&mut rule, "backendRefs") {
            backend(reference);
            default(reference, "weight", json!(1));
            filters(reference);
        }
        filters(&mut rule);
        drop_empty(&mut rule);
        rule
    });
    Value::Array(rules.collect())
}

fn condition(kind: Kind, one: &mut Value) {
    if kind == Kind::Http {
        default(one, "path", json!({}));
        default(&mut one["path"], "type", json!("PathPrefix"));
        default(&mut one["path"], "value", json!("/"));
    } else if one["method"].is_object() {
        default(&mut one["method"], "type", json!("Exact"));
    }
    for part in ["headers", "queryParams"] {
        for condition in items(one, part) {
            default(condition, "type", json!("Exact"));
        }
    }
    drop_empty(one);
}

fn filters(object: &mut Value) {
    for filter in items(object, "filters") {
        if let Some(mirror) = filter.get_mut("requestMirror") {
            backend(&mut mirror["backendRef"]);
            if let Some(fraction) = mirror.get_mut("fraction") {
                default(fraction, "denominator", json!(100));
            }
        }
        if let Some(redirect) = filter.get_mut("requestRedirect") {
            default(redirect, "statusCode", json!(302));
        }
        for modifier in ["requestHeaderModifier", "responseHeaderModifier"] {
            filter.get_mut(modifier).map(drop_empty);
        }
    }
    if let Some(filters) = object.get_mut("filters").and_then(Value::as_array_mut) {
        // Stable, so that all others stay in the user's order.
        filters.sort_by_cached_key(|filter| filter.get("requestMirror").map(|mirror| sorted(mirror).to_string()));
    }
    drop_empty(object);
}

fn backend(reference: &mut Value) {
    default(reference, "group", json!(""));
    default(reference, "kind", json!("Service"));
}

fn default(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.entry(key).or_insert(value);
    }
}

fn items<'a>(object: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn drop_empty(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|_, value| value.as_array().is_none_or(|items| !items.is_empty()));
    }
}

fn sorted(value: &Value) -> Value {
    let mut value = value.clone();
    value.sort_all_objects();
    value
}
