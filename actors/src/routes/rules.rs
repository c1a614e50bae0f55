//! The rules of an HTTPRoute or a GRPCRoute.

use serde_json::{Map, Value, json};

use super::clones::{self, Clones, Fork};
use super::{Backend, Canary, Forwarding, Kind, Mirror, Refusal, Rest, Share, filters, limits, list, precedence};

/// The Gateway API's limit.
const WEIGHT: i64 = 1_000_000;

/// By what weights are multiplied in a rule where a backend's is divided between its forks, so that every percentage of it
/// is a whole number and every other backend keeps its share.
const SCALE: i64 = 100;

/// The rules with our part laid over them, in place of what of it there was.
pub fn with(kind: Kind, rules: &Value, backend: &Backend, forwarding: &Forwarding) -> Result<Value, Refusal> {
    limits::can_be_said(kind, forwarding)?;
    let rules = without(rules, backend);
    let mut made = kinds_of_clones(kind, backend, forwarding);
    let (mut all, mut clones) = (Vec::new(), Vec::new());
    let mut is_referenced = false;
    for (index, rule) in list(&rules).iter().enumerate() {
        let is_clone = clones::is_any(rule);
        let mut forked = rule.clone();
        if backend.is_in(rule, &backend.origin) {
            fork(&mut forked, index, backend, forwarding)?;
            // A redirect of another backend's refers to nothing, but stands before the rule that it is a clone of.
            let is_shared = is_clone || clones.iter().any(|clone: &Value| list(&clone["backendRefs"]).is_empty());
            if is_shared && !made.is_empty() {
                return Err(Refusal::Shared { name: backend.origin.clone() });
            }
            if !is_clone {
                is_referenced = true;
                clones.extend(made.iter_mut().flat_map(|made| made.of(rule)));
            }
        }
        if is_clone {
            clones.push(forked);
            continue;
        }
        // Before the rule that they are clones of: of rules that match equally well the first is taken. And after all that
        // are before that one, which take what they took.
        clones.sort_by_key(clones::order);
        all.append(&mut clones);
        all.push(forked);
    }
    // Those of a rule that is gone.
    clones.sort_by_key(clones::order);
    all.append(&mut clones);
    if !is_referenced {
        return Err(Refusal::Unreferenced { kind: backend.kind.clone(), name: backend.origin.clone() });
    }
    let users: Vec<_> = list(&rules).iter().filter(|rule| !clones::is_any(rule)).collect();
    for clones in &made {
        clones.take_requests()?;
        precedence::is_kept(kind, &users, backend, clones.matches)?;
    }
    limits::are_kept(&all)?;
    Ok(Value::Array(all))
}

/// The rules less our part.
pub fn without(rules: &Value, backend: &Backend) -> Value {
    let all = list(rules);
    let kept = all.iter().filter(|rule| !clones::is_of(rule, all, backend)).map(|rule| {
        let mut rule = rule.clone();
        join(&mut rule, backend);
        unmirror(&mut rule, backend);
        rule
    });
    Value::Array(kept.collect())
}

/// What requests are told apart by matches for.
fn kinds_of_clones<'a>(kind: Kind, backend: &'a Backend, forwarding: &'a Forwarding) -> Vec<Clones<'a>> {
    let canary = match &forwarding.canary {
        Some(Canary { share: Share::Matches(matches), filters }) => Some((Fork::Canary, matches, filters)),
        _ => None,
    };
    let stable = forwarding.stable.as_ref().map(|stable| (Fork::Stable, &stable.matches, &stable.filters));
    let asked = canary.into_iter().chain(stable);
    asked.map(|(to, matches, filters)| Clones { kind, backend, to, matches, filters, made: 0 }).collect()
}

