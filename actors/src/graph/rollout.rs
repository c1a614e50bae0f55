//! The actor of one Rollout and its runs: keeps the view, asks `decide`, and sends what it says.

mod children;
mod hooks;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use self::{children::Children, hooks::Hooks};
use super::{
    Injury,
    child::ended,
    cluster::{ClusterMsg, Outcome},
    effects::{Context, Task},
    inbox::Inbox,
    members::Members,
    project::Projected,
    workload::{Reports, until},
    writes::{Posted, Target, Writes},
};
use crate::{
    api::{BackendRouting, Rollout, RolloutRun, RolloutStrategy, ScaleRun, TrafficTopology},
    decide,
    intent::{Decision, Wait},
    view::{Charge, HookAnswer, ObjectKey, RolloutView, WorkloadId},
    world::Http,
};

/// What the coordinator tells of the hub, by matter. The end of the first lists sorts last, so that a reader of one
/// drain has seen all they contain by then.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HubKey {
    Rollout,
    Run(String),
    ScaleRun,
    Strategy(String),
    Topology(String),
    Routing(String),
    Other(String),
    Listed,
}

/// What the coordinator tells; `None` is an object that is gone.
#[derive(Clone, Debug)]
pub(crate) enum HubFact {
    Rollout(Arc<Rollout>),
    Run(Option<Arc<RolloutRun>>),
    ScaleRun(Option<Arc<ScaleRun>>),
    Strategy(Option<Arc<RolloutStrategy>>),
    Topology(Option<Arc<TrafficTopology>>),
    Routing(Option<Arc<BackendRouting>>),
    /// Whether there is another Rollout of that name.
    Other(bool),
    /// Everything the hub has for this Rollout has been told.
    Listed,
}

/// Where the coordinator puts what it tells.
pub(crate) type HubFacts = Inbox<HubKey, HubFact>;

/// What the actor is told.
pub(crate) enum RolloutMsg {
    /// Something is waiting in an inbox.
    Wake,
    /// A cluster's actor was begun anew.
    ClusterUp(String, ActorRef<ClusterMsg>),
    /// News of a write.
    Posted(Posted),
    /// A hook was answered, or could not be asked.
    Hook(Box<HookAnswer>),
    /// The time has come that the last decision asked for.
    Timer,
    RespawnWorkload(WorkloadId),
    InjureWorkload(String, String, Injury),
    Injure(Injury),
}

/// The actor.
pub(crate) struct RolloutActor;

/// What it begins with.
pub(crate) struct RolloutArgs {
    pub(crate) context: Context,
    pub(crate) charge: Charge,
    pub(crate) rollout: Arc<Rollout>,
    pub(crate) key: ObjectKey,
    pub(crate) hub_facts: HubFacts,
    /// The way to hooks.
    pub(crate) http: Arc<dyn Http>,
    /// The actors of all clusters, the hub's under the empty name.
    pub(crate) clusters: BTreeMap<String, ActorRef<ClusterMsg>>,
    /// The names of those that hold workloads.
    pub(crate) members: Vec<String>,
}

/// Its state.
pub(crate) struct RolloutState {
    context: Context,
    me: ActorRef<RolloutMsg>,
    key: ObjectKey,
    hub_facts: HubFacts,
    reports: Reports,
    clusters: BTreeMap<String, ActorRef<ClusterMsg>>,
    strategies: BTreeMap<String, Arc<RolloutStrategy>>,
    listed: bool,
    view: RolloutView,
    members: Members,
    children: Children,
    writes: Writes,
    hooks: Hooks,
    wake: Option<(Timestamp, Task)>,
    waits: Vec<Wait>,
}

impl Actor for RolloutActor {
    type Msg = RolloutMsg;
    type State = RolloutState;
    type Arguments = RolloutArgs;

