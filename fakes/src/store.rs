//! Objects of one cluster on one resourceVersion sequence, with a log of what changed.

mod document;
mod frame;
mod log;
mod objects;
mod random;
mod subscription;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde_json::Value;

pub use document::Document;
pub use log::{Event, EventType, Gone};
pub use subscription::Subscription;

use crate::Clock;
use log::Log;
use objects::{Before, Objects, path, put_back};
use random::Random;
use subscription::Bell;

/// An API group and the plural name of a resource in it; core resources have the empty group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupResource {
    /// API group, empty for core.
    pub group: Arc<str>,
    /// Plural name, as in URLs.
    pub plural: Arc<str>,
}

impl GroupResource {
    /// Names a resource.
    pub fn new(group: &str, plural: &str) -> Self {
        Self { group: group.into(), plural: plural.into() }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

/// Where an object lives: resource, namespace (empty for cluster-scoped ones), name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The resource the object belongs to.
    pub resource: GroupResource,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// Names an object.
    pub fn new(resource: &GroupResource, namespace: &str, name: &str) -> Self {
        Self { resource: resource.clone(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// One revision of one object.
#[derive(Debug)]
pub struct Stored {
    /// Where the object lives.
    pub key: Key,
    /// The object, `metadata.resourceVersion` included.
    pub value: Document,
    /// The same, serialised once for every reader.
    pub bytes: Bytes,
    /// The event that told of this revision, around the same bytes.
    event: Bytes,
    /// The revision that wrote it.
    pub resource_version: u64,
}

impl Stored {
    /// An object as an answer carries it, without being stored: what a dry run would have written.
    pub(crate) fn unsaved(key: Key, value: Value) -> Arc<Self> {
        Arc::new(Self::of(EventType::Deleted, key, value, 0, 0))
    }

    fn new(kind: EventType, key: Key, mut value: Value, resource_version: u64, old: Option<&Self>) -> Self {
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".into(), resource_version.to_string().into());
        }
        Self::of(kind, key, value, resource_version, old.map_or(0, |old| old.bytes.len()))
    }

    fn of(kind: EventType, key: Key, mut value: Value, resource_version: u64, size: usize) -> Self {
        lead_with_kind(&mut value);
        let (event, bytes) = frame::write(kind, &value, size);
        Self { key, value: Document::new(value, bytes.clone()), bytes, event, resource_version }
    }

    /// The same without its value.
    fn folded(&self) -> Self {
        let (key, bytes, event) = (self.key.clone(), self.bytes.clone(), self.event.clone());
        Self { key, value: self.value.folded(), bytes, event, resource_version: self.resource_version }
    }

    /// The object in an event, as watches send it. The event that told of this revision costs nothing.
    pub(crate) fn event(&self, kind: EventType) -> Bytes {
        frame::again(kind, &self.event, &self.bytes)
    }
}

/// Objects say first what they are, so that a list can leave it out without parsing them again.
fn lead_with_kind(value: &mut Value) {
    let Some(fields) = value.as_object_mut() else { return };
    let leads = fields.keys().take(2).eq(["apiVersion", "kind"]);
    if leads {
        return;
    }
    for (index, field) in ["apiVersion", "kind"].into_iter().enumerate() {
        if let Some(value) = fields.shift_remove(field) {
            fields.shift_insert(index.min(fields.len()), field.to_owned(), value);
        }
    }
}

/// Why a write did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// An insert found the key taken.
    #[error("an object of this name exists")]
    Exists,
    /// A put or remove found nothing.
    #[error("no object of this name exists")]
    Missing,
    /// The object is at another revision than the precondition says.
    #[error("the object is at another resource version")]
    Stale,
}

/// Objects of one resource, ordered by `namespace/name` as one text.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// The resource.
    pub resource: &'a GroupResource,
    /// A namespace, empty for cluster-scoped objects; none for all.
    pub namespace: Option<&'a str>,
    /// The first `namespace/name` that is wanted.
    pub start: &'a str,
}

/// Called with every change, inside the write that makes it.
pub type Observer = Box<dyn Fn(&Event) + Send>;

/// A change and the bells to ring for it.
type Written = (Arc<Event>, [Option<Arc<Bell>>; 2]);

/// A handle on the objects of one cluster. Clones share them.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    /// Held through a whole write, observers included, so that they see changes in order and may read the store.
    writes: Mutex<Vec<Observer>>,
    state: Mutex<State>,
    random: Mutex<Random>,
    reviews: Mutex<Random>,
    clock: Clock,
}

struct State {
    revision: u64,
    objects: BTreeMap<GroupResource, Objects>,
    log: Log,
    bells: BTreeMap<Option<GroupResource>, Arc<Bell>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// An empty store whose uids and generated names come from `seed`.
    pub fn new(seed: u64, clock: Clock) -> Self {
        let state = State { revision: 1, objects: BTreeMap::new(), log: Log::default(), bells: BTreeMap::new() };
        let (random, reviews) = (Mutex::new(Random::new(seed)), Mutex::new(Random::for_reviews(seed)));
        let shared = Shared { writes: Mutex::default(), state: Mutex::new(state), random, reviews, clock };
        Self { shared: Arc::new(shared) }
    }

