//! What a BackendRouting's actor knows of the backends of its clusters and of the pods behind them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ractor::ActorRef;

use super::behind::Behind;
use crate::{
    api::CrossClusterObjectReference,
    decide,
    graph::{
        cluster::{ClusterMsg, Subscription},
        effects::Context,
        project::Projected,
        subject::{PoolVersion, Subject},
        watched::Watched,
    },
    view::{Backend, Export, Health, Import, MemberBackends, RoutingView},
};

/// What is written in each of several clusters.
pub(super) const SERVICE: &str = "Service";
/// What makes it one of several clusters.
pub(super) const EXPORT: &str = "ServiceExport";

/// The kind of backend that is written in a backend's own cluster.
pub(super) fn kind(backend: &CrossClusterObjectReference) -> &'static str {
    if backend.kind == "InferencePool" { "InferencePool" } else { SERVICE }
}

/// The watch of the backends of its kind.
pub(super) fn subject(backend: &CrossClusterObjectReference, namespace: &str) -> Subject {
    let namespace = namespace.to_owned();
    match kind(backend) {
        "InferencePool" => Subject::InferencePools { version: PoolVersion::of(&backend.api_version), namespace },
        _ => Subject::Services { namespace },
    }
}

/// The watch of what is written in each of several clusters.
pub(super) fn member_subject(export: bool, namespace: &str) -> Subject {
    let namespace = namespace.to_owned();
    if export { Subject::ServiceExports { namespace } } else { Subject::Services { namespace } }
}

/// The backends of one namespace, in its own cluster or in several.
pub(super) struct Backends {
    context: Context,
    namespace: String,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// The clusters that there are.
    known: BTreeSet<String>,
    /// What is watched, by cluster.
    watched: BTreeMap<String, Cluster>,
}

/// What is watched in one cluster: as much of it as is of interest there.
#[derive(Default)]
struct Cluster {
    /// What shows the backends.
    subject: Option<Subject>,
    objects: Watched<Arc<Backend>>,
    behind: Behind,
    exports: Watched<Arc<Export>>,
    imports: Watched<Arc<Import>>,
}

/// What is of interest in a cluster.
#[derive(Clone, Default)]
struct Interest {
    /// What shows the backends.
    backends: Option<Subject>,
    exports: bool,
    imports: bool,
}

impl Backends {
    pub(super) fn new(context: &Context, namespace: String, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let wake = Arc::new(wake);
        Self { context: context.clone(), namespace, wake, known: BTreeSet::new(), watched: BTreeMap::new() }
    }

    /// Sees to it that the clusters of the backend are watched, and only those.
    pub(super) fn subscribe(&mut self, clusters: &BTreeMap<String, ActorRef<ClusterMsg>>, view: &mut RoutingView) {
        self.known = clusters.keys().cloned().collect();
        let wanted = interests(view, &self.namespace);
        self.watched.retain(|name, _| wanted.contains_key(name));
        for (name, interest) in wanted {
            let watched = self.watched.entry(name.clone()).or_default();
            let Some(cluster) = clusters.get(&name) else { continue };
            let to = |subject| {
                let wake = self.wake.clone();
                Subscription::new(&self.context, cluster, subject, None, move || wake())
            };
            watched.keep(view, &self.namespace, interest, to);
        }
        self.show(view);
    }

    /// Takes in what the clusters' actors tell.
    pub(super) fn take_in(&mut self, view: &mut RoutingView) {
        self.watched.values_mut().for_each(Cluster::take_in);
        self.show(view);
    }

    /// A cluster's actor was begun anew: absence means nothing until it has listed.
    pub(super) fn cluster_up(&mut self, name: &str) {
        if let Some(Cluster { subject: _, objects, behind, exports, imports }) = self.watched.get_mut(name) {
            objects.restart();
            behind.restart();
            exports.restart();
            imports.restart();
        }
    }

