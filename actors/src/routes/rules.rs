//! The rules of an HTTPRoute or a GRPCRoute.

use serde_json::{Map, Value, json};

use super::{Backend, CLONE, Canary, Forwarding, Refusal, Share, filters, matches};

/// Limits of the Gateway API, from its CRDs.
const RULES: usize = 16;
const MATCHES_OF_RULE: usize = 64;
const MATCHES: usize = 128;
const BACKEND_REFS: usize = 16;
const WEIGHT: i64 = 1_000_000;

/// By what weights are multiplied in a rule where a backend's is divided between its forks, so that every percentage of it
/// is a whole number and every other backend keeps its share.
const SCALE: i64 = 100;

/// The user's rules with our part laid over them.
pub fn with(rules: &Value, backend: &Backend, forwarding: &Forwarding) -> Result<Value, Refusal> {
    let users = list(rules);
    let mut all = Vec::new();
    let mut clones = Vec::new();
    let mut is_referenced = false;
    for (index, rule) in users.iter().enumerate() {
        let mut rule = rule.clone();
        if refs(&rule).iter().any(|reference| backend.is(reference, &backend.origin)) {
            is_referenced = true;
            if let Some(Canary { share: Share::Matches(wanted), filters }) = &forwarding.canary {
                clones.extend(clone(&rule, index, backend, wanted, filters, clones.len())?);
            }
            fork(&mut rule, index, backend, forwarding)?;
        }
        all.push(rule);
    }
    if !is_referenced {
        return Err(Refusal::Unreferenced { kind: backend.kind.clone(), name: backend.origin.clone() });
    }
    if clones.is_empty() && matches!(&forwarding.canary, Some(Canary { share: Share::Matches(_), .. })) {
        return Err(Refusal::NothingMatches);
    }
    all.extend(clones);
    within_limits(&all, backend)?;
    Ok(Value::Array(all))
}

/// The user's rules: those that are there, less our part.
pub fn without(rules: &Value, backend: &Backend) -> Value {
    let users = list(rules).iter().filter(|rule| !is_clone(rule)).map(|rule| {
        let mut rule = rule.clone();
        join(&mut rule, backend);
        unmirror(&mut rule, backend);
        rule
    });
    Value::Array(users.collect())
}

impl Backend {
    /// Whether a reference is to the backend of this kind and that name.
    fn is(&self, reference: &Value, name: &str) -> bool {
        let text = |key: &str, default: &'static str| reference[key].as_str().unwrap_or(default).to_owned();
        let namespace = reference["namespace"].as_str();
        reference["name"] == name
            && text("group", "") == self.group
            && text("kind", "Service") == self.kind
            && namespace.is_none_or(|namespace| namespace == self.namespace)
    }
}

/// Divides the references to the backend between its forks.
fn fork(rule: &mut Value, index: usize, backend: &Backend, forwarding: &Forwarding) -> Result<(), Refusal> {
    let weight_of = |reference: &Value| reference["weight"].as_i64().unwrap_or(1);
    let divided = match &forwarding.canary {
        Some(Canary { share: Share::Weight(percent), filters }) => Some((i64::from(*percent).clamp(0, 100), filters)),
        _ => None,
    };
    let mut forked = Vec::new();
    for reference in refs(rule) {
        let is_ours = backend.is(reference, &backend.origin);
        let mut reference = reference.clone();
        if let Some((percent, added)) = divided {
            let weight = weight_of(&reference);
            if weight > WEIGHT / SCALE {
                return Err(Refusal::Weight { rule: index, found: weight });
            }
            if !is_ours {
                reference["weight"] = json!(weight * SCALE);
                forked.push(reference);
                continue;
            }
            let mut canary = reference.clone();
            canary["name"] = json!(backend.canary);
            canary["weight"] = json!(weight * percent);
            filters::merge(&mut canary, added);
            reference["name"] = json!(backend.stable);
            reference["weight"] = json!(weight * (SCALE - percent));
            forked.extend([reference, canary]);
            continue;
        }
        if is_ours {
            reference["name"] = json!(backend.stable);
        }
        forked.push(reference);
    }
    if forked.len() > BACKEND_REFS {
        return Err(Refusal::BackendRefs { rule: index, found: forked.len() });
    }
    rule["backendRefs"] = Value::Array(forked);
    if let Some(percent) = forwarding.mirror {
        let mut mirror = json!({ "backendRef": reference_to(backend, refs(rule)), "percent": percent });
        if percent == 100 {
            // A share is not in every version of the API.
            mirror.as_object_mut().map(|mirror| mirror.remove("percent"));
        }
        push(rule, "filters", json!({ "type": "RequestMirror", "requestMirror": mirror }));
    }
    Ok(())
}

