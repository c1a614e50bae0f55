//! What a Rollout knows of its member clusters: their health and the workloads of its kind and namespace.

use std::{collections::BTreeMap, sync::Arc};

use ractor::ActorRef;

use crate::{
    graph::{
        cluster::{About, ClusterMsg, Fact, Facts, Listing, Subscription},
        effects::Context,
        mirror::Mirror,
        project::Projected,
        subject::{Subject, WorkloadKind},
    },
    view::{Health, MemberView, Workload},
};

/// The members.
pub(super) struct Members {
    namespace: String,
    facts: Facts,
    kind: Option<WorkloadKind>,
    by_name: BTreeMap<String, Member>,
}

struct Member {
    health: Health,
    listing: Listing,
    workloads: Mirror<String, Arc<Workload>>,
    subscription: Option<Subscription>,
}

impl Default for Member {
    fn default() -> Self {
        Self { health: Health::Syncing, listing: Listing::Pending, workloads: Mirror::default(), subscription: None }
    }
}

impl Members {
    pub(super) fn new(names: Vec<String>, facts: Facts, namespace: String) -> Self {
        let by_name = names.into_iter().map(|name| (name, Member::default())).collect();
        Self { namespace, facts, kind: None, by_name }
    }

    /// Sees to it that every member is watched for workloads of `kind`, and that `views` has every member.
    pub(super) fn subscribe(
        &mut self,
        context: &Context,
        clusters: &BTreeMap<String, ActorRef<ClusterMsg>>,
        kind: Option<WorkloadKind>,
        views: &mut BTreeMap<String, MemberView>,
    ) {
        if kind != self.kind {
            self.by_name.values_mut().for_each(|member| *member = Member::default());
            self.kind = kind;
        }
        for (name, member) in &mut self.by_name {
            if member.subscription.is_none()
                && let (Some(kind), Some(cluster)) = (kind, clusters.get(name))
            {
                let (subject, namespace) = (Subject::Workloads { kind }, Some(self.namespace.clone()));
                member.subscription = Some(Subscription::new(context, cluster, subject, namespace, self.facts.clone()));
            }
            member.show(views.entry(name.clone()).or_insert_with(|| MemberView {
                health: Health::Syncing,
                workloads: BTreeMap::new(),
                reports: BTreeMap::new(),
            }));
        }
    }

    /// Takes in what the clusters' actors tell.
    pub(super) fn take_in(&mut self, views: &mut BTreeMap<String, MemberView>) {
        for ((cluster, about), fact) in self.facts.drain() {
            let Some(member) = self.by_name.get_mut(&cluster) else { continue };
            let watched = member.subscription.as_ref().map(Subscription::subject);
            match (about, fact) {
                (_, Fact::Health(health)) => member.health = health,
                (About::Object(subject, key), Fact::Object(object)) if Some(&subject) == watched => {
                    let workload = match object {
                        Some(Projected::Workload(workload)) => Some(workload),
                        _ => None,
                    };
                    member.workloads.set(key.name, workload);
                }
                (About::Listing(subject), Fact::Listing(listing)) if Some(&subject) == watched => {
                    if listing == Listing::Complete {
                        member.workloads.complete();
                    }
                    member.listing = listing;
                }
                _ => {}
            }
        }
        for (name, member) in &self.by_name {
            if let Some(view) = views.get_mut(name) {
                member.show(view);
            }
        }
    }

    /// A cluster's actor was begun anew: what is known stays known, but absence means nothing until it has listed.
    pub(super) fn cluster_up(&mut self, name: &str) {
        if let Some(member) = self.by_name.get_mut(name) {
            let mut workloads = std::mem::take(&mut member.workloads);
            workloads.restart();
            *member = Member { workloads, ..Member::default() };
        }
    }
}

impl Member {
    fn show(&self, view: &mut MemberView) {
        view.health = self.health();
        if view.workloads != *self.workloads.items() {
            view.workloads.clone_from(self.workloads.items());
        }
    }

    fn health(&self) -> Health {
        if self.subscription.is_none() {
            return Health::Ready;
        }
        match (&self.health, &self.listing) {
            (Health::Unreachable { .. }, _) => self.health.clone(),
            (_, Listing::Refused { since, error }) => Health::Unreachable { since: *since, error: error.clone() },
            (_, Listing::Pending) | (Health::Syncing, _) => Health::Syncing,
            // Where a kind is not served there are no objects of it.
            (Health::Ready, Listing::Complete | Listing::NotServed) => Health::Ready,
        }
    }
}
