//! The conditions of a pod that the API server itself sets.

use serde_json::{Value, json};

use crate::object::field_mut;

/// Sets a condition by its type. The time of its last transition moves with its status.
pub(super) fn set_condition(pod: &mut Value, mut condition: Value, now: &str) {
    let conditions = field_mut(pod, "status").entry("conditions").or_insert_with(|| json!([]));
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(conditions) = conditions.as_array_mut() else { return };
    let old = conditions.iter_mut().find(|old| old.get("type") == condition.get("type"));
    let since = old.as_ref().filter(|old| old.get("status") == condition.get("status"));
    let since = since.and_then(|old| old.get("lastTransitionTime")).cloned().unwrap_or_else(|| now.into());
    condition["lastProbeTime"] = Value::Null;
    condition["lastTransitionTime"] = since;
    match old {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
}
