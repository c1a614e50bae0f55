//! An actor's writes: one at a time per object, with pauses after failures, and the events that go with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ractor::ActorRef;

use super::{
    backoff::Backoff,
    cluster::{ClusterMsg, Outcome, Request},
    effects::{Context, Task},
};
use crate::{
    intent::{HubKind, HubWrite, Notice},
    view::ObjectKey,
};

/// The first pause after a write that failed.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest one.
const RETRY_CAP: Duration = Duration::from_secs(30);
/// How many events are remembered as recorded. Recording one again is harmless, so a few are enough.
const REMEMBERED_NOTICES: usize = 64;

type Clusters = BTreeMap<String, ActorRef<ClusterMsg>>;

/// An object that is written: at most one write to it is in flight.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    /// The cluster; empty for the hub.
    pub(crate) cluster: String,
    pub(crate) kind: &'static str,
    pub(crate) key: ObjectKey,
}

impl Target {
    /// An object of the hub.
    pub(crate) fn hub(kind: HubKind, key: ObjectKey) -> Self {
        Self { cluster: String::new(), kind: kind.kind(), key }
    }
}

/// What the actor is told of its writes.
pub(crate) enum Posted {
    /// One came to its end.
    Written { target: Target, serial: u64, outcome: Outcome },
    /// The pause after one that failed is over.
    Retry(Target),
}

/// Sends the actor what it is told.
type Post = Arc<dyn Fn(Posted) + Send + Sync>;

/// The writes.
pub(crate) struct Writes {
    context: Context,
    post: Post,
    /// The actor's object, for the log.
    key: ObjectKey,
    in_flight: BTreeMap<Target, InFlight>,
    held: BTreeMap<Target, Task>,
    backoffs: BTreeMap<Target, Backoff>,
    /// Events that wait for the writes they belong to.
    waiting: Vec<Waiting>,
    recorded: Vec<Notice>,
}

struct InFlight {
    serial: u64,
    is_create: bool,
}

struct Waiting {
    writes: BTreeSet<u64>,
    notice: Notice,
}

/// A write that came to its end.
pub(crate) struct Settled {
    pub(crate) was_create: bool,
}

impl Writes {
    pub(crate) fn new(context: &Context, key: &ObjectKey, post: impl Fn(Posted) + Send + Sync + 'static) -> Self {
        Self {
            context: context.clone(),
            post: Arc::new(post),
            key: key.clone(),
            in_flight: BTreeMap::new(),
            held: BTreeMap::new(),
            backoffs: BTreeMap::new(),
            waiting: Vec::new(),
            recorded: Vec::new(),
        }
    }

    /// Sends the writes of one decision to the hub, but none to an object that has one in flight or is held after a
    /// failure. The events follow once the writes they belong to have landed.
    pub(crate) fn send(&mut self, clusters: &Clusters, writes: Vec<HubWrite>, notices: Vec<Notice>) {
        let mut sent = Vec::new();
        for write in writes {
            let (kind, key) = write.target();
            let target = Target::hub(kind, key.clone());
            let is_create = matches!(write, HubWrite::Create { .. });
            sent.push((target.clone(), self.send_to(clusters, target, Request::Hub(write), is_create)));
        }
        for waiting in bind(&sent, notices) {
            if waiting.writes.is_empty() {
                self.record(clusters, waiting.notice);
            } else {
                self.waiting.push(waiting);
            }
        }
    }

    /// Sends one write to the cluster of its target, unless that has one in flight or is held after a failure.
    pub(crate) fn send_to(
        &mut self,
        clusters: &Clusters,
        target: Target,
        request: Request,
        is_create: bool,
    ) -> Option<u64> {
        if self.in_flight.contains_key(&target) || self.held.contains_key(&target) {
            return None;
        }
        let serial = self.context.serial();
        tracing::debug!(rollout = %self.key, cluster = target.cluster, object = %target.key, ?request, "writing");
        let (post, reply_to) = (self.post.clone(), target.clone());
        let reply = Box::new(move |outcome| post(Posted::Written { target: reply_to, serial, outcome }));
        // Without a cluster's actor the write waits for the next one.
        clusters.get(&target.cluster)?.cast(ClusterMsg::Write { request, reply }).ok()?;
        self.in_flight.insert(target, InFlight { serial, is_create });
        Some(serial)
    }

