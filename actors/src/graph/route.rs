//! The actor of one route in one cluster: brings our part of it to its goal, and reports what the route is.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::{
    Injury,
    backoff::Backoff,
    cluster::{About, ClusterMsg, Fact, Listing, Outcome, Request, Subscription},
    effects::{Context, Task},
    inbox::Inbox,
    project::Projected,
    subject::Subject,
};
use crate::{
    decide,
    intent::{RouteGoal, RouteWrite},
    view::{ObjectKey, Route, RouteId, RouteKind, RouteReport},
};

/// The first pause after a write that failed.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest one.
const RETRY_CAP: Duration = Duration::from_secs(30);

/// Reports, by route.
pub(crate) type RouteReports = Inbox<RouteId, RouteReport>;

/// What the actor is told.
pub(crate) enum RouteMsg {
    /// A goal or a fact is waiting.
    Wake,
    /// The cluster's actor was begun anew.
    ClusterUp(ActorRef<ClusterMsg>),
    Written {
        serial: u64,
        outcome: Outcome,
    },
    /// The pause after a failed write is over.
    Retry,
    Injure(Injury),
}

/// The actor.
pub(crate) struct RouteActor;

/// What it begins with.
pub(crate) struct RouteArgs {
    pub(crate) context: Context,
    /// The BackendRouting.
    pub(crate) routing: ObjectKey,
    pub(crate) id: RouteId,
    pub(crate) goal: RouteGoal,
    pub(crate) goals: Inbox<(), RouteGoal>,
    pub(crate) reports: RouteReports,
    pub(crate) cluster: ActorRef<ClusterMsg>,
}

/// Its state.
pub(crate) struct RouteState {
    context: Context,
    me: ActorRef<RouteMsg>,
    routing: ObjectKey,
    id: RouteId,
    key: ObjectKey,
    goal: RouteGoal,
    goals: Inbox<(), RouteGoal>,
    reports: RouteReports,
    cluster: ActorRef<ClusterMsg>,
    subscription: Subscription,
    listed: bool,
    route: Option<Arc<Route>>,
    /// Other Ingresses that matter to this one, by name.
    canaries: BTreeMap<String, Arc<Route>>,
    in_flight: Option<u64>,
    retry: Option<Task>,
    backoff: Backoff,
    /// The last write's error, until one succeeds or none is needed.
    error: Option<String>,
    /// What was reported last.
    told: Option<RouteReport>,
}

impl Actor for RouteActor {
    type Msg = RouteMsg;
    type State = RouteState;
    type Arguments = RouteArgs;

    async fn pre_start(&self, me: ActorRef<RouteMsg>, args: RouteArgs) -> Result<RouteState, ActorProcessingErr> {
        let RouteArgs { context, routing, id, goal, goals, reports, cluster } = args;
        let key = ObjectKey { namespace: routing.namespace.clone(), name: id.name.clone() };
        goals.attach(waker(&me));
        let backoff =
            context.backoff(&format!("write {} {} {key}", id.cluster, id.kind.kind()), RETRY_FIRST, RETRY_CAP);
        Ok(RouteState {
            subscription: subscribe(&context, &me, &cluster, &id, &key),
            context,
            me,
            routing,
            id,
            key,
            goal,
            goals,
            reports,
            cluster,
            listed: false,
            route: None,
            canaries: BTreeMap::new(),
            in_flight: None,
            retry: None,
            backoff,
            error: None,
            told: None,
        })
    }

    async fn handle(
        &self,
        me: ActorRef<RouteMsg>,
        message: RouteMsg,
        state: &mut RouteState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RouteMsg::Wake => state.take_in(),
            RouteMsg::ClusterUp(cluster) => state.cluster_up(cluster),
            RouteMsg::Written { serial, outcome } => state.written(serial, outcome),
            RouteMsg::Retry => state.retry = None,
            RouteMsg::Injure(injury) => injury.inflict(&me),
        }
        state.decide();
        state.tell();
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RouteMsg>, state: &mut RouteState) -> Result<(), ActorProcessingErr> {
        tracing::debug!(routing = %state.routing, cluster = state.id.cluster, object = %state.key, "route ends");
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

fn waker(me: &ActorRef<RouteMsg>) -> impl Fn() + Send + 'static {
    let me = me.clone();
    move || {
        let _ = me.cast(RouteMsg::Wake);
    }
}

fn subscribe(
    context: &Context,
    me: &ActorRef<RouteMsg>,
    cluster: &ActorRef<ClusterMsg>,
    id: &RouteId,
    key: &ObjectKey,
) -> Subscription {
    Subscription::new(context, cluster, subject(id, key), None, waker(me))
}

/// The watch that shows the route, and its canary if it is an Ingress.
fn subject(id: &RouteId, key: &ObjectKey) -> Subject {
    Subject::Routes { kind: id.kind, namespace: key.namespace.clone() }
}

