//! The task of a gateway: programs what the API says and answers routes, each thing a lag after its change.

use futures::future;

use super::backend::BackendId;
use super::rule::RouteId;
use super::sources::{self, Kinds, pool_selects, route_id, service_of};
use super::{Gateway, Programmed, lock, status};
use crate::clock::stamp;
use crate::controllers::client::Client;
use crate::controllers::queue::Queue;
use crate::controllers::worker::{Change, Feed};
use crate::delay::Delays;
use crate::status::Status;
use crate::store::{GroupResource, Stored};

/// Streams that lags are drawn from.
const ROUTES: u64 = 0x6777_0001;
const ENDPOINTS: u64 = 0x6777_0002;
const STATUS: u64 = 0x6777_0003;

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Status(RouteId),
    Route(RouteId),
    Backend(BackendId),
}

pub(super) async fn run(gateway: Gateway) {
    let mut controller = Controller::new(gateway);
    loop {
        let mut feeds = controller.feeds();
        controller.observe_all();
        loop {
            controller.observe(&mut feeds);
            while let Some(key) = controller.queue.pop() {
                let result = controller.sync(&key).await;
                if let Err(status) = &result {
                    tracing::debug!("gateway {key:?}: {status}");
                }
                controller.queue.done(key, result.is_ok());
                controller.observe(&mut feeds);
            }
            tokio::select! {
                biased;
                () = controller.gateway.shared.joined.notified() => break,
                _ = future::select_all(feeds.iter_mut().map(|(_, feed)| Box::pin(feed.subscription.changed()))) => {}
                () = controller.queue.wait() => {}
            }
        }
    }
}

struct Controller {
    gateway: Gateway,
    client: Client,
    kinds: Kinds,
    queue: Queue<Key>,
    routes: Delays,
    endpoints: Delays,
    status: Delays,
}

impl Controller {
    fn new(gateway: Gateway) -> Self {
        let client = Client::new(&gateway.shared.api, "gateway-controller");
        let seed = gateway.shared.seed;
        Self {
            queue: Queue::new(client.store().clock().clone()),
            routes: Delays::new(seed, ROUTES),
            endpoints: Delays::new(seed, ENDPOINTS),
            status: Delays::new(seed, STATUS),
            kinds: Kinds::new(),
            client,
            gateway,
        }
    }

    fn feeds(&self) -> Vec<(String, Feed)> {
        let kinds = &self.kinds;
        let everywhere = [&kinds.services, &kinds.slices, &kinds.exports];
        let here = [
            &kinds.http_routes,
            &kinds.grpc_routes,
            &kinds.ingresses,
            &kinds.gateways,
            &kinds.imports,
            &kinds.pools,
            &kinds.alpha_pools,
            &kinds.pods,
        ];
        let mut feeds = Vec::new();
        for (cluster, store) in self.gateway.stores() {
            let is_home = cluster == self.gateway.shared.cluster;
            let resources = here.into_iter().filter(|_| is_home).chain(everywhere);
            feeds.extend(resources.map(|resource| (cluster.clone(), Feed::new(&store, resource))));
        }
        // What was there before is looked at as a whole, once.
        for (_, feed) in &mut feeds {
            feed.read();
        }
        feeds
    }

    fn observe(&mut self, feeds: &mut [(String, Feed)]) {
        for (cluster, feed) in feeds {
            let resource = feed.resource.clone();
            match feed.read() {
                None => self.observe_all(),
                Some(changes) => changes.iter().for_each(|change| self.changed(cluster, &resource, change)),
            }
        }
    }

    /// Queues everything that there is, and everything that was there.
    fn observe_all(&mut self) {
        let in_force = self.gateway.configuration();
        in_force.routes().for_each(|id| self.add_route(id.clone()));
        in_force.backends().for_each(|id| self.add_backend(&id.kind, &id.namespace, &id.name));
        let store = self.client.store().clone();
        let kinds = self.kinds.clone();
        for kind in ["HTTPRoute", "GRPCRoute", "Ingress"] {
            store.list(kinds.routes(kind), None).iter().for_each(|route| self.add_route(route_id(kind, route)));
        }
        for (kind, resource) in [
            ("Service", &kinds.services),
            ("ServiceImport", &kinds.imports),
            ("InferencePool", &kinds.pools),
            ("InferencePool", &kinds.alpha_pools),
        ] {
            for stored in store.list(resource, None) {
                self.add_backend(kind, &stored.key.namespace, &stored.key.name);
            }
        }
    }

    /// Queues what a change concerns.
    fn changed(&mut self, cluster: &str, resource: &GroupResource, change: &Change) {
        let Some(latest) = change.latest() else { return };
        let (namespace, name) = (&latest.key.namespace, &latest.key.name);
        let is_home = *cluster == self.gateway.shared.cluster;
        let kinds = self.kinds.clone();
        if let Some(kind) = kinds.route_kind(resource) {
            // A status changes nothing that is programmed or answered.
            if change.differs(|stored| [stored.value["spec"].clone(), stored.value["metadata"]["annotations"].clone()])
            {
                self.add_route(route_id(kind, latest));
            }
        } else if *resource == kinds.gateways {
            self.all_routes(None);
        } else if *resource == kinds.pods {
            self.pools_of(change);
        } else if *resource == kinds.slices {
            if let Some(service) = service_of(latest) {
                self.service_changed(is_home, namespace, service);
            }
        } else {
            let came_or_went = change.old.is_some() != change.new.is_some();
            if *resource == kinds.imports {
                self.add_backend("ServiceImport", namespace, name);
            } else if [&kinds.pools, &kinds.alpha_pools].contains(&resource) {
                self.add_backend("InferencePool", namespace, name);
            } else {
                self.service_changed(is_home, namespace, name);
            }
            if came_or_went && is_home {
                self.all_routes(Some(namespace));
            }
        }
    }

