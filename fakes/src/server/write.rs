//! Create and update: from what the writer sent to what is stored.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ApiServer, Subresource, Target, builtin, managed, metadata};
use crate::{
    defaults, object,
    schema::Cause,
    status::Status,
    store::{GroupResource, Key, Stored, WriteError},
};

/// Who writes and how.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Name under which written fields are recorded in managedFields.
    pub field_manager: String,
    /// Do everything but store the result.
    pub dry_run: bool,
    /// Take over fields that other appliers own (server-side apply only).
    pub force: bool,
    /// What happens to fields the schema does not know.
    pub field_validation: FieldValidation,
}

/// What happens to fields the schema does not know: they are always pruned; `Strict` refuses them instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Prune and say nothing.
    Ignore,
    /// Prune and warn.
    #[default]
    Warn,
    /// Refuse.
    Strict,
}

impl WriteOptions {
    /// Options of a writer with this name.
    pub fn manager(name: &str) -> Self {
        Self { field_manager: name.to_owned(), ..Self::default() }
    }
}

/// A new state of an object, as a change of the current one produced it.
pub(super) enum Changed {
    /// What changed is found by comparing, and recorded as an update of the writer.
    Updated(Value),
    /// managedFields are already as they should be.
    Applied(Value),
}

impl ApiServer {
    /// Creates an object; its namespace is the one in its metadata.
    pub fn create(
        &self,
        resource: &GroupResource,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Stored>, Status> {
        self.create_at(&self.internal_target(resource)?, object, options)
    }

    /// Replaces an object but for its status, if it is still at the resourceVersion that is sent, when one is.
    pub fn update(
        &self,
        resource: &GroupResource,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Stored>, Status> {
        self.update_at(&self.internal_target(resource)?, object, options)
    }

    /// Replaces the status of an object, if it is still at the resourceVersion that is sent, when one is.
    pub fn update_status(
        &self,
        resource: &GroupResource,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Stored>, Status> {
        self.update_at(&self.internal_target(resource)?.with(Subresource::Status), object, options)
    }

    pub(crate) fn create_at(
        &self,
        target: &Target,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Stored>, Status> {
        self.create_changed(target, Changed::Updated(object), options)
    }

    pub(super) fn create_changed(
        &self,
        target: &Target,
        changed: Changed,
        options: &WriteOptions,
    ) -> Result<Arc<Stored>, Status> {
        let (mut object, stamped) = match changed {
            Changed::Updated(object) => (object, false),
            Changed::Applied(object) => (object, true),
        };
        if object::resource_version(&object).is_some() {
            return Err(Status::new(500, "", "resourceVersion should not be set on objects to be created"));
        }
        metadata::prepare_create(&mut object, target, self.store());
        self.check_namespace(target, &object)?;
        builtin::prepare_create(&mut object, target, self.store());
        if target.version().status && target.resource.custom {
            object::map_mut(&mut object).shift_remove("status");
        }
        prune(&mut object, target, options)?;
        self.fill_defaults(&mut object, target);
        if !target.resource.traits.generation {
            object::set_meta(&mut object, "generation", None);
        } else {
            object::set_meta(&mut object, "generation", Some(json!(1)));
        }
        self.check(&object, None, target)?;
        if !stamped {
            object = managed::stamp(None, object, target, options, self.clock());
        }
        let key = Key::new(&target.resource.stored_as, object::namespace(&object), object::name(&object));
        if self.store().get(&key).is_some() {
            return Err(Status::already_exists(target.group_resource(), &key.name));
        }
        if options.dry_run {
            return Ok(Stored::unsaved(key, object));
        }
        let name = key.name.clone();
        let stored = self.store().insert(key, object);
        let stored = stored.map_err(|_| Status::already_exists(target.group_resource(), &name))?;
        self.after_write(target, &stored);
        Ok(stored)
    }

    pub(crate) fn update_at(
        &self,
        target: &Target,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Stored>, Status> {
        let key = Key::new(&target.resource.stored_as, object::namespace(&object), object::name(&object));
        if self.store().get(&key).is_none() && target.resource.traits.create_on_update {
            return self.create_at(target, object, options);
        }
        let needs_version = !target.resource.traits.unconditional_update && target.subresource == Subresource::None;
        if needs_version && object::resource_version(&object).is_none() && self.store().get(&key).is_some() {
            let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            let cause = Cause { message: cause.message.replace(": 0:", ": 0x0:"), ..cause };
            let resource = target.group_resource();
            return Err(Status::invalid(&resource.plural, &resource.group, &key.name, &[cause]));
        }
        self.change(target, &key, options, |_| Ok(Changed::Updated(object.clone())))
    }

    /// Reads, changes and writes one object, again when somebody else wrote in between.
    pub(super) fn change(
        &self,
        target: &Target,
        key: &Key,
        options: &WriteOptions,
        change: impl Fn(&Stored) -> Result<Changed, Status>,
    ) -> Result<Arc<Stored>, Status> {
        loop {
            let not_found = || Status::not_found(target.group_resource(), &key.name);
            let current = self.store().get(key).ok_or_else(not_found)?;
            let changed = change(&current)?;
            match self.change_once(target, &current, changed, options)? {
                Ok(stored) => return Ok(stored),
                Err(WriteError::Missing) => return Err(not_found()),
                Err(WriteError::Stale | WriteError::Exists) => {}
            }
        }
    }

    /// The outer result is the answer; the inner one says that the object was not what it was when it was read.
    fn change_once(
        &self,
        target: &Target,
        current: &Arc<Stored>,
        changed: Changed,
        options: &WriteOptions,
    ) -> Result<Result<Arc<Stored>, WriteError>, Status> {
        let (mut new, stamped) = match changed {
            Changed::Updated(object) => (object, false),
            Changed::Applied(object) => (object, true),
        };
        let old = &current.value;
        check_preconditions(&new, current, target)?;
        metadata::carry_over(old, &mut new);
        builtin::merge_subresource(old, &mut new, target);
        prune(&mut new, target, options)?;
        self.fill_defaults(&mut new, target);
        builtin::count_generation(old, &mut new, target);
        self.check(&new, Some(old), target)?;
        if !stamped {
            new = managed::stamp(Some(old), new, target, options, self.clock());
        }
        if managed::same_but_for_times(old, &new) {
            return Ok(Ok(current.clone()));
        }
        let expected = Some(current.resource_version);
        if object::is_deleting(&new) && self.may_go(&new, target) {
            if options.dry_run {
                return Ok(Ok(Stored::unsaved(current.key.clone(), new)));
            }
            let removed = self.store().remove(&current.key, expected);
            return Ok(removed.map(|removed| {
                self.after_removal(&removed);
                Stored::unsaved(current.key.clone(), new)
            }));
        }
        if options.dry_run {
            return Ok(Ok(Stored::unsaved(current.key.clone(), new)));
        }
        let written = self.store().put(current.key.clone(), new, expected);
        if let Ok(stored) = &written {
            self.after_write(target, stored);
        }
        Ok(written)
    }

    fn fill_defaults(&self, object: &mut Value, target: &Target) {
        match &target.version().schema {
            Some(schema) => schema.set_defaults(object),
            None => defaults::apply(&target.resource.stored_as, object, self.clock()),
        }
    }

    fn check(&self, object: &Value, old: Option<&Value>, target: &Target) -> Result<(), Status> {
        let mut causes = metadata::validate(object, old, target);
        match &target.version().schema {
            Some(schema) if target.subresource == Subresource::Status => {
                causes.extend(schema.validate_status(object, old));
            }
            Some(schema) => causes.extend(schema.validate(object, old)),
            None => causes.extend(builtin::validate(object, old, target)),
        }
        if causes.is_empty() { Ok(()) } else { Err(target.invalid(object::name(object), &causes)) }
    }
}

fn check_preconditions(new: &Value, current: &Stored, target: &Target) -> Result<(), Status> {
    let (resource, name) = (target.group_resource(), &current.key.name);
    let (wanted, found) = (object::uid(new), object::uid(&current.value));
    if !wanted.is_empty() && wanted != found {
        let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
        return Err(Status::conflict(resource, name, &why));
    }
    match object::resource_version(new) {
        Some(version) if version != current.resource_version => Err(Status::modified(resource, name)),
        _ => Ok(()),
    }
}

fn prune(object: &mut Value, target: &Target, options: &WriteOptions) -> Result<(), Status> {
    let Some(schema) = &target.version().schema else { return Ok(()) };
    let unknown = schema.prune(object);
    if unknown.is_empty() || options.field_validation != FieldValidation::Strict {
        return Ok(());
    }
    let told: Vec<String> = unknown.iter().map(|field| format!("unknown field {field:?}")).collect();
    let kind = &target.resource.kind;
    Err(Status::bad_request(format!(
        "{kind} in version {:?} cannot be handled as a {kind}: strict decoding error: {}",
        target.version().name,
        told.join(", ")
    )))
}
