//! A Rollout's children: one actor per workload that has a goal.

use std::{collections::BTreeMap, sync::Arc};

use ractor::{Actor, ActorCell, ActorRef};

use super::RolloutMsg;
use crate::{
    decide::canary,
    graph::{
        Injury,
        child::Child,
        cluster::ClusterMsg,
        effects::Context,
        inbox::Inbox,
        workload::{Order, Reports, WorkloadActor, WorkloadArgs, WorkloadMsg},
    },
    intent::WorkloadGoal,
    view::{MemberView, ObjectKey, WorkloadId},
};

/// Cluster and name.
type Place = (String, String);
type Clusters = BTreeMap<String, ActorRef<ClusterMsg>>;

/// The children.
pub(super) struct Children {
    context: Context,
    me: ActorRef<RolloutMsg>,
    key: ObjectKey,
    reports: Reports,
    workloads: BTreeMap<WorkloadId, WorkloadChild>,
}

struct WorkloadChild {
    child: Child<WorkloadMsg>,
    orders: Inbox<(), Order>,
    order: Order,
}

impl Children {
    pub(super) fn new(context: &Context, me: &ActorRef<RolloutMsg>, key: &ObjectKey, reports: &Reports) -> Self {
        Self {
            context: context.clone(),
            me: me.clone(),
            key: key.clone(),
            reports: reports.clone(),
            workloads: BTreeMap::new(),
        }
    }

    /// Whether a workload has an actor, or will have it again.
    pub(super) fn has_workload(&self, id: &WorkloadId) -> bool {
        self.workloads.contains_key(id)
    }

    /// Gives every workload its goal; a workload without one keeps no actor.
    pub(super) async fn assign(
        &mut self,
        clusters: &Clusters,
        goals: BTreeMap<WorkloadId, WorkloadGoal>,
        members: &mut BTreeMap<String, MemberView>,
    ) {
        let mut orders = BTreeMap::new();
        for (id, goal) in goals {
            let Some(member) = members.get(&id.cluster) else { continue };
            if let Some(workload) = member.workloads.get(&id) {
                let copy = member.workloads.get(&canary::id_of_copy(workload)).cloned();
                orders.insert(id, Order { goal, workload: workload.clone(), copy });
            }
        }
        self.workloads.retain(|id, workload| {
            // A workload that was deleted and made again is another one.
            let keep = orders.get(id).is_some_and(|order| order.workload.uid == workload.order.workload.uid);
            if !keep {
                workload.child.stop();
                if let Some(member) = members.get_mut(&id.cluster) {
                    member.reports.remove(id);
                }
            }
            keep
        });
        for (id, order) in orders {
            if let Some(workload) = self.workloads.get_mut(&id) {
                let is_same = Arc::ptr_eq(&workload.order.workload, &order.workload)
                    && workload.order.goal == order.goal
                    && workload.order.copy == order.copy;
                if !is_same {
                    workload.order = order.clone();
                    workload.orders.push((), order);
                }
                continue;
            }
            let child = Child::new(&self.context, format!("workload {} {}/{}", self.key, id.cluster, id.name));
            self.workloads.insert(id.clone(), WorkloadChild { child, orders: Inbox::new(), order });
            self.spawn_workload(clusters, id).await;
        }
    }

    /// Begins a workload's actor.
    pub(super) async fn spawn_workload(&mut self, clusters: &Clusters, id: WorkloadId) {
        let (Some(cluster), Some(workload)) = (clusters.get(&id.cluster), self.workloads.get_mut(&id)) else { return };
        workload.orders = Inbox::new();
        let args = WorkloadArgs {
            context: self.context.clone(),
            rollout: self.key.clone(),
            order: workload.order.clone(),
            orders: workload.orders.clone(),
            reports: self.reports.clone(),
            cluster: cluster.clone(),
        };
        let spawned = WorkloadActor::spawn_linked(None, WorkloadActor, args, self.me.get_cell()).await;
        workload.child.spawned(&self.context, spawned, respawn_workload(&self.me, id));
    }

    /// A child ended. If nobody asked for it, it is begun again later; returns the workload so lost.
    pub(super) fn lost(&mut self, cell: &ActorCell, reason: &str) -> Option<WorkloadId> {
        let (id, workload) = self.workloads.iter_mut().find(|(_, workload)| workload.child.is(cell))?;
        workload.child.lost(&self.context, reason, respawn_workload(&self.me, id.clone()));
        Some(id.clone())
    }

    /// Tells the children of a cluster that its actor was begun anew.
    pub(super) fn cluster_up(&self, name: &str, cluster: &ActorRef<ClusterMsg>) {
        for (id, workload) in &self.workloads {
            if id.cluster == name {
                workload.child.cast(WorkloadMsg::ClusterUp(cluster.clone()));
            }
        }
    }

    pub(super) fn injure_workload(&self, (cluster, name): &Place, injury: Injury) {
        let same = |id: &WorkloadId| (&id.cluster, &id.name) == (cluster, name);
        if let Some((_, workload)) = self.workloads.iter().find(|(id, _)| same(id)) {
            workload.child.cast(WorkloadMsg::Injure(injury));
        }
    }

    /// Ends all children, one after the other.
    pub(super) async fn stop(&self) {
        for workload in self.workloads.values() {
            workload.child.stop_and_wait().await;
        }
    }
}

fn respawn_workload(me: &ActorRef<RolloutMsg>, id: WorkloadId) -> impl FnOnce() + Send + 'static {
    let me = me.clone();
    move || {
        let _ = me.cast(RolloutMsg::RespawnWorkload(id));
    }
}
