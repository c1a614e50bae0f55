//! Patches: a current object and a change of it, in four languages.

mod read;
mod strategic;

use std::sync::Arc;

use json_patch::{AddOperation, PatchOperation};
use serde_json::Value;

use super::{ApiServer, Subresource, Target, WriteOptions, typed, write::Changed};
use crate::{
    apply, object,
    schema::go,
    status::Status,
    store::{Key, Stored},
};

/// A change of an object.
#[derive(Clone, Debug)]
pub enum Patch {
    /// RFC 6902 operations.
    Json(json_patch::Patch),
    /// RFC 7396.
    Merge(Value),
    /// A merge that knows which lists of the built-in kinds are keyed.
    Strategic(Value),
    /// Server-side apply.
    Apply(Value),
}

impl Patch {
    pub(super) fn is_strategic(&self) -> bool {
        matches!(self, Self::Strategic(_))
    }

    /// What is shown of it where it cannot be read: what it resulted in, or itself as Go's `%+v` shows it.
    pub(super) fn shown(&self, original: &Value, patched: impl FnOnce() -> String) -> String {
        let Self::Strategic(patch) = self else { return patched() };
        let mut patch = patch.clone();
        strategic::leave_behind(original, &mut patch);
        apply::shown(&patch)
    }
}

impl ApiServer {
    /// Changes an object but for its status. An applied object that does not exist is created.
    pub async fn patch(&self, key: &Key, patch: &Patch, options: &WriteOptions) -> Result<Arc<Stored>, Status> {
        let target = self.internal_target(&key.resource)?;
        self.patch_at(&target, key, patch, options).await.map(|(stored, _)| stored)
    }

    /// Changes the status of an object.
    pub async fn patch_status(&self, key: &Key, patch: &Patch, options: &WriteOptions) -> Result<Arc<Stored>, Status> {
        let target = self.internal_target(&key.resource)?.with(Subresource::Status);
        self.patch_at(&target, key, patch, options).await.map(|(stored, _)| stored)
    }

    /// The result, and whether the object was created.
    pub(crate) async fn patch_at(
        &self,
        target: &Target,
        key: &Key,
        patch: &Patch,
        options: &WriteOptions,
    ) -> Result<(Arc<Stored>, bool), Status> {
        if let Patch::Apply(applied) = patch {
            return self.apply_at(target, key, applied, options).await;
        }
        let patched = self.change(target, key, options, |current| {
            let mut object = patched(&current.value, patch, target)?;
            // Reading changes the object, and what it was is shown only where it cannot be read.
            let result = || patched(&current.value, patch, target).map(|it| text(&it, target)).unwrap_or_default();
            let shown = || patch.shown(&current.value, result);
            self.read_patched(&mut object, (patch, &shown), target, key, options)?;
            Ok(Changed::Patched(object))
        });
        Ok((patched.await?, false))
    }

    async fn apply_at(
        &self,
        target: &Target,
        key: &Key,
        applied: &Value,
        options: &WriteOptions,
    ) -> Result<(Arc<Stored>, bool), Status> {
        if target.creates_applied() && self.store().get(key).is_none() {
            if object::meta(applied, "managedFields").is_some_and(|fields| !object::same(Some(fields), None)) {
                return Err(Status::bad_request("metadata.managedFields must be nil"));
            }
            let mut changed = super::managed::apply(None, applied, target, options, self.clock())?;
            let Changed::Applied(object) = &mut changed else { return Err(Status::unprocessable()) };
            typed::check_applied(object, applied, target, options)?;
            if !object::uid(applied).is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {}, and no existing object was found",
                    object::uid(applied)
                );
                return Err(Status::conflict(target.group_resource(), &key.name, &why));
            }
            super::place::check_place(object, key)?;
            super::write::read_version(object)?;
            if !options.dry_run {
                object::set_meta(object, "resourceVersion", None);
            }
            return self.create_changed(target, changed, options).await.map(|stored| (stored, true));
        }
        let stored = self.change(target, key, options, |current| {
            let mut changed = super::managed::apply(Some(&current.value), applied, target, options, self.clock())?;
            if let Changed::Applied(object) = &mut changed {
                typed::check_applied(object, applied, target, options)?;
                super::place::check_place(object, key)?;
            }
            Ok(changed)
        });
        Ok((stored.await?, false))
    }
}

