//! The root of the graph: one actor per API server, one per Rollout, and what the hub holds routed to the latter; and
//! one per TrafficTopology and BackendRouting.

mod hub;
mod traffic;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kube::Client;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use self::{
    hub::{Hub, News},
    traffic::Traffic,
};
use super::{
    ActorPath, Injury,
    child::{Child, ended},
    cluster::{ClusterActor, ClusterArgs, ClusterMsg, Outcome, Request, Subscription},
    effects::{Context, Task},
    rollout::{HubFacts, RolloutActor, RolloutArgs, RolloutMsg},
    routing::RoutingMsg,
    subject::Subject,
};
use crate::{
    decide,
    view::ObjectKey,
    world::{Http, World},
};

/// The name of the hub's actor, and of the only member where the hub is its own.
const HUB: &str = "";

/// When a run that could not be let go is tried again: soon enough for a person who waits for a deletion, and no load.
const RELEASE_RETRY: Duration = Duration::from_secs(10);

/// What the coordinator is told.
pub(crate) enum CoordinatorMsg {
    /// A fact about the hub is waiting.
    Wake,
    RespawnCluster(String),
    RespawnRollout(ObjectKey),
    RespawnTopology(ObjectKey),
    RespawnRouting(ObjectKey),
    /// The write that was to let go of a run has been answered.
    Released {
        run: ObjectKey,
        landed: bool,
    },
    Inject(ActorPath, Injury),
}

/// The actor.
pub(crate) struct RolloutCoordinator;

/// Its state.
pub(crate) struct CoordinatorState {
    context: Context,
    me: ActorRef<CoordinatorMsg>,
    clusters: BTreeMap<String, ClusterChild>,
    members: Vec<String>,
    /// The rollout class that is served.
    class: String,
    http: Arc<dyn Http>,
    subscriptions: Vec<Subscription>,
    hub: Hub,
    rollouts: BTreeMap<ObjectKey, RolloutChild>,
    traffic: Traffic,
    /// Runs that are being let go: the write is on its way, or its retry is due later.
    releasing: BTreeMap<ObjectKey, Option<Task>>,
}

struct ClusterChild {
    child: Child<ClusterMsg>,
    client: Client,
}

struct RolloutChild {
    child: Child<RolloutMsg>,
    /// The uid of the Rollout it was begun for.
    uid: Option<String>,
    facts: HubFacts,
}

impl Actor for RolloutCoordinator {
    type Msg = CoordinatorMsg;
    type State = CoordinatorState;
    type Arguments = (Context, World);

    async fn pre_start(
        &self,
        me: ActorRef<CoordinatorMsg>,
        (context, world): (Context, World),
    ) -> Result<CoordinatorState, ActorProcessingErr> {
        let mut clients = BTreeMap::from([(HUB.to_owned(), world.hub)]);
        clients.extend(world.members.into_iter().map(|member| (member.name, member.client)));
        let mut members: Vec<String> = clients.keys().filter(|name| *name != HUB).cloned().collect();
        if members.is_empty() {
            members.push(HUB.to_owned());
        }
        let clusters = clients.into_iter().map(|(name, client)| {
            let child = Child::new(&context, format!("cluster {name}"));
            (name, ClusterChild { child, client })
        });
        Ok(CoordinatorState {
            clusters: clusters.collect(),
            traffic: Traffic::new(&context, &me, members.clone()),
            context,
            me,
            members,
            class: world.class,
            http: world.http,
            subscriptions: Vec::new(),
            hub: Hub::default(),
            rollouts: BTreeMap::new(),
            releasing: BTreeMap::new(),
        })
    }

