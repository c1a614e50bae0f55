//! The actor of one workload in one cluster: brings it to its goal and counts its pods.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::{
    Injury,
    backoff::Backoff,
    cluster::{About, ClusterMsg, Fact, Listing, Outcome, Request, Subscription},
    effects::{Context, Task},
    inbox::Inbox,
    mirror::Mirror,
    project::Projected,
    subject::Subject,
};
use crate::{
    decide::{self, WorkloadWrite},
    intent::WorkloadGoal,
    view::{ObjectKey, Pod, ReplicaSet, Workload, WorkloadId, WorkloadReport},
    workloads::WorkloadKind,
};

/// The first pause after a write that failed.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest one.
const RETRY_CAP: Duration = Duration::from_secs(30);

/// What a workload is to become, and what it was when that was decided.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) goal: WorkloadGoal,
    pub(crate) workload: Arc<Workload>,
    /// Its canary, if there is one.
    pub(crate) copy: Option<Arc<Workload>>,
}

/// Reports, by workload.
pub(crate) type Reports = Inbox<WorkloadId, WorkloadReport>;

/// What the actor is told.
pub(crate) enum WorkloadMsg {
    /// An order or a fact is waiting.
    Wake,
    /// The cluster's actor was begun anew.
    ClusterUp(ActorRef<ClusterMsg>),
    Written {
        serial: u64,
        outcome: Outcome,
    },
    /// It is time to decide again.
    Timer,
    /// The pause after a failed write is over.
    Retry,
    Injure(Injury),
}

/// The actor.
pub(crate) struct WorkloadActor;

/// What it begins with.
pub(crate) struct WorkloadArgs {
    pub(crate) context: Context,
    pub(crate) rollout: ObjectKey,
    pub(crate) order: Order,
    pub(crate) orders: Inbox<(), Order>,
    pub(crate) reports: Reports,
    pub(crate) cluster: ActorRef<ClusterMsg>,
}

/// Its state.
pub(crate) struct WorkloadState {
    context: Context,
    me: ActorRef<WorkloadMsg>,
    rollout: ObjectKey,
    cluster: ActorRef<ClusterMsg>,
    orders: Inbox<(), Order>,
    reports: Reports,
    /// The last order, as given.
    order: Order,
    /// The workload as last seen, which may be by our own write.
    workload: Arc<Workload>,
    /// Its canary as last seen.
    copy: Option<Arc<Workload>>,
    subscription: Option<Subscription>,
    pods: Mirror<ObjectKey, Arc<Pod>>,
    /// What a Deployment's pods belong to; other kinds have none.
    sets: Option<Sets>,
    /// Why the pods cannot be known, if the API server said so.
    unlisted: Option<String>,
    in_flight: Option<u64>,
    retry: Option<Task>,
    backoff: Backoff,
    wake: Option<(Timestamp, Task)>,
    /// The last write's error, until one succeeds or none is needed.
    error: Option<String>,
    /// What was reported last.
    told: Option<WorkloadReport>,
}

impl Actor for WorkloadActor {
    type Msg = WorkloadMsg;
    type State = WorkloadState;
    type Arguments = WorkloadArgs;

    async fn pre_start(
        &self,
        me: ActorRef<WorkloadMsg>,
        args: WorkloadArgs,
    ) -> Result<WorkloadState, ActorProcessingErr> {
        let WorkloadArgs { context, rollout, order, orders, reports, cluster } = args;
        orders.attach(waker(&me));
        let (workload, copy) = (order.workload.clone(), order.copy.clone());
        let backoff = context.backoff(&format!("write {} {}", workload.cluster, workload.key), RETRY_FIRST, RETRY_CAP);
        let mut state = WorkloadState {
            context,
            me,
            rollout,
            cluster,
            orders,
            reports,
            order,
            workload,
            copy,
            subscription: None,
            pods: Mirror::default(),
            sets: None,
            unlisted: None,
            in_flight: None,
            retry: None,
            backoff,
            wake: None,
            error: None,
            told: None,
        };
        state.step();
        Ok(state)
    }

    async fn handle(
        &self,
        me: ActorRef<WorkloadMsg>,
        message: WorkloadMsg,
        state: &mut WorkloadState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            WorkloadMsg::Wake => state.take_in(),
            WorkloadMsg::ClusterUp(cluster) => state.cluster_up(cluster),
            WorkloadMsg::Written { serial, outcome } => state.written(serial, outcome),
            WorkloadMsg::Timer => state.wake = None,
            WorkloadMsg::Retry => state.retry = None,
            WorkloadMsg::Injure(injury) => injury.inflict(&me),
        }
        state.step();
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<WorkloadMsg>, state: &mut WorkloadState) -> Result<(), ActorProcessingErr> {
        tracing::debug!(rollout = %state.rollout, cluster = state.workload.cluster, object = %state.workload.key, "workload ends");
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<WorkloadMsg>,
        _: SupervisionEvent,
        _: &mut WorkloadState,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

fn waker(me: &ActorRef<WorkloadMsg>) -> impl Fn() + Send + 'static {
    let me = me.clone();
    move || {
        let _ = me.cast(WorkloadMsg::Wake);
    }
}

