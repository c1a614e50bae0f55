//! The routes of a BackendRouting: one actor for each that has a goal.

use std::collections::BTreeMap;

use ractor::{Actor, ActorCell, ActorRef};

use super::RoutingMsg;
use crate::{
    graph::{
        Injury,
        child::Child,
        cluster::ClusterMsg,
        effects::Context,
        inbox::Inbox,
        route::{RouteActor, RouteArgs, RouteMsg, RouteReports},
    },
    intent::RouteGoal,
    view::{ObjectKey, RouteId, RouteReport},
};

type Clusters = BTreeMap<String, ActorRef<ClusterMsg>>;

/// The routes.
pub(super) struct Routes {
    context: Context,
    me: ActorRef<RoutingMsg>,
    key: ObjectKey,
    reports: RouteReports,
    children: BTreeMap<RouteId, RouteChild>,
}

struct RouteChild {
    child: Child<RouteMsg>,
    goals: Inbox<(), RouteGoal>,
    goal: RouteGoal,
}

impl Routes {
    pub(super) fn new(context: &Context, me: &ActorRef<RoutingMsg>, key: &ObjectKey, reports: RouteReports) -> Self {
        Self { context: context.clone(), me: me.clone(), key: key.clone(), reports, children: BTreeMap::new() }
    }

    /// Takes in what the actors report.
    pub(super) fn take_in(&self, views: &mut BTreeMap<RouteId, RouteReport>) {
        for (id, report) in self.reports.drain() {
            if self.children.contains_key(&id) {
                views.insert(id, report);
            }
        }
    }

    /// Gives every route its goal; a route without one keeps no actor.
    pub(super) async fn assign(
        &mut self,
        clusters: &Clusters,
        goals: BTreeMap<RouteId, RouteGoal>,
        views: &mut BTreeMap<RouteId, RouteReport>,
    ) {
        self.children.retain(|id, route| {
            let keep = goals.contains_key(id);
            if !keep {
                route.child.stop();
                views.remove(id);
            }
            keep
        });
        for (id, goal) in goals {
            if let Some(route) = self.children.get_mut(&id) {
                if route.goal != goal {
                    route.goal = goal.clone();
                    route.goals.push((), goal);
                }
                continue;
            }
            let child = Child::new(&self.context, format!("route {} {}/{}", self.key, id.cluster, id.name));
            self.children.insert(id.clone(), RouteChild { child, goals: Inbox::new(), goal });
            self.spawn(clusters, id).await;
        }
    }

    /// Begins a route's actor.
    pub(super) async fn spawn(&mut self, clusters: &Clusters, id: RouteId) {
        let (Some(cluster), Some(route)) = (clusters.get(&id.cluster), self.children.get_mut(&id)) else { return };
        route.goals = Inbox::new();
        let args = RouteArgs {
            context: self.context.clone(),
            routing: self.key.clone(),
            id: id.clone(),
            goal: route.goal.clone(),
            goals: route.goals.clone(),
            reports: self.reports.clone(),
            cluster: cluster.clone(),
        };
        let spawned = RouteActor::spawn_linked(None, RouteActor, args, self.me.get_cell()).await;
        route.child.spawned(&self.context, spawned, respawn(&self.me, id));
    }

    /// A child ended. If nobody asked for it, it is begun again later; returns the route so lost.
    pub(super) fn lost(&mut self, cell: &ActorCell, reason: &str) -> Option<RouteId> {
        let (id, route) = self.children.iter_mut().find(|(_, route)| route.child.is(cell))?;
        route.child.lost(&self.context, reason, respawn(&self.me, id.clone()));
        Some(id.clone())
    }

    /// Tells the routes of a cluster that its actor was begun anew.
    pub(super) fn cluster_up(&self, name: &str, cluster: &ActorRef<ClusterMsg>) {
        for route in self.children.iter().filter(|(id, _)| id.cluster == name).map(|(_, route)| route) {
            route.child.cast(RouteMsg::ClusterUp(cluster.clone()));
        }
    }

    pub(super) fn injure(&self, cluster: &str, name: &str, injury: Injury) {
        for route in self.children.iter().filter(|(id, _)| id.cluster == cluster && id.name == name).map(|(_, it)| it) {
            route.child.cast(RouteMsg::Injure(injury));
        }
    }

    /// Ends all routes' actors, one after the other.
    pub(super) async fn stop(&self) {
        for route in self.children.values() {
            route.child.stop_and_wait().await;
        }
    }
}

fn respawn(me: &ActorRef<RoutingMsg>, id: RouteId) -> impl FnOnce() + Send + 'static {
    let me = me.clone();
    move || {
        let _ = me.cast(RoutingMsg::RespawnRoute(id));
    }
}