    /// Takes in the end of a write, unless it is one nobody waits for any more.
    pub(crate) fn settle(
        &mut self,
        clusters: &Clusters,
        target: &Target,
        serial: u64,
        outcome: &Outcome,
    ) -> Option<Settled> {
        if self.in_flight.get(target)?.serial != serial {
            return None;
        }
        let was_create = self.in_flight.remove(target)?.is_create;
        if let Some(error) = outcome.error() {
            tracing::info!(rollout = %self.key, cluster = target.cluster, object = %target.key, error, "not written");
            self.waiting.retain(|waiting| !waiting.writes.contains(&serial));
            self.hold(target, matches!(outcome, Outcome::Conflict(Some(_))));
        } else {
            self.backoffs.remove(target);
            self.landed(clusters, serial);
        }
        Some(Settled { was_create })
    }

    /// The pause after a failed write to `target` is over.
    pub(crate) fn release(&mut self, target: &Target) {
        self.held.remove(target);
    }

    /// A cluster's actor was begun anew: the answers of the old one will not come, and the watch shows what landed.
    pub(crate) fn cluster_up(&mut self, name: &str) {
        self.in_flight.retain(|target, _| target.cluster != name);
        if name.is_empty() {
            self.waiting.clear();
        }
    }

    /// Pauses writes to `target`. A first conflict is nobody's failure: the fresh object is here.
    fn hold(&mut self, target: &Target, is_fresh: bool) {
        let context = &self.context;
        let what = || format!("write {} {}", target.kind, target.key);
        let backoff =
            self.backoffs.entry(target.clone()).or_insert_with(|| context.backoff(&what(), RETRY_FIRST, RETRY_CAP));
        let delay = backoff.next_delay();
        if is_fresh && backoff.failures() == 1 {
            return;
        }
        let (post, retry) = (self.post.clone(), target.clone());
        let task = self.context.after(delay, move || post(Posted::Retry(retry)));
        self.held.insert(target.clone(), task);
    }

    fn landed(&mut self, clusters: &Clusters, serial: u64) {
        for waiting in &mut self.waiting {
            waiting.writes.remove(&serial);
        }
        let is_ready = |waiting: &mut Waiting| waiting.writes.is_empty();
        let ready: Vec<Waiting> = self.waiting.extract_if(.., is_ready).collect();
        for waiting in ready {
            self.record(clusters, waiting.notice);
        }
    }

    fn record(&mut self, clusters: &Clusters, notice: Notice) {
        if self.recorded.contains(&notice) {
            return;
        }
        if self.recorded.len() == REMEMBERED_NOTICES {
            self.recorded.remove(0);
        }
        self.recorded.push(notice.clone());
        tracing::info!(rollout = %self.key, object = %notice.key, reason = notice.reason, "{}", notice.message);
        if let Some(hub) = clusters.get("") {
            let _ = hub.cast(ClusterMsg::Write { request: Request::Notice(notice), reply: Box::new(drop) });
        }
    }
}

/// Ties each event to the writes it waits for: the one to its own object, or else all that were sent. An event whose
/// write was not sent is left out: the decision that sends it says it again.
fn bind(sent: &[(Target, Option<u64>)], notices: Vec<Notice>) -> Vec<Waiting> {
    let all: BTreeSet<u64> = sent.iter().filter_map(|(_, serial)| *serial).collect();
    let bound = notices.into_iter().filter_map(|notice| {
        let own = sent.iter().find(|(target, _)| *target == Target::hub(notice.kind, notice.key.clone()));
        let writes = match own {
            Some((_, serial)) => BTreeSet::from([(*serial)?]),
            None if all.is_empty() && !sent.is_empty() => return None,
            None => all.clone(),
        };
        Some(Waiting { writes, notice })
    });
    bound.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(kind: HubKind, name: &str) -> Target {
        Target::hub(kind, ObjectKey { namespace: "ns".to_owned(), name: name.to_owned() })
    }

    #[test]
    fn an_event_waits_for_the_write_to_its_object_or_for_all() {
        let (rollout, run) = (target(HubKind::Rollout, "web"), target(HubKind::RolloutRun, "web-1"));
        let cases = [
            (vec![], Some(vec![])),
            (vec![(rollout.clone(), Some(1)), (run.clone(), Some(2))], Some(vec![1])),
            (vec![(rollout.clone(), None), (run.clone(), Some(2))], None),
            (vec![(run.clone(), Some(2))], Some(vec![2])),
            (vec![(run, None)], None),
        ];
        for (sent, expected) in cases {
            let notice = Notice {
                kind: HubKind::Rollout,
                key: rollout.key.clone(),
                uid: "uid".to_owned(),
                warning: false,
                reason: "Triggered".to_owned(),
                message: "a run was triggered".to_owned(),
            };
            let bound = bind(&sent, vec![notice]).pop().map(|waiting| waiting.writes.into_iter().collect::<Vec<_>>());
            assert_eq!(bound, expected, "{sent:?}");
        }
    }
}