impl RouteState {
    fn take_in(&mut self) {
        if let Some(goal) = self.goals.drain().remove(&()) {
            self.goal = goal;
        }
        for (about, fact) in self.subscription.drain() {
            match (about, fact) {
                (About::Object(key), Fact::Object(object)) => match object {
                    Some(Projected::Route(route)) => self.show(&key, Some(route)),
                    _ => self.show(&key, None),
                },
                // Where the kind is not served there is no such route.
                (_, Fact::Listing(listing)) => {
                    self.listed = matches!(listing, Listing::Complete | Listing::NotServed);
                }
                _ => {}
            }
        }
    }

    /// Takes in how a route is now: the actor's own, or another Ingress that matters to it.
    fn show(&mut self, key: &ObjectKey, route: Option<Arc<Route>>) {
        if *key == self.key {
            self.route = route;
            return;
        }
        let may_be_canary = |route: &Arc<Route>| decide::route::may_be_canary(route, &self.key.name);
        match route.filter(|route| self.id.kind == RouteKind::Ingress && may_be_canary(route)) {
            Some(route) => drop(self.canaries.insert(key.name.clone(), route)),
            None => drop(self.canaries.remove(&key.name)),
        }
    }

    /// What is known of the route. An Ingress is known once the others are, of which one may be its canary.
    fn report(&self) -> RouteReport {
        let is_known = self.listed || self.id.kind != RouteKind::Ingress;
        RouteReport {
            listed: self.listed,
            route: self.route.clone().filter(|_| is_known),
            canaries: self.canaries.values().cloned().collect(),
            error: self.error.clone(),
        }
    }

    fn cluster_up(&mut self, cluster: ActorRef<ClusterMsg>) {
        self.subscription = subscribe(&self.context, &self.me, &cluster, &self.id, &self.key);
        self.cluster = cluster;
        // What is known may be gone: it is told again, or the list comes without it.
        self.listed = false;
        self.route = None;
        self.canaries.clear();
        // The answer of the old actor will not come; whether the write landed, the watch will show.
        self.in_flight = None;
    }

    fn decide(&mut self) {
        if self.route.is_none() {
            return;
        }
        // What is refused is told by the one who set the goal.
        let Some(write) = decide::route(&self.report(), &self.goal).ok().flatten() else {
            self.error = None;
            self.backoff.reset();
            return;
        };
        if self.in_flight.is_some() || self.retry.is_some() {
            return;
        }
        tracing::info!(routing = %self.routing, cluster = self.id.cluster, object = %self.key, ?write, "writing route");
        let serial = self.context.serial();
        let me = self.me.clone();
        let reply = Box::new(move |outcome| {
            let _ = me.cast(RouteMsg::Written { serial, outcome });
        });
        let request = match write {
            RouteWrite::Patch(patch) => Request::Route { kind: self.id.kind, key: self.key.clone(), patch },
            RouteWrite::Canary(write) => Request::Backend { subject: subject(&self.id, &self.key), write },
        };
        // Without a cluster's actor the write waits for the next one.
        if self.cluster.cast(ClusterMsg::Write { request, reply }).is_ok() {
            self.in_flight = Some(serial);
        }
    }

    fn written(&mut self, serial: u64, outcome: Outcome) {
        if self.in_flight != Some(serial) {
            return;
        }
        self.in_flight = None;
        let error = outcome.error();
        let is_conflict = matches!(outcome, Outcome::Conflict(_));
        match outcome {
            Outcome::Done(Projected::Route(route)) | Outcome::Conflict(Some(Projected::Route(route))) => {
                let known =
                    if route.key == self.key { self.route.as_ref() } else { self.canaries.get(&route.key.name) };
                let is_older =
                    |known: &Arc<Route>| Projected::Route(route.clone()).precedes(&Projected::Route(known.clone()));
                if !known.is_some_and(is_older) {
                    self.show(&route.key.clone(), Some(route));
                }
            }
            // One that was made anew meanwhile is another.
            Outcome::Deleted { key, uid } if self.canaries.get(&key.name).is_some_and(|known| known.uid == uid) => {
                self.show(&key, None);
            }
            _ => {}
        }
        let Some(error) = error else {
            self.error = None;
            self.backoff.reset();
            return;
        };
        tracing::info!(routing = %self.routing, cluster = self.id.cluster, object = %self.key, error, "route was not written");
        let delay = self.backoff.next_delay();
        // A first conflict is nobody's failure: the fresh object is here, and is decided on at once.
        if is_conflict && self.backoff.failures() == 1 {
            return;
        }
        self.error = Some(error);
        let me = self.me.clone();
        self.retry = Some(self.context.after(delay, move || {
            let _ = me.cast(RouteMsg::Retry);
        }));
    }

    fn tell(&mut self) {
        let report = self.report();
        if self.told.as_ref() != Some(&report) {
            self.told = Some(report.clone());
            self.reports.push(self.id.clone(), report);
        }
    }
}
