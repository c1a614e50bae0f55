//! The actor of one route in one cluster. In this version it only observes.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::{
    Injury,
    cluster::{About, ClusterMsg, Fact, Subscription},
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
    /// The cluster's name.
    pub(crate) place: String,
    pub(crate) name: String,
    pub(crate) cluster: ActorRef<ClusterMsg>,
}

/// Its state.
pub(crate) struct RouteState {
    context: Context,
    me: ActorRef<RouteMsg>,
    rollout: ObjectKey,
    kind: RouteKind,
    cluster: String,
    key: ObjectKey,
    subscription: Subscription,
    route: Option<Arc<Route>>,
}

impl Actor for RouteActor {
    type Msg = RouteMsg;
    type State = RouteState;
    type Arguments = RouteArgs;

    async fn pre_start(&self, me: ActorRef<RouteMsg>, args: RouteArgs) -> Result<RouteState, ActorProcessingErr> {
        let RouteArgs { context, rollout, kind, place, name, cluster } = args;
        let key = ObjectKey { namespace: rollout.namespace.clone(), name };
        let subscription = subscribe(&context, &me, &cluster, kind, &key);
        Ok(RouteState { context, me, rollout, kind, cluster: place, key, subscription, route: None })
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
                state.subscription = subscribe(&state.context, &state.me, &cluster, state.kind, &state.key);
            }
            RouteMsg::Injure(injury) => injury.inflict(&me),
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RouteMsg>, state: &mut RouteState) -> Result<(), ActorProcessingErr> {
        tracing::debug!(rollout = %state.rollout, cluster = state.cluster, object = %state.key, "route ends");
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
    me: &ActorRef<RouteMsg>,
    cluster: &ActorRef<ClusterMsg>,
    kind: RouteKind,
    key: &ObjectKey,
) -> Subscription {
    let subject = Subject::Routes { kind, namespace: key.namespace.clone() };
    let me = me.clone();
    Subscription::new(context, cluster, subject, None, move || {
        let _ = me.cast(RouteMsg::Wake);
    })
}

impl RouteState {
    fn take_in(&mut self) {
        for (about, fact) in self.subscription.drain() {
            let (About::Object(key), Fact::Object(object)) = (about, fact) else { continue };
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
                tracing::debug!(rollout = %self.rollout, cluster = self.cluster, object = %key, ?accepted, "route acceptance changed");
            }
            self.route = route;
        }
    }
}
