//! What hangs on a namespace or a definition: its content goes with it, and it goes when its content is gone.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;

use super::{ApiServer, DeleteOptions, Subresource, Target, WriteOptions, metadata};
use crate::{
    object::{self, set_meta, text},
    registry::{ResourceType, establish, parse_definition},
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
    pub(super) async fn after_write(&self, target: &Target, stored: &Stored) {
        self.configure(stored, false);
        if is_definition(target)
            && target.subresource == Subresource::None
            && let Ok(resource) = parse_definition(&stored.value)
        {
            self.change_registry(|registry| registry.install(resource));
            self.establish(stored).await;
        }
        if is_namespace(target) {
            self.finish_namespace(&stored.key.name);
        }
    }

    /// Boxed, since this is a write within a write.
    fn establish<'a>(&'a self, definition: &Stored) -> BoxFuture<'a, ()> {
        let mut established = Value::clone(&definition.value);
        establish(&mut established, &self.clock().stamp());
        async move {
            let options = WriteOptions::manager("kube-apiserver");
            // Somebody else's write in between has established the definition, too.
            let _ = self.update_status(&definitions(), established, &options).await;
        }
        .boxed()
    }

    /// Deletes the content of what was just marked as being deleted.
    pub(super) async fn after_mark(&self, target: &Target, marked: &Arc<Stored>) {
        if is_namespace(target) {
            for resource in self.resources().iter().filter(|resource| resource.namespaced) {
                self.delete_all(resource, Some(&marked.key.name)).await;
            }
            self.finish_namespace(&marked.key.name);
        } else if is_definition(target) {
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
