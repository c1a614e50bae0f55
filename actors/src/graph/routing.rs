//! The actor of one BackendRouting: keeps the view of its backend and routes, asks `decide`, and sends what it says.

mod backends;
mod behind;
mod routes;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use self::{backends::Backends, routes::Routes};
use super::{
    Injury,
    child::ended,
    cluster::{About, ClusterMsg, Fact, Outcome, Request, Subscription},
    effects::{Context, Task},
    project::Projected,
    route::RouteReports,
    subject::Subject,
    workload::until,
    writes::{Posted, Target, Writes},
};
use crate::{
    api::BackendRouting,
    decide,
    intent::{MemberWrite, RoutingDecision},
    view::{ObjectKey, RouteId, RoutingView},
};

/// What the actor is told.
pub(crate) enum RoutingMsg {
    /// Something is waiting in an inbox.
    Wake,
    /// A cluster's actor was begun anew.
    ClusterUp(String, ActorRef<ClusterMsg>),
    /// News of a write.
    Posted(Posted),
    /// The time has come that the last decision asked for.
    Timer,
    RespawnRoute(RouteId),
    InjureRoute(String, String, Injury),
    Injure(Injury),
}

/// The actor.
pub(crate) struct RoutingActor;

/// What it begins with.
pub(crate) struct RoutingArgs {
    pub(crate) context: Context,
    pub(crate) routing: Arc<BackendRouting>,
    pub(crate) key: ObjectKey,
    /// The actors of all clusters, the hub's under the empty name.
    pub(crate) clusters: BTreeMap<String, ActorRef<ClusterMsg>>,
}

/// Its state.
pub(crate) struct RoutingState {
    context: Context,
    me: ActorRef<RoutingMsg>,
    key: ObjectKey,
    clusters: BTreeMap<String, ActorRef<ClusterMsg>>,
    subscription: Option<Subscription>,
    backends: Backends,
    routes: Routes,
    view: RoutingView,
    writes: Writes,
    wake: Option<(Timestamp, Task)>,
}

impl Actor for RoutingActor {
    type Msg = RoutingMsg;
    type State = RoutingState;
    type Arguments = RoutingArgs;

    async fn pre_start(&self, me: ActorRef<RoutingMsg>, args: RoutingArgs) -> Result<RoutingState, ActorProcessingErr> {
        let RoutingArgs { context, routing, key, clusters } = args;
        let post = {
            let me = me.clone();
            move |posted| {
                let _ = me.cast(RoutingMsg::Posted(posted));
            }
        };
        let reports = RouteReports::new();
        reports.attach(waker(&me));
        let mut state = RoutingState {
            backends: Backends::new(&context, key.namespace.clone(), waker(&me)),
            routes: Routes::new(&context, &me, &key, reports),
            writes: Writes::new(&context, &key, post),
            context,
            me,
            key,
            clusters,
            subscription: None,
            view: RoutingView {
                routing,
                health: None,
                backends: BTreeMap::new(),
                ready: BTreeMap::new(),
                errors: BTreeMap::new(),
                routes: BTreeMap::new(),
                members: BTreeMap::new(),
                imports: None,
            },
            wake: None,
        };
        state.subscribe();
        Ok(state)
    }

    async fn handle(
        &self,
        me: ActorRef<RoutingMsg>,
        message: RoutingMsg,
        state: &mut RoutingState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RoutingMsg::Wake => state.take_in(),
            RoutingMsg::ClusterUp(name, cluster) => state.cluster_up(name, cluster),
            RoutingMsg::Posted(Posted::Written { target, serial, outcome }) => state.written(&target, serial, outcome),
            RoutingMsg::Posted(Posted::Retry(target)) => state.writes.release(&target),
            RoutingMsg::Timer => state.wake = None,
            RoutingMsg::RespawnRoute(id) => state.routes.spawn(&state.clusters, id).await,
            RoutingMsg::InjureRoute(cluster, name, injury) => state.routes.injure(&cluster, &name, injury),
            RoutingMsg::Injure(injury) => {
                injury.inflict(&me);
                return Ok(());
            }
        }
        state.step().await;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<RoutingMsg>,
        event: SupervisionEvent,
        state: &mut RoutingState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some((cell, reason)) = ended(&event)
            && let Some(id) = state.routes.lost(cell, &reason)
        {
            state.view.routes.remove(&id);
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RoutingMsg>, state: &mut RoutingState) -> Result<(), ActorProcessingErr> {
        state.routes.stop().await;
        tracing::debug!(routing = %state.key, "routing ends");
        Ok(())
    }
}