    fn show(&self, view: &mut RoutingView) {
        let home = &view.routing.spec.backend.cluster;
        let is_member = |name: &String| self.known.contains(name);
        if !decide::routing::is_multi(&view.routing) {
            let Some(cluster) = self.watched.get(home) else { return };
            view.health = is_member(home).then(|| cluster.health());
            (view.backends, view.ready) = (cluster.backends(), cluster.behind.ready());
            view.members.clear();
            return;
        }
        (view.backends, view.ready) = (BTreeMap::new(), BTreeMap::new());
        let imports = self.watched.get(home).map(|cluster| &cluster.imports);
        view.health = imports.filter(|_| is_member(home)).map(Watched::health);
        view.imports = imports.filter(|imports| imports.is_served()).map(|imports| {
            let there = imports.objects().filter(|(_, import)| !import.deleting);
            there.map(|(key, _)| key.name.clone()).collect()
        });
        let interests = interests(view, &self.namespace);
        let members = self.watched.iter().filter(|(name, _)| interests.get(*name).is_some_and(|it| it.exports));
        let members = members.map(|(name, cluster)| {
            let errors = view.members.remove(name).map(|known| known.errors).unwrap_or_default();
            let exports = cluster.exports.objects().map(|(key, export)| (key.name.clone(), export.clone())).collect();
            let health = || worse(cluster.health(), cluster.exports.health());
            let member = MemberBackends {
                health: is_member(name).then(health),
                backends: cluster.backends(),
                ready: cluster.behind.ready(),
                exports: cluster.exports.is_served().then_some(exports),
                errors,
            };
            (name.clone(), member)
        });
        view.members = members.collect();
    }
}

/// What is of interest in which cluster.
fn interests(view: &RoutingView, namespace: &str) -> BTreeMap<String, Interest> {
    let mut interests: BTreeMap<String, Interest> = BTreeMap::new();
    let spec = &view.routing.spec;
    let home = interests.entry(spec.backend.cluster.clone()).or_default();
    if !decide::routing::is_multi(&view.routing) {
        home.backends = Some(subject(&spec.backend, namespace));
        return interests;
    }
    home.imports = true;
    let known = view.routing.status.iter().flat_map(|status| &status.clusters).map(|known| &known.name);
    for name in spec.clusters.iter().chain(known) {
        let interest = interests.entry(name.clone()).or_default();
        (interest.backends, interest.exports) = (Some(member_subject(false, namespace)), true);
    }
    interests
}

impl Cluster {
    fn keep(&mut self, view: &RoutingView, namespace: &str, interest: Interest, to: impl Fn(Subject) -> Subscription) {
        if self.subject != interest.backends {
            (self.objects, self.behind) = (Watched::default(), Behind::default());
            self.subject.clone_from(&interest.backends);
        }
        if let Some(subject) = interest.backends {
            let is_pool = matches!(subject, Subject::InferencePools { .. });
            self.objects.subscription.get_or_insert_with(|| to(subject));
            self.behind.keep(is_pool, namespace, forks(view, &self.objects), &to);
        }
        keep(&mut self.exports, interest.exports, || to(member_subject(true, namespace)));
        keep(&mut self.imports, interest.imports, || to(Subject::ServiceImports { namespace: namespace.to_owned() }));
    }

    fn take_in(&mut self) {
        self.objects.take_in(|object| match object {
            Projected::Backend(backend) => Some(backend),
            _ => None,
        });
        self.behind.take_in();
        self.exports.take_in(|object| match object {
            Projected::Export(export) => Some(export),
            _ => None,
        });
        self.imports.take_in(|object| match object {
            Projected::Import(import) => Some(import),
            _ => None,
        });
    }

    /// Whether backends and the pods behind them can be relied on.
    fn health(&self) -> Health {
        self.behind.health().into_iter().fold(self.objects.health(), worse)
    }

    fn backends(&self) -> BTreeMap<String, Arc<Backend>> {
        self.objects.objects().map(|(key, backend)| (key.name.clone(), backend.clone())).collect()
    }
}

/// Watches what is of interest, and forgets what is not any more.
fn keep<V>(watched: &mut Watched<V>, interest: bool, to: impl FnOnce() -> Subscription) {
    if interest {
        watched.subscription.get_or_insert_with(to);
    } else if watched.subscription.is_some() {
        *watched = Watched::default();
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
