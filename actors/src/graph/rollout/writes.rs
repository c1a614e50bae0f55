//! A Rollout's writes to the hub: one at a time per object, with pauses after failures, and the events that go with
//! them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ractor::ActorRef;

use super::{RolloutMsg, Target};
use crate::{
    graph::{
        backoff::Backoff,
        cluster::{ClusterMsg, Outcome, Request},
        effects::{Context, Task},
    },
    intent::{HubWrite, Notice},
    view::ObjectKey,
};

/// The first pause after a write that failed.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest one.
const RETRY_CAP: Duration = Duration::from_secs(30);
/// How many events are remembered as recorded. Recording one again is harmless, so a few are enough.
const REMEMBERED_NOTICES: usize = 64;

type Clusters = BTreeMap<String, ActorRef<ClusterMsg>>;

/// The writes.
pub(super) struct Writes {
    context: Context,
    me: ActorRef<RolloutMsg>,
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
    notices: Vec<Notice>,
}

/// A write that came to its end.
pub(super) struct Settled {
    pub(super) was_create: bool,
}

impl Writes {
    pub(super) fn new(context: &Context, me: &ActorRef<RolloutMsg>, key: &ObjectKey) -> Self {
        Self {
            context: context.clone(),
            me: me.clone(),
            key: key.clone(),
            in_flight: BTreeMap::new(),
            held: BTreeMap::new(),
            backoffs: BTreeMap::new(),
            waiting: Vec::new(),
            recorded: Vec::new(),
        }
    }

    /// Sends the writes of one decision, but none to an object that has one in flight or is held after a failure. The
    /// events follow once all of them have landed; if one is not sent, a later decision says them again.
    pub(super) fn send(&mut self, clusters: &Clusters, writes: Vec<HubWrite>, notices: Vec<Notice>) {
        let wanted = writes.len();
        let sent: BTreeSet<u64> = writes.into_iter().filter_map(|write| self.send_one(clusters, write)).collect();
        if sent.len() < wanted {
            return;
        }
        if sent.is_empty() {
            self.record(clusters, notices);
        } else if !notices.is_empty() {
            self.waiting.push(Waiting { writes: sent, notices });
        }
    }

    fn send_one(&mut self, clusters: &Clusters, write: HubWrite) -> Option<u64> {
        let (kind, key) = write.target();
        let target = (kind, key.clone());
        if self.in_flight.contains_key(&target) || self.held.contains_key(&target) {
            return None;
        }
        let serial = self.context.serial();
        let is_create = matches!(write, HubWrite::CreateRun { .. });
        tracing::info!(rollout = %self.key, cluster = "", object = %target.1, ?write, "writing to the hub");
        let (me, reply_to) = (self.me.clone(), target.clone());
        let reply = Box::new(move |outcome| {
            let _ = me.cast(RolloutMsg::Written { target: reply_to, serial, outcome });
        });
        // Without the hub's actor the write waits for the next one.
        clusters.get("")?.cast(ClusterMsg::Write { request: Request::Hub(write), reply }).ok()?;
        self.in_flight.insert(target, InFlight { serial, is_create });
        Some(serial)
    }

    /// Takes in the end of a write, unless it is one nobody waits for any more.
    pub(super) fn settle(
        &mut self,
        clusters: &Clusters,
        target: Target,
        serial: u64,
        outcome: &Outcome,
    ) -> Option<Settled> {
        if self.in_flight.get(&target)?.serial != serial {
            return None;
        }
        let was_create = self.in_flight.remove(&target)?.is_create;
        if let Some(error) = outcome.error() {
            tracing::info!(rollout = %self.key, cluster = "", object = %target.1, error, "hub was not written");
            self.waiting.retain(|waiting| !waiting.writes.contains(&serial));
            self.hold(target, matches!(outcome, Outcome::Conflict(Some(_))));
        } else {
            self.backoffs.remove(&target);
            self.landed(clusters, serial);
        }
        Some(Settled { was_create })
    }

    /// The pause after a failed write to `target` is over.
    pub(super) fn release(&mut self, target: &Target) {
        self.held.remove(target);
    }

    /// The hub's actor was begun anew: the answers of the old one will not come, and the watch shows what landed.
    pub(super) fn cluster_up(&mut self) {
        self.in_flight.clear();
        self.waiting.clear();
    }

    /// Pauses writes to `target`. A first conflict is nobody's failure: the fresh object is here.
    fn hold(&mut self, target: Target, is_fresh: bool) {
        let context = &self.context;
        let what = || format!("write {:?} {}", target.0, target.1);
        let backoff =
            self.backoffs.entry(target.clone()).or_insert_with(|| context.backoff(&what(), RETRY_FIRST, RETRY_CAP));
        let delay = backoff.next_delay();
        if is_fresh && backoff.failures() == 1 {
            return;
        }
        let (me, retry) = (self.me.clone(), target.clone());
        let task = self.context.after(delay, move || {
            let _ = me.cast(RolloutMsg::Retry(retry));
        });
        self.held.insert(target, task);
    }

    fn landed(&mut self, clusters: &Clusters, serial: u64) {
        let mut ready = Vec::new();
        self.waiting.retain_mut(|waiting| {
            waiting.writes.remove(&serial);
            if waiting.writes.is_empty() {
                ready.append(&mut waiting.notices);
            }
            !waiting.writes.is_empty()
        });
        self.record(clusters, ready);
    }

    fn record(&mut self, clusters: &Clusters, notices: Vec<Notice>) {
        for notice in notices {
            if self.recorded.contains(&notice) {
                continue;
            }
            if self.recorded.len() == REMEMBERED_NOTICES {
                self.recorded.remove(0);
            }
            self.recorded.push(notice.clone());
            let Some(hub) = clusters.get("") else { continue };
            let _ = hub.cast(ClusterMsg::Write { request: Request::Notice(notice), reply: Box::new(drop) });
        }
    }
}
