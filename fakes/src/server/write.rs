//! Create and update: from what the writer sent to what is stored.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    ApiServer, Subresource, Target,
    admission::{self, Attributes, Operation},
    builtin, custom,
    delete::may_go,
    managed, metadata,
    options::{FieldValidation, WriteOptions},
    services::Allocation,
    terminate::is_definition,
    typed,
};
use crate::{
    defaults, object,
    registry::unknown_formats,
    schema::{Cause, Findings},
    status::Status,
    store::{GroupResource, Key, Stored, WriteError},
};

/// What a writer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// The whole object.
    Object,
    /// A change of it.
    Patch,
    /// A configuration, applied on the server's side.
    Applied,
}

/// A new state of an object, as a change of the current one produced it.
pub(super) enum Changed {
    /// What changed is found by comparing, and recorded as an update of the writer.
    Replaced(Value),
    /// The same, but that a wrong uid is a mistake in the patch.
    Patched(Value),
    /// managedFields are already as they should be.
    Applied(Value),
}

impl ApiServer {
    /// Creates an object; its namespace is the one in its metadata.
    pub async fn create(
        &self,
        resource: &GroupResource,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Stored>, Status> {
        self.create_at(&self.internal_target(resource)?, object, options).await
    }

    /// Replaces an object but for its status, if it is still at the resourceVersion that is sent, when one is.
    pub async fn update(
        &self,
        resource: &GroupResource,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Stored>, Status> {
        self.update_at(&self.internal_target(resource)?, object, options).await
    }

    /// Replaces the status of an object, if it is still at the resourceVersion that is sent, when one is.
    pub async fn update_status(
        &self,
        resource: &GroupResource,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Stored>, Status> {
        self.update_at(&self.internal_target(resource)?.with(Subresource::Status), object, options).await
    }

    pub(crate) async fn create_at(
        &self,
        target: &Target,
        mut object: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Stored>, Status> {
        metadata::drop_end(&mut object);
        self.create_changed(target, Changed::Replaced(object), options).await
    }

    pub(super) async fn create_changed(
        &self,
        target: &Target,
        changed: Changed,
        options: &WriteOptions,
    ) -> Result<Arc<Stored>, Status> {
        let (mut object, stamped) = match changed {
            Changed::Replaced(object) | Changed::Patched(object) => (object, false),
            Changed::Applied(object) => (object, true),
        };
        metadata::drop_repeated_owners(&mut object, stamped, options);
        let version = object::meta(&object, "resourceVersion").cloned();
        // What is no number is not looked at, and nothing when nothing is stored.
        if !options.dry_run && object::resource_version(&object).is_some_and(|version| version > 0) {
            return Err(Status::new(500, "", "resourceVersion should not be set on objects to be created"));
        }
        metadata::prepare_create(&mut object, target);
        let chain = self.chain(target);
        // Who changes an object before it is stored sees it without name and uid, where there is anybody.
        if chain.is_none() {
            metadata::identify(&mut object, self.store());
        }
        self.check_namespace(target, &object)?;
        self.check_definition(target, &object)?;
        builtin::decode(&mut object, target);
        if !stamped {
            read(&mut object, target, options, Written::Object)?;
        }
        fill_defaults(&mut object, target);
        if !stamped {
            object = managed::stamp(None, object, target, options, self.clock());
        }
        defaults::admit(&target.resource.stored_as, &mut object);
        let mut request =
            chain.as_ref().map(|_| Attributes::of_write(target, Operation::Create, &object, None, options));
        if let (Some(chain), Some(request)) = (&chain, &request) {
            object = self.mutate(chain, request, Some(object)).await?.unwrap_or_default();
            metadata::prepare_create(&mut object, target);
            metadata::identify(&mut object, self.store());
        }
        builtin::prepare_create(&mut object, target);
        admission::prepare_create(&target.resource.stored_as, &mut object);
        if target.version().status && target.resource.custom {
            object::map_mut(&mut object).shift_remove("status");
            // The status that a writer may not set starts as its schema says.
            fill_defaults(&mut object, target);
        }
        if target.resource.traits.generation {
            object::set_meta(&mut object, "generation", Some(json!(1)));
        }
        let allocation = self.allocate(target, None, &mut object, options.dry_run)?;
        check(&object, None, target, options)?;
        warn(&object, None, target, options);
        if let (Some(chain), Some(request)) = (&chain, &mut request) {
            request.generated(&object);
            self.judge(chain, request, Some(&object)).await?;
        }
        let key = Key::new(&target.resource.stored_as, object::namespace(&object), object::name(&object));
        if let Some(existing) = self.store().get(&key) {
            let mut refused = Status::already_exists(target.group_resource(), &key.name);
            if object::meta(&object, "generateName").is_some() {
                refused = refused.without_unique_name();
            }
            if object::is_deleting(&existing.value) {
                refused.message.insert_str(0, "object is being deleted: ");
            }
            return Err(refused);
        }
        if options.dry_run {
            object::set_meta(&mut object, "resourceVersion", version.filter(|version| version != ""));
            return Ok(Stored::unsaved(key, object));
        }
        let name = key.name.clone();
        let stored = self.store().insert(key, object);
        let stored = stored.map_err(|_| Status::already_exists(target.group_resource(), &name))?;
        allocation.into_iter().for_each(Allocation::keep);
        self.after_write(target, &stored);
        Ok(stored)
    }

    pub(crate) async fn update_at(
        &self,
        target: &Target,
        mut object: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Stored>, Status> {
        if !target.resource.namespaced {
            object::set_meta(&mut object, "namespace", None);
        }
        let key = Key::new(&target.resource.stored_as, object::namespace(&object), object::name(&object));
        if self.store().get(&key).is_none() && target.resource.traits.create_on_update {
            let uid = object::uid(&object);
            if !uid.is_empty() {
                return Err(other_uid(uid, "", &key, target, options));
            }
            read_version(&object)?;
            if !options.dry_run {
                object::set_meta(&mut object, "resourceVersion", None);
            }
            return self.create_changed(target, Changed::Replaced(object), options).await;
        }
        if object::resource_version(&object).is_none() {
            return self.change(target, &key, options, |_| Ok(Changed::Replaced(object.clone()))).await;
        }
        // An update of a version has one try.
        let gone = || Status::not_found(target.group_resource(), &key.name);
        let current = self.store().get(&key).ok_or_else(gone)?;
        let written = self.change_once(target, &current, Changed::Replaced(object), options).await?;
        written.map_err(|error| match error {
            WriteError::Missing => gone(),
            WriteError::Stale | WriteError::Exists => Status::modified(target.group_resource(), &key.name),
        })
    }

    /// Reads, changes and writes one object, again when somebody else wrote in between.
    pub(super) async fn change(
        &self,
        target: &Target,
        key: &Key,
        options: &WriteOptions,
        change: impl Fn(&Stored) -> Result<Changed, Status> + Send + Sync,
    ) -> Result<Arc<Stored>, Status> {
        loop {
            let not_found = || Status::not_found(target.group_resource(), &key.name);
            let current = self.store().get(key).ok_or_else(not_found)?;
            let changed = change(&current)?;
            match self.change_once(target, &current, changed, options).await? {
                Ok(stored) => return Ok(stored),
                Err(WriteError::Missing) => return Err(not_found()),
                Err(WriteError::Stale | WriteError::Exists) => {}
            }
        }
    }

    /// Has an update changed by admission, its fields recorded before: what admission sets is nobody's.
    async fn mutate_update(
        &self,
        chain: &admission::Chain,
        request: &Attributes<'_>,
        current: &Stored,
        mut new: Value,
        options: &WriteOptions,
        written: Written,
    ) -> Result<Value, Status> {
        let (old, target) = (&current.value, request.target());
        for field in ["apiVersion", "kind"] {
            if let Some(value) = old.get(field) {
                object::map_mut(&mut new).insert(field.to_owned(), value.clone());
            }
        }
        builtin::decode(&mut new, target);
        read(&mut new, target, options, written)?;
        fill_defaults(&mut new, target);
        if written != Written::Applied {
            let mut complete = new.clone();
            metadata::carry_over(old, &mut complete, target);
            builtin::merge_subresource(old, &mut complete, target);
            let stamped = managed::stamp(Some(old), complete, target, options, self.clock());
            object::set_meta(&mut new, "managedFields", object::meta(&stamped, "managedFields").cloned());
        }
        Ok(self.mutate(chain, request, Some(new)).await?.unwrap_or_default())
    }

    /// The outer result is the answer; the inner one says that the object was not what it was when it was read.
    async fn change_once(
        &self,
        target: &Target,
        current: &Arc<Stored>,
        changed: Changed,
        options: &WriteOptions,
    ) -> Result<Result<Arc<Stored>, WriteError>, Status> {
        let (mut new, written) = match changed {
            Changed::Replaced(object) => (object, Written::Object),
            Changed::Patched(object) => (object, Written::Patch),
            Changed::Applied(object) => (object, Written::Applied),
        };
        metadata::drop_repeated_owners(&mut new, written != Written::Object, options);
        let old = &current.value;
        let chain = self.chain(target);
        let mut stamped = written == Written::Applied;
        let mut request = None;
        if let Some(chain) = &chain {
            let attributes = Attributes::of_write(target, Operation::Update, &new, Some(old), options);
            new = self.mutate_update(chain, &attributes, current, new, options, written).await?;
            stamped = true;
            request = Some(attributes);
        }
        check_preconditions(&new, current, target, options, written)?;
        metadata::carry_over(old, &mut new, target);
        builtin::decode(&mut new, target);
        builtin::merge_subresource(old, &mut new, target);
        read(&mut new, target, options, written)?;
        fill_defaults(&mut new, target);
        if !stamped {
            new = managed::stamp(Some(old), new, target, options, self.clock());
            managed::after_scale(&mut new, target);
        }
        let allocation = self.allocate(target, Some(old), &mut new, options.dry_run)?;
        if target.subresource == Subresource::None {
            defaults::admit_update(&target.resource.stored_as, old, &mut new);
        }
        builtin::count_generation(old, &mut new, target);
        check(&new, Some(old), target, options)?;
        warn(&new, Some(old), target, options);
        if let (Some(chain), Some(request)) = (&chain, &request) {
            self.judge(chain, request, Some(&new)).await?;
        }
        if managed::same_but_for_times(old, &new) {
            return Ok(Ok(current.clone()));
        }
        let expected = Some(current.resource_version);
        if object::is_deleting(&new) && may_go(&new, target) {
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
            allocation.into_iter().for_each(Allocation::keep);
            self.after_write(target, stored);
        }
        Ok(written)
    }
}

fn fill_defaults(object: &mut Value, target: &Target) {
    if let Some(schema) = &target.version().schema {
        schema.set_defaults(object);
    } else {
        defaults::apply(&target.resource.stored_as, object);
        admission::set_defaults(&target.resource.stored_as, object);
    }
}

/// Reads what a change resulted in. What came with a request has been read by now, and so has what was patched or applied.
fn read(object: &mut Value, target: &Target, options: &WriteOptions, written: Written) -> Result<(), Status> {
    if options.check_types || written != Written::Object {
        return Ok(());
    }
    custom::decode(object, target, options, |why| typed::mistyped(why, target))
}

/// Reads an object that admission changed as one that is sent is read. Nobody is told of fields that are not known.
pub(super) fn read_again(object: &mut Value, target: &Target) -> Result<(), Status> {
    let options =
        WriteOptions { field_validation: FieldValidation::Ignore, check_types: true, ..WriteOptions::default() };
    typed::read(object, target, &options)?;
    custom::decode(object, target, &options, |why| typed::mistyped(why, target))?;
    fill_defaults(object, target);
    Ok(())
}

fn check(object: &Value, old: Option<&Value>, target: &Target, options: &WriteOptions) -> Result<(), Status> {
    let causes = metadata::validate(object, old, target);
    let mut findings = Findings { causes, trusts_old: target.resource.traits.settled, ..Findings::default() };
    custom::check_scale(object, target, &mut findings.causes);
    match &target.version().schema {
        Some(schema) if target.subresource == Subresource::Status => {
            schema.validate_status_after(&mut findings, object, old);
        }
        Some(_) if metadata::says_other_kind(object, target) => {
            let kind = object::text(object, &["kind"]);
            let why = format!("must be {}", target.resource.kind);
            findings.causes.push(Cause::invalid("kind", &json!(kind), &why));
            return Err(Status::invalid(kind, &target.group_resource().group, object::name(object), &findings.causes));
        }
        Some(schema) => schema.validate_after(&mut findings, object, old),
        None => {
            findings.causes.extend(builtin::validate(object, old, target));
            findings.causes.extend(admission::validate(&target.resource.stored_as, object, old));
        }
    }
    if is_definition(target) {
        findings.warnings.extend(unknown_formats(object, old));
    }
    for warning in findings.warnings {
        options.warnings.push(warning);
    }
    let mut causes = findings.causes;
    if causes.is_empty() && old.is_none() {
        causes = metadata::validate_valid(object, target);
    }
    if causes.is_empty() { Ok(()) } else { Err(target.invalid(object::name(object), &causes)) }
}

/// Warns of what is let through but unwise.
fn warn(object: &Value, old: Option<&Value>, target: &Target, options: &WriteOptions) {
    metadata::warn(object, old, target, options);
    for warning in builtin::warnings(object, old, target) {
        options.warnings.push(warning);
    }
}

fn check_preconditions(
    new: &Value,
    current: &Stored,
    target: &Target,
    options: &WriteOptions,
    written: Written,
) -> Result<(), Status> {
    let (resource, name) = (target.group_resource(), &current.key.name);
    let (wanted, found) = (object::uid(new), object::uid(&current.value));
    if !wanted.is_empty() && wanted != found && written == Written::Object {
        return Err(other_uid(wanted, found, &current.key, target, options));
    }
    match read_version(new)? {
        Some(version) if version != current.resource_version => Err(Status::modified(resource, name)),
        None if !target.resource.traits.unconditional_update => {
            let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            Err(Status::invalid(&resource.plural, &resource.group, name, &[cause]))
        }
        _ => Ok(()),
    }
}

pub(super) fn read_version(object: &Value) -> Result<Option<u64>, Status> {
    let version = object::text(object, &["metadata", "resourceVersion"]);
    if !version.is_empty() && version.parse::<u64>().is_err() {
        return Err(Status::new(500, "", format!("strconv.ParseUint: parsing {version:?}: invalid syntax")));
    }
    Ok(object::resource_version(object))
}

/// The object is not the one that the writer means.
fn other_uid(wanted: &str, found: &str, key: &Key, target: &Target, options: &WriteOptions) -> Status {
    let root = if options.dry_run { "" } else { "/registry" };
    let path = format!("{root}{}", storage_path(key, target));
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
         failed: UID in precondition: {wanted}, UID in object meta: {found}"
    );
    Status::conflict(target.group_resource(), &key.name, &why)
}

/// Where the real server keeps an object, as some of its messages tell.
fn storage_path(key: &Key, target: &Target) -> String {
    let resource = &key.resource;
    let own_server = matches!(&*resource.group, "apiextensions.k8s.io" | "apiregistration.k8s.io");
    let group = if target.resource.custom || own_server { format!("{}/", resource.group) } else { String::new() };
    let namespace = if key.namespace.is_empty() { String::new() } else { format!("{}/", key.namespace) };
    let plural = match &*resource.plural {
        plural if target.resource.custom => plural,
        "replicationcontrollers" => "controllers",
        "endpoints" => "services/endpoints",
        "nodes" => "minions",
        "services" => "services/specs",
        "ingresses" => "ingress",
        plural => plural,
    };
    format!("/{group}{plural}/{namespace}{}", key.name)
}