    async fn post_start(
        &self,
        _: ActorRef<CoordinatorMsg>,
        state: &mut CoordinatorState,
    ) -> Result<(), ActorProcessingErr> {
        let names: Vec<String> = state.clusters.keys().cloned().collect();
        for name in names {
            state.spawn_cluster(name).await;
        }
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<CoordinatorMsg>,
        message: CoordinatorMsg,
        state: &mut CoordinatorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CoordinatorMsg::Wake => state.take_in().await,
            CoordinatorMsg::RespawnCluster(name) => state.spawn_cluster(name).await,
            CoordinatorMsg::RespawnRollout(key) => state.spawn_rollout(key).await,
            CoordinatorMsg::RespawnTopology(key) => state.spawn_topology(key).await,
            CoordinatorMsg::RespawnRouting(key) => state.spawn_routing(key).await,
            CoordinatorMsg::Released { run, landed } => state.released(run, landed),
            CoordinatorMsg::Inject(path, injury) => state.inject(path, injury),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<CoordinatorMsg>,
        event: SupervisionEvent,
        state: &mut CoordinatorState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some((cell, reason)) = ended(&event) {
            state.lost(cell, &reason);
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<CoordinatorMsg>,
        state: &mut CoordinatorState,
    ) -> Result<(), ActorProcessingErr> {
        for rollout in state.rollouts.values() {
            rollout.child.stop_and_wait().await;
        }
        state.traffic.stop().await;
        for cluster in state.clusters.values() {
            cluster.child.stop_and_wait().await;
        }
        Ok(())
    }
}

impl CoordinatorState {
    /// Begins a cluster's actor, and announces it to everybody who works with that cluster.
    async fn spawn_cluster(&mut self, name: String) {
        let Some(cluster) = self.clusters.get_mut(&name) else { return };
        let args = ClusterArgs { context: self.context.clone(), name: name.clone(), client: cluster.client.clone() };
        let spawned = ClusterActor::spawn_linked(None, ClusterActor, args, self.me.get_cell()).await;
        let (me, again) = (self.me.clone(), name.clone());
        cluster.child.spawned(&self.context, spawned, move || {
            let _ = me.cast(CoordinatorMsg::RespawnCluster(again));
        });
        let Some(actor) = cluster.child.actor().cloned() else { return };
        if name == HUB {
            self.hub.restart();
            self.releasing.clear();
            let subscribe = |subject| {
                let me = self.me.clone();
                Subscription::new(&self.context, &actor, subject, None, move || {
                    let _ = me.cast(CoordinatorMsg::Wake);
                })
            };
            self.subscriptions = Subject::HUB.into_iter().map(subscribe).collect();
        }
        for rollout in self.rollouts.values() {
            rollout.child.cast(RolloutMsg::ClusterUp(name.clone(), actor.clone()));
        }
        self.traffic.cluster_up(&name, &actor);
    }

    /// Takes in what the hub shows, and tells each Rollout's actor what concerns it.
    async fn take_in(&mut self) {
        for subscription in &self.subscriptions {
            for (about, fact) in subscription.drain() {
                for News { rollout, key, fact } in self.hub.take_in(subscription.subject(), about, fact) {
                    if let Some(rollout) = self.rollouts.get(&rollout) {
                        rollout.facts.push(key, fact);
                    }
                }
            }
        }
        // Before all lists are there, absence means nothing.
        if !self.hub.is_listed() {
            return;
        }
        self.release_orphans();
        let (hub, class) = (&self.hub, &self.class);
        let serves = |key: &ObjectKey| hub.rollout(key).is_some_and(|it| decide::class::serves(class, &it.metadata));
        self.rollouts.retain(|key, rollout| {
            // A Rollout that was deleted and made again is another one, with an actor and runs of its own.
            let keep = serves(key) && hub.uid(key) == rollout.uid;
            if !keep {
                tracing::info!(rollout = %key, "rollout is gone");
                rollout.child.stop();
            }
            keep
        });
        let is_new = |key: &ObjectKey| !self.rollouts.contains_key(key) && serves(key);
        let new: Vec<ObjectKey> = hub.rollouts().filter(is_new).collect();
        for key in new {
            let child = Child::new(&self.context, format!("rollout {key}"));
            let uid = self.hub.uid(&key);
            self.rollouts.insert(key.clone(), RolloutChild { child, uid, facts: HubFacts::new() });
            self.spawn_rollout(key).await;
        }
        let (clusters, topologies, routings) =
            (self.cluster_actors(), self.hub.topologies(&self.class), self.hub.routings(&self.class));
        self.traffic.keep(&clusters, &topologies, &routings).await;
    }

    async fn spawn_topology(&mut self, key: ObjectKey) {
        let topologies = self.hub.topologies(&self.class);
        let topology = topologies.get(&key);
        self.traffic.spawn_topology(&self.cluster_actors(), key, topology).await;
    }

    async fn spawn_routing(&mut self, key: ObjectKey) {
        let routings = self.hub.routings(&self.class);
        let routing = routings.get(&key);
        self.traffic.spawn_routing(&self.cluster_actors(), key, routing).await;
    }

    fn cluster_actors(&self) -> BTreeMap<String, ActorRef<ClusterMsg>> {
        let actor_of = |(name, cluster): (&String, &ClusterChild)| Some((name.clone(), cluster.child.actor()?.clone()));
        self.clusters.iter().filter_map(actor_of).collect()
    }