/// The canary fork, as a filter refers to it: on the port of the stable one.
fn reference_to(backend: &Backend, references: &[Value]) -> Value {
    let stable = references.iter().find(|reference| backend.is(reference, &backend.stable));
    let mut reference = Map::new();
    for key in ["group", "kind", "namespace", "port"] {
        if let Some(value) = stable.and_then(|stable| stable.get(key)) {
            reference.insert(key.to_owned(), value.clone());
        }
    }
    reference.insert("name".to_owned(), json!(backend.canary));
    Value::Object(reference)
}

/// Joins the forks again, in the order of the stable ones.
fn join(rule: &mut Value, backend: &Backend) {
    let is = |reference: &Value, name: &str| backend.is(reference, name);
    let mut canaries =
        refs(rule).iter().filter(|reference| is(reference, &backend.canary)).map(weight).collect::<Vec<_>>();
    let is_divided = !canaries.is_empty();
    canaries.reverse();
    let mut joined = Vec::new();
    for reference in refs(rule).iter().filter(|reference| !is(reference, &backend.canary)) {
        let mut reference = reference.clone();
        let is_stable = is(&reference, &backend.stable);
        if is_stable {
            reference["name"] = json!(backend.origin);
        }
        if is_divided {
            let sum = weight(&reference) + if is_stable { canaries.pop().unwrap_or(0) } else { 0 };
            // A weight that is no multiple was not written by us.
            reference["weight"] = json!(if sum % SCALE == 0 { sum / SCALE } else { weight(&reference) });
        }
        joined.push(reference);
    }
    if !refs(rule).is_empty() {
        rule["backendRefs"] = Value::Array(joined);
    }
}

fn weight(reference: &Value) -> i64 {
    reference["weight"].as_i64().unwrap_or(1)
}

/// Takes the mirrors to the canary fork away.
fn unmirror(rule: &mut Value, backend: &Backend) {
    let Some(filters) = rule["filters"].as_array() else { return };
    let is_ours = |filter: &Value| backend.is(&filter["requestMirror"]["backendRef"], &backend.canary);
    let kept: Vec<_> = filters.iter().filter(|filter| !is_ours(filter)).cloned().collect();
    if kept.len() == filters.len() {
        return;
    }
    match rule.as_object_mut() {
        Some(fields) if kept.is_empty() => drop(fields.remove("filters")),
        _ => rule["filters"] = Value::Array(kept),
    }
}

/// The rule that sends matching requests of a rule of the user's to the canary fork; none where no request can match both.
fn clone(
    rule: &Value,
    index: usize,
    backend: &Backend,
    wanted: &[crate::api::http::HttpRouteMatch],
    added: &[crate::api::http::HttpRouteFilter],
    number: usize,
) -> Result<Option<Value>, Refusal> {
    let merged = matches::merge(list(&rule["matches"]), wanted);
    if merged.len() > MATCHES_OF_RULE {
        return Err(Refusal::MatchesOfRule { rule: index, found: merged.len() });
    }
    if merged.is_empty() {
        return Ok(None);
    }
    let mut clone = rule.clone();
    clone["name"] = json!(format!("{number}{CLONE}"));
    clone["matches"] = Value::Array(merged);
    filters::merge(&mut clone, added);
    let is_redirect = list(&clone["filters"]).iter().any(|filter| filter["type"] == "RequestRedirect");
    if let (true, Some(fields)) = (is_redirect, clone.as_object_mut()) {
        // What is redirected goes to no backend.
        fields.remove("backendRefs");
        return Ok(Some(clone));
    }
    let renamed = refs(&clone).iter().map(|reference| {
        let mut reference = reference.clone();
        if backend.is(&reference, &backend.origin) {
            reference["name"] = json!(backend.canary);
        }
        reference
    });
    clone["backendRefs"] = Value::Array(renamed.collect());
    Ok(Some(clone))
}

fn within_limits(rules: &[Value], backend: &Backend) -> Result<(), Refusal> {
    if rules.len() > RULES {
        return Err(Refusal::Rules { found: rules.len(), canary: backend.canary.clone() });
    }
    let found = rules.iter().map(|rule| list(&rule["matches"]).len()).sum();
    if found > MATCHES { Err(Refusal::Matches { found }) } else { Ok(()) }
}

fn is_clone(rule: &Value) -> bool {
    rule["name"].as_str().is_some_and(|name| name.ends_with(CLONE))
}

fn refs(rule: &Value) -> &[Value] {
    list(&rule["backendRefs"])
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn push(object: &mut Value, key: &str, value: Value) {
    match object[key].as_array_mut() {
        Some(list) => list.push(value),
        None => object[key] = json!([value]),
    }
}
