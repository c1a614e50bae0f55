//! What hangs on a namespace or a definition: its content goes with it, and it goes when its content is gone.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;

use super::{ApiServer, DeleteOptions, Subresource, Target, WriteOptions, managed, metadata};
use crate::{
    object::{self, set_meta, text},
    registry::{ResourceType, establish, is_established, parse_definition, terminate},
    status::Status,
    store::{GroupResource, Key, Stored},
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
        if is_namespace(target) {
            self.finish_namespace(&stored.key.name);
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
        if is_namespace(target) {
            for resource in self.resources().iter().filter(|resource| resource.namespaced) {
                self.delete_all(resource, Some(&marked.key.name)).await;
            }
            self.finish_namespace(&marked.key.name);
        } else if is_definition(target) {
            let mut going = Value::clone(&marked.value);
            terminate(&mut going, &self.clock().stamp());
            self.write_status(marked, going);
            if let Some(resource) = self.defined_by(&marked.value) {
                self.delete_all(&resource, None).await;
            }
            self.finish_definition(&marked.key.name);
        }
    }

    /// Lets a namespace or a definition go when this was the last of its content.
    pub(super) fn after_removal(&self, removed: &Stored) {
        self.configure(removed, true);
        let resource = &removed.key.resource;
        if !removed.key.namespace.is_empty() {
            self.finish_namespace(&removed.key.namespace);
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
    fn delete_all<'a>(&'a self, resource: &'a ResourceType, namespace: Option<&'a str>) -> BoxFuture<'a, ()> {
        async move {
            if resource.stored_as != resource.resource {
                return;
            }
            for stored in self.store().list(&resource.resource, namespace) {
                // Gone already is as good as deleted.
                let _ = self.delete(&stored.key, &DeleteOptions::default()).await;
            }
        }
        .boxed()
    }

    fn finish_namespace(&self, name: &str) {
        let key = Key::new(&namespaces(), "", name);
        let Some(namespace) = self.store().get(&key).filter(|found| object::is_deleting(&found.value)) else { return };
        let resources = self.resources();
        let mut namespaced = resources.iter().filter(|resource| resource.namespaced);
        let empty = namespaced.all(|resource| self.store().list(&resource.stored_as, Some(name)).is_empty());
        if empty && object::finalizers(&namespace.value).is_empty() {
            // Somebody else may have let it go in between.
            let _ = self.store().remove(&key, None);
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

fn is_namespace(target: &Target) -> bool {
    *target.group_resource() == namespaces()
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
