//! Patches: a current object and a change of it, in four languages.

mod strategic;

use std::sync::Arc;

use serde_json::Value;

use super::{ApiServer, Subresource, Target, WriteOptions, write::Changed};
use crate::{
    object,
    status::Status,
    store::{GroupResource, Key, Stored},
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

impl ApiServer {
    /// Changes an object but for its status. An applied object that does not exist is created.
    pub fn patch(&self, key: &Key, patch: &Patch, options: &WriteOptions) -> Result<Arc<Stored>, Status> {
        let target = self.internal_target(&key.resource)?;
        self.patch_at(&target, key, patch, options).map(|(stored, _)| stored)
    }

    /// Changes the status of an object.
    pub fn patch_status(&self, key: &Key, patch: &Patch, options: &WriteOptions) -> Result<Arc<Stored>, Status> {
        let target = self.internal_target(&key.resource)?.with(Subresource::Status);
        self.patch_at(&target, key, patch, options).map(|(stored, _)| stored)
    }

    /// The result, and whether the object was created.
    pub(crate) fn patch_at(
        &self,
        target: &Target,
        key: &Key,
        patch: &Patch,
        options: &WriteOptions,
    ) -> Result<(Arc<Stored>, bool), Status> {
        if let Patch::Apply(applied) = patch {
            return self.apply_at(target, key, applied, options);
        }
        let resource = target.group_resource();
        let patched = self.change(target, key, options, |current| {
            let mut object = Value::clone(&current.value);
            change(&mut object, patch, target)?;
            check_identity(&object, current, resource)?;
            Ok(Changed::Updated(object))
        })?;
        Ok((patched, false))
    }

    fn apply_at(
        &self,
        target: &Target,
        key: &Key,
        applied: &Value,
        options: &WriteOptions,
    ) -> Result<(Arc<Stored>, bool), Status> {
        if self.store().get(key).is_none() && target.subresource == Subresource::None {
            let mut object = applied.clone();
            if object::meta(&object, "managedFields").is_some_and(|fields| !object::same(Some(fields), None)) {
                return Err(Status::bad_request("metadata.managedFields must be nil"));
            }
            if !key.namespace.is_empty() {
                object::set_meta(&mut object, "namespace", Some(key.namespace.clone().into()));
            }
            object::set_meta(&mut object, "name", Some(key.name.clone().into()));
            if object::resource_version(&object).is_some() {
                return Err(Status::modified(target.group_resource(), &key.name));
            }
            let changed = super::managed::apply(None, &object, target, options, self.clock())?;
            return self.create_changed(target, changed, options).map(|stored| (stored, true));
        }
        let stored = self.change(target, key, options, |current| {
            super::managed::apply(Some(&current.value), applied, target, options, self.clock())
        })?;
        Ok((stored, false))
    }
}

fn change(object: &mut Value, patch: &Patch, target: &Target) -> Result<(), Status> {
    match patch {
        Patch::Json(operations) => json_patch::patch(object, operations).map_err(|error| refused(&error)),
        Patch::Merge(merge) => {
            object::merge(object, merge);
            Ok(())
        }
        Patch::Strategic(_) if target.resource.custom => Err(Status::unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        )),
        Patch::Strategic(merge) => {
            strategic::merge(object, merge);
            Ok(())
        }
        Patch::Apply(_) => Ok(()),
    }
}

/// A `test` that fails and a path that is not there are both 422, as the real server answers them.
fn refused(error: &json_patch::PatchError) -> Status {
    Status::new(422, "Invalid", format!("the server rejected our request due to an error in our request: {error}"))
}

fn check_identity(object: &Value, current: &Stored, resource: &GroupResource) -> Result<(), Status> {
    let key = &current.key;
    if object::name(object) != key.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            object::name(object),
            key.name
        )));
    }
    if object::namespace(object) != key.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    debug_assert!(!resource.plural.is_empty());
    Ok(())
}
