//! managedFields, as the writes of this server leave them.

use serde_json::Value;

use super::{Target, WriteOptions, write::Changed};
use crate::{Clock, object, status::Status};

/// Records what a create or an update changed.
pub(super) fn stamp(old: Option<&Value>, new: &mut Value, _target: &Target, _options: &WriteOptions, _clock: &Clock) {
    if let Some(managed) = old.and_then(|old| object::meta(old, "managedFields")) {
        object::set_meta(new, "managedFields", Some(managed.clone()));
    }
}

/// Merges an applied object into the live one.
pub(super) fn apply(
    live: Option<&Value>,
    applied: &Value,
    _target: &Target,
    _options: &WriteOptions,
    _clock: &Clock,
) -> Result<Changed, Status> {
    let mut object = live.cloned().unwrap_or_default();
    object::merge(&mut object, applied);
    Ok(Changed::Applied(object))
}

/// Whether two states differ in nothing but the times in managedFields: writing the second would change nothing.
pub(super) fn same_but_for_times(old: &Value, new: &Value) -> bool {
    let timeless = |object: &Value| -> Vec<Value> {
        let entries = object::meta(object, "managedFields").and_then(Value::as_array).cloned().unwrap_or_default();
        entries
            .into_iter()
            .map(|mut entry| {
                object::map_mut(&mut entry).shift_remove("time");
                entry
            })
            .collect()
    };
    if old == new {
        return true;
    }
    let fields = |object: &Value| -> Value {
        let mut object = object.clone();
        object::set_meta(&mut object, "managedFields", None);
        object
    };
    fields(old) == fields(new) && timeless(old) == timeless(new)
}
