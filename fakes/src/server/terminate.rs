//! What hangs on a namespace or a definition: nothing new comes into a namespace that is going, and a definition goes with
//! its objects.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;

use super::{ApiServer, DeleteOptions, Subresource, Target, WriteOptions, delete::may_go, managed, metadata};
use crate::{
    object::{self, set_meta, text},
    registry::{ResourceType, establish, is_established, parse_definition, terminate},
    status::Status,
    store::{GroupResource, Key, Stored, WriteError},
};

/// Holds a definition until its custom resources are gone.
const CRD_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

impl ApiServer {
    /// The namespace of a new object exists and takes new content.
    pub(super) fn check_namespace(&self, target: &Target, object: &Value) -> Result<(), Status> {
        if !target.resource.namespaced {
            return Ok(());
        }
        let (namespaces, name) = (namespaces(), object::namespace(object));
        let Some(namespace) = self.store().find(&namespaces, "", name) else {
            return Err(Status::not_found(&namespaces, name));
        };
        if !object::is_deleting(&namespace.value) {
            return Ok(());
        }
        let why = format!("unable to create new content in namespace {name} because it is being terminated");
        let terminating = format!("namespace {name} is being terminated");
        let refused = Status::forbidden(target.group_resource(), object::name(object), &why);
        Err(refused.with_cause("NamespaceTerminating", &terminating, "metadata.namespace"))
    }

    /// Serves what a definition says, as soon as it is stored.
    pub(super) fn after_write(&self, target: &Target, stored: &Stored) {
        self.configure(stored, false);
        if is_definition(target) && target.subresource == Subresource::None {
            self.establish(stored);
        }
    }

    /// Accepts the names of a definition, as far as they are free, and serves what is established.
    fn establish(&self, definition: &Stored) {
        let others = self.store().list(&definitions(), None);
        let group = text(&definition.value, &["spec", "group"]);
        let others = others.iter().filter(|other| other.key != definition.key);
        let others: Vec<&Arc<Stored>> =
            others.filter(|other| text(&other.value, &["spec", "group"]) == group).collect();
        let mut established = Value::clone(&definition.value);
        let values: Vec<&Value> = others.iter().map(|other| &*other.value).collect();
        establish(&mut established, &values, &self.clock().stamp());
        if let (true, Some(resource)) = (is_established(&established), parse_definition(&established)) {
            self.serve_resource(resource);
        }
        if established.get("status") == definition.value.get("status") {
            return;
        }
        self.write_status(definition, established);
        self.reconsider(group, &definition.key);
    }

    fn serve_resource(&self, resource: Arc<ResourceType>) {
        let served = self.registry(|registry| registry.find(&resource.resource.group, &resource.resource.plural));
        let is_changed = served.is_some_and(|served| !Arc::ptr_eq(&served, &resource));
        let mut resource = resource;
        if is_changed {
            // Objects may have been held to what was before.
            let traits = &mut Arc::make_mut(&mut resource).traits;
            traits.settled = false;
            traits.reworked = true;
        }
        self.change_registry(|registry| registry.install(resource));
    }

    /// Writes the status of a definition. When somebody wrote in between, it is looked at again by that write.
    fn write_status(&self, definition: &Stored, value: Value) {
        let Ok(target) = self.internal_target(&definitions()) else { return };
        let (target, options) = (target.with(Subresource::Status), WriteOptions::manager("kube-apiserver"));
        let value = managed::stamp(Some(&definition.value), value, &target, &options, self.clock());
        let _ = self.store().put(definition.key.clone(), value, Some(definition.resource_version));
    }

    /// Looks again at definitions of a group that want names which another one may have let go.
    fn reconsider(&self, group: &str, but: &Key) {
        let waits = |other: &&Arc<Stored>| {
            let names = |part, field| object::at(&other.value, &[part, field]);
            other.key != *but
                && text(&other.value, &["spec", "group"]) == group
                && names("spec", "names") != names("status", "acceptedNames")
        };
        for other in self.store().list(&definitions(), None).iter().filter(waits) {
            self.establish(other);
        }
    }

    /// A definition that is going takes no new objects.
    pub(super) fn check_definition(&self, target: &Target, object: &Value) -> Result<(), Status> {
        if !target.resource.custom {
            return Ok(());
        }
        let definition = self.store().find(&definitions(), "", &target.group_resource().to_string());
        if definition.is_none_or(|definition| !object::is_deleting(&definition.value)) {
            return Ok(());
        }
        let why = "create not allowed while custom resource definition is terminating";
        Err(Status::forbidden(target.group_resource(), object::name(object), why))
    }

    /// Deletes the content of what was just marked as being deleted.
    pub(super) async fn after_mark(&self, target: &Target, marked: &Arc<Stored>) {
        if is_definition(target) {
            let mut going = Value::clone(&marked.value);
            terminate(&mut going, &self.clock().stamp());
            self.write_status(marked, going);
            if let Some(resource) = self.defined_by(&marked.value) {
                self.delete_all(&resource).await;
            }
            self.finish_definition(&marked.key.name);
        }
    }

