//! How controllers write: the API server's own methods, without a wire in between.

use std::sync::Arc;

use serde_json::Value;

use crate::server::{ApiServer, DeleteOptions, WriteOptions};
use crate::status::Status;
use crate::store::{GroupResource, Key, Store, Stored};

/// One component's access to the API server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    api: ApiServer,
    options: WriteOptions,
}

impl Client {
    /// Access under a field manager's name.
    pub(crate) fn new(api: &ApiServer, field_manager: &str) -> Self {
        Self { api: api.clone(), options: WriteOptions::manager(field_manager) }
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

    pub(crate) fn create(&self, resource: &GroupResource, object: Value) -> Result<Arc<Stored>, Status> {
        self.api.create(resource, object, &self.options)
    }

    pub(crate) fn update(&self, resource: &GroupResource, object: Value) -> Result<Arc<Stored>, Status> {
        self.api.update(resource, object, &self.options)
    }

    pub(crate) fn update_status(&self, resource: &GroupResource, object: Value) -> Result<Arc<Stored>, Status> {
        self.api.update_status(resource, object, &self.options)
    }

    /// Deletes an object; one that is gone already counts as deleted.
    pub(crate) fn delete(&self, key: &Key, options: &DeleteOptions) -> Result<(), Status> {
        match self.api.delete(key, options) {
            Err(status) if status.code != 404 => Err(status),
            _ => Ok(()),
        }
    }
}
