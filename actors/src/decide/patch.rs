//! JSON merge patches (RFC 7386) between two states of one document.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::view::ObjectKey;

/// The merge patch that turns `old` into `new`, or `None` when they are equal. What neither mentions stays as it is, so
/// a field unknown to us survives.
pub fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return Some(new.clone());
    };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        match old.get(key) {
            None => {
                patch.insert(key.clone(), value.clone());
            }
            Some(before) => {
                if let Some(change) = merge_patch(before, value) {
                    patch.insert(key.clone(), change);
                }
            }
        }
    }
    Some(Value::Object(patch))
}

/// Sets (`Some`) and removes (`None`) annotations, in a patch that fails if the object has changed meanwhile.
pub fn annotations<'a>(resource_version: &str, changes: impl IntoIterator<Item = (&'a str, Option<String>)>) -> Value {
    let changes: Map<String, Value> =
        changes.into_iter().map(|(key, value)| (key.to_owned(), value.map_or(Value::Null, Value::String))).collect();
    json!({ "metadata": { "resourceVersion": resource_version, "annotations": changes } })
}

/// Replaces the list of finalizers, in a patch that fails if the object has changed meanwhile.
pub fn finalizers(resource_version: &str, finalizers: &[String]) -> Value {
    json!({ "metadata": { "resourceVersion": resource_version, "finalizers": finalizers } })
}

/// The patch of a status subresource, guarded by the version it was decided on.
pub fn status<S: Serialize>(resource_version: Option<&str>, old: &S, new: &S) -> Value {
    let document = |status: &S| serde_json::to_value(status).unwrap_or_default();
    let patch = merge_patch(&document(old), &document(new)).unwrap_or_else(|| json!({}));
    json!({ "metadata": { "resourceVersion": resource_version }, "status": patch })
}

/// Namespace and name of one of our objects.
pub fn key(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> ObjectKey {
    ObjectKey { namespace: meta.namespace.clone().unwrap_or_default(), name: meta.name.clone().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apply(target: &mut Value, patch: &Value) {
        json_patch::merge(target, patch);
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<bool>().prop_map(Value::from), (0..5).prop_map(Value::from)];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_patch_leads_from_old_to_new(old in document(), new in document()) {
            let mut merged = old.clone();
            match merge_patch(&old, &new) {
                None => prop_assert_eq!(&old, &new),
                Some(patch) => apply(&mut merged, &patch),
            }
            prop_assert_eq!(merged, new);
        }
    }

    #[test]
    fn a_patch_names_only_what_changed() {
        let old = json!({ "keep": 1, "drop": 2, "deep": { "same": 1, "new": 1 } });
        let new = json!({ "keep": 1, "deep": { "same": 1, "new": 2 } });
        assert_eq!(merge_patch(&old, &new), Some(json!({ "drop": null, "deep": { "new": 2 } })));
    }
}