impl WorkloadState {
    fn take_in(&mut self) {
        if let Some(order) = self.orders.drain().remove(&()) {
            // An order about the same version is about the goal alone: what is known here may be newer by our own write.
            if !Arc::ptr_eq(&order.workload, &self.order.workload) {
                self.workload = order.workload.clone();
            }
            if order.copy != self.order.copy {
                self.copy.clone_from(&order.copy);
            }
            self.order = order;
        }
        for (about, fact) in self.subscription.as_ref().map(Subscription::drain).unwrap_or_default() {
            match (about, fact) {
                (About::Object(key), Fact::Object(object)) => {
                    self.pods.set(key, pod_of(object));
                }
                (_, Fact::Listing(listing)) => {
                    if listing == Listing::Complete {
                        self.pods.complete();
                    }
                    self.unlisted = unlisted(listing);
                }
                _ => {}
            }
        }
        if let Some(sets) = &mut self.sets {
            sets.take_in(&self.workload.uid);
        }
    }

    fn cluster_up(&mut self, cluster: ActorRef<ClusterMsg>) {
        self.cluster = cluster;
        self.subscription = None;
        self.unlisted = None;
        self.pods.restart();
        self.sets = None;
        // The answer of the old actor will not come; whether the write landed, the watch will show.
        self.in_flight = None;
    }

    fn step(&mut self) {
        self.subscribe();
        self.decide();
        self.tell();
    }

    /// Watches the pods exactly as long as the goal asks for their count.
    fn subscribe(&mut self) {
        let watch_pods = self.order.goal.watches_pods();
        let (namespace, selector) = (self.workload.key.namespace.clone(), self.workload.pod_selector.clone());
        if self.workload.kind == WorkloadKind::Deployment {
            let subject = Subject::ReplicaSets { namespace: namespace.clone(), selector: selector.clone() };
            let is_watched = self.sets.as_ref().is_some_and(|sets| *sets.subscription.subject() == subject);
            if !watch_pods {
                self.sets = None;
            } else if !is_watched {
                let wake = waker(&self.me);
                let subscription = Subscription::new(&self.context, &self.cluster, subject, None, wake);
                self.sets = Some(Sets { subscription, sets: Mirror::default() });
            }
        }
        let wanted = watch_pods.then_some(Subject::Pods { namespace, selector });
        if self.subscription.as_ref().map(Subscription::subject) == wanted.as_ref() {
            return;
        }
        if self.subscription.is_some() {
            self.pods = Mirror::default();
            self.unlisted = None;
        }
        let wake = waker(&self.me);
        self.subscription = wanted.map(|subject| Subscription::new(&self.context, &self.cluster, subject, None, wake));
    }

    /// Whether somebody else has put a mark on the workload since the goal was decided. It is decided anew on that.
    fn is_goal_stale(&self) -> bool {
        let (mark, known) = (&self.workload.progressing, &self.order.workload.progressing);
        let Some(Ok(mark)) = mark.as_ref().filter(|_| mark != known) else { return false };
        match &self.order.goal {
            WorkloadGoal::Scaled { run, .. } => !mark.is_scale() || mark.rollout_id != *run,
            _ => mark.is_scale(),
        }
    }

    fn decide(&mut self) {
        if self.is_goal_stale() {
            return;
        }
        let pods = self.known_pods();
        let now = self.context.now();
        let sets = self.known_sets();
        let step = decide::workload(
            &self.order.goal,
            &self.workload,
            self.copy.as_deref(),
            pods.as_deref(),
            sets.as_deref(),
            now,
        );
        self.set_wake(step.wake, now);
        let (cluster, key, kind) = (&self.workload.cluster, &self.workload.key, self.workload.kind);
        let request = match step.write {
            Some(WorkloadWrite::Patch { patch, restore }) => {
                Request::Workload { kind, key: key.clone(), patch, restore }
            }
            Some(WorkloadWrite::ReplicaSet(key, patch)) => {
                let (namespace, selector) = (key.namespace.clone(), self.workload.pod_selector.clone());
                Request::ReplicaSet { subject: Subject::ReplicaSets { namespace, selector }, key, patch }
            }
            Some(WorkloadWrite::DeletePod(pod)) => Request::DeletePod(pod),
            Some(WorkloadWrite::Canary(canary)) => Request::Canary { kind, key: key.clone(), canary },
            Some(WorkloadWrite::Discard) => Request::Discard(self.workload.clone()),
            None => {
                self.error = None;
                self.backoff.reset();
                return;
            }
        };
        if self.in_flight.is_some() || self.retry.is_some() {
            return;
        }
        tracing::info!(rollout = %self.rollout, cluster, object = %key, ?request, "writing workload");
        let serial = self.context.serial();
        let me = self.me.clone();
        let reply = Box::new(move |outcome| {
            let _ = me.cast(WorkloadMsg::Written { serial, outcome });
        });
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
        if let Outcome::Done(Projected::Workload(workload)) | Outcome::Conflict(Some(Projected::Workload(workload))) =
            outcome
        {
            if workload.key != self.workload.key {
                self.copy = Some(workload);
            } else if !Projected::Workload(workload.clone()).precedes(&Projected::Workload(self.workload.clone())) {
                self.workload = workload;
            }
        }
        let Some(error) = error else {
            self.error = None;
            self.backoff.reset();
            return;
        };
        let (cluster, key) = (&self.workload.cluster, &self.workload.key);
        tracing::info!(rollout = %self.rollout, cluster, object = %key, error, "workload was not written");
        let delay = self.backoff.next_delay();
        // A first conflict is nobody's failure: the fresh object is here, and is decided on at once.
        if is_conflict && self.backoff.failures() == 1 {
            return;
        }
        self.error = Some(error);
        let me = self.me.clone();
        self.retry = Some(self.context.after(delay, move || {
            let _ = me.cast(WorkloadMsg::Retry);
        }));
    }

