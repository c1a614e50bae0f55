//! The actor of one API server: its watches, the caches behind them, and all writes to it.

mod cache;
mod watch;
mod write;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use kube::Client;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

pub(crate) use self::write::{Outcome, Request};
use self::{
    cache::Cache,
    watch::{Follow, Intake, Trouble},
};
use super::{
    Injury,
    backoff::Backoff,
    effects::{Context, Task, caught, within},
    inbox::Inbox,
    project::Projected,
    subject::Subject,
};
use crate::view::{Health, ObjectKey};

/// How long a request may go unanswered. An API server answers within a second or fails; its own limit is 60 s. Ten
/// seconds tell a slow server from a dead one, and stay below the time after which a lease can be lost (15 s − 10 s
/// renew deadline is checked by the leader election, not here).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a cluster that did not answer a request is asked again.
const PROBE_FIRST: Duration = Duration::from_secs(1);
/// The longest pause between two such questions.
const PROBE_CAP: Duration = Duration::from_secs(30);

/// What a subscriber is told about. Objects sort before the list they complete, so that a reader of one drain has
/// seen all of them by then.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    Health,
    Object(ObjectKey),
    Listing,
}

/// What a subscriber is told.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    Health(Health),
    /// The object as it is now; `None` once it is gone.
    Object(Option<Projected>),
    Listing(Listing),
}

/// Whether the objects of a subject are all known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// The first list has not come back yet.
    Pending,
    /// The list is complete, and kept so.
    Complete,
    /// The API server does not know the kind.
    NotServed,
    /// The API server answers, but not with a list.
    Refused { since: Timestamp, error: String },
}

/// Where the facts of one subscription go.
type Facts = Inbox<About, Fact>;

/// A wish to be told.
pub(crate) struct Subscriber {
    /// The one namespace of interest; all without it.
    namespace: Option<String>,
    /// Where to.
    facts: Facts,
}

/// What a cluster's actor is asked.
pub(crate) enum ClusterMsg {
    Subscribe {
        id: u64,
        subject: Subject,
        subscriber: Subscriber,
    },
    Unsubscribe {
        id: u64,
        subject: Subject,
    },
    /// A watch has something.
    Wake,
    Write {
        request: Request,
        reply: Reply,
    },
    Written {
        id: u64,
        request: Request,
        outcome: Outcome,
        reply: Reply,
    },
    Probed {
        answered: bool,
    },
    Injure(Injury),
}

/// Takes the outcome of a write.
pub(crate) type Reply = Box<dyn FnOnce(Outcome) + Send>;

/// A standing subscription, with an intake of its own: what was told to an earlier one is never taken for news of this
/// one. Dropping it ends it.
pub(crate) struct Subscription {
    id: u64,
    subject: Subject,
    cluster: ActorRef<ClusterMsg>,
    facts: Facts,
}

impl Subscription {
    /// Subscribes to `subject`, in one namespace or all; `wake` is called when there is something to drain.
    pub(crate) fn new(
        context: &Context,
        cluster: &ActorRef<ClusterMsg>,
        subject: Subject,
        namespace: Option<String>,
        wake: impl Fn() + Send + 'static,
    ) -> Self {
        let id = context.serial();
        let facts = Facts::new();
        facts.attach(wake);
        let subscriber = Subscriber { namespace, facts: facts.clone() };
        // A dead actor's successor is subscribed to when it is announced.
        let _ = cluster.cast(ClusterMsg::Subscribe { id, subject: subject.clone(), subscriber });
        Self { id, subject, cluster: cluster.clone(), facts }
    }

    /// What has been told since the last time.
    pub(crate) fn drain(&self) -> BTreeMap<About, Fact> {
        self.facts.drain()
    }

    /// What is subscribed to.
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self.cluster.cast(ClusterMsg::Unsubscribe { id: self.id, subject: self.subject.clone() });
    }
}

/// The actor.
pub(crate) struct ClusterActor;

/// What it begins with.
pub(crate) struct ClusterArgs {
    pub(crate) context: Context,
    /// The cluster's name; empty for the hub.
    pub(crate) name: String,
    pub(crate) client: Client,
}

/// Its state.
pub(crate) struct ClusterState {
    context: Context,
    me: ActorRef<ClusterMsg>,
    name: String,
    client: Client,
    watches: BTreeMap<Subject, Watch>,
    intake: Inbox<Subject, Intake>,
    writes: BTreeMap<u64, Task>,
    /// Since when requests other than watches go unanswered, and why.
    unanswered: Option<(Timestamp, String)>,
    probe: Option<Task>,
    probe_backoff: Backoff,
    health: Health,
}

struct Watch {
    cache: Cache,
    listing: Listing,
    failing: Option<(Timestamp, String)>,
    subscribers: BTreeMap<u64, Subscriber>,
    _task: Task,
}

