//! What a BackendRouting's actor knows of the backends of its cluster and of their endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ractor::ActorRef;

use crate::{
    graph::{
        cluster::{About, ClusterMsg, Fact, Listing, Subscription},
        effects::Context,
        mirror::Mirror,
        project::Projected,
        subject::Subject,
    },
    view::{Backend, Endpoints, Health, ObjectKey, RoutingView},
};

/// The kind of backend that is written.
pub(super) const KIND: &str = "Service";

/// The backends of one namespace of one cluster.
pub(super) struct Backends {
    context: Context,
    namespace: String,
    wake: Arc<dyn Fn() + Send + Sync>,
    cluster: Option<String>,
    services: Watched<Arc<Backend>>,
    endpoints: Watched<Arc<Endpoints>>,
}

/// One kind of object.
struct Watched<V> {
    subscription: Option<Subscription>,
    health: Health,
    listing: Listing,
    objects: Mirror<ObjectKey, V>,
}

impl<V> Default for Watched<V> {
    fn default() -> Self {
        Self { subscription: None, health: Health::Syncing, listing: Listing::Pending, objects: Mirror::default() }
    }
}

impl Backends {
    pub(super) fn new(context: &Context, namespace: String, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            context: context.clone(),
            namespace,
            wake: Arc::new(wake),
            cluster: None,
            services: Watched::default(),
            endpoints: Watched::default(),
        }
    }

    /// Sees to it that the cluster of the backend is watched, and only that.
    pub(super) fn subscribe(&mut self, clusters: &BTreeMap<String, ActorRef<ClusterMsg>>, view: &mut RoutingView) {
        let name = &view.routing.spec.backend.cluster;
        if self.cluster.as_ref() != Some(name) {
            (self.services, self.endpoints) = (Watched::default(), Watched::default());
            self.cluster = Some(name.clone());
        }
        if let Some(cluster) = clusters.get(name) {
            let namespace = self.namespace.clone();
            let (context, wake) = (&self.context, &self.wake);
            self.services.subscribe(context, cluster, Subject::Services { namespace: namespace.clone() }, wake);
            self.endpoints.subscribe(context, cluster, Subject::EndpointSlices { namespace }, wake);
        }
        self.show(view, clusters.contains_key(name));
    }

    /// Takes in what the cluster's actor tells.
    pub(super) fn take_in(&mut self, view: &mut RoutingView) {
        self.services.take_in(|object| match object {
            Projected::Backend(backend) => Some(backend),
            _ => None,
        });
        self.endpoints.take_in(|object| match object {
            Projected::Endpoints(endpoints) => Some(endpoints),
            _ => None,
        });
        let is_member = view.health.is_some();
        self.show(view, is_member);
    }

    /// A cluster's actor was begun anew: absence means nothing until it has listed.
    pub(super) fn cluster_up(&mut self, name: &str) {
        if self.cluster.as_deref() == Some(name) {
            self.services.restart();
            self.endpoints.restart();
        }
    }

    fn show(&self, view: &mut RoutingView, is_member: bool) {
        view.health = is_member.then(|| match (self.services.health(), self.endpoints.health()) {
            (Health::Ready, other) | (other, _) => other,
        });
        let services = self.services.objects.items();
        view.backends = services.iter().map(|(key, backend)| (key.name.clone(), backend.clone())).collect();
        let mut ready: BTreeMap<String, BTreeSet<&String>> = BTreeMap::new();
        for endpoints in self.endpoints.objects.items().values() {
            ready.entry(endpoints.service.clone()).or_default().extend(&endpoints.ready);
        }
        view.ready = ready.into_iter().map(|(service, pods)| (service, pods.len())).collect();
    }
}

impl<V> Watched<V> {
    fn subscribe(
        &mut self,
        context: &Context,
        cluster: &ActorRef<ClusterMsg>,
        subject: Subject,
        wake: &Arc<dyn Fn() + Send + Sync>,
    ) {
        if self.subscription.is_none() {
            let wake = wake.clone();
            self.subscription = Some(Subscription::new(context, cluster, subject, None, move || wake()));
        }
    }

    fn take_in(&mut self, read: impl Fn(Projected) -> Option<V>) {
        for (about, fact) in self.subscription.as_ref().map(Subscription::drain).unwrap_or_default() {
            match (about, fact) {
                (_, Fact::Health(health)) => self.health = health,
                (About::Object(key), Fact::Object(object)) => {
                    self.objects.set(key, object.and_then(&read));
                }
                (_, Fact::Listing(listing)) => {
                    if listing == Listing::Complete {
                        self.objects.complete();
                    }
                    self.listing = listing;
                }
                _ => {}
            }
        }
    }

    fn restart(&mut self) {
        let mut objects = std::mem::take(&mut self.objects);
        objects.restart();
        *self = Self { objects, ..Self::default() };
    }

    fn health(&self) -> Health {
        match (&self.health, &self.listing) {
            (Health::Unreachable { .. }, _) => self.health.clone(),
            (_, Listing::Refused { since, error }) => Health::Unreachable { since: *since, error: error.clone() },
            (_, Listing::Pending) | (Health::Syncing, _) => Health::Syncing,
            (Health::Ready, Listing::Complete | Listing::NotServed) => Health::Ready,
        }
    }
}