    fn set_wake(&mut self, at: Option<Timestamp>, now: Timestamp) {
        if self.wake.as_ref().map(|(at, _)| *at) == at {
            return;
        }
        let me = self.me.clone();
        self.wake = at.map(|at| {
            let timer = self.context.after(until(at, now), move || {
                let _ = me.cast(WorkloadMsg::Timer);
            });
            (at, timer)
        });
    }

    fn known_pods(&self) -> Option<Vec<Arc<Pod>>> {
        // What was listed before a refusal grows old unseen.
        let known = self.subscription.is_some() && self.pods.is_listed() && self.unlisted.is_none();
        if !known {
            return None;
        }
        // Two workloads may select the same labels: only what belongs to this one counts.
        let pods = self.pods.items().values();
        if self.workload.kind != WorkloadKind::Deployment {
            return Some(pods.filter(|pod| pod.owner_uid == self.workload.uid).cloned().collect());
        }
        let sets = self.known_sets()?;
        let own = pods.filter_map(|pod| {
            let set = sets.iter().find(|set| set.uid == pod.owner_uid)?;
            Some(Arc::new(Pod { revision: set.template_hash.clone(), ..pod.as_ref().clone() }))
        });
        Some(own.collect())
    }

    fn known_sets(&self) -> Option<Vec<Arc<ReplicaSet>>> {
        let sets = self.sets.as_ref().map(|sets| &sets.sets).filter(|sets| sets.is_listed())?;
        Some(sets.items().values().cloned().collect())
    }

    fn tell(&mut self) {
        let report =
            WorkloadReport { pods: self.known_pods(), error: self.error.clone().or_else(|| self.unlisted.clone()) };
        if self.told.as_ref() != Some(&report) {
            self.told = Some(report.clone());
            self.reports.push(self.workload.id(), report);
        }
    }
}

/// Why a listing of pods tells nothing, if it does not.
fn unlisted(listing: Listing) -> Option<String> {
    match listing {
        Listing::Refused { error, .. } => Some(format!("pods cannot be listed: {error}")),
        Listing::NotServed => Some("pods cannot be listed: they are not served".to_owned()),
        Listing::Pending | Listing::Complete => None,
    }
}

fn pod_of(object: Option<Projected>) -> Option<Arc<Pod>> {
    match object {
        Some(Projected::Pod(pod)) => Some(pod),
        _ => None,
    }
}

/// The ReplicaSets of a Deployment.
struct Sets {
    subscription: Subscription,
    sets: Mirror<ObjectKey, Arc<ReplicaSet>>,
}

impl Sets {
    fn take_in(&mut self, owner: &str) {
        for (about, fact) in self.subscription.drain() {
            match (about, fact) {
                (About::Object(key), Fact::Object(object)) => {
                    let set = match object {
                        Some(Projected::ReplicaSet(set)) if set.owner_uid == owner => Some(set),
                        _ => None,
                    };
                    self.sets.set(key, set);
                }
                (_, Fact::Listing(Listing::Complete)) => {
                    self.sets.complete();
                }
                // What was listed before grows old unseen.
                (_, Fact::Listing(_)) => self.sets = Mirror::default(),
                _ => {}
            }
        }
    }
}

/// How long to sleep until `at`. A little more than asked, because clocks count in milliseconds; and never nothing, so
/// that a decision that asks for the past is not asked in a tight loop.
pub(crate) fn until(at: Timestamp, now: Timestamp) -> Duration {
    let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    (left + Duration::from_millis(1)).max(Duration::from_millis(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_in_the_past_still_takes_a_moment() {
        let now = Timestamp::from_second(100).unwrap();
        let cases = [(90, 10), (100, 10), (101, 1001)];
        for (at, expected_ms) in cases {
            let at = Timestamp::from_second(at).unwrap();
            assert_eq!(until(at, now), Duration::from_millis(expected_ms));
        }
    }
}
