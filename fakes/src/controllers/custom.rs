//! Controllers of custom workloads: what they look at, what they ask for, and the shell that carries it out.
//!
//! Such a controller starts when its resource is served. A [`Workload`] decides with a pure function. A decision rests on
//! the store alone: the controller remembers nothing from one sync to the next.

mod controller;
#[cfg(test)]
pub(crate) mod world;

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

pub(crate) use self::controller::{run, when_served};
use super::object;
use super::pod;
use super::revision::{self, Change, History};
use crate::store::GroupResource;

/// A kind of custom workload.
pub(crate) trait Workload {
    /// Its controller's name, for logs.
    const NAME: &'static str;

    /// Where its objects are stored.
    fn resource() -> GroupResource;

    /// Further kinds it looks at, whose objects concern every workload of their namespace.
    fn related() -> Vec<GroupResource> {
        Vec::new()
    }

    /// Decides what one object needs next.
    fn sync(seen: &Observed<'_>) -> Plan;
}

/// Everything one sync looks at.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The workload.
    pub object: &'a Value,
    /// All pods of its namespace.
    pub pods: Vec<&'a Value>,
    /// All ControllerRevisions of its namespace.
    pub revisions: Vec<&'a Value>,
    /// All objects of its namespace of the further kinds that the workload's kind looks at.
    pub related: Vec<&'a Value>,
    /// The current time.
    pub now: Timestamp,
}

/// What one sync asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Writes in their order; the first that fails ends the sync.
    pub actions: Vec<Action>,
    /// The object's status, as counted before the actions.
    pub status: Value,
    /// When to look again although nothing changed: the next pod becomes available then.
    pub requeue_after: Option<Duration>,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create this object.
    Create(Value),
    /// Write this object.
    Update(Value),
    /// Delete the pod of this name.
    DeletePod(String),
    /// Delete the ControllerRevision of this name: history is over its limit.
    DeleteRevision(String),
}

impl<'a> Observed<'a> {
    /// The pods that the workload controls and that run or will run.
    pub(crate) fn active_pods(&self) -> impl Iterator<Item = &'a Value> {
        let owned = self.pods.iter().copied().filter(|pod| self.controls(pod));
        owned.filter(|pod| pod::is_active(pod))
    }

    /// The workload's revisions, and what has to be written so that the one of its template is there.
    ///
    /// A revision that nobody controls is not adopted. It serves all the same when it is of the template.
    pub(crate) fn history(&self) -> (History<'a>, Vec<Action>) {
        let (own, foreign): (Vec<_>, Vec<_>) = self.revisions.iter().partition(|revision| self.controls(revision));
        let history = History::resolve(self.object, &own, &foreign);
        let update = || Cow::into_owned(history.update.clone());
        let write = match history.change {
            Change::None => None,
            Change::Create => Some(Action::Create(update())),
            Change::Renumber => Some(Action::Update(update())),
        };
        (history, write.into_iter().collect())
    }

    /// Revisions of the workload beyond its limit.
    pub(crate) fn surplus(&self, history: &History<'_>, limit: i32, in_use: impl Fn(&str) -> bool) -> Vec<Action> {
        let own: Vec<&Value> = self.revisions.iter().copied().filter(|revision| self.controls(revision)).collect();
        let surplus = revision::surplus(history, &own, in_use, usize::try_from(limit).ok());
        surplus.into_iter().map(Action::DeleteRevision).collect()
    }

    fn controls(&self, object: &Value) -> bool {
        object::controller_uid(object) == Some(object::uid(self.object))
    }
}

/// The number of things, as the API counts.
pub(crate) fn count<T>(things: impl IntoIterator<Item = T>) -> i32 {
    i32::try_from(things.into_iter().count()).unwrap_or(i32::MAX)
}
