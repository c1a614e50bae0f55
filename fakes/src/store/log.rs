//! What changed, in order, until it is compacted away.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{GroupResource, Key, Stored};

/// Changes per resource whose objects are kept as values too. Who keeps up reads these.
const UNFOLDED_PER_RESOURCE: usize = 64;

/// Changes kept per resource before the oldest half is compacted. A watcher that falls this far behind lists again;
/// etcd's five minutes are of the same size on a busy cluster.
const LIMIT_PER_RESOURCE: usize = 20_000;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventType {
    /// It was created.
    Added,
    /// It was replaced.
    Modified,
    /// It was removed.
    Deleted,
}

/// One change of one object.
#[derive(Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventType,
    /// The object before, absent when it was created.
    pub old: Option<Arc<Stored>>,
    /// The object after; for a removal its last state, at the revision of the removal.
    pub new: Arc<Stored>,
    /// The revision of this change.
    pub resource_version: u64,
}

impl Event {
    /// The object that changed.
    pub fn key(&self) -> &Key {
        &self.new.key
    }

    /// The same, held as text.
    fn folded(&self) -> Self {
        let fold = |stored: &Arc<Stored>| Arc::new(stored.folded());
        let (old, new) = (self.old.as_ref().map(fold), fold(&self.new));
        Self { kind: self.kind, old, new, resource_version: self.resource_version }
    }
}

/// The log does not reach back as far as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Gone {
    /// The revision that was asked for.
    pub asked: u64,
    /// The oldest revision that can be asked for.
    pub oldest: u64,
}

#[derive(Default)]
pub(super) struct Log {
    events: BTreeMap<GroupResource, VecDeque<Arc<Event>>>,
    /// Revisions up to this one are forgotten for every resource.
    compacted: u64,
    /// The same for resources that outgrew their limit.
    trimmed: BTreeMap<GroupResource, u64>,
}

impl Log {
    pub(super) fn push(&mut self, event: Arc<Event>) {
        let resource = &event.key().resource;
        let Some(events) = self.events.get_mut(resource) else {
            self.events.insert(resource.clone(), VecDeque::from([event]));
            return;
        };
        if events.len() >= LIMIT_PER_RESOURCE {
            let newest_dropped = events.drain(..LIMIT_PER_RESOURCE / 2).next_back();
            if let Some(dropped) = newest_dropped {
                self.trimmed.insert(resource.clone(), dropped.resource_version);
            }
        }
        events.push_back(event);
        let aged = events.len().checked_sub(UNFOLDED_PER_RESOURCE + 1).and_then(|index| events.get_mut(index));
        if let Some(aged) = aged {
            *aged = Arc::new(aged.folded());
        }
    }

    pub(super) fn since(&self, revision: u64, resource: &GroupResource) -> Result<Vec<Arc<Event>>, Gone> {
        let oldest = self.compacted.max(self.trimmed.get(resource).copied().unwrap_or_default());
        if revision < oldest {
            return Err(Gone { asked: revision, oldest });
        }
        let Some(events) = self.events.get(resource) else { return Ok(Vec::new()) };
        let first = events.partition_point(|event| event.resource_version <= revision);
        Ok(events.range(first..).cloned().collect())
    }

    pub(super) fn compact(&mut self, revision: u64) {
        self.compacted = self.compacted.max(revision);
        for events in self.events.values_mut() {
            let kept = events.partition_point(|event| event.resource_version <= revision);
            events.drain(..kept);
        }
    }
}