    async fn pre_start(&self, me: ActorRef<RolloutMsg>, args: RolloutArgs) -> Result<RolloutState, ActorProcessingErr> {
        let RolloutArgs { context, charge, rollout, key, hub_facts, http, clusters, members } = args;
        let wake = || {
            let me = me.clone();
            move || {
                let _ = me.cast(RolloutMsg::Wake);
            }
        };
        let reports = Reports::new();
        reports.attach(wake());
        hub_facts.attach(wake());
        let view = RolloutView {
            charge,
            scale: None,
            rollout,
            strategy: None,
            topologies: BTreeMap::new(),
            routings: BTreeMap::new(),
            runs: BTreeMap::new(),
            create_error: None,
            other_rollouts: BTreeSet::new(),
            members: BTreeMap::new(),
            hook_answer: None,
        };
        Ok(RolloutState {
            members: Members::new(&context, members, key.namespace.clone(), wake()),
            children: Children::new(&context, &me, &key, &reports),
            writes: Writes::new(&context, &key, posts(&me)),
            hooks: Hooks::new(&context, &me, http),
            context,
            me,
            key,
            hub_facts,
            reports,
            clusters,
            strategies: BTreeMap::new(),
            listed: false,
            view,
            wake: None,
            waits: Vec::new(),
        })
    }

    async fn handle(
        &self,
        me: ActorRef<RolloutMsg>,
        message: RolloutMsg,
        state: &mut RolloutState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RolloutMsg::Wake => state.take_in(),
            RolloutMsg::ClusterUp(name, cluster) => state.cluster_up(name, cluster),
            RolloutMsg::Posted(Posted::Written { target, serial, outcome }) => state.written(&target, serial, outcome),
            RolloutMsg::Hook(answer) => {
                state.hooks.answered(&answer);
                state.view.hook_answer = Some(*answer);
            }
            RolloutMsg::Timer => state.wake = None,
            RolloutMsg::Posted(Posted::Retry(target)) => state.writes.release(&target),
            RolloutMsg::RespawnWorkload(id) => state.children.spawn_workload(&state.clusters, id).await,
            RolloutMsg::InjureWorkload(cluster, name, injury) => {
                state.children.injure_workload(&(cluster, name), injury);
            }
            RolloutMsg::Injure(injury) => {
                injury.inflict(&me);
                return Ok(());
            }
        }
        state.step().await;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<RolloutMsg>,
        event: SupervisionEvent,
        state: &mut RolloutState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some((cell, reason)) = ended(&event)
            && let Some(id) = state.children.lost(cell, &reason)
            && let Some(member) = state.view.members.get_mut(&id.cluster)
        {
            member.reports.remove(&id);
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RolloutMsg>, state: &mut RolloutState) -> Result<(), ActorProcessingErr> {
        state.children.stop().await;
        tracing::debug!(rollout = %state.key, "rollout ends");
        Ok(())
    }
}

impl RolloutState {
    /// Takes in everything that is waiting.
    fn take_in(&mut self) {
        for (key, fact) in self.hub_facts.drain() {
            self.take_in_hub(key, fact);
        }
        self.members.take_in(&mut self.view.members);
        for (id, report) in self.reports.drain() {
            if self.children.has_workload(&id)
                && let Some(member) = self.view.members.get_mut(&id.cluster)
            {
                member.reports.insert(id, report);
            }
        }
    }

    fn take_in_hub(&mut self, key: HubKey, fact: HubFact) {
        match (key, fact) {
            (_, HubFact::Rollout(rollout)) => self.view.rollout = rollout,
            (HubKey::Run(name), HubFact::Run(run)) => set(&mut self.view.runs, name, run),
            (_, HubFact::ScaleRun(run)) => self.view.scale = run,
            (HubKey::Strategy(name), HubFact::Strategy(strategy)) => set(&mut self.strategies, name, strategy),
            (HubKey::Topology(name), HubFact::Topology(topology)) => set(&mut self.view.topologies, name, topology),
            (HubKey::Routing(name), HubFact::Routing(routing)) => set(&mut self.view.routings, name, routing),
            (HubKey::Other(name), HubFact::Other(true)) => {
                self.view.other_rollouts.insert(name);
            }
            (HubKey::Other(name), HubFact::Other(false)) => {
                self.view.other_rollouts.remove(&name);
            }
            (HubKey::Listed, _) => self.listed = true,
            _ => {}
        }
    }