    /// The cluster's clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The newest revision.
    pub fn revision(&self) -> u64 {
        lock(&self.shared.state).revision
    }

    /// One object as it is now.
    pub fn get(&self, key: &Key) -> Option<Arc<Stored>> {
        self.find(&key.resource, &key.namespace, &key.name)
    }

    /// One object as it is now, by the parts of its key.
    pub fn find(&self, resource: &GroupResource, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let state = lock(&self.shared.state);
        state.objects.get(resource)?.get(&path(namespace, name)).cloned()
    }

    /// All objects of a resource, in a namespace or in all, in the order of [`Range`].
    pub fn list(&self, resource: &GroupResource, namespace: Option<&str>) -> Vec<Arc<Stored>> {
        self.snapshot(resource, namespace).0
    }

    /// The same with the revision it is true for.
    pub fn snapshot(&self, resource: &GroupResource, namespace: Option<&str>) -> (Vec<Arc<Stored>>, u64) {
        let state = lock(&self.shared.state);
        let range = Range { resource, namespace, start: "" };
        (state.range(&range).map(|(_, stored)| stored.clone()).collect(), state.revision)
    }

    /// Has the objects of a range read as they are, with the revision they are of. No write comes in between.
    pub fn read<T>(&self, range: &Range<'_>, read: impl FnOnce(&mut dyn Iterator<Item = &Arc<Stored>>, u64) -> T) -> T {
        let state = lock(&self.shared.state);
        read(&mut state.range(range).map(|(_, stored)| stored), state.revision)
    }

    /// The same for an earlier revision, as long as the log reaches back to it.
    pub fn read_at<T>(
        &self,
        range: &Range<'_>,
        revision: u64,
        read: impl FnOnce(&mut dyn Iterator<Item = &Arc<Stored>>) -> T,
    ) -> Result<T, Gone> {
        let state = lock(&self.shared.state);
        let before = Before::changes(&state.log.since(revision, range.resource)?);
        Ok(read(&mut put_back(state.range(range), before.from(range.namespace, range.start))))
    }

    /// Writes a new object.
    pub fn insert(&self, key: Key, value: Value) -> Result<Arc<Stored>, WriteError> {
        self.write(key, |old| if old.is_some() { Err(WriteError::Exists) } else { Ok(Change::Set(value)) })
    }

    /// Replaces an object, if it is still at the expected revision.
    pub fn put(&self, key: Key, value: Value, expected: Option<u64>) -> Result<Arc<Stored>, WriteError> {
        self.write(key, |old| match old {
            None => Err(WriteError::Missing),
            Some(old) if expected.is_some_and(|e| e != old.resource_version) => Err(WriteError::Stale),
            Some(_) => Ok(Change::Set(value)),
        })
    }

    /// Removes an object, if it is still at the expected revision; answers its last state at the revision of removal.
    pub fn remove(&self, key: &Key, expected: Option<u64>) -> Result<Arc<Stored>, WriteError> {
        self.write(key.clone(), |old| match old {
            None => Err(WriteError::Missing),
            Some(old) if expected.is_some_and(|e| e != old.resource_version) => Err(WriteError::Stale),
            Some(old) => Ok(Change::Remove(Value::clone(&old.value))),
        })
    }

