//! `managedFields` and server-side apply: which manager owns which field of an object.
//!
//! [`update`] keeps the record when an object is created, replaced or patched; [`apply`] merges an applied
//! configuration into the live object. Both follow structured merge diff as kube-apiserver runs it.

mod compare;
mod conflict;
mod entries;
mod field_set;
mod fit;
mod jsonform;
mod last_applied;
mod merge;
mod owned;
mod path;
mod remove;
mod types;

use serde_json::{Map, Value, json};

pub use conflict::{ApplyError, Conflict};
pub use field_set::FieldSet;
pub(crate) use fit::{group_version, shown};
pub use path::PathElement;
pub use types::Types;
pub(crate) use types::go_type;

use compare::compare;
use entries::{Entries, Operation};

/// Who writes, where and when.
#[derive(Debug, Clone, Copy)]
pub struct Write<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// The group and version the request is made in.
    pub api_version: &'a str,
    /// The subresource written to; empty for the resource itself.
    pub subresource: &'a str,
    /// The time of the write, in RFC 3339 with seconds.
    pub now: &'a str,
}

/// Keeps `managedFields` when an object is created (`old` is none), replaced or patched.
///
/// The manager gets what it changed or added, others lose it; what is gone is nobody's. An object whose managers were
/// reset stays without.
pub fn update(old: Option<&Value>, mut new: Value, write: &Write<'_>, types: &Types<'_>) -> Value {
    let sent = take_managed_fields(&mut new);
    let mut entries = entries_before(old, sent, write);
    let is_tracked = old.is_none_or(|old| old["metadata"]["uid"].as_str().unwrap_or_default().is_empty());
    if entries.is_empty() && !is_tracked {
        return new;
    }
    let delta = compare(old, Some(&new), types).without(&types.reset(write.subresource));
    if !delta.is_empty() {
        entries.record(&delta, write);
    }
    put_managed_fields(&mut new, entries.into_json());
    new
}

/// Merges an applied configuration into the live object, or creates the object from it.
///
/// Fails if the configuration changes what another manager owns, unless forced. What the manager applied before and
/// applies no longer is removed, if nobody else owns it.
pub fn apply(
    live: Option<&Value>,
    applied: &Value,
    force: bool,
    write: &Write<'_>,
    types: &Types<'_>,
) -> Result<Value, ApplyError> {
    if applied["metadata"].get("managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(ApplyError::BadRequest("metadata.managedFields must be nil".to_owned()));
    }
    if let Some(misfit) = misfit(applied, types) {
        return Err(ApplyError::Invalid(misfit));
    }
    let mut merged = attempt(live, applied, force, write, types);
    if write.manager != last_applied::MANAGER {
        return merged;
    }
    if let (Err(ApplyError::Conflicts(conflicts)), Some(live)) = (&merged, live)
        // What `kubectl apply` wrote on the client's side is taken over from it without a conflict.
        && let Some(allowed) = last_applied::fields(live, types)
    {
        let left: Vec<Conflict> = conflicts.iter().filter(|it| !allowed.has(&it.path)).cloned().collect();
        merged = if left.is_empty() {
            attempt(Some(live), applied, true, write, types)
        } else {
            Err(ApplyError::Conflicts(left))
        };
    }
    if let Ok(merged) = &mut merged {
        last_applied::renew(merged, applied);
    }
    merged
}

/// Has whoever updated a field own it apart from what else is theirs.
pub(crate) fn set_apart(object: &mut Value, path: &[&str]) {
    let path: Vec<PathElement> = path.iter().map(|name| PathElement::Field((*name).to_owned())).collect();
    let mut field = FieldSet::default();
    field.insert(&path);
    let Some(mut entries) = Entries::from_json(take_managed_fields(object)) else { return };
    entries.set_apart(&field);
    put_managed_fields(object, entries.into_json());
}

/// What about a configuration is not of its type.
pub(crate) fn misfit(applied: &Value, types: &Types<'_>) -> Option<String> {
    let misfit = fit::misfit(applied, types.root())?;
    Some(format!("failed to create typed patch object {}: {misfit}", fit::name_of(applied)))
}

/// Merges a configuration into an object without keeping record of it. It may not hold what is owned as one value: that
/// would take away what it does not say.
pub fn merge_unowned(live: &mut Value, applied: &Value, types: &Types<'_>) -> Result<(), String> {
    if let Some(misfit) = fit::misfit(applied, types.root()) {
        let name = fit::name_of(applied);
        return Err(format!("failed to convert patch object to typed object: {name}: {misfit}"));
    }
    let atomics = fit::atomics(applied, types.root());
    if !atomics.is_empty() {
        let why = format!("may not mutate atomic arrays, maps or structs: {}", atomics.join(", "));
        return Err(format!("invalid ApplyConfiguration: {why}"));
    }
    merge::merge(live, applied, types.root());
    Ok(())
}

fn attempt(
    live: Option<&Value>,
    applied: &Value,
    force: bool,
    write: &Write<'_>,
    types: &Types<'_>,
) -> Result<Value, ApplyError> {
    let reset = types.reset(write.subresource);
    let mut base = live.cloned().unwrap_or_else(|| json!({}));
    let mut entries = Entries::from_json(take_managed_fields(&mut base)).unwrap_or_default();
    if let (true, Some(live)) = (entries.is_empty(), live) {
        let delta = compare(None, Some(live), types).without(&reset);
        entries.record(&delta, &Write { manager: "before-first-apply", ..*write });
    }
    let mut merged = base.clone();
    merge::merge(&mut merged, applied, types.root());
    let set = owned::field_set(applied, types.root()).without(&reset);
    let last = entries.fields_of(write, Operation::Apply);
    if let Some(last) = last.filter(|last| !last.is_subset(&set)) {
        let others = entries.all_but(write, Operation::Apply);
        merged = remove::prune(&merged, &last, &others.union(set.clone()), types.root());
    }
    let delta = compare(live, Some(&merged), types).without(&reset);
    let conflicts = entries.conflicts(&delta.changed, write);
    if !force && !conflicts.is_empty() {
        return Err(ApplyError::Conflicts(conflicts));
    }
    entries.lose(&delta, Some((write, Operation::Apply)));
    let changed = live.is_none() || merged != base;
    entries.set_applied(&set.difference(types::never_owned()), write, changed);
    put_managed_fields(&mut merged, entries.into_json());
    Ok(merged)
}

/// The entries a write starts from: those it sends, if they mean anything, or the live object's.
fn entries_before(old: Option<&Value>, sent: Option<Value>, write: &Write<'_>) -> Entries {
    let live = || Entries::from_json(old.and_then(|old| old["metadata"].get("managedFields")).cloned());
    if !write.subresource.is_empty() {
        return live().unwrap_or_default();
    }
    if sent.as_ref().is_some_and(is_reset) {
        return Entries::default();
    }
    match Entries::from_json(sent) {
        Some(entries) if !entries.is_empty() => entries,
        _ => live().unwrap_or_default(),
    }
}

/// A list that is empty, or holds one empty entry, asks for all ownership to be forgotten.
fn is_reset(sent: &Value) -> bool {
    match sent.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([one]) => one.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

fn take_managed_fields(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.shift_remove("managedFields")
}

fn put_managed_fields(object: &mut Value, fields: Option<Value>) {
    let Some(fields) = fields else { return };
    let Some(object) = object.as_object_mut() else { return };
    if let Value::Object(metadata) = object.entry("metadata").or_insert_with(|| json!({})) {
        metadata.insert("managedFields".to_owned(), fields);
    }
}

#[cfg(test)]
mod tests;
