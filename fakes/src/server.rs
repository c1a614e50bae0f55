//! The API server: what requests do to the store, in the process and over HTTP.

mod admission;
mod binding;
mod builtin;
mod convert;
mod custom;
mod delete;
mod discovery;
mod eviction;
mod http;
mod list;
mod managed;
mod metadata;
mod openapi;
mod options;
mod patch;
mod place;
mod pod_status;
mod reviews;
mod services;
mod table;
mod terminate;
mod typed;
mod watch;
mod write;

use std::sync::{Arc, PoisonError, RwLock};

use futures::FutureExt;
use serde_json::Value;

pub use admission::{WebhookCall, Webhooks};
pub use delete::{DeleteOptions, Deletion, Propagation};
pub use http::ApiBody;
pub use options::{FieldValidation, WriteOptions};
pub use patch::Patch;

use admission::{Admission, Https};

use crate::{
    Clock, Store,
    registry::{Registry, ResourceType, Version},
    status::Status,
    store::{GroupResource, Key, Stored},
};

/// The release the server says it is.
pub const GIT_VERSION: &str = "v1.36.3";

/// Namespaces that exist from the start.
const INITIAL_NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The revision at which requests begin. Nobody has seen what was before, so a watch of it is of a past that is gone.
const FIRST_REVISION: u64 = 1 + INITIAL_NAMESPACES.len() as u64;

/// A handle on one API server. Clones are the same server.
#[derive(Clone, Debug)]
pub struct ApiServer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    registry: RwLock<Registry>,
    admission: Admission,
    services: services::Pools,
}

/// What a write is about: the resource, the version spoken, the subresource.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) resource: Arc<ResourceType>,
    version: usize,
    pub(crate) subresource: Subresource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subresource {
    None,
    Status,
    Scale,
    Binding,
    Eviction,
}

impl Subresource {
    /// As URLs name it; nothing for the object itself.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Binding => "binding",
            Self::Eviction => "eviction",
        }
    }
}

impl Target {
    pub(crate) fn version(&self) -> &Version {
        &self.resource.versions[self.version]
    }

    pub(crate) fn api_version(&self) -> String {
        self.resource.api_version(&self.version().name)
    }

    pub(crate) fn with(&self, subresource: Subresource) -> Self {
        Self { subresource, ..self.clone() }
    }

    /// What the real server's own program calls a kind of this group.
    fn go_type(&self, kind: &str) -> String {
        if self.resource.custom {
            return format!("unstructured.Unstructured{}", if kind.ends_with("List") { "List" } else { "" });
        }
        let group = self.resource.stored_as.group.split('.').next().filter(|group| !group.is_empty());
        format!("{}.{kind}", group.unwrap_or("core"))
    }

    /// Whether what is applied to this endpoint and not there is created. That of a status is where updates create, too.
    fn creates_applied(&self) -> bool {
        self.subresource == Subresource::None || self.resource.traits.create_on_update
    }

    fn group_resource(&self) -> &GroupResource {
        &self.resource.resource
    }

    fn invalid(&self, name: &str, causes: &[crate::schema::Cause]) -> Status {
        Status::invalid(&self.resource.kind, &self.resource.resource.group, name, causes)
    }
}

impl ApiServer {
    /// A server with the built-in resources and the initial namespaces. `seed` decides uids and generated names. Webhooks
    /// are asked over HTTPS.
    pub fn new(seed: u64, clock: Clock) -> Self {
        Self::with_webhooks(seed, clock, Arc::new(Https))
    }

    /// The same with webhooks that are reached in another way, such as in the process and in virtual time.
    pub fn with_webhooks(seed: u64, clock: Clock, webhooks: Arc<dyn Webhooks>) -> Self {
        let store = Store::new(seed, clock);
        let (registry, services) = (RwLock::new(Registry::builtin()), services::Pools::default());
        let admission = Admission::new(webhooks);
        let server = Self { inner: Arc::new(Inner { store, registry, admission, services }) };
        for name in INITIAL_NAMESPACES {
            let namespace =
                serde_json::json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            let options = WriteOptions::manager("kube-apiserver");
            // Admission is not configured yet, so there is nothing to wait for.
            let created = server.create(&GroupResource::new("", "namespaces"), namespace, &options).now_or_never();
            debug_assert!(matches!(created, Some(Ok(_))), "initial namespace {name}: {created:?}");
        }
        server
    }

    /// The objects.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The cluster's clock.
    pub fn clock(&self) -> &Clock {
        self.inner.store.clock()
    }

    /// Installs a `CustomResourceDefinition`, or replaces the one of the same name.
    pub async fn install_crd(&self, definition: Value) -> Result<Arc<Stored>, Status> {
        let resource = GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions");
        let options = WriteOptions::manager("install");
        let key = Key::new(&resource, "", crate::object::name(&definition));
        match self.store().get(&key) {
            None => self.create(&resource, definition, &options).await?,
            Some(old) => {
                let mut definition = definition;
                let version = old.resource_version.to_string();
                crate::object::set_meta(&mut definition, "resourceVersion", Some(version.into()));
                self.update(&resource, definition, &options).await?
            }
        };
        self.get(&key)
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Result<Arc<Stored>, Status> {
        self.store().get(key).ok_or_else(|| Status::not_found(&key.resource, &key.name))
    }

    /// The served resources.
    pub fn resources(&self) -> Vec<Arc<ResourceType>> {
        self.registry(Registry::all)
    }

    /// Whether a built-in kind of this name is there.
    fn knows(&self, api_version: &str, kind: &str) -> bool {
        self.resources().iter().any(|resource| {
            let is = |version: &Version| resource.api_version(&version.name) == api_version;
            resource.kind == kind && !resource.custom && resource.versions.iter().any(is)
        })
    }

    pub(crate) fn registry<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        read(&self.inner.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change_registry(&self, change: impl FnOnce(&mut Registry)) {
        change(&mut self.inner.registry.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// The target of a request that names a version; none when it is not served.
    pub(crate) fn target(&self, group: &str, version: &str, plural: &str) -> Option<Target> {
        let resource = self.registry(|registry| registry.find(group, plural))?;
        let version = resource.versions.iter().position(|v| v.served && v.name == version)?;
        Some(Target { resource, version, subresource: Subresource::None })
    }

    /// The target of a write from inside the process: the storage version.
    fn internal_target(&self, resource: &GroupResource) -> Result<Target, Status> {
        let found = self.registry(|registry| registry.find(&resource.group, &resource.plural));
        let resource = found.ok_or_else(Status::no_such_resource)?;
        let version = resource.versions.iter().position(|v| v.storage).ok_or_else(Status::no_such_resource)?;
        Ok(Target { resource, version, subresource: Subresource::None })
    }
}

#[cfg(test)]
mod tests;