    /// Changes of one resource after a revision, oldest first.
    pub fn events_since(&self, revision: u64, resource: &GroupResource) -> Result<Vec<Arc<Event>>, Gone> {
        lock(&self.shared.state).log.since(revision, resource)
    }

    /// Changes of one resource after a revision, with the revision up to which this is all there is.
    pub fn changes(&self, revision: u64, resource: &GroupResource) -> Result<(Vec<Arc<Event>>, u64), Gone> {
        let state = lock(&self.shared.state);
        Ok((state.log.since(revision, resource)?, state.revision))
    }

    /// Forgets changes up to a revision: a watch that starts before it is answered with 410.
    pub fn compact(&self, revision: u64) {
        let mut state = lock(&self.shared.state);
        let revision = revision.min(state.revision);
        state.log.compact(revision);
    }

    /// Tells of every write, level-triggered: several writes may be one notice.
    pub fn subscribe(&self) -> Subscription {
        self.subscribe_where(None)
    }

    /// The same for writes of one resource only.
    pub fn subscribe_to(&self, resource: &GroupResource) -> Subscription {
        self.subscribe_where(Some(resource.clone()))
    }

    fn subscribe_where(&self, resource: Option<GroupResource>) -> Subscription {
        let mut state = lock(&self.shared.state);
        let revision = state.revision;
        let bell = state.bells.entry(resource).or_insert_with(|| Arc::new(Bell::new(revision)));
        Subscription::new(bell.clone())
    }

    /// Has every later change told to `observer`, inside the write. An observer may read the store, not write to it.
    pub fn observe(&self, observer: Observer) {
        lock(&self.shared.writes).push(observer);
    }

    /// A fresh uid from the seeded stream.
    pub fn uid(&self) -> String {
        lock(&self.shared.random).uid()
    }

    /// A fresh uid for the review of a write, from a stream of its own.
    pub(crate) fn review_uid(&self) -> String {
        lock(&self.shared.reviews).uid()
    }

    /// The five characters a generated name ends in, from the seeded stream.
    pub fn suffix(&self) -> String {
        lock(&self.shared.random).suffix()
    }

    fn write(
        &self,
        key: Key,
        decide: impl FnOnce(Option<&Arc<Stored>>) -> Result<Change, WriteError>,
    ) -> Result<Arc<Stored>, WriteError> {
        let observers = lock(&self.shared.writes);
        let (event, bells) = lock(&self.shared.state).write(key, decide)?;
        for observer in observers.iter() {
            observer(&event);
        }
        drop(observers);
        for bell in bells.into_iter().flatten() {
            bell.ring(event.resource_version);
        }
        Ok(event.new.clone())
    }
}

enum Change {
    Set(Value),
    Remove(Value),
}

impl State {
    fn range(&self, range: &Range<'_>) -> impl Iterator<Item = (&str, &Arc<Stored>)> {
        self.objects.get(range.resource).into_iter().flat_map(|objects| objects.from(range.namespace, range.start))
    }

    fn write(
        &mut self,
        key: Key,
        decide: impl FnOnce(Option<&Arc<Stored>>) -> Result<Change, WriteError>,
    ) -> Result<Written, WriteError> {
        let objects = self.objects.entry(key.resource.clone()).or_default();
        let at = path(&key.namespace, &key.name);
        let old = objects.get(&at).cloned();
        let change = decide(old.as_ref())?;
        self.revision += 1;
        let resource_version = self.revision;
        let resource = key.resource.clone();
        let (kind, value) = match change {
            Change::Set(value) if old.is_none() => (EventType::Added, value),
            Change::Set(value) => (EventType::Modified, value),
            Change::Remove(value) => (EventType::Deleted, value),
        };
        let new = Arc::new(Stored::new(kind, key, value, resource_version, old.as_deref()));
        match kind {
            EventType::Deleted => objects.remove(&at),
            _ => objects.insert(at, new.clone()),
        };
        let event = Arc::new(Event { kind, old, new, resource_version });
        self.log.push(event.clone());
        let bells = [self.bells.get(&None).cloned(), self.bells.get(&Some(resource)).cloned()];
        Ok((event, bells))
    }
}

#[cfg(test)]
mod tests;
