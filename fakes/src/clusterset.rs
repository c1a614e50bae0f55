//! A clusterset: what implements the Multi-Cluster Services API.
//!
//! A Service that a cluster exports is imported by every cluster of the set that has the kind, some time later: a
//! ServiceImport of its name says which clusters export it. Where nobody exports it any more the import goes. An export is
//! told whether there is a Service of its name. What somebody else made under the name of an import is left alone.
//!
//! Who carries requests to the pods behind an import is the [`Gateway`](crate::Gateway).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future;
use serde_json::{Value, json};

use crate::clock::stamp;
use crate::controllers::client::Client;
use crate::controllers::object::{self, list};
use crate::controllers::queue::Queue;
use crate::controllers::worker::Feed;
use crate::delay::{Delay, Delays};
use crate::server::{ApiServer, DeleteOptions};
use crate::status::Status;
use crate::store::{GroupResource, Stored};

/// Group and version of the API.
const API: &str = "multicluster.x-k8s.io/v1alpha1";
/// What tells imports of the clusterset from those that somebody made.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "clusterset");
/// Streams that lags are drawn from.
const IMPORTS: u64 = 0x6d63_0001;
const EXPORTS: u64 = 0x6d63_0002;

/// How a clusterset behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSetOptions {
    /// From a change of an export or its Service to the imports.
    pub imports: Delay,
    /// From a change of an export or its Service to the status of the export.
    pub exports: Delay,
}

impl Default for ClusterSetOptions {
    fn default() -> Self {
        Self { imports: Delay::between(200, 3000), exports: Delay::between(100, 1000) }
    }
}

/// Something to look at: an export in one cluster, or the imports of a name in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Export { cluster: String, namespace: String, name: String },
    Imports { namespace: String, name: String },
}

/// Some clusters that export Services to each other. It works while [`ClusterSet::run`] is polled.
#[derive(Debug)]
pub struct ClusterSet {
    members: BTreeMap<String, Client>,
    options: ClusterSetOptions,
    kinds: Kinds,
    queue: Queue<Key>,
    imports: Delays,
    exports: Delays,
}

#[derive(Clone, Debug)]
struct Kinds {
    services: GroupResource,
    exports: GroupResource,
    imports: GroupResource,
}

