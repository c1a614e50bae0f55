//! What an actor knows of the member clusters: their health and the workloads of its kinds and namespace.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ractor::ActorRef;

use super::{
    cluster::{ClusterMsg, Subscription},
    effects::Context,
    project::Projected,
    subject::Subject,
    watched::Watched,
};
use crate::{
    view::{Health, MemberView, Workload, WorkloadId},
    workloads::WorkloadKind,
};

/// The members.
pub(crate) struct Members {
    context: Context,
    wake: Arc<dyn Fn() + Send + Sync>,
    namespace: String,
    by_name: BTreeMap<String, Member>,
}

/// What is watched in one member.
type Member = BTreeMap<WorkloadKind, Watched<Arc<Workload>>>;

impl Members {
    pub(crate) fn new(
        context: &Context,
        names: Vec<String>,
        namespace: String,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let by_name = names.into_iter().map(|name| (name, Member::default())).collect();
        Self { context: context.clone(), wake: Arc::new(wake), namespace, by_name }
    }

    /// Sees to it that every member is watched for workloads of exactly these kinds, and that `views` has every member.
    pub(crate) fn subscribe(
        &mut self,
        clusters: &BTreeMap<String, ActorRef<ClusterMsg>>,
        kinds: &BTreeSet<WorkloadKind>,
        views: &mut BTreeMap<String, MemberView>,
    ) {
        for (name, member) in &mut self.by_name {
            let before = member.len();
            member.retain(|kind, _| kinds.contains(kind));
            let dropped = member.len() < before;
            for kind in kinds {
                let watched = member.entry(*kind).or_default();
                if watched.subscription.is_none()
                    && let Some(cluster) = clusters.get(name)
                {
                    let (subject, namespace) = (Subject::Workloads { kind: *kind }, Some(self.namespace.clone()));
                    let wake = self.wake.clone();
                    let subscription = Subscription::new(&self.context, cluster, subject, namespace, move || wake());
                    watched.subscription = Some(subscription);
                }
            }
            let view = views.entry(name.clone()).or_insert_with(|| MemberView {
                health: Health::Syncing,
                workloads: workloads(member),
                reports: BTreeMap::new(),
            });
            view.health = health(member);
            if dropped {
                view.workloads = workloads(member);
            }
        }
    }

    /// Takes in what the clusters' actors tell.
    pub(crate) fn take_in(&mut self, views: &mut BTreeMap<String, MemberView>) {
        for (name, member) in &mut self.by_name {
            let mut changed = false;
            for watched in member.values_mut() {
                changed |= watched.take_in(|object| match object {
                    Projected::Workload(workload) => Some(workload),
                    _ => None,
                });
            }
            if changed && let Some(view) = views.get_mut(name) {
                view.workloads = workloads(member);
            }
        }
    }

    /// A cluster's actor was begun anew: what is known stays known, but absence means nothing until it has listed.
    pub(crate) fn cluster_up(&mut self, name: &str) {
        for watched in self.by_name.get_mut(name).into_iter().flat_map(BTreeMap::values_mut) {
            watched.restart();
        }
    }
}

/// The workloads of all kinds.
fn workloads(member: &Member) -> BTreeMap<WorkloadId, Arc<Workload>> {
    let all = member.values().flat_map(Watched::objects);
    all.map(|(_, workload)| (workload.id(), workload.clone())).collect()
}

/// Whether all kinds are known. Where nothing is watched there is nothing to wait for.
fn health(member: &Member) -> Health {
    let (mut syncing, mut unreachable) = (false, None);
    for health in member.values().map(Watched::health) {
        match health {
            Health::Ready => {}
            Health::Syncing => syncing = true,
            Health::Unreachable { .. } => unreachable = unreachable.or(Some(health)),
        }
    }
    unreachable.unwrap_or(if syncing { Health::Syncing } else { Health::Ready })
}
