//! The actor of one TrafficTopology: keeps the view, asks `decide`, and sends what it says.

use std::{collections::BTreeMap, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::{
    Injury,
    cluster::{About, ClusterMsg, Fact, Listing, Outcome, Subscription},
    effects::Context,
    members::Members,
    mirror::Mirror,
    project::Projected,
    subject::Subject,
    writes::{Posted, Target, Writes},
};
use crate::{
    api::{BackendRouting, TrafficTopology},
    decide,
    view::{ObjectKey, TopologyView},
};

/// What the actor is told.
pub(crate) enum TopologyMsg {
    /// Something is waiting in an inbox.
    Wake,
    /// A cluster's actor was begun anew.
    ClusterUp(String, ActorRef<ClusterMsg>),
    /// News of a write.
    Posted(Posted),
    Injure(Injury),
}

/// The actor.
pub(crate) struct TopologyActor;

/// What it begins with.
pub(crate) struct TopologyArgs {
    pub(crate) context: Context,
    pub(crate) topology: Arc<TrafficTopology>,
    pub(crate) key: ObjectKey,
    /// The actors of all clusters, the hub's under the empty name.
    pub(crate) clusters: BTreeMap<String, ActorRef<ClusterMsg>>,
    /// The names of those that hold workloads.
    pub(crate) members: Vec<String>,
}

/// Its state.
pub(crate) struct TopologyState {
    context: Context,
    me: ActorRef<TopologyMsg>,
    key: ObjectKey,
    clusters: BTreeMap<String, ActorRef<ClusterMsg>>,
    topologies: Option<Subscription>,
    routings: Option<Subscription>,
    known: Mirror<String, Arc<BackendRouting>>,
    members: Members,
    view: TopologyView,
    writes: Writes,
}

impl Actor for TopologyActor {
    type Msg = TopologyMsg;
    type State = TopologyState;
    type Arguments = TopologyArgs;

    async fn pre_start(
        &self,
        me: ActorRef<TopologyMsg>,
        args: TopologyArgs,
    ) -> Result<TopologyState, ActorProcessingErr> {
        let TopologyArgs { context, topology, key, clusters, members } = args;
        let post = {
            let me = me.clone();
            move |posted| {
                let _ = me.cast(TopologyMsg::Posted(posted));
            }
        };
        let mut state = TopologyState {
            members: Members::new(&context, members, key.namespace.clone(), waker(&me)),
            writes: Writes::new(&context, &key, post),
            context,
            me,
            key,
            clusters,
            topologies: None,
            routings: None,
            known: Mirror::default(),
            view: TopologyView {
                topology,
                routings: BTreeMap::new(),
                errors: BTreeMap::new(),
                members: BTreeMap::new(),
            },
        };
        state.subscribe();
        Ok(state)
    }

    async fn handle(
        &self,
        me: ActorRef<TopologyMsg>,
        message: TopologyMsg,
        state: &mut TopologyState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TopologyMsg::Wake => state.take_in(),
            TopologyMsg::ClusterUp(name, cluster) => state.cluster_up(name, cluster),
            TopologyMsg::Posted(Posted::Written { target, serial, outcome }) => {
                state.written(&target, serial, outcome);
            }
            TopologyMsg::Posted(Posted::Retry(target)) => state.writes.release(&target),
            TopologyMsg::Injure(injury) => {
                injury.inflict(&me);
                return Ok(());
            }
        }
        state.step();
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<TopologyMsg>, state: &mut TopologyState) -> Result<(), ActorProcessingErr> {
        tracing::debug!(topology = %state.key, "topology ends");
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<TopologyMsg>,
        _: SupervisionEvent,
        _: &mut TopologyState,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

fn waker(me: &ActorRef<TopologyMsg>) -> impl Fn() + Send + Sync + 'static {
    let me = me.clone();
    move || {
        let _ = me.cast(TopologyMsg::Wake);
    }
}

impl TopologyState {
    fn subscribe(&mut self) {
        let Some(hub) = self.clusters.get("") else { return };
        let to =
            |subject| Subscription::new(&self.context, hub, subject, Some(self.key.namespace.clone()), waker(&self.me));
        self.topologies = Some(to(Subject::TrafficTopologies));
        self.routings = Some(to(Subject::BackendRoutings));
    }

    fn take_in(&mut self) {
        for (about, fact) in self.topologies.as_ref().map(Subscription::drain).unwrap_or_default() {
            // One that is gone or is another is the coordinator's business.
            if let (About::Object(key), Fact::Object(Some(Projected::TrafficTopology(topology)))) = (about, fact)
                && key == self.key
                && topology.metadata.uid == self.view.topology.metadata.uid
            {
                self.view.topology = topology;
            }
        }
        for (about, fact) in self.routings.as_ref().map(Subscription::drain).unwrap_or_default() {
            match (about, fact) {
                (About::Object(key), Fact::Object(object)) => {
                    let routing = match object {
                        Some(Projected::BackendRouting(routing)) => Some(routing),
                        _ => None,
                    };
                    self.known.set(key.name, routing);
                }
                (_, Fact::Listing(Listing::Complete)) => {
                    self.known.complete();
                }
                _ => {}
            }
        }
        self.view.routings.clone_from(self.known.items());
        self.members.take_in(&mut self.view.members);
    }

    fn cluster_up(&mut self, name: String, cluster: ActorRef<ClusterMsg>) {
        self.members.cluster_up(&name);
        self.writes.cluster_up(&name);
        let is_hub = name.is_empty();
        self.clusters.insert(name, cluster);
        if is_hub {
            self.known.restart();
            self.subscribe();
        }
    }

    fn written(&mut self, target: &Target, serial: u64, outcome: Outcome) {
        let Some(settled) = self.writes.settle(&self.clusters, target, serial, &outcome) else { return };
        if settled.was_create {
            let name = target.key.name.clone();
            match &outcome {
                Outcome::Unreachable(_) | Outcome::Conflict(_) => {}
                outcome => super::rollout::set(&mut self.view.errors, name, outcome.error()),
            }
        }
        // Own writes are seen at once; but what the watch has shown since is newer.
        match outcome {
            Outcome::Done(Projected::TrafficTopology(topology))
            | Outcome::Conflict(Some(Projected::TrafficTopology(topology))) => {
                let known = Projected::TrafficTopology(self.view.topology.clone());
                if !Projected::TrafficTopology(topology.clone()).precedes(&known) {
                    self.view.topology = topology;
                }
            }
            Outcome::Done(Projected::BackendRouting(routing))
            | Outcome::Conflict(Some(Projected::BackendRouting(routing))) => {
                let name = target.key.name.clone();
                let known = self.known.items().get(&name).cloned().map(Projected::BackendRouting);
                if !known.is_some_and(|known| Projected::BackendRouting(routing.clone()).precedes(&known)) {
                    self.known.set(name, Some(routing));
                }
            }
            Outcome::Deleted { key, .. } => {
                self.known.set(key.name, None);
            }
            _ => {}
        }
        self.view.routings.clone_from(self.known.items());
    }

    fn step(&mut self) {
        if !self.known.is_listed() {
            return;
        }
        let kinds = decide::topology::kind(&self.view.topology).into_iter().collect();
        self.members.subscribe(&self.clusters, &kinds, &mut self.view.members);
        let decision = decide::topology(&self.view, self.context.now());
        self.writes.send(&self.clusters, decision.writes, Vec::new());
    }
}
