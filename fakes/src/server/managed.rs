//! managedFields, as the writes of this server leave them.

use std::borrow::Cow;

use serde_json::Value;

use super::{Subresource, Target, WriteOptions, convert, typed, write::Changed};
use crate::{
    Clock,
    apply::{self, Types, Write},
    object,
    registry::Scale,
    status::Status,
};

fn types(target: &Target) -> Types<'_> {
    if target.resource.custom {
        Types::custom(target.version().schema.as_deref(), target.version().status)
    } else {
        Types::built_in(typed::stored_type(target), target.version().status)
    }
}

/// Records what a create or an update changed.
pub(super) fn stamp(
    old: Option<&Value>,
    mut new: Value,
    target: &Target,
    options: &WriteOptions,
    clock: &Clock,
) -> Value {
    if options.check_types && !check_versions(&mut new, target) {
        return new;
    }
    // A Scale has only what its object's managers own of it, and nobody becomes the first.
    if target.subresource == Subresource::Scale && old.is_some_and(|old| !owns_replicas(old, target)) {
        return new;
    }
    let write = Write {
        manager: &options.field_manager,
        api_version: &target.api_version(),
        subresource: target.subresource.name(),
        now: &clock.stamp(),
    };
    if !convert::is_event(target) {
        let old = old.map(|old| {
            if convert::differs(target) { Cow::Owned(convert::in_version(target, old)) } else { Cow::Borrowed(old) }
        });
        return apply::update(old.as_deref(), new, &write, &types(target));
    }
    // Fields are recorded by the names they have in the version of the request.
    let mut old = old.cloned();
    for object in old.iter_mut().chain([&mut new]) {
        convert::rename_managed(object, |(spoken, stored)| (spoken, stored));
    }
    let mut stamped = apply::update(old.as_ref(), new, &write, &types(target));
    convert::rename_managed(&mut stamped, |(spoken, stored)| (stored, spoken));
    stamped
}

/// Drops sent entries of versions that a built-in kind does not have. The server of custom resources fails at them and
/// then records nothing at all: it says false.
fn check_versions(new: &mut Value, target: &Target) -> bool {
    let resource = &target.resource;
    let knows = |entry: &Value| {
        let version = object::text(entry, &["apiVersion"]);
        if resource.custom {
            resource.versions.iter().any(|known| resource.api_version(&known.name) == version)
        } else {
            crate::types::kind(version, &resource.kind).is_some()
        }
    };
    let metadata = object::meta_mut(new);
    let Some(Value::Array(entries)) = metadata.get_mut("managedFields") else { return true };
    // Where one cannot be read all are as if they had not been sent.
    let readable = |entry: &Value| {
        entry["fieldsType"] == "FieldsV1"
            && matches!(object::text(entry, &["operation"]), "Apply" | "Update")
            && !object::text(entry, &["apiVersion"]).is_empty()
    };
    if !entries.iter().all(readable) {
        return true;
    }
    if resource.custom && !entries.iter().all(&knows) {
        metadata.shift_remove("managedFields");
        return false;
    }
    entries.retain(knows);
    true
}

/// What a write through a `Scale` leaves of the record: who owns the replicas owns them apart from all else. A `Scale`
/// without replicas has no field for them, so after a write through it nobody owns them.
pub(super) fn after_scale(object: &mut Value, target: &Target) {
    let Some(scale) = target.version().scale.as_ref().filter(|_| target.subresource == Subresource::Scale) else {
        return;
    };
    let path: Vec<&str> = scale.spec_replicas.split('.').collect();
    if object::at(object, &path).and_then(Value::as_i64).unwrap_or_default() != 0 {
        return apply::set_apart(object, &path);
    }
    let Some(Value::Array(entries)) = object::meta_mut(object).get_mut("managedFields") else { return };
    for entry in entries.iter_mut() {
        remove_field(&mut entry["fieldsV1"], &path);
    }
    entries.retain(|entry| entry["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty()));
}

/// Where an entry of managed fields has the replicas.
pub(super) fn replicas_pointer(scale: &Scale) -> String {
    format!("/f:{}", scale.spec_replicas.replace('.', "/f:"))
}

fn owns_replicas(object: &Value, target: &Target) -> bool {
    let Some(scale) = &target.version().scale else { return false };
    let path = replicas_pointer(scale);
    let entries = object::meta(object, "managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().any(|entry| entry["fieldsV1"].pointer(&path).is_some())
}

fn remove_field(fields: &mut Value, path: &[&str]) {
    let (Some(fields), [name, rest @ ..]) = (fields.as_object_mut(), path) else { return };
    let name = format!("f:{name}");
    if let Some(below) = fields.get_mut(&name) {
        remove_field(below, rest);
        if rest.is_empty() || below.as_object().is_some_and(serde_json::Map::is_empty) {
            fields.shift_remove(&name);
        }
    }
}

/// Merges an applied object into the live one.
pub(super) fn apply(
    live: Option<&Value>,
    applied: &Value,
    target: &Target,
    options: &WriteOptions,
    clock: &Clock,
) -> Result<Changed, Status> {
    let write = Write {
        manager: &options.field_manager,
        api_version: &target.api_version(),
        subresource: target.subresource.name(),
        now: &clock.stamp(),
    };
    let merged = apply::apply(live, applied, options.force, &write, &types(target));
    merged.map(Changed::Applied).map_err(|error| Status::from_value(&error.status()))
}

/// Merges a configuration that nobody is to own, such as a policy's, into an object.
pub(super) fn merge(object: &mut Value, applied: &Value, target: &Target) -> Result<(), String> {
    apply::merge_unowned(object, applied, &types(target))
}

/// Whether two states differ in nothing but the times in managedFields: writing the second would change nothing.
pub(super) fn same_but_for_times(old: &Value, new: &Value) -> bool {
    fn entries(object: &Value) -> &[Value] {
        let entries = object::meta(object, "managedFields").and_then(Value::as_array);
        entries.map(Vec::as_slice).unwrap_or_default()
    }
    let same_fields = |old: Option<&Value>, new: Option<&Value>, but: &str| match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let count = |map: &serde_json::Map<String, Value>| map.len() - usize::from(map.contains_key(but));
            count(old) == count(new)
                && old
                    .iter()
                    .all(|(field, value)| field == but || new.get(field).is_some_and(|new| object::equal(value, new)))
        }
        (old, new) => old == new,
    };
    same_fields(Some(old), Some(new), "metadata")
        && same_fields(old.get("metadata"), new.get("metadata"), "managedFields")
        && entries(old).len() == entries(new).len()
        && entries(old).iter().zip(entries(new)).all(|(old, new)| same_fields(Some(old), Some(new), "time"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_times_of_managed_fields_do_not_count() {
        let object = |time: &str, manager: &str, data: u32| json!({ "data": data, "metadata": { "managedFields": [{ "manager": manager, "time": time }] } });
        let old = object("1", "a", 1);
        for (new, same) in [
            (object("1", "a", 1), true),
            (object("2", "a", 1), true),
            (object("1", "b", 1), false),
            (object("1", "a", 2), false),
            (json!({ "data": 1, "metadata": {} }), false),
        ] {
            assert_eq!(same_but_for_times(&old, &new), same, "{new}");
        }
    }
}