/// What a patch makes of an object, not read yet.
fn patched(current: &Value, patch: &Patch, target: &Target) -> Result<Value, Status> {
    let mut object = current.clone();
    if target.resource.custom {
        object.sort_all_objects();
    }
    change(&mut object, patch, target)?;
    Ok(object)
}

/// The real server keeps custom resources as maps, whose fields it writes in order.
fn text(object: &Value, target: &Target) -> String {
    if target.resource.custom { go::json_text(object) } else { object.to_string() }
}

fn change(object: &mut Value, patch: &Patch, target: &Target) -> Result<(), Status> {
    match patch {
        Patch::Json(operations) => apply_operations(object, operations),
        Patch::Merge(merge) => {
            object::merge(object, merge);
            sort_by(object, merge);
            Ok(())
        }
        Patch::Strategic(_) if target.resource.custom => Err(Status::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        )),
        Patch::Strategic(merge) => match typed::stored_type(target) {
            Some(ty) => strategic::merge(object, merge, ty),
            None => Ok(()),
        },
        Patch::Apply(_) => Ok(()),
    }
}

/// Sorts the fields of all objects on the way to a place. Messages quote patched objects, and the real server sorts what
/// it takes apart.
fn sort_to(object: &mut Value, pointer: &str) {
    let Value::Object(fields) = object else {
        if let (Value::Array(items), Some((_, rest))) = (object, pointer.get(1..).and_then(|it| it.split_once('/'))) {
            let index = pointer.split('/').nth(1).and_then(|it| it.parse::<usize>().ok());
            if let Some(item) = index.and_then(|index| items.get_mut(index)) {
                sort_to(item, &format!("/{rest}"));
            }
        }
        return;
    };
    fields.sort_keys();
    let Some((name, rest)) = pointer.get(1..).and_then(|it| it.split_once('/')) else { return };
    if let Some(field) = fields.get_mut(&name.replace("~1", "/").replace("~0", "~")) {
        sort_to(field, &format!("/{rest}"));
    }
}

/// Sorts the fields of all objects that a merge patch has a part for.
fn sort_by(object: &mut Value, merge: &Value) {
    let (Value::Object(fields), Value::Object(parts)) = (object, merge) else { return };
    fields.sort_keys();
    for (name, part) in parts {
        if let Some(field) = fields.get_mut(name) {
            sort_by(field, part);
        }
    }
}

/// RFC 6902 as the real server's library takes it: a field of an object may be replaced that is not there, and one that
/// is not there tests and is copied as null.
pub(super) fn apply_operations(object: &mut Value, operations: &json_patch::Patch) -> Result<(), Status> {
    for operation in &operations.0 {
        let absent = is_absent_field(object, operation.path().as_str());
        let lenient = match operation {
            PatchOperation::Replace(replace) if absent => {
                PatchOperation::Add(AddOperation { path: replace.path.clone(), value: replace.value.clone() })
            }
            PatchOperation::Test(test) if absent && test.value.is_null() => continue,
            PatchOperation::Copy(copy) if is_absent_field(object, copy.from.as_str()) => {
                PatchOperation::Add(AddOperation { path: copy.path.clone(), value: Value::Null })
            }
            other => other.clone(),
        };
        let from = match operation {
            PatchOperation::Copy(copy) => Some(copy.from.as_str()),
            PatchOperation::Move(moved) => Some(moved.from.as_str()),
            _ => None,
        };
        if let Some(from) = from {
            sort_to(object, from);
        }
        json_patch::patch(object, &[lenient]).map_err(|_| Status::unprocessable())?;
        sort_to(object, operation.path().as_str());
    }
    Ok(())
}

fn is_absent_field(object: &Value, path: &str) -> bool {
    let parent = path.rsplit_once('/').map(|(parent, _)| parent);
    object.pointer(path).is_none() && parent.and_then(|parent| object.pointer(parent)).is_some_and(Value::is_object)
}
