//! What a BackendRouting's actor knows of the backends of its cluster and of their endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ractor::ActorRef;

use crate::{
    graph::{
        cluster::{ClusterMsg, Subscription},
        effects::Context,
        project::Projected,
        subject::Subject,
        watched::Watched,
    },
    view::{Backend, Endpoints, Health, RoutingView},
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
            let to = |subject| {
                let wake = self.wake.clone();
                Subscription::new(&self.context, cluster, subject, None, move || wake())
            };
            let services = || to(Subject::Services { namespace: namespace.clone() });
            self.services.subscription.get_or_insert_with(services);
            let endpoints = || to(Subject::EndpointSlices { namespace: namespace.clone() });
            self.endpoints.subscription.get_or_insert_with(endpoints);
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
        view.backends = self.services.objects().map(|(key, backend)| (key.name.clone(), backend.clone())).collect();
        let mut ready: BTreeMap<String, BTreeSet<&String>> = BTreeMap::new();
        for (_, endpoints) in self.endpoints.objects() {
            ready.entry(endpoints.service.clone()).or_default().extend(&endpoints.ready);
        }
        view.ready = ready.into_iter().map(|(service, pods)| (service, pods.len())).collect();
    }
}