    /// Lets go of deleted runs that no Rollout answers for.
    fn release_orphans(&mut self) {
        let Some(hub) = self.clusters.get(HUB) else { return };
        for write in self.hub.orphans(&self.class) {
            let run = write.target().1.clone();
            if self.releasing.contains_key(&run) {
                continue;
            }
            tracing::info!(object = %run, "a deleted run without a rollout is let go");
            let (me, key) = (self.me.clone(), run.clone());
            let reply = Box::new(move |outcome: Outcome| {
                let _ = me.cast(CoordinatorMsg::Released { run: key, landed: outcome.error().is_none() });
            });
            hub.child.cast(ClusterMsg::Write { request: Request::Hub(write), reply });
            self.releasing.insert(run, None);
        }
    }

    /// A write that failed is tried again later, on what the hub shows then.
    fn released(&mut self, run: ObjectKey, landed: bool) {
        if landed {
            self.releasing.remove(&run);
            // After a pause the run may still be there; after a write that landed it is not.
            return self.release_orphans();
        }
        let (me, key) = (self.me.clone(), run.clone());
        let retry = self.context.after(RELEASE_RETRY, move || {
            let _ = me.cast(CoordinatorMsg::Released { run: key, landed: true });
        });
        self.releasing.insert(run, Some(retry));
    }

    /// Begins a Rollout's actor with everything the hub has for it.
    async fn spawn_rollout(&mut self, key: ObjectKey) {
        let clusters = self.cluster_actors();
        let (Some(child), Some(rollout)) = (self.rollouts.get_mut(&key), self.hub.rollout(&key)) else { return };
        child.facts = HubFacts::new();
        for (about, fact) in self.hub.facts_for(&key) {
            child.facts.push(about, fact);
        }
        let args = RolloutArgs {
            context: self.context.clone(),
            charge: decide::standalone::charge(&key.name).0,
            rollout,
            key: key.clone(),
            hub_facts: child.facts.clone(),
            http: self.http.clone(),
            clusters,
            members: self.members.clone(),
        };
        tracing::info!(rollout = %key, "rollout is taken up");
        let spawned = RolloutActor::spawn_linked(None, RolloutActor, args, self.me.get_cell()).await;
        child.child.spawned(&self.context, spawned, respawn_rollout(&self.me, key));
    }

    /// A child ended. If nobody asked for it, it is begun again later.
    fn lost(&mut self, cell: &ractor::ActorCell, reason: &str) {
        if let Some((key, rollout)) = self.rollouts.iter_mut().find(|(_, rollout)| rollout.child.is(cell)) {
            rollout.child.lost(&self.context, reason, respawn_rollout(&self.me, key.clone()));
        } else if let Some((name, cluster)) = self.clusters.iter_mut().find(|(_, cluster)| cluster.child.is(cell)) {
            let (me, name) = (self.me.clone(), name.clone());
            cluster.child.lost(&self.context, reason, move || {
                let _ = me.cast(CoordinatorMsg::RespawnCluster(name));
            });
        } else {
            self.traffic.lost(cell, reason);
        }
    }

    fn inject(&self, path: ActorPath, injury: Injury) {
        let to_rollout = |key: &ObjectKey, message| {
            if let Some(rollout) = self.rollouts.get(key) {
                rollout.child.cast(message);
            }
        };
        match path {
            ActorPath::Cluster(name) => {
                if let Some(cluster) = self.clusters.get(&name) {
                    cluster.child.cast(ClusterMsg::Injure(injury));
                }
            }
            ActorPath::Rollout(key) => to_rollout(&key, RolloutMsg::Injure(injury)),
            ActorPath::Workload(key, cluster, name) => {
                to_rollout(&key, RolloutMsg::InjureWorkload(cluster, name, injury));
            }
            ActorPath::Topology(key) => self.traffic.injure_topology(&key, injury),
            ActorPath::Routing(key) => self.traffic.tell_routing(&key, RoutingMsg::Injure(injury)),
            ActorPath::Route(key, cluster, name) => {
                self.traffic.tell_routing(&key, RoutingMsg::InjureRoute(cluster, name, injury));
            }
        }
    }
}

fn respawn_rollout(me: &ActorRef<CoordinatorMsg>, key: ObjectKey) -> impl FnOnce() + Send + 'static {
    let me = me.clone();
    move || {
        let _ = me.cast(CoordinatorMsg::RespawnRollout(key));
    }
}
