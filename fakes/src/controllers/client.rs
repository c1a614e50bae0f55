//! How controllers write: the API server's own methods, without a wire in between.
//!
//! A write waits only for admission that asks somebody else.

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

    pub(crate) async fn create(&self, resource: &GroupResource, object: Value) -> Result<Arc<Stored>, Status> {
        self.api.create(resource, object, &self.options).await
    }

    pub(crate) async fn update(&self, resource: &GroupResource, object: Value) -> Result<Arc<Stored>, Status> {
        self.api.update(resource, object, &self.options).await
    }

    pub(crate) async fn update_status(&self, resource: &GroupResource, object: Value) -> Result<Arc<Stored>, Status> {
        self.api.update_status(resource, object, &self.options).await
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
