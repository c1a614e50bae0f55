//! A gateway: a data plane that carries requests to pods by what routes, Services and EndpointSlices say, and a controller
//! that answers routes with their status.
//!
//! The data plane itself is a value, [`Configuration`]: what is in force at one moment. [`Configuration::route`] says what
//! becomes of a request, and [`Configuration::shares`] how all requests of a rule are divided, from the weights and not by
//! counting. Around it a task programs what the API says, route by route and backend by backend, each with a lag of its
//! own, so that a route can be in force before the endpoints that it needs, as it happens. Routes are answered with a lag,
//! too: a route that is accepted may not be in force yet.
//!
//! A client whose request goes to a pod that is gone by then is answered 503, and nothing tries again.
//!
//! A route of the Gateway API is served if one of its `parentRefs` names a Gateway that there is; in a cluster in which
//! Gateways are not defined, any `parentRef` will do. Ingresses of every class are served. Nothing grants references into
//! other namespaces. Listeners are not looked at. The errors of the HTTP specification stand for those of gRPC.
//!
//! ```
//! use slipway_fakes::{Clock, Cluster, ClusterOptions, gateway::{Client, ClientOptions, GatewayOptions, Request}};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let clock = Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1);
//! let cluster = Cluster::start(ClusterOptions { gateway: Some(GatewayOptions::default()), ..ClusterOptions::new(clock) });
//! let gateway = cluster.gateway().unwrap();
//! let options = ClientOptions::new(Request::get("shop.example", "/cart"));
//! let client = Client::new(gateway, options, 1);
//! tokio::spawn(client.clone().run());
//! tokio::time::sleep(std::time::Duration::from_secs(10)).await;
//! assert!(client.counts().statuses.keys().eq(&[404]), "there is no route");
//! # });
//! ```

mod backend;
mod client;
mod configuration;
mod controller;
mod dice;
mod filter;
mod ingress;
mod matching;
mod request;
mod rule;
mod sources;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub use self::{
    backend::{Backend, BackendId, Endpoint},
    client::{Client, ClientOptions, Counts},
    configuration::{Answer, BackendShare, Configuration, RuleShares, State, WHOLE},
    dice::Dice,
    request::Request,
    rule::RouteId,
    status::CONTROLLER_NAME,
};
use crate::controllers::object;
use crate::delay::Delay;
use crate::server::ApiServer;
use crate::store::{GroupResource, Store};

/// How a gateway behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayOptions {
    /// From a change of a route to its being in force.
    pub routes: Delay,
    /// From a change of a backend or its endpoints to its being in force.
    pub endpoints: Delay,
    /// From a change of a route to the status that answers it.
    pub status: Delay,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            routes: Delay::between(100, 2000),
            endpoints: Delay::between(100, 2000),
            status: Delay::between(50, 1000),
        }
    }
}

/// Called with what is in force, and what changed, whenever something did.
pub type Observer = Box<dyn Fn(&Configuration, &Programmed) + Send>;

/// What was programmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programmed {
    /// A route.
    Route(RouteId),
    /// A backend or its endpoints.
    Backend(BackendId),
}

/// A gateway of one cluster. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    /// The cluster's name, by which its pods are told from those of members.
    cluster: String,
    api: ApiServer,
    options: Mutex<GatewayOptions>,
    seed: u64,
    /// The other clusters whose exported Services can be reached.
    members: Mutex<BTreeMap<String, Store>>,
    /// Rung when members come or go.
    joined: Notify,
    in_force: Mutex<Arc<Configuration>>,
    observers: Mutex<Vec<Observer>>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("cluster", &self.shared.cluster).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gateway {
    /// A gateway that has nothing programmed. It works while [`Gateway::run`] is polled.
    pub fn new(cluster: &str, api: &ApiServer, options: GatewayOptions, seed: u64) -> Self {
        let shared = Shared {
            cluster: cluster.to_owned(),
            api: api.clone(),
            options: Mutex::new(options),
            seed,
            members: Mutex::default(),
            joined: Notify::new(),
            in_force: Mutex::default(),
            observers: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Programs what the API says and answers routes until the task is dropped.
    pub async fn run(self) {
        controller::run(self).await;
    }

    /// Has it behave otherwise from now on; what is under way stays so.
    pub fn set(&self, options: GatewayOptions) {
        *lock(&self.shared.options) = options;
    }

    /// Has another cluster's exported Services reached by ServiceImports of this one.
    pub fn join(&self, cluster: &str, store: &Store) {
        lock(&self.shared.members).insert(cluster.to_owned(), store.clone());
        self.shared.joined.notify_one();
    }

    /// Has a cluster not be there any more.
    pub fn leave(&self, cluster: &str) {
        lock(&self.shared.members).remove(cluster);
        self.shared.joined.notify_one();
    }

    /// What is in force now.
    pub fn configuration(&self) -> Arc<Configuration> {
        lock(&self.shared.in_force).clone()
    }

    /// Has every later change of what is in force told to `observer`.
    pub fn observe(&self, observer: Observer) {
        lock(&self.shared.observers).push(observer);
    }

    /// The gateway's own cluster and its members.
    fn stores(&self) -> BTreeMap<String, Store> {
        let mut stores = lock(&self.shared.members).clone();
        stores.insert(self.shared.cluster.clone(), self.shared.api.store().clone());
        stores
    }

    /// Whether a pod still runs. What is in force can tell of pods that are gone.
    fn is_there(&self, pod: &Endpoint) -> bool {
        let members = lock(&self.shared.members);
        let is_home = pod.cluster == self.shared.cluster;
        let store = if is_home { Some(self.shared.api.store()) } else { members.get(&pod.cluster) };
        let found = store.and_then(|store| store.find(&GroupResource::new("", "pods"), &pod.namespace, &pod.pod));
        pod.uid.is_empty() || found.is_some_and(|found| *object::uid(&found.value) == pod.uid)
    }

    /// Puts something into force.
    fn program(&self, configuration: Configuration, what: &Programmed) {
        let configuration = Arc::new(configuration);
        *lock(&self.shared.in_force) = configuration.clone();
        for observer in &*lock(&self.shared.observers) {
            observer(&configuration, what);
        }
    }
}