impl Actor for ClusterActor {
    type Msg = ClusterMsg;
    type State = ClusterState;
    type Arguments = ClusterArgs;

    async fn pre_start(&self, me: ActorRef<ClusterMsg>, args: ClusterArgs) -> Result<ClusterState, ActorProcessingErr> {
        let ClusterArgs { context, name, client } = args;
        let intake = Inbox::new();
        let reader = me.clone();
        intake.attach(move || {
            let _ = reader.cast(ClusterMsg::Wake);
        });
        let probe_backoff = context.backoff(&format!("probe {name}"), PROBE_FIRST, PROBE_CAP);
        Ok(ClusterState {
            context,
            me,
            name,
            client,
            watches: BTreeMap::new(),
            intake,
            writes: BTreeMap::new(),
            unanswered: None,
            probe: None,
            probe_backoff,
            health: Health::Syncing,
        })
    }

    async fn handle(
        &self,
        me: ActorRef<ClusterMsg>,
        message: ClusterMsg,
        state: &mut ClusterState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ClusterMsg::Subscribe { id, subject, subscriber } => state.subscribe(id, &subject, subscriber),
            ClusterMsg::Unsubscribe { id, subject } => state.unsubscribe(id, &subject),
            ClusterMsg::Wake => state.take_in(),
            ClusterMsg::Write { request, reply } => state.write(request, reply),
            ClusterMsg::Written { id, request, outcome, reply } => state.written(id, &request, outcome, reply),
            ClusterMsg::Probed { answered } => state.probed(answered),
            ClusterMsg::Injure(injury) => injury.inflict(&me),
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<ClusterMsg>, state: &mut ClusterState) -> Result<(), ActorProcessingErr> {
        tracing::debug!(cluster = state.name, "cluster ends");
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ClusterMsg>,
        _: SupervisionEvent,
        _: &mut ClusterState,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

impl ClusterState {
    fn subscribe(&mut self, id: u64, subject: &Subject, subscriber: Subscriber) {
        if !self.watches.contains_key(subject) {
            let task = self.follow(subject);
            let watch = Watch {
                cache: Cache::default(),
                listing: Listing::Pending,
                failing: None,
                subscribers: BTreeMap::new(),
                _task: task,
            };
            self.watches.insert(subject.clone(), watch);
        }
        let Some(watch) = self.watches.get_mut(subject) else { return };
        for (key, object) in watch.cache.objects() {
            subscriber.tell_object(key, Some(object.clone()));
        }
        subscriber.facts.push(About::Listing, Fact::Listing(watch.listing.clone()));
        subscriber.facts.push(About::Health, Fact::Health(self.health.clone()));
        watch.subscribers.insert(id, subscriber);
    }

    fn follow(&self, subject: &Subject) -> Task {
        let follow = Follow::new(&self.context, &self.name, subject.clone(), self.client.clone(), self.intake.clone());
        self.context.start(follow.run())
    }

    fn unsubscribe(&mut self, id: u64, subject: &Subject) {
        let Some(watch) = self.watches.get_mut(subject) else { return };
        watch.subscribers.remove(&id);
        if watch.subscribers.is_empty() {
            self.watches.remove(subject);
            self.refresh_health();
        }
    }

    fn take_in(&mut self) {
        for (subject, intake) in self.intake.drain() {
            let Some(watch) = self.watches.get_mut(&subject) else { continue };
            for (key, object) in watch.cache.take_in(intake.list, intake.changes) {
                watch.tell_object(&key, object.as_ref());
            }
            let Some(standing) = intake.standing else { continue };
            if standing.is_ok() {
                // A list that came back is as good as a probe.
                self.unanswered = None;
                self.probe = None;
            }
            watch.note(&self.name, &subject, standing, self.context.now());
        }
        self.refresh_health();
    }

    fn write(&mut self, request: Request, reply: Reply) {
        let id = self.context.serial();
        let (context, client, name, me) =
            (self.context.clone(), self.client.clone(), self.name.clone(), self.me.clone());
        let task = self.context.start(async move {
            let outcome = caught("write", write::perform(&context, &client, &name, &request)).await;
            let outcome = outcome.unwrap_or_else(|| Outcome::Unreachable("the write panicked".to_owned()));
            let _ = me.cast(ClusterMsg::Written { id, request, outcome, reply });
        });
        self.writes.insert(id, task);
    }

    /// Own writes are seen at once: what they left behind goes into the cache before the writer hears of them.
    fn written(&mut self, id: u64, request: &Request, outcome: Outcome, reply: Reply) {
        self.writes.remove(&id);
        if let Some(subject) = request.subject()
            && let Some(watch) = self.watches.get_mut(&subject)
            && let Some((key, object)) = match &outcome {
                Outcome::Done(object) | Outcome::Conflict(Some(object)) => {
                    watch.cache.feed(object.clone(), self.context.now()).map(|key| (key, Some(object)))
                }
                Outcome::Deleted { key, uid } => watch.cache.forget(key, uid).then(|| (key.clone(), None)),
                _ => None,
            }
        {
            watch.tell_object(&key, object);
        }
        match &outcome {
            Outcome::Unreachable(error) if self.unanswered.is_none() => {
                self.unanswered = Some((self.context.now(), error.clone()));
                self.probe_later();
            }
            Outcome::Unreachable(_) => {}
            _ => self.unanswered = None,
        }
        self.refresh_health();
        reply(self.newest(request, outcome));
    }

    /// An answer that comes late must not take its receiver back behind what the watch has shown already.
    fn newest(&self, request: &Request, outcome: Outcome) -> Outcome {
        let Some(watch) = request.subject().and_then(|subject| self.watches.get(&subject)) else { return outcome };
        match outcome {
            Outcome::Done(object) => {
                let (key, uid, _) = object.identity();
                watch.cache.newest(object).map_or(Outcome::Deleted { key, uid }, Outcome::Done)
            }
            Outcome::Conflict(Some(object)) => Outcome::Conflict(watch.cache.newest(object)),
            other => other,
        }
    }

    /// Nobody may write for a long time, so a cluster that left a write unanswered is asked until it answers.
    fn probe_later(&mut self) {
        let delay = self.probe_backoff.next_delay();
        let (clock, client, me) = (self.context.clock(), self.client.clone(), self.me.clone());
        self.probe = Some(self.context.start(async move {
            clock.sleep(delay).await;
            let answer = within(&clock, REQUEST_TIMEOUT, client.apiserver_version()).await;
            let answered = answer.is_some_and(|result| result.as_ref().err().is_none_or(write::is_answer));
            let _ = me.cast(ClusterMsg::Probed { answered });
        }));
    }

    fn probed(&mut self, answered: bool) {
        if answered {
            self.unanswered = None;
        }
        if self.unanswered.is_some() {
            self.probe_later();
        } else {
            self.probe = None;
            self.probe_backoff.reset();
        }
        self.refresh_health();
    }

    fn refresh_health(&mut self) {
        let failures = self.watches.values().filter_map(|watch| watch.failing.as_ref()).chain(&self.unanswered);
        let health = match failures.min_by_key(|(since, _)| *since) {
            Some((since, error)) => Health::Unreachable { since: *since, error: error.clone() },
            None if self.watches.values().all(|watch| watch.listing == Listing::Pending) => Health::Syncing,
            None => Health::Ready,
        };
        if health == self.health {
            return;
        }
        tracing::info!(cluster = self.name, ?health, "cluster health changed");
        self.health = health;
        for watch in self.watches.values() {
            watch.tell(&About::Health, &Fact::Health(self.health.clone()));
        }
    }
}

impl Watch {
    /// Takes in how the watch is doing: well once its list is complete. While a trouble lasts its first error stands:
    /// errors differ from one attempt to the next, and each change would be written into conditions.
    fn note(&mut self, cluster: &str, subject: &Subject, standing: Result<(), Trouble>, now: Timestamp) {
        let before = self.listing.clone();
        match standing {
            Ok(()) => (self.listing, self.failing) = (Listing::Complete, None),
            Err(Trouble::NotServed) => (self.listing, self.failing) = (Listing::NotServed, None),
            Err(Trouble::Refused(error)) => {
                if !matches!(before, Listing::Refused { .. }) {
                    self.listing = Listing::Refused { since: now, error };
                }
                self.failing = None;
            }
            // What is known stays known, and may be stale: the cluster's health says so.
            Err(Trouble::Unanswered(error)) => {
                self.failing.get_or_insert((now, error));
            }
        }
        if self.listing != before {
            tracing::info!(cluster, object = %subject, listing = ?self.listing, "watch changed");
        }
        // Also when it did not change: a subscriber may be waiting for a list that is complete again.
        self.tell(&About::Listing, &Fact::Listing(self.listing.clone()));
    }

    fn tell(&self, about: &About, fact: &Fact) {
        for subscriber in self.subscribers.values() {
            subscriber.facts.push(about.clone(), fact.clone());
        }
    }

    fn tell_object(&self, key: &ObjectKey, object: Option<&Projected>) {
        for subscriber in self.subscribers.values() {
            subscriber.tell_object(key, object.cloned());
        }
    }
}

impl Subscriber {
    fn tell_object(&self, key: &ObjectKey, object: Option<Projected>) {
        if self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace) {
            self.facts.push(About::Object(key.clone()), Fact::Object(object));
        }
    }
}
