//! A Rollout's children: one actor per workload that has a goal, and one per route it names.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

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
        route::{RouteActor, RouteArgs, RouteMsg},
        subject::RouteKind,
        workload::{Order, Reports, WorkloadActor, WorkloadArgs, WorkloadMsg},
    },
    intent::WorkloadGoal,
    view::{MemberView, ObjectKey, RolloutView, WorkloadId},
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
    routes: BTreeMap<Place, RouteChild>,
}

struct WorkloadChild {
    child: Child<WorkloadMsg>,
    orders: Inbox<(), Order>,
    order: Order,
}

struct RouteChild {
    child: Child<RouteMsg>,
    kind: RouteKind,
}

impl Children {
    pub(super) fn new(context: &Context, me: &ActorRef<RolloutMsg>, key: &ObjectKey, reports: &Reports) -> Self {
        Self {
            context: context.clone(),
            me: me.clone(),
            key: key.clone(),
            reports: reports.clone(),
            workloads: BTreeMap::new(),
            routes: BTreeMap::new(),
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

    /// Sees to it that exactly the routes the Rollout's topologies name are observed, in every member.
    pub(super) async fn observe_routes(&mut self, clusters: &Clusters, view: &RolloutView) {
        let wanted = routes(view);
        self.routes.retain(|place, route| {
            let keep = wanted.contains(&(place.clone(), route.kind));
            if !keep {
                route.child.stop();
            }
            keep
        });
        for (place, kind) in wanted {
            if self.routes.contains_key(&place) {
                continue;
            }
            let child = Child::new(&self.context, format!("route {} {}/{}", self.key, place.0, place.1));
            self.routes.insert(place.clone(), RouteChild { child, kind });
            self.spawn_route(clusters, place).await;
        }
    }

    /// Begins a route's actor.
    pub(super) async fn spawn_route(&mut self, clusters: &Clusters, place: Place) {
        let (Some(cluster), Some(route)) = (clusters.get(&place.0), self.routes.get_mut(&place)) else { return };
        let args = RouteArgs {
            context: self.context.clone(),
            rollout: self.key.clone(),
            kind: route.kind,
            place: place.0.clone(),
            name: place.1.clone(),
            cluster: cluster.clone(),
        };
        let spawned = RouteActor::spawn_linked(None, RouteActor, args, self.me.get_cell()).await;
        route.child.spawned(&self.context, spawned, respawn_route(&self.me, place));
    }

    /// A child ended. If nobody asked for it, it is begun again later; returns the workload so lost.
    pub(super) fn lost(&mut self, cell: &ActorCell, reason: &str) -> Option<WorkloadId> {
        if let Some((id, workload)) = self.workloads.iter_mut().find(|(_, workload)| workload.child.is(cell)) {
            workload.child.lost(&self.context, reason, respawn_workload(&self.me, id.clone()));
            return Some(id.clone());
        }
        let (place, route) = self.routes.iter_mut().find(|(_, route)| route.child.is(cell))?;
        route.child.lost(&self.context, reason, respawn_route(&self.me, place.clone()));
        None
    }

    /// Tells the children of a cluster that its actor was begun anew.
    pub(super) fn cluster_up(&self, name: &str, cluster: &ActorRef<ClusterMsg>) {
        for (id, workload) in &self.workloads {
            if id.cluster == name {
                workload.child.cast(WorkloadMsg::ClusterUp(cluster.clone()));
            }
        }
        for (place, route) in &self.routes {
            if place.0 == name {
                route.child.cast(RouteMsg::ClusterUp(cluster.clone()));
            }
        }
    }

    pub(super) fn injure_workload(&self, (cluster, name): &Place, injury: Injury) {
        let same = |id: &WorkloadId| (&id.cluster, &id.name) == (cluster, name);
        if let Some((_, workload)) = self.workloads.iter().find(|(id, _)| same(id)) {
            workload.child.cast(WorkloadMsg::Injure(injury));
        }
    }

    pub(super) fn injure_route(&self, place: &Place, injury: Injury) {
        if let Some(route) = self.routes.get(place) {
            route.child.cast(RouteMsg::Injure(injury));
        }
    }

    /// Ends all children, one after the other.
    pub(super) async fn stop(&self) {
        for workload in self.workloads.values() {
            workload.child.stop_and_wait().await;
        }
        for route in self.routes.values() {
            route.child.stop_and_wait().await;
        }
    }
}

/// The routes of the topologies the Rollout names, in every member.
fn routes(view: &RolloutView) -> BTreeSet<(Place, RouteKind)> {
    let topologies = view.rollout.spec.traffic_topology_refs.iter().filter_map(|name| view.topologies.get(name));
    let routes = topologies.flat_map(|topology| &topology.spec.routes);
    let known = routes.filter_map(|route| Some((route.name.clone(), RouteKind::parse(route.kind.as_deref())?)));
    known
        .flat_map(|(name, kind)| view.members.keys().map(move |cluster| ((cluster.clone(), name.clone()), kind)))
        .collect()
}

fn respawn_workload(me: &ActorRef<RolloutMsg>, id: WorkloadId) -> impl FnOnce() + Send + 'static {
    let me = me.clone();
    move || {
        let _ = me.cast(RolloutMsg::RespawnWorkload(id));
    }
}

fn respawn_route(me: &ActorRef<RolloutMsg>, (cluster, name): Place) -> impl FnOnce() + Send + 'static {
    let me = me.clone();
    move || {
        let _ = me.cast(RolloutMsg::RespawnRoute(cluster, name));
    }
}
