//! One route: what is to be written so that our part of it is as it should be.

use serde_json::{Map, Value};

use crate::{
    intent::RouteGoal,
    routes::{self, Refusal},
    view::Route,
};

/// The JSON Patch that brings the route to its goal; none where it is there already.
pub fn route(route: &Route, goal: &RouteGoal) -> Result<Option<Value>, Refusal> {
    if goal.hold {
        return Ok(None);
    }
    let backend = &goal.backend;
    let Some(part) = &goal.part else {
        // What has nothing of ours is not touched, not even to write it as we would.
        let is_laid = refers(&route.rules, &backend.kind, &backend.stable)
            || refers(&route.rules, &backend.kind, &backend.canary);
        let patch = || routes::patch(&route.rules, &routes::without(&route.rules, backend), &route.resource_version);
        return Ok(is_laid.then(patch));
    };
    let kind = route.kind.rules();
    let wanted = routes::with(kind, &route.rules, backend, part)?;
    let is_laid = routes::is_laid(kind, &route.rules, backend, part)
        || goal.only_over.is_some_and(|generation| generation != route.generation);
    Ok((!is_laid).then(|| routes::patch(&route.rules, &wanted, &route.resource_version)))
}

/// Whether rules refer to a backend of that kind and name, wherever in them.
pub fn refers(rules: &Value, kind: &str, name: &str) -> bool {
    any_reference(rules, kind, name, &|_| true)
}

/// Whether rules send requests to a backend of that kind and name: one of weight 0 gets none.
pub fn sends(rules: &Value, kind: &str, name: &str) -> bool {
    any_reference(rules, kind, name, &|reference| reference.get("weight").is_none_or(|weight| weight != 0))
}

fn any_reference(rules: &Value, kind: &str, name: &str, counts: &dyn Fn(&Map<String, Value>) -> bool) -> bool {
    match rules {
        Value::Array(values) => values.iter().any(|value| any_reference(value, kind, name, counts)),
        Value::Object(fields) => {
            let is_it = fields.get("name").is_some_and(|found| found == name)
                && fields.get("kind").and_then(Value::as_str).unwrap_or("Service") == kind;
            is_it && counts(fields) || fields.values().any(|value| any_reference(value, kind, name, counts))
        }
        _ => false,
    }
}
