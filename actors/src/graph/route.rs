//! The actor of one route in one cluster. In this version it only observes.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::{
    Injury,
    cluster::{About, ClusterMsg, Fact, Facts, Subscription},
    effects::Context,
    project::Projected,
    subject::{RouteKind, Subject},
};
use crate::view::{ObjectKey, Route};

/// What the actor is told.
pub(crate) enum RouteMsg {
    /// A fact is waiting.
    Wake,
    /// The cluster's actor was begun anew.
    ClusterUp(ActorRef<ClusterMsg>),
    Injure(Injury),
}

/// The actor.
pub(crate) struct RouteActor;

/// What it begins with.
pub(crate) struct RouteArgs {
    pub(crate) context: Context,
    pub(crate) rollout: ObjectKey,
    pub(crate) kind: RouteKind,
    pub(crate) name: String,
    pub(crate) cluster: ActorRef<ClusterMsg>,
}

/// Its state.
pub(crate) struct RouteState {
    context: Context,
    rollout: ObjectKey,
    kind: RouteKind,
    key: ObjectKey,
    facts: Facts,
    subscription: Subscription,
    route: Option<Arc<Route>>,
}

impl Actor for RouteActor {
    type Msg = RouteMsg;
    type State = RouteState;
    type Arguments = RouteArgs;

    async fn pre_start(&self, me: ActorRef<RouteMsg>, args: RouteArgs) -> Result<RouteState, ActorProcessingErr> {
        let RouteArgs { context, rollout, kind, name, cluster } = args;
        let facts = Facts::new();
        facts.attach(move || {
            let _ = me.cast(RouteMsg::Wake);
        });
        let key = ObjectKey { namespace: rollout.namespace.clone(), name };
        let subscription = subscribe(&context, &cluster, kind, &key, &facts);
        Ok(RouteState { context, rollout, kind, key, facts, subscription, route: None })
    }

    async fn handle(
        &self,
        me: ActorRef<RouteMsg>,
        message: RouteMsg,
        state: &mut RouteState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RouteMsg::Wake => state.take_in(),
            RouteMsg::ClusterUp(cluster) => {
                state.subscription = subscribe(&state.context, &cluster, state.kind, &state.key, &state.facts);
            }
            RouteMsg::Injure(injury) => injury.inflict(&me),
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RouteMsg>, state: &mut RouteState) -> Result<(), ActorProcessingErr> {
        tracing::debug!(rollout = %state.rollout, object = %state.key, "route ends");
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<RouteMsg>,
        _: SupervisionEvent,
        _: &mut RouteState,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

fn subscribe(
    context: &Context,
    cluster: &ActorRef<ClusterMsg>,
    kind: RouteKind,
    key: &ObjectKey,
    facts: &Facts,
) -> Subscription {
    let subject = Subject::Routes { kind, namespace: key.namespace.clone() };
    Subscription::new(context, cluster, subject, None, facts.clone())
}

impl RouteState {
    fn take_in(&mut self) {
        for ((cluster, about), fact) in self.facts.drain() {
            let (About::Object(_, key), Fact::Object(object)) = (about, fact) else { continue };
            if key != self.key {
                continue;
            }
            let route = match object {
                Some(Projected::Route(route)) => Some(route),
                _ => None,
            };
            let accepted = |route: &Option<Arc<Route>>| route.as_ref().map(|route| route.accepted);
            if accepted(&route) != accepted(&self.route) {
                let accepted = accepted(&route);
                tracing::debug!(rollout = %self.rollout, cluster, object = %key, ?accepted, "route acceptance changed");
            }
            self.route = route;
        }
    }
}
