//! What tells of the pods behind backends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    backends::pod_selector,
    graph::{cluster::Subscription, project::Projected, subject::Subject, watched::Watched},
    view::{Backend, Endpoints, Health, Pod},
};

/// What tells of the pods behind the backends of one namespace of a cluster.
pub(super) enum Behind {
    /// Of Services.
    Slices(Watched<Arc<Endpoints>>),
    /// Of InferencePools, which have no EndpointSlices: the pods that each fork selects, by its name, with the selector.
    /// They are watched as long as the fork is there.
    Pods(BTreeMap<String, (String, Watched<Arc<Pod>>)>),
}

impl Default for Behind {
    fn default() -> Self {
        Self::Slices(Watched::default())
    }
}

impl Behind {
    /// Sees to it that what tells of the pods behind backends is watched.
    pub(super) fn keep<'a>(
        &mut self,
        is_pool: bool,
        namespace: &str,
        forks: impl Iterator<Item = &'a Backend>,
        to: impl Fn(Subject) -> Subscription,
    ) {
        if is_pool && matches!(self, Self::Slices(_)) {
            *self = Self::Pods(BTreeMap::new());
        }
        match self {
            Self::Slices(slices) => {
                let subject = Subject::EndpointSlices { namespace: namespace.to_owned() };
                slices.subscription.get_or_insert_with(|| to(subject));
            }
            Self::Pods(pods) => {
                keep(pods, forks);
                for (selector, pods) in pods.values_mut() {
                    let subject = Subject::Pods { namespace: namespace.to_owned(), selector: selector.clone() };
                    pods.subscription.get_or_insert_with(|| to(subject));
                }
            }
        }
    }

    /// Takes in what the cluster's actor tells.
    pub(super) fn take_in(&mut self) {
        match self {
            Self::Slices(slices) => drop(slices.take_in(|object| match object {
                Projected::Endpoints(endpoints) => Some(endpoints),
                _ => None,
            })),
            Self::Pods(pods) => {
                for (_, pods) in pods.values_mut() {
                    pods.take_in(|object| match object {
                        Projected::Pod(pod) => Some(pod),
                        _ => None,
                    });
                }
            }
        }
    }

    /// The cluster's actor was begun anew: absence means nothing until it has listed.
    pub(super) fn restart(&mut self) {
        match self {
            Self::Slices(slices) => slices.restart(),
            Self::Pods(pods) => pods.values_mut().for_each(|(_, pods)| pods.restart()),
        }
    }

    /// Whether each watch can be relied on.
    pub(super) fn health(&self) -> Vec<Health> {
        match self {
            Self::Slices(slices) => vec![slices.health()],
            Self::Pods(pods) => pods.values().map(|(_, pods)| pods.health()).collect(),
        }
    }

    /// How many pods are ready, by the name of the backend.
    pub(super) fn ready(&self) -> BTreeMap<String, usize> {
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