    fn cluster_up(&mut self, name: String, cluster: ActorRef<ClusterMsg>) {
        self.children.cluster_up(&name, &cluster);
        self.members.cluster_up(&name);
        self.writes.cluster_up(&name);
        self.clusters.insert(name, cluster);
    }

    fn written(&mut self, target: &Target, serial: u64, outcome: Outcome) {
        let Some(settled) = self.writes.settle(&self.clusters, target, serial, &outcome) else { return };
        if settled.was_create {
            self.view.create_error = match outcome {
                Outcome::Unreachable(_) | Outcome::Conflict(_) => self.view.create_error.take(),
                _ => outcome.error(),
            };
        }
        match outcome {
            Outcome::Done(object) | Outcome::Conflict(Some(object)) => self.see(object),
            Outcome::Deleted { key, uid } => {
                self.view.runs.retain(|name, run| *name != key.name || run.metadata.uid.as_ref() != Some(&uid));
            }
            _ => {}
        }
    }

    /// Own writes are seen at once, before the watch shows them; but what the watch has shown since is newer.
    fn see(&mut self, object: Projected) {
        let known = match &object {
            Projected::Rollout(_) => Some(Projected::Rollout(self.view.rollout.clone())),
            Projected::RolloutRun(run) => {
                let known = run.metadata.name.as_ref().and_then(|name| self.view.runs.get(name));
                known.cloned().map(Projected::RolloutRun)
            }
            Projected::ScaleRun(_) => self.view.scale.clone().map(Projected::ScaleRun),
            Projected::BackendRouting(routing) => {
                let known = routing.metadata.name.as_ref().and_then(|name| self.view.routings.get(name));
                known.cloned().map(Projected::BackendRouting)
            }
            _ => None,
        };
        if known.is_some_and(|known| object.precedes(&known)) {
            return;
        }
        match object {
            Projected::Rollout(rollout) => self.view.rollout = rollout,
            Projected::RolloutRun(run) => {
                self.view.runs.insert(run.metadata.name.clone().unwrap_or_default(), run);
            }
            Projected::ScaleRun(run) => self.view.scale = Some(run),
            Projected::BackendRouting(routing) => {
                self.view.routings.insert(routing.metadata.name.clone().unwrap_or_default(), routing);
            }
            _ => {}
        }
    }

    /// One round: decide on what is known, and send what the decision says.
    async fn step(&mut self) {
        if !self.listed {
            return;
        }
        let kinds = decide::kinds::watched(&self.view);
        self.members.subscribe(&self.clusters, &kinds, &mut self.view.members);
        self.view.strategy = self.strategies.get(&self.view.rollout.spec.strategy_ref).cloned();
        let now = self.context.now();
        let Decision { writes, goals, hook, notices, waits, wake } = decide::rollout(&self.view, now);
        self.writes.send(&self.clusters, writes, notices);
        self.children.assign(&self.clusters, goals, &mut self.view.members).await;
        self.hooks.ask(hook);
        self.set_wake(wake, now);
        if waits != self.waits {
            tracing::debug!(rollout = %self.key, ?waits, "waits changed");
            self.waits = waits;
        }
    }

    fn set_wake(&mut self, wake: Option<(Timestamp, &'static str)>, now: Timestamp) {
        if self.wake.as_ref().map(|(at, _)| *at) == wake.map(|(at, _)| at) {
            return;
        }
        self.wake = wake.map(|(at, reason)| {
            tracing::debug!(rollout = %self.key, %at, reason, "will decide again");
            let me = self.me.clone();
            let timer = self.context.after(until(at, now), move || {
                let _ = me.cast(RolloutMsg::Timer);
            });
            (at, timer)
        });
    }
}

fn posts(me: &ActorRef<RolloutMsg>) -> impl Fn(Posted) + Send + Sync + 'static {
    let me = me.clone();
    move |posted| {
        let _ = me.cast(RolloutMsg::Posted(posted));
    }
}

pub(crate) fn set<V>(map: &mut BTreeMap<String, V>, name: String, value: Option<V>) {
    match value {
        Some(value) => map.insert(name, value),
        None => map.remove(&name),
    };
}