    fn service_changed(&mut self, is_home: bool, namespace: &str, name: &str) {
        if is_home {
            self.add_backend("Service", namespace, name);
        }
        if self.client.store().find(&self.kinds.imports, namespace, name).is_some() {
            self.add_backend("ServiceImport", namespace, name);
        }
    }

    /// Queues the pools that select a pod before or after its change.
    fn pools_of(&mut self, change: &Change) {
        let Some(latest) = change.latest() else { return };
        let store = self.client.store().clone();
        let kinds = [self.kinds.pools.clone(), self.kinds.alpha_pools.clone()];
        let pools = kinds.iter().flat_map(|pools| store.list(pools, Some(&latest.key.namespace)));
        for pool in pools.collect::<Vec<_>>() {
            let mut states = [&change.old, &change.new].into_iter().flatten();
            if states.any(|pod| pool_selects(&pool, pod)) {
                self.add_backend("InferencePool", &pool.key.namespace, &pool.key.name);
            }
        }
    }

    /// Has routes answered again: what they refer to came or went.
    fn all_routes(&mut self, namespace: Option<&str>) {
        let (store, kinds) = (self.client.store().clone(), self.kinds.clone());
        for kind in ["HTTPRoute", "GRPCRoute"] {
            for route in store.list(kinds.routes(kind), namespace) {
                if namespace.is_none() {
                    self.add_route(route_id(kind, &route));
                } else {
                    self.add_status(route_id(kind, &route));
                }
            }
        }
    }

    fn add_route(&mut self, id: RouteId) {
        let delay = self.routes.draw(lock(&self.gateway.shared.options).routes);
        self.queue.add(Key::Route(id.clone()), delay);
        if id.kind != "Ingress" {
            self.add_status(id);
        }
    }

    fn add_status(&mut self, id: RouteId) {
        let delay = self.status.draw(lock(&self.gateway.shared.options).status);
        self.queue.add(Key::Status(id), delay);
    }

    fn add_backend(&mut self, kind: &str, namespace: &str, name: &str) {
        let delay = self.endpoints.draw(lock(&self.gateway.shared.options).endpoints);
        self.queue.add(Key::Backend(BackendId::new(kind, namespace, name)), delay);
    }

    async fn sync(&mut self, key: &Key) -> Result<(), Status> {
        match key {
            Key::Status(id) => return self.answer(id).await,
            Key::Route(id) => {
                let route = self.route(id).filter(|route| id.kind == "Ingress" || !self.parents(route).is_empty());
                let mut configuration = (*self.gateway.configuration()).clone();
                configuration.set_route(id, route.as_ref().map(|route| &*route.value));
                self.gateway.program(configuration, &Programmed::Route(id.clone()));
            }
            Key::Backend(id) => {
                let backend = sources::backend(id, &self.gateway.shared.cluster, &self.gateway.stores(), &self.kinds);
                let mut configuration = (*self.gateway.configuration()).clone();
                if configuration.set_backend(id, backend) {
                    self.gateway.program(configuration, &Programmed::Backend(id.clone()));
                }
            }
        }
        Ok(())
    }

    fn route(&self, id: &RouteId) -> Option<std::sync::Arc<Stored>> {
        self.client.store().find(self.kinds.routes(&id.kind), &id.namespace, &id.name)
    }

    fn parents(&self, route: &Stored) -> Vec<serde_json::Value> {
        let is_gateway = |namespace: &str, name: &str| {
            !self.client.serves(&self.kinds.gateways)
                || self.client.store().find(&self.kinds.gateways, namespace, name).is_some()
        };
        status::parents(&route.value, is_gateway)
    }

    /// Writes a route's status, if it says something else than before.
    async fn answer(&self, id: &RouteId) -> Result<(), Status> {
        let Some(route) = self.route(id) else { return Ok(()) };
        let stores = self.gateway.stores();
        let home = &self.gateway.shared.cluster;
        let exists = |id: &BackendId| sources::backend(id, home, &stores, &self.kinds).is_some();
        let now = stamp(self.client.store().clock().now());
        let status = status::status(&route.value, &self.parents(&route), exists, &now);
        let says_nothing = route.value["status"]["parents"].is_null() && status["parents"] == serde_json::json!([]);
        if says_nothing || route.value["status"]["parents"] == status["parents"] {
            return Ok(());
        }
        let mut object = serde_json::Value::clone(&route.value);
        object["status"] = status;
        self.client.update_status(self.kinds.routes(&id.kind), object).await.map(drop)
    }
}