impl ClusterSet {
    /// A clusterset of these API servers, by the names of their clusters; none of none.
    pub fn new<'a>(
        members: impl IntoIterator<Item = (&'a str, &'a ApiServer)>,
        options: ClusterSetOptions,
        seed: u64,
    ) -> Option<Self> {
        let client = |(name, api): (&str, &ApiServer)| (name.to_owned(), Client::new(api, "clusterset-controller"));
        let members: BTreeMap<_, _> = members.into_iter().map(client).collect();
        let clock = members.values().next()?.store().clock().clone();
        Some(Self {
            members,
            options,
            kinds: Kinds {
                services: GroupResource::new("", "services"),
                exports: GroupResource::new("multicluster.x-k8s.io", "serviceexports"),
                imports: GroupResource::new("multicluster.x-k8s.io", "serviceimports"),
            },
            queue: Queue::new(clock),
            imports: Delays::new(seed, IMPORTS),
            exports: Delays::new(seed, EXPORTS),
        })
    }

    /// Keeps imports and the status of exports until the task is dropped.
    pub async fn run(mut self) {
        let mut feeds = self.feeds();
        loop {
            self.observe(&mut feeds);
            while let Some(key) = self.queue.pop() {
                let result = self.sync(&key).await;
                if let Err(status) = &result {
                    tracing::debug!("clusterset {key:?}: {status}");
                }
                self.queue.done(key, result.is_ok());
                self.observe(&mut feeds);
            }
            tokio::select! {
                biased;
                _ = future::select_all(feeds.iter_mut().map(|(_, feed)| Box::pin(feed.subscription.changed()))) => {}
                () = self.queue.wait() => {}
            }
        }
    }

    fn feeds(&self) -> Vec<(String, Feed)> {
        let Kinds { services, exports, imports } = &self.kinds;
        let of = |(name, client): (&String, &Client)| {
            [services, exports, imports].map(|resource| (name.clone(), Feed::new(client.store(), resource)))
        };
        self.members.iter().flat_map(of).collect()
    }

    fn observe(&mut self, feeds: &mut [(String, Feed)]) {
        for (cluster, feed) in feeds {
            let Some(changes) = feed.read() else {
                self.observe_all();
                continue;
            };
            for latest in changes.iter().filter_map(|change| change.latest()) {
                self.add(cluster, latest);
            }
        }
    }

    /// Queues everything that there is.
    fn observe_all(&mut self) {
        for (cluster, client) in self.members.clone() {
            for resource in [self.kinds.exports.clone(), self.kinds.imports.clone()] {
                client.store().list(&resource, None).iter().for_each(|stored| self.add(&cluster, stored));
            }
        }
    }

    fn add(&mut self, cluster: &str, stored: &Stored) {
        let (namespace, name) = (stored.key.namespace.clone(), stored.key.name.clone());
        let is_exported = |client: &Client| client.store().find(&self.kinds.exports, &namespace, &name).is_some();
        if self.members.get(cluster).is_some_and(is_exported) {
            let (cluster, namespace, name) = (cluster.to_owned(), namespace.clone(), name.clone());
            let delay = self.exports.draw(self.options.exports);
            self.queue.add(Key::Export { cluster, namespace, name }, delay);
        }
        let delay = self.imports.draw(self.options.imports);
        self.queue.add(Key::Imports { namespace, name }, delay);
    }

    async fn sync(&self, key: &Key) -> Result<(), Status> {
        match key {
            Key::Export { cluster, namespace, name } => match self.members.get(cluster) {
                Some(client) => self.answer(client, namespace, name).await,
                None => Ok(()),
            },
            Key::Imports { namespace, name } => {
                let exported = self.exported(namespace, name);
                for client in self.members.values().filter(|client| client.serves(&self.kinds.imports)) {
                    self.import(client, namespace, name, &exported).await?;
                }
                Ok(())
            }
        }
    }

    /// The exported Services of a name, by cluster.
    fn exported(&self, namespace: &str, name: &str) -> BTreeMap<&String, Arc<Stored>> {
        let exported = self.members.iter().filter_map(|(cluster, client)| {
            let export = client.store().find(&self.kinds.exports, namespace, name)?;
            let is_there = export.value["metadata"]["deletionTimestamp"].is_null();
            Some((cluster, client.store().find(&self.kinds.services, namespace, name).filter(|_| is_there)?))
        });
        exported.collect()
    }

    /// Tells an export whether there is something to export.
    async fn answer(&self, client: &Client, namespace: &str, name: &str) -> Result<(), Status> {
        let Some(export) = client.store().find(&self.kinds.exports, namespace, name) else { return Ok(()) };
        let is_there = client.store().find(&self.kinds.services, namespace, name).is_some();
        let (status, reason, message) = if is_there {
            ("True", "Valid", "the Service is exported")
        } else {
            ("False", "NoService", "there is no Service of this name")
        };
        let known = list(&export.value["status"]["conditions"]);
        if known.iter().any(|known| known["type"] == "Valid" && known["status"] == status) {
            return Ok(());
        }
        let mut object = Value::clone(&export.value);
        object["status"]["conditions"] = json!([{
            "type": "Valid", "status": status, "reason": reason, "message": message,
            "lastTransitionTime": stamp(client.store().clock().now()),
        }]);
        client.update_status(&self.kinds.exports, object).await.map(drop)
    }

    /// Brings the import of one cluster to what is exported.
    async fn import(
        &self,
        client: &Client,
        namespace: &str,
        name: &str,
        exported: &BTreeMap<&String, Arc<Stored>>,
    ) -> Result<(), Status> {
        let imports = &self.kinds.imports;
        let existing = client.store().find(imports, namespace, name);
        if existing.as_ref().is_some_and(|existing| object::label(&existing.value, MANAGED_BY.0) != Some(MANAGED_BY.1))
        {
            return Ok(());
        }
        let Some(service) = exported.values().next() else {
            return match existing {
                Some(existing) => client.delete(&existing.key, &DeleteOptions::default()).await,
                None => Ok(()),
            };
        };
        let spec = spec(&service.value);
        let stored = match existing {
            Some(existing) if existing.value["spec"] == spec => existing,
            Some(existing) => {
                let mut object = Value::clone(&existing.value);
                object["spec"] = spec;
                client.update(imports, object).await?
            }
            None => {
                let labels = BTreeMap::from([MANAGED_BY]);
                let metadata = json!({ "name": name, "namespace": namespace, "labels": labels });
                let import = json!({ "apiVersion": API, "kind": "ServiceImport", "metadata": metadata, "spec": spec });
                client.create(imports, import).await?
            }
        };
        let clusters: Vec<Value> = exported.keys().map(|cluster| json!({ "cluster": cluster })).collect();
        if stored.value["status"]["clusters"] == json!(clusters) {
            return Ok(());
        }
        let mut object = Value::clone(&stored.value);
        object["status"] = json!({ "clusters": clusters });
        client.update_status(imports, object).await.map(drop)
    }
}

/// What an import says of the Service that is exported.
fn spec(service: &Value) -> Value {
    let ports = list(&service["spec"]["ports"]).iter().map(|port| {
        let mut port = port.clone();
        if let Some(fields) = port.as_object_mut() {
            fields.retain(|field, _| matches!(field.as_str(), "name" | "protocol" | "appProtocol" | "port"));
        }
        port
    });
    let kind = if service["spec"]["clusterIP"] == "None" { "Headless" } else { "ClusterSetIP" };
    json!({ "type": kind, "ports": ports.collect::<Vec<_>>() })
}
