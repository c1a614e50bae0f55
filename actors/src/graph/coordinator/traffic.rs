//! The actors of what carries traffic: one per TrafficTopology, and one per BackendRouting.

use std::{collections::BTreeMap, sync::Arc};

use ractor::{Actor, ActorCell, ActorRef, Message};

use super::CoordinatorMsg;
use crate::{
    api::{BackendRouting, TrafficTopology},
    graph::{
        Injury,
        child::Child,
        cluster::ClusterMsg,
        effects::Context,
        routing::{RoutingActor, RoutingArgs, RoutingMsg},
        topology::{TopologyActor, TopologyArgs, TopologyMsg},
    },
    view::ObjectKey,
};

type Clusters = BTreeMap<String, ActorRef<ClusterMsg>>;

/// The actors.
pub(super) struct Traffic {
    context: Context,
    me: ActorRef<CoordinatorMsg>,
    members: Vec<String>,
    topologies: Children<TopologyMsg>,
    routings: Children<RoutingMsg>,
}

type Children<M> = BTreeMap<ObjectKey, Kept<M>>;

struct Kept<M> {
    child: Child<M>,
    /// The uid of the object it was begun for.
    uid: Option<String>,
}

impl Traffic {
    pub(super) fn new(context: &Context, me: &ActorRef<CoordinatorMsg>, members: Vec<String>) -> Self {
        Self {
            context: context.clone(),
            me: me.clone(),
            members,
            topologies: BTreeMap::new(),
            routings: BTreeMap::new(),
        }
    }

    /// Sees to it that exactly these have an actor.
    pub(super) async fn keep(
        &mut self,
        clusters: &Clusters,
        topologies: &BTreeMap<ObjectKey, Arc<TrafficTopology>>,
        routings: &BTreeMap<ObjectKey, Arc<BackendRouting>>,
    ) {
        let of_topology = |key: &ObjectKey| topologies.get(key).map(|topology| topology.metadata.uid.clone());
        let of_routing = |key: &ObjectKey| routings.get(key).map(|routing| routing.metadata.uid.clone());
        for key in take_up(&self.context, "topology", &mut self.topologies, topologies.keys(), of_topology) {
            self.spawn_topology(clusters, key.clone(), topologies.get(&key)).await;
        }
        for key in take_up(&self.context, "routing", &mut self.routings, routings.keys(), of_routing) {
            self.spawn_routing(clusters, key.clone(), routings.get(&key)).await;
        }
    }

    /// Begins the actor of a TrafficTopology.
    pub(super) async fn spawn_topology(
        &mut self,
        clusters: &Clusters,
        key: ObjectKey,
        topology: Option<&Arc<TrafficTopology>>,
    ) {
        let (Some(kept), Some(topology)) = (self.topologies.get_mut(&key), topology) else { return };
        let args = TopologyArgs {
            context: self.context.clone(),
            topology: topology.clone(),
            key: key.clone(),
            clusters: clusters.clone(),
            members: self.members.clone(),
        };
        let spawned = TopologyActor::spawn_linked(None, TopologyActor, args, self.me.get_cell()).await;
        kept.child.spawned(&self.context, spawned, again(&self.me, CoordinatorMsg::RespawnTopology(key)));
    }

    /// Begins the actor of a BackendRouting.
    pub(super) async fn spawn_routing(
        &mut self,
        clusters: &Clusters,
        key: ObjectKey,
        routing: Option<&Arc<BackendRouting>>,
    ) {
        let (Some(kept), Some(routing)) = (self.routings.get_mut(&key), routing) else { return };
        let args = RoutingArgs {
            context: self.context.clone(),
            routing: routing.clone(),
            key: key.clone(),
            clusters: clusters.clone(),
        };
        let spawned = RoutingActor::spawn_linked(None, RoutingActor, args, self.me.get_cell()).await;
        kept.child.spawned(&self.context, spawned, again(&self.me, CoordinatorMsg::RespawnRouting(key)));
    }

    /// A cluster's actor was begun anew.
    pub(super) fn cluster_up(&self, name: &str, actor: &ActorRef<ClusterMsg>) {
        for kept in self.topologies.values() {
            kept.child.cast(TopologyMsg::ClusterUp(name.to_owned(), actor.clone()));
        }
        for kept in self.routings.values() {
            kept.child.cast(RoutingMsg::ClusterUp(name.to_owned(), actor.clone()));
        }
    }

    /// A child ended. If it is one of these and nobody asked for it, it is begun again later.
    pub(super) fn lost(&mut self, cell: &ActorCell, reason: &str) {
        if let Some((key, kept)) = self.topologies.iter_mut().find(|(_, kept)| kept.child.is(cell)) {
            let message = CoordinatorMsg::RespawnTopology(key.clone());
            kept.child.lost(&self.context, reason, again(&self.me, message));
        } else if let Some((key, kept)) = self.routings.iter_mut().find(|(_, kept)| kept.child.is(cell)) {
            let message = CoordinatorMsg::RespawnRouting(key.clone());
            kept.child.lost(&self.context, reason, again(&self.me, message));
        }
    }

    pub(super) fn injure_topology(&self, key: &ObjectKey, injury: Injury) {
        if let Some(kept) = self.topologies.get(key) {
            kept.child.cast(TopologyMsg::Injure(injury));
        }
    }

    pub(super) fn tell_routing(&self, key: &ObjectKey, message: RoutingMsg) {
        if let Some(kept) = self.routings.get(key) {
            kept.child.cast(message);
        }
    }

    /// Ends all of them, one after the other.
    pub(super) async fn stop(&self) {
        for kept in self.topologies.values() {
            kept.child.stop_and_wait().await;
        }
        for kept in self.routings.values() {
            kept.child.stop_and_wait().await;
        }
    }
}

/// Ends the actors of what is gone or is another object by now; returns what is to get one.
fn take_up<'a, M: Message>(
    context: &Context,
    what: &str,
    children: &mut Children<M>,
    keys: impl Iterator<Item = &'a ObjectKey>,
    uid: impl Fn(&ObjectKey) -> Option<Option<String>>,
) -> Vec<ObjectKey> {
    children.retain(|key, kept| {
        let keep = uid(key).as_ref() == Some(&kept.uid);
        if !keep {
            kept.child.stop();
        }
        keep
    });
    let new: Vec<ObjectKey> = keys.filter(|key| !children.contains_key(key)).cloned().collect();
    for key in &new {
        let child = Child::new(context, format!("{what} {key}"));
        children.insert(key.clone(), Kept { child, uid: uid(key).flatten() });
    }
    new
}

fn again(me: &ActorRef<CoordinatorMsg>, message: CoordinatorMsg) -> impl FnOnce() + Send + 'static {
    let me = me.clone();
    move || {
        let _ = me.cast(message);
    }
}