fn waker(me: &ActorRef<RoutingMsg>) -> impl Fn() + Send + Sync + 'static {
    let me = me.clone();
    move || {
        let _ = me.cast(RoutingMsg::Wake);
    }
}

impl RoutingState {
    fn subscribe(&mut self) {
        let Some(hub) = self.clusters.get("") else { return };
        let namespace = Some(self.key.namespace.clone());
        let subject = Subject::BackendRoutings;
        self.subscription = Some(Subscription::new(&self.context, hub, subject, namespace, waker(&self.me)));
    }

    fn take_in(&mut self) {
        for (about, fact) in self.subscription.as_ref().map(Subscription::drain).unwrap_or_default() {
            // One that is gone or is another is the coordinator's business.
            if let (About::Object(key), Fact::Object(Some(Projected::BackendRouting(routing)))) = (about, fact)
                && key == self.key
                && routing.metadata.uid == self.view.routing.metadata.uid
            {
                self.view.routing = routing;
            }
        }
        self.backends.take_in(&mut self.view);
        self.routes.take_in(&mut self.view.routes);
    }

    fn cluster_up(&mut self, name: String, cluster: ActorRef<ClusterMsg>) {
        self.backends.cluster_up(&name);
        self.routes.cluster_up(&name, &cluster);
        self.writes.cluster_up(&name);
        let is_hub = name.is_empty();
        self.clusters.insert(name, cluster);
        if is_hub {
            self.subscribe();
        }
    }

    fn written(&mut self, target: &Target, serial: u64, outcome: Outcome) {
        if self.writes.settle(&self.clusters, target, serial, &outcome).is_none() {
            return;
        }
        if let Some(member) = self.view.members.get_mut(&target.cluster) {
            super::rollout::set(&mut member.errors, format!("{} {}", target.kind, target.key.name), outcome.error());
        } else if target.kind == backends::kind(&self.view.routing.spec.backend) {
            super::rollout::set(&mut self.view.errors, target.key.name.clone(), outcome.error());
        }
        // Own writes to the BackendRouting are seen at once; but what the watch has shown since is newer.
        if let Outcome::Done(Projected::BackendRouting(routing))
        | Outcome::Conflict(Some(Projected::BackendRouting(routing))) = outcome
        {
            let known = Projected::BackendRouting(self.view.routing.clone());
            if !Projected::BackendRouting(routing.clone()).precedes(&known) {
                self.view.routing = routing;
            }
        }
    }

    /// One round: decide on what is known, and send what the decision says.
    async fn step(&mut self) {
        self.backends.subscribe(&self.clusters, &mut self.view);
        let now = self.context.now();
        let RoutingDecision { write, backends, members, routes, notices, wake } = decide::routing(&self.view, now);
        self.writes.send(&self.clusters, write.into_iter().collect(), notices);
        for write in backends {
            let cluster = self.view.routing.spec.backend.cluster.clone();
            let subject = backends::subject(&self.view.routing.spec.backend, &self.key.namespace);
            let kind = backends::kind(&self.view.routing.spec.backend);
            let target = Target { cluster, kind, key: write.key().clone() };
            self.writes.send_to(&self.clusters, target, Request::Backend { subject, write }, false);
        }
        for MemberWrite { cluster, export, write } in members {
            let kind = if export { backends::EXPORT } else { backends::SERVICE };
            let subject = backends::member_subject(export, &self.key.namespace);
            let target = Target { cluster, kind, key: write.key().clone() };
            self.writes.send_to(&self.clusters, target, Request::Backend { subject, write }, false);
        }
        self.routes.assign(&self.clusters, routes, &mut self.view.routes).await;
        self.set_wake(wake, now);
    }

    fn set_wake(&mut self, wake: Option<(Timestamp, &'static str)>, now: Timestamp) {
        if self.wake.as_ref().map(|(at, _)| *at) == wake.map(|(at, _)| at) {
            return;
        }
        self.wake = wake.map(|(at, reason)| {
            tracing::debug!(routing = %self.key, %at, reason, "will decide again");
            let me = self.me.clone();
            let timer = self.context.after(until(at, now), move || {
                let _ = me.cast(RoutingMsg::Timer);
            });
            (at, timer)
        });
    }
}
