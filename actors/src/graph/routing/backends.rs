//! What a BackendRouting's actor knows of the backends of its cluster and of their endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ractor::ActorRef;

use crate::{
    backends::pod_selector,
    graph::{
        cluster::{ClusterMsg, Subscription},
        effects::Context,
        project::Projected,
        subject::Subject,
        watched::Watched,
    },
    view::{Backend, Endpoints, Health, Pod, RoutingView},
};

/// What is written beside routes, and what writes are told apart by: a BackendRouting has backends of one kind.
pub(super) const KIND: &str = "backend";

/// The watch of the backends of a kind.
pub(super) fn subject(kind: &str, namespace: &str) -> Subject {
    let namespace = namespace.to_owned();
    if kind == "InferencePool" { Subject::InferencePools { namespace } } else { Subject::Services { namespace } }
}

/// The backends of one namespace of one cluster.
pub(super) struct Backends {
    context: Context,
    namespace: String,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// The cluster and the kind of the backend.
    place: Option<(String, String)>,
    objects: Watched<Arc<Backend>>,
    behind: Behind,
}

/// What tells of the pods behind backends.
enum Behind {
    /// Of Services.
    Slices(Watched<Arc<Endpoints>>),
    /// Of InferencePools, which have no EndpointSlices: the pods that each fork selects, by its name, with the selector.
    /// They are watched as long as the fork is there.
    Pods(BTreeMap<String, (String, Watched<Arc<Pod>>)>),
}

impl Backends {
    pub(super) fn new(context: &Context, namespace: String, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            context: context.clone(),
            namespace,
            wake: Arc::new(wake),
            place: None,
            objects: Watched::default(),
            behind: Behind::Slices(Watched::default()),
        }
    }

    /// Sees to it that the cluster of the backend is watched, and only that.
    pub(super) fn subscribe(&mut self, clusters: &BTreeMap<String, ActorRef<ClusterMsg>>, view: &mut RoutingView) {
        let backend = &view.routing.spec.backend;
        let place = (backend.cluster.clone(), backend.kind.clone());
        if self.place.as_ref() != Some(&place) {
            let is_pool = matches!(subject(&place.1, &self.namespace), Subject::InferencePools { .. });
            self.objects = Watched::default();
            self.behind = if is_pool { Behind::Pods(BTreeMap::new()) } else { Behind::Slices(Watched::default()) };
            self.place = Some(place);
        }
        let cluster = clusters.get(&backend.cluster);
        if let Some(cluster) = cluster {
            let to = |subject| {
                let wake = self.wake.clone();
                Subscription::new(&self.context, cluster, subject, None, move || wake())
            };
            self.objects.subscription.get_or_insert_with(|| to(subject(&backend.kind, &self.namespace)));
            match &mut self.behind {
                Behind::Slices(slices) => {
                    let subject = Subject::EndpointSlices { namespace: self.namespace.clone() };
                    slices.subscription.get_or_insert_with(|| to(subject));
                }
                Behind::Pods(pods) => {
                    keep(pods, forks(view, &self.objects));
                    for (selector, pods) in pods.values_mut() {
                        let subject = Subject::Pods { namespace: self.namespace.clone(), selector: selector.clone() };
                        pods.subscription.get_or_insert_with(|| to(subject));
                    }
                }
            }
        }
        self.show(view, cluster.is_some());
    }

    /// Takes in what the cluster's actor tells.
    pub(super) fn take_in(&mut self, view: &mut RoutingView) {
        self.objects.take_in(|object| match object {
            Projected::Backend(backend) => Some(backend),
            _ => None,
        });
        match &mut self.behind {
            Behind::Slices(slices) => drop(slices.take_in(|object| match object {
                Projected::Endpoints(endpoints) => Some(endpoints),
                _ => None,
            })),
            Behind::Pods(pods) => {
                for (_, pods) in pods.values_mut() {
                    pods.take_in(|object| match object {
                        Projected::Pod(pod) => Some(pod),
                        _ => None,
                    });
                }
            }
        }
        let is_member = view.health.is_some();
        self.show(view, is_member);
    }

    /// A cluster's actor was begun anew: absence means nothing until it has listed.
    pub(super) fn cluster_up(&mut self, name: &str) {
        if self.place.as_ref().is_some_and(|(cluster, _)| cluster == name) {
            self.objects.restart();
            match &mut self.behind {
                Behind::Slices(slices) => slices.restart(),
                Behind::Pods(pods) => pods.values_mut().for_each(|(_, pods)| pods.restart()),
            }
        }
    }

    fn show(&self, view: &mut RoutingView, is_member: bool) {
        let behind = match &self.behind {
            Behind::Slices(slices) => vec![slices.health()],
            Behind::Pods(pods) => pods.values().map(|(_, pods)| pods.health()).collect(),
        };
        let all = std::iter::once(self.objects.health()).chain(behind);
        view.health = is_member.then(|| all.reduce(worse).unwrap_or(Health::Syncing));
        view.backends = self.objects.objects().map(|(key, backend)| (key.name.clone(), backend.clone())).collect();
        view.ready = self.behind.ready();
    }
}

impl Behind {
    /// How many pods are ready, by the name of the backend.
    fn ready(&self) -> BTreeMap<String, usize> {
        match self {
            Self::Slices(slices) => {
                let mut ready: BTreeMap<String, BTreeSet<&String>> = BTreeMap::new();
                for (_, endpoints) in slices.objects() {
                    ready.entry(endpoints.service.clone()).or_default().extend(&endpoints.ready);
                }
                ready.into_iter().map(|(service, pods)| (service, pods.len())).collect()
            }
            Self::Pods(pods) => {
                let serves = |pod: &Pod| pod.ready_since.is_some() && !pod.terminating;
                let count = |pods: &Watched<Arc<Pod>>| pods.objects().filter(|(_, pod)| serves(pod)).count();
                pods.iter().map(|(name, (_, pods))| (name.clone(), count(pods))).collect()
            }
        }
    }
}

/// Keeps one watch for each of these, of the pods that it selects.
fn keep<'a>(pods: &mut BTreeMap<String, (String, Watched<Arc<Pod>>)>, forks: impl Iterator<Item = &'a Backend>) {
    let wanted: BTreeMap<_, _> =
        forks.filter_map(|fork| Some((fork.key.name.clone(), pod_selector(&fork.object)?))).collect();
    pods.retain(|name, (selector, _)| wanted.get(name) == Some(selector));
    for (name, selector) in wanted {
        pods.entry(name).or_insert_with(|| (selector, Watched::default()));
    }
}

/// The forks that are on record and there.
fn forks<'a>(view: &RoutingView, backends: &'a Watched<Arc<Backend>>) -> impl Iterator<Item = &'a Backend> {
    let stored = view.routing.status.as_ref().and_then(|status| status.backends.clone()).unwrap_or_default();
    let names: Vec<_> = [stored.stable, stored.canary].into_iter().flatten().map(|fork| fork.name).collect();
    backends.objects().filter(move |(key, _)| names.contains(&key.name)).map(|(_, backend)| &**backend)
}

/// Of two, the first that cannot be relied on.
fn worse(one: Health, other: Health) -> Health {
    if one == Health::Ready { other } else { one }
}
