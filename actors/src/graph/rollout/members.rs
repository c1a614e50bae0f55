//! What a Rollout knows of its member clusters: their health and the workloads of its kind and namespace.

use std::{collections::BTreeMap, sync::Arc};

use ractor::ActorRef;

use crate::{
    graph::{
        cluster::{About, ClusterMsg, Fact, Listing, Subscription},
        effects::Context,
        mirror::Mirror,
        project::Projected,
        rollout::RolloutMsg,
        subject::{Subject, WorkloadKind},
    },
    view::{Health, MemberView, Workload},
};

/// The members.
pub(super) struct Members {
    context: Context,
    me: ActorRef<RolloutMsg>,
    namespace: String,
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
    pub(super) fn new(context: &Context, me: &ActorRef<RolloutMsg>, names: Vec<String>, namespace: String) -> Self {
        let by_name = names.into_iter().map(|name| (name, Member::default())).collect();
        Self { context: context.clone(), me: me.clone(), namespace, kind: None, by_name }
    }

    /// Sees to it that every member is watched for workloads of `kind`, and that `views` has every member.
    pub(super) fn subscribe(
        &mut self,
        clusters: &BTreeMap<String, ActorRef<ClusterMsg>>,
        kind: Option<WorkloadKind>,
        views: &mut BTreeMap<String, MemberView>,
    ) {
        if kind != self.kind {
            self.by_name.values_mut().for_each(|member| *member = Member::default());
            self.kind = kind;
            views.clear();
        }
        for (name, member) in &mut self.by_name {
            if member.subscription.is_none()
                && let (Some(kind), Some(cluster)) = (kind, clusters.get(name))
            {
                let (subject, namespace) = (Subject::Workloads { kind }, Some(self.namespace.clone()));
                let me = self.me.clone();
                let wake = move || {
                    let _ = me.cast(RolloutMsg::Wake);
                };
                member.subscription = Some(Subscription::new(&self.context, cluster, subject, namespace, wake));
            }
            views.entry(name.clone()).or_insert_with(|| MemberView {
                health: Health::Syncing,
                workloads: member.workloads.items().clone(),
                reports: BTreeMap::new(),
            });
        }
        self.show_health(views);
    }

    /// Takes in what the clusters' actors tell.
    pub(super) fn take_in(&mut self, views: &mut BTreeMap<String, MemberView>) {
        for (name, member) in &mut self.by_name {
            if member.take_in()
                && let Some(view) = views.get_mut(name)
            {
                view.workloads.clone_from(member.workloads.items());
            }
        }
    }

    fn show_health(&self, views: &mut BTreeMap<String, MemberView>) {
        for (name, member) in &self.by_name {
            if let Some(view) = views.get_mut(name) {
                view.health = member.health(self.kind);
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
    /// Takes in what is told, and says whether workloads changed.
    fn take_in(&mut self) -> bool {
        let Some(subscription) = &self.subscription else { return false };
        let mut changed = false;
        for (about, fact) in subscription.drain() {
            match (about, fact) {
                (_, Fact::Health(health)) => self.health = health,
                (About::Object(key), Fact::Object(object)) => {
                    let workload = match object {
                        Some(Projected::Workload(workload)) => Some(workload),
                        _ => None,
                    };
                    self.workloads.set(key.name, workload);
                    changed = true;
                }
                (_, Fact::Listing(listing)) => {
                    changed |= listing == Listing::Complete && !self.workloads.complete().is_empty();
                    self.listing = listing;
                }
                _ => {}
            }
        }
        changed
    }

    fn health(&self, kind: Option<WorkloadKind>) -> Health {
        // Of a kind that is not supported there is nothing to wait for.
        if kind.is_none() {
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
