//! Keeping a fork in step with its origin.

use serde_json::{Map, Value, json};

use super::{ANNOTATION_FORKED, map};

/// The JSON Merge Patch that brings a fork in step with its origin; none if it is.
///
/// It changes what the origin lost or changed since it was copied last, and puts back our labels and our spec where somebody
/// changed them. An annotation that somebody changed stays: some controllers keep their state there (a load balancer's
/// network endpoint groups), so the origin's, once copied, is soon not the fork's. Whatever else is there, defaults of the
/// API server first of all, is left alone.
pub fn patch(existing: &Value, wanted: &Value) -> Option<Value> {
    let record = existing["metadata"]["annotations"][ANNOTATION_FORKED].as_str().unwrap_or_default();
    let before = serde_json::from_str::<Value>(record).unwrap_or_default();
    let (there, then) = (&existing["metadata"], &wanted["metadata"]);

    let mut metadata = Map::new();
    put(&mut metadata, "labels", towards(&there["labels"], &then["labels"], &before["labels"]));
    put(&mut metadata, "annotations", annotations(&there["annotations"], &then["annotations"], &before["annotations"]));
    put(&mut metadata, "ownerReferences", owners(&there["ownerReferences"], &then["ownerReferences"]));
    let mut spec = map(&towards(&existing["spec"], &wanted["spec"], &before["spec"]).unwrap_or_default());
    // Cannot be changed.
    spec.remove("clusterIP");
    put(&mut spec, "selector", selector(&existing["spec"]["selector"], &wanted["spec"]["selector"]));

    let mut patch = Map::new();
    if metadata.is_empty() && spec.is_empty() {
        return None;
    }
    put(&mut patch, "spec", (!spec.is_empty()).then_some(Value::Object(spec)));
    // Fails if it is another by now.
    metadata.insert("resourceVersion".to_owned(), there["resourceVersion"].clone());
    patch.insert("metadata".to_owned(), Value::Object(metadata));
    Some(Value::Object(patch))
}

/// Whether no patch can make the one of the other: a Service stays headless, or not, as long as it lives.
pub fn has_to_be_replaced(existing: &Value, wanted: &Value) -> bool {
    let is_headless = |object: &Value| object["spec"]["clusterIP"] == "None";
    existing["kind"] == "Service" && is_headless(existing) != is_headless(wanted)
}

/// What makes `there` what is `wanted`, as far as it is ours: what is in `wanted`, or was in it `before`.
fn towards(there: &Value, wanted: &Value, before: &Value) -> Option<Value> {
    let (Value::Object(known), Value::Object(fields)) = (there, wanted) else {
        let is_in_step = there == wanted || (before == wanted && has_all(there, wanted));
        return (!is_in_step).then(|| wanted.clone());
    };
    let mut changes = Map::new();
    for (key, value) in fields {
        put(&mut changes, key, towards(&there[key], value, &before[key]));
    }
    for key in map(before).keys().filter(|key| !fields.contains_key(*key) && known.contains_key(*key)) {
        changes.insert(key.clone(), Value::Null);
    }
    (!changes.is_empty()).then_some(Value::Object(changes))
}

fn annotations(there: &Value, wanted: &Value, before: &Value) -> Option<Value> {
    let is_new = |(key, value): &(&String, &Value)| before.get(*key) != Some(*value);
    let new: Map<String, Value> = map(wanted).iter().filter(is_new).map(|(k, v)| (k.clone(), v.clone())).collect();
    let lost: Map<String, Value> = map(before).into_iter().filter(|(key, _)| wanted.get(key).is_none()).collect();
    towards(&Value::Object(map(there)), &Value::Object(new), &Value::Object(lost))
}

/// A selector is ours as a whole: with one label more, the fork would have other pods.
fn selector(there: &Value, wanted: &Value) -> Option<Value> {
    towards(there, wanted, there)
}

/// Ours among the owners, in place of one that had the origin's name before it.
fn owners(there: &Value, wanted: &Value) -> Option<Value> {
    let known = there.as_array().cloned().unwrap_or_default();
    let ours = wanted.as_array().cloned().unwrap_or_default();
    if ours.iter().all(|owner| known.iter().any(|known| known["uid"] == owner["uid"])) {
        return None;
    }
    let is_same = |known: &Value, owner: &Value| known["kind"] == owner["kind"] && known["name"] == owner["name"];
    let others = known.into_iter().filter(|known| !ours.iter().any(|owner| is_same(known, owner)));
    Some(json!(others.chain(ours.iter().cloned()).collect::<Vec<_>>()))
}

/// Whether all that is in `wanted` is in `there`, beside which there may be defaults.
fn has_all(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(_), Value::Object(fields)) => fields.iter().all(|(key, value)| has_all(&there[key], value)),
        (Value::Array(known), Value::Array(items)) => {
            known.len() == items.len() && known.iter().zip(items).all(|(known, item)| has_all(known, item))
        }
        _ => there == wanted,
    }
}

fn put(fields: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        fields.insert(key.to_owned(), value);
    }
}