/// Divides the references to the backend between its forks, and has requests copied.
fn fork(rule: &mut Value, index: usize, backend: &Backend, forwarding: &Forwarding) -> Result<(), Refusal> {
    let rest = match forwarding.rest {
        Rest::Stable => &backend.stable,
        Rest::Origin => &backend.origin,
    };
    match &forwarding.canary {
        Some(Canary { share: Share::Weight(percent), filters }) => {
            let percent = i64::from(*percent).clamp(0, SCALE);
            let mut divided = Vec::new();
            for reference in list(&rule["backendRefs"]) {
                let weight = weight(reference);
                if weight > WEIGHT / SCALE {
                    return Err(Refusal::Weight { rule: index, found: weight });
                }
                let mut kept = reference.clone();
                if !backend.is(reference, &backend.origin) {
                    kept["weight"] = json!(weight * SCALE);
                    divided.push(kept);
                    continue;
                }
                let mut canary = reference.clone();
                canary["name"] = json!(backend.canary);
                canary["weight"] = json!(weight * percent);
                filters::merge(&mut canary, filters);
                kept["name"] = json!(rest);
                kept["weight"] = json!(weight * (SCALE - percent));
                divided.extend([kept, canary]);
            }
            rule["backendRefs"] = Value::Array(divided);
        }
        _ => {
            for reference in rule["backendRefs"].as_array_mut().into_iter().flatten() {
                if backend.is(reference, &backend.origin) {
                    reference["name"] = json!(rest);
                }
            }
        }
    }
    if let Some(mirror) = &forwarding.mirror {
        let to = reference_to(backend, rest, list(&rule["backendRefs"]));
        let mut copy = json!({ "backendRef": to });
        match mirror {
            // A share is not in every version of the API.
            Mirror::Percent(100..) => {}
            Mirror::Percent(percent) => copy["percent"] = json!(percent),
            Mirror::Fraction(fraction) => copy["fraction"] = json!(fraction),
        }
        push(rule, "filters", json!({ "type": "RequestMirror", "requestMirror": copy }));
    }
    Ok(())
}

/// The canary fork, as a filter refers to it: on the port of what the rest of the requests go to.
fn reference_to(backend: &Backend, rest: &str, references: &[Value]) -> Value {
    let known = references.iter().find(|reference| backend.is(reference, rest));
    let mut reference = Map::new();
    for key in ["group", "kind", "namespace", "port"] {
        if let Some(value) = known.and_then(|known| known.get(key)) {
            reference.insert(key.to_owned(), value.clone());
        }
    }
    reference.insert("name".to_owned(), json!(backend.canary));
    Value::Object(reference)
}

/// Joins what was divided: a reference to the canary fork with the one before it to what gets the rest.
fn join(rule: &mut Value, backend: &Backend) {
    let is_divided = backend.is_in(rule, &backend.canary);
    if !is_divided && !backend.is_in(rule, &backend.stable) {
        return;
    }
    // The references that stay, each with the part that was split from it.
    let mut joined: Vec<(Value, Option<i64>)> = Vec::new();
    for reference in list(&rule["backendRefs"]) {
        if !backend.is(reference, &backend.canary) {
            joined.push((reference.clone(), None));
        } else if let Some(at) = split_from(&joined, weight(reference), backend) {
            joined[at].1 = Some(weight(reference));
        }
    }
    let whole = joined.into_iter().map(|(mut reference, part)| {
        let is_stable = backend.is(&reference, &backend.stable);
        if is_divided {
            let sum = weight(&reference) + part.unwrap_or(0);
            // One of the user's that is no multiple was added since. One of ours that is none was changed since, and by
            // rounding what it was multiplied from is found again, or nearly so.
            let whole = if sum == 0 { 0 } else { ((sum + SCALE / 2) / SCALE).max(1) };
            let is_ours = is_stable || part.is_some();
            reference["weight"] = json!(if is_ours || sum % SCALE == 0 { whole } else { sum });
        }
        if is_stable {
            reference["name"] = json!(backend.origin);
        }
        reference
    });
    rule["backendRefs"] = Value::Array(whole.collect());
}

/// Which reference a part was split from: the last one before it with which it makes a whole, if any does.
fn split_from(before: &[(Value, Option<i64>)], part: i64, backend: &Backend) -> Option<usize> {
    let last = |name: &str, fits: &dyn Fn(i64) -> bool| {
        before.iter().rposition(|(known, taken)| taken.is_none() && backend.is(known, name) && fits(weight(known)))
    };
    let is_whole = |rest: i64| (rest + part) % SCALE == 0;
    let names = [&backend.stable, &backend.origin];
    let exact = names.iter().find_map(|name| last(name, &is_whole));
    exact.or_else(|| names.iter().find_map(|name| last(name, &|_| true)))
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

fn weight(reference: &Value) -> i64 {
    reference["weight"].as_i64().unwrap_or(1)
}

fn push(object: &mut Value, key: &str, value: Value) {
    match object[key].as_array_mut() {
        Some(list) => list.push(value),
        None => object[key] = json!([value]),
    }
}
