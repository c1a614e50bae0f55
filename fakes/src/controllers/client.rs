//! How controllers write: the API server's own methods, without a wire in between.
//!
//! A write waits only for admission that asks somebody else.

use std::sync::Arc;

use serde_json::{Value, json};

use super::events::{Notice, Recorder};
use crate::registry::ResourceType;
use crate::server::{ApiServer, DeleteOptions, WriteOptions};
use crate::status::Status;
use crate::store::{GroupResource, Key, Store, Stored};

/// What the scale subresource says of an object.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    resource: GroupResource,
    /// Where the object keeps its replicas.
    path: String,
    pub(crate) uid: String,
    pub(crate) replicas: i64,
    /// The object itself.
    pub(crate) object: Arc<Stored>,
}

/// One component's access to the API server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    api: ApiServer,
    options: WriteOptions,
    /// None where nobody is told what happens.
    recorder: Option<Recorder>,
}

impl Client {
    /// Access under a field manager's name.
    pub(crate) fn new(api: &ApiServer, field_manager: &str) -> Self {
        Self { api: api.clone(), options: WriteOptions::manager(field_manager), recorder: None }
    }

    /// The same access for a controller of this name, which may record Events.
    pub(crate) fn of(&self, component: &'static str, events: bool) -> Self {
        let recorder = events.then(|| Recorder::new(&self.api, component));
        Self { recorder, ..self.clone() }
    }

    /// Records what happened to an object.
    pub(crate) async fn tell(&self, about: &Value, notice: Notice) {
        if let Some(recorder) = &self.recorder {
            recorder.record(about, &notice, &self.options).await;
        }
    }

    pub(crate) fn store(&self) -> &Store {
        self.api.store()
    }

    /// Every resource that can hold objects now.
    pub(crate) fn resources(&self) -> Vec<GroupResource> {
        let mut stored: Vec<_> = self.api.resources().iter().map(|resource| resource.stored_as.clone()).collect();
        stored.sort();
        stored.dedup();
        stored
    }

    /// Every namespaced resource that can hold objects now.
    pub(crate) fn namespaced(&self) -> Vec<GroupResource> {
        let resources = self.api.resources();
        let own = resources.iter().filter(|it| it.namespaced && it.stored_as == it.resource);
        own.map(|resource| resource.resource.clone()).collect()
    }

    /// The version a resource is stored in.
    pub(crate) fn version_of(&self, resource: &GroupResource) -> String {
        let found = self.api.registry(|registry| registry.find(&resource.group, &resource.plural));
        found.and_then(|found| Some(found.storage_version()?.name.clone())).unwrap_or_default()
    }

    /// Whether objects of this resource can be asked for.
    pub(crate) fn serves(&self, resource: &GroupResource) -> bool {
        self.api.registry(|registry| registry.find(&resource.group, &resource.plural)).is_some()
    }

    /// The resource of a kind and whether it is namespaced.
    pub(crate) fn resource_of(&self, api_version: &str, kind: &str) -> Option<Arc<ResourceType>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = self.api.registry(|registry| registry.of_kind(group, kind));
        found.filter(|found| found.served(version).is_some())
    }

    /// What an object's scale subresource says; none when there is no such object.
    pub(crate) fn scale(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Scale>, String> {
        let resource = self.resource_of(api_version, kind);
        let resource = resource.ok_or_else(|| format!("no matches for kind {kind:?} in version {api_version:?}"))?;
        let version = api_version.rsplit('/').next().unwrap_or_default();
        let paths = resource.served(version).and_then(|version| version.scale.as_ref());
        let paths = paths.ok_or_else(|| format!("{} does not implement the scale subresource", resource.resource))?;
        let Some(stored) = self.store().find(&resource.stored_as, namespace, name) else { return Ok(None) };
        let replicas = paths.spec_replicas.split('.').try_fold(&*stored.value, |value, field| value.get(field));
        Ok(Some(Scale {
            resource: resource.stored_as.clone(),
            path: paths.spec_replicas.clone(),
            uid: crate::object::uid(&stored.value).to_owned(),
            replicas: replicas.and_then(Value::as_i64).unwrap_or_default(),
            object: stored,
        }))
    }

    pub(crate) async fn create(&self, resource: &GroupResource, object: Value) -> Result<Arc<Stored>, Status> {
        self.api.create(resource, object, &self.options).await
    }

    pub(crate) async fn update(&self, resource: &GroupResource, object: Value) -> Result<Arc<Stored>, Status> {
        self.api.update(resource, object, &self.options).await
    }

    pub(crate) async fn update_status(&self, resource: &GroupResource, object: Value) -> Result<Arc<Stored>, Status> {
        self.api.update_status(resource, object, &self.options).await
    }

    /// Has an object ask for so many replicas, if it is still what was read.
    pub(crate) async fn set_scale(&self, scale: &Scale, replicas: i64) -> Result<(), Status> {
        let mut object = Value::clone(&scale.object.value);
        let field = scale
            .path
            .split('.')
            .fold(&mut object, |value, field| crate::object::map_mut(value).entry(field).or_insert(Value::Null));
        *field = replicas.into();
        self.update(&scale.resource, object).await.map(drop)
    }

    /// Gives a pod its node.
    pub(crate) fn bind(&self, pod: &Stored, node: &str) -> Result<(), Status> {
        let metadata = json!({ "name": pod.key.name, "uid": crate::object::uid(&pod.value) });
        let target = json!({ "apiVersion": "v1", "kind": "Node", "name": node });
        let binding = json!({ "apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target });
        self.api.bind(&pod.key, &binding, false)
    }

    /// Sets the finalizers in a namespace's spec.
    pub(crate) fn finalize(&self, namespace: &str, finalizers: &[Value]) -> Result<(), Status> {
        match self.api.finalize(namespace, finalizers, None) {
            Err(status) if status.code != 404 => Err(status),
            _ => Ok(()),
        }
    }

    /// Deletes an object; one that is gone already counts as deleted.
    pub(crate) async fn delete(&self, key: &Key, options: &DeleteOptions) -> Result<(), Status> {
        let options = DeleteOptions { manager: self.options.field_manager.clone(), ..options.clone() };
        match self.api.delete(key, &options).await {
            Err(status) if status.code != 404 => Err(status),
            _ => Ok(()),
        }
    }
}
