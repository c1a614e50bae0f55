//! What `kubectl apply` applied on the client's side, as an annotation says it, until it is applied on the server's side.

use serde_json::Value;

use super::{FieldSet, Types, compare::compare, owned};
use crate::schema::go;

/// The manager that comes from the client's side.
pub(super) const MANAGER: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Bytes that all annotations of an object may have together.
const MOST_BYTES: usize = 256 * 1024;

/// The fields that the annotation owns, because they still are as it says.
pub(super) fn fields(live: &Value, types: &Types<'_>) -> Option<FieldSet> {
    let last: Value = serde_json::from_str(live["metadata"]["annotations"][ANNOTATION].as_str()?).ok()?;
    if last["apiVersion"] != live["apiVersion"] {
        return None;
    }
    let delta = compare(Some(&last), Some(live), types);
    Some(owned::field_set(&last, types.root()).difference(&delta.changed).difference(&delta.removed))
}

/// An annotation that is there tells of what was applied on the server's side too, for those who go back.
pub(super) fn renew(object: &mut Value, applied: &Value) {
    let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    let Some(annotations) = annotations.filter(|all| all.get(ANNOTATION).is_some_and(|it| *it != "")) else { return };
    let mut applied = applied.clone();
    if let Some(own) = applied.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        own.shift_remove(ANNOTATION);
    }
    annotations.insert(ANNOTATION.to_owned(), format!("{}\n", go::json_text(&applied)).into());
    let bytes = annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum::<usize>();
    if bytes > MOST_BYTES {
        annotations.shift_remove(ANNOTATION);
    }
}