    /// Lets a definition go when this was the last of its objects, and takes back what a Service held.
    pub(super) fn after_removal(&self, removed: &Stored) {
        self.configure(removed, true);
        let resource = &removed.key.resource;
        if *resource == GroupResource::new("", "services") {
            self.release_service(&removed.value);
        }
        if resource.group.contains('.') {
            self.finish_definition(&resource.to_string());
        }
        if *resource == definitions() {
            let gone = GroupResource::new(
                text(&removed.value, &["spec", "group"]),
                text(&removed.value, &["spec", "names", "plural"]),
            );
            self.change_registry(|registry| registry.uninstall(&gone));
            self.reconsider(text(&removed.value, &["spec", "group"]), &removed.key);
        }
    }

    /// Boxed, since these are deletions within a deletion.
    fn delete_all<'a>(&'a self, resource: &'a ResourceType) -> BoxFuture<'a, ()> {
        async move {
            for stored in self.store().list(&resource.resource, None) {
                // Gone already is as good as deleted.
                let _ = self.delete(&stored.key, &DeleteOptions::default()).await;
            }
        }
        .boxed()
    }

    /// Replaces the finalizers in a namespace's spec. One that is being deleted goes with its last finalizer.
    pub(crate) fn finalize(
        &self,
        name: &str,
        finalizers: &[Value],
        version: Option<u64>,
    ) -> Result<Arc<Stored>, Status> {
        let (resource, key) = (namespaces(), Key::new(&namespaces(), "", name));
        let target = self.internal_target(&resource)?;
        loop {
            let namespace = self.get(&key)?;
            if version.is_some_and(|version| version != namespace.resource_version) {
                return Err(Status::modified(&resource, name));
            }
            let mut finalized = Value::clone(&namespace.value);
            let spec = object::field_mut(&mut finalized, "spec");
            if finalizers.is_empty() {
                spec.shift_remove("finalizers");
            } else {
                spec.insert("finalizers".to_owned(), finalizers.into());
            }
            if finalized == *namespace.value {
                return Ok(namespace);
            }
            let expected = Some(namespace.resource_version);
            let written = if object::is_deleting(&finalized) && may_go(&finalized, &target) {
                let removed = self.store().remove(&key, expected);
                removed.map(|_| Stored::unsaved(key.clone(), finalized))
            } else {
                self.store().put(key.clone(), finalized, expected)
            };
            match written {
                Err(WriteError::Stale) => {}
                Err(_) => return Err(Status::not_found(&resource, name)),
                Ok(stored) => return Ok(stored),
            }
        }
    }

    fn finish_definition(&self, name: &str) {
        let key = Key::new(&definitions(), "", name);
        let Some(definition) = self.store().get(&key).filter(|found| object::is_deleting(&found.value)) else { return };
        let Some(resource) = self.defined_by(&definition.value) else { return };
        let mut finalizers = metadata::finalizers_owned(&definition.value);
        if !self.store().list(&resource.resource, None).is_empty() || !finalizers.iter().any(|f| f == CRD_FINALIZER) {
            return;
        }
        finalizers.retain(|finalizer| finalizer != CRD_FINALIZER);
        if finalizers.is_empty() {
            if let Ok(removed) = self.store().remove(&key, None) {
                self.after_removal(&removed);
            }
            return;
        }
        let mut value = Value::clone(&definition.value);
        set_meta(&mut value, "finalizers", metadata::finalizers_value(&finalizers));
        let _ = self.store().put(key, value, Some(definition.resource_version));
    }

    fn defined_by(&self, definition: &Value) -> Option<Arc<ResourceType>> {
        let (group, plural) = (text(definition, &["spec", "group"]), text(definition, &["spec", "names", "plural"]));
        self.registry(|registry| registry.find(group, plural))
    }
}

fn namespaces() -> GroupResource {
    GroupResource::new("", "namespaces")
}

fn definitions() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

pub(super) fn is_namespace(target: &Target) -> bool {
    *target.group_resource() == namespaces()
}

/// Nobody holds the namespace any more in its spec.
pub(super) fn is_finalized(namespace: &Value) -> bool {
    object::strings(object::at(namespace, &["spec", "finalizers"])).is_empty()
}

/// A definition that is deleted waits for its objects.
pub(super) fn hold_definition(definition: &mut Value) {
    let mut finalizers = metadata::finalizers_owned(definition);
    if !object::is_deleting(definition) && !finalizers.iter().any(|finalizer| finalizer == CRD_FINALIZER) {
        finalizers.push(CRD_FINALIZER.to_owned());
        set_meta(definition, "finalizers", metadata::finalizers_value(&finalizers));
    }
}

pub(super) fn is_definition(target: &Target) -> bool {
    *target.group_resource() == definitions()
}
