//! What one watch has shown, and how it may change.
//!
//! Between two lists an object never goes backward: a watch event that is older than what our own write returned is
//! dropped. A list is authoritative, also where its versions are lower than the known ones, as after a restore from a
//! backup; only what our own writes returned while it was on its way outlives it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::watch::{List, Seen};
use crate::{graph::project::Projected, view::ObjectKey};

/// The objects of one watch.
#[derive(Default)]
pub(super) struct Cache {
    entries: BTreeMap<ObjectKey, Entry>,
    /// The highest version any event had since the last list.
    seen: u64,
    /// When the last list was asked for.
    listed_at: Option<Timestamp>,
}

struct Entry {
    object: Projected,
    uid: String,
    version: Option<u64>,
    /// When it came from a write of ours, if it did.
    written_at: Option<Timestamp>,
}

type Changed = (ObjectKey, Option<Projected>);

impl Cache {
    /// The objects, by key.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&ObjectKey, &Projected)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.object))
    }

    /// Takes in what a watch has seen, and returns what changed by it.
    pub(super) fn take_in(&mut self, list: Option<List>, changes: BTreeMap<ObjectKey, Seen>) -> Vec<Changed> {
        let mut news = list.map(|list| self.replace(list)).unwrap_or_default();
        news.extend(changes.into_iter().filter_map(|(key, seen)| self.apply(key, seen)));
        news
    }

    /// Takes in what a write of ours returned; returns its key if it is news.
    ///
    /// An object that is not known is either new, or was deleted after the write: the watch has the last word then.
    pub(super) fn feed(&mut self, object: Projected, now: Timestamp) -> Option<ObjectKey> {
        let (key, uid, version) = identity(&object);
        let is_news = match self.entries.get(&key) {
            Some(entry) => !is_older(version, entry.version),
            None => self.listed_at.is_some() && version.is_some_and(|version| version > self.seen),
        };
        if !is_news {
            return None;
        }
        self.entries.insert(key.clone(), Entry { object, uid, version, written_at: Some(now) });
        Some(key)
    }

    /// The newest that is known of an object which a write of ours returned: the watch may have shown a later version, or
    /// its end (`None`), while the answer was on its way.
    pub(super) fn newest(&self, object: Projected) -> Option<Projected> {
        let (key, _, version) = identity(&object);
        match self.entries.get(&key) {
            Some(entry) if is_older(version, entry.version) => Some(entry.object.clone()),
            Some(_) => Some(object),
            None if self.listed_at.is_some() && version.is_some_and(|version| version <= self.seen) => None,
            None => Some(object),
        }
    }

    /// Drops an object that a write of ours has deleted; says whether it was there.
    pub(super) fn forget(&mut self, key: &ObjectKey, uid: &str) -> bool {
        let is_it = self.entries.get(key).is_some_and(|entry| entry.uid == uid);
        if is_it {
            self.entries.remove(key);
        }
        is_it
    }

    fn replace(&mut self, list: List) -> Vec<Changed> {
        let List { since, objects } = list;
        self.listed_at = Some(since);
        self.seen = 0;
        let mut old = std::mem::take(&mut self.entries);
        let mut changed = Vec::new();
        for (key, seen) in objects {
            let before = old.remove(&key);
            let after = match seen {
                Seen::Object(object) => Entry::of(object),
                // Known from before, and unreadable now: the last readable state is kept. Writes that are decided on
                // it carry its version, so they fail rather than harm.
                Seen::Unreadable | Seen::Gone { .. } => match before {
                    Some(before) => {
                        self.entries.insert(key, before);
                        continue;
                    }
                    None => continue,
                },
            };
            self.seen = self.seen.max(after.version.unwrap_or(0));
            match before {
                Some(before) if before.outlives(since, &after) => {
                    self.entries.insert(key, before);
                }
                before => {
                    if before.is_none_or(|before| before.object != after.object) {
                        changed.push((key.clone(), Some(after.object.clone())));
                    }
                    self.entries.insert(key, after);
                }
            }
        }
        for (key, before) in old {
            if before.written_at.is_some_and(|at| at >= since) {
                self.entries.insert(key, before);
            } else {
                changed.push((key, None));
            }
        }
        changed
    }

    fn apply(&mut self, key: ObjectKey, seen: Seen) -> Option<Changed> {
        match seen {
            Seen::Unreadable => None,
            Seen::Gone { version } => {
                let version = parse(&version);
                self.seen = self.seen.max(version.unwrap_or(0));
                if is_older(version, self.entries.get(&key)?.version) {
                    return None;
                }
                self.entries.remove(&key);
                Some((key, None))
            }
            Seen::Object(object) => {
                let entry = Entry::of(object);
                self.seen = self.seen.max(entry.version.unwrap_or(0));
                if let Some(before) = self.entries.get(&key)
                    && (is_older(entry.version, before.version) || before.object == entry.object)
                {
                    return None;
                }
                let object = entry.object.clone();
                self.entries.insert(key.clone(), entry);
                Some((key, Some(object)))
            }
        }
    }
}

impl Entry {
    fn of(object: Projected) -> Self {
        let (_, uid, version) = identity(&object);
        Self { object, uid, version, written_at: None }
    }

    /// Whether this is what our own write left while a list was on its way that still shows the object before it.
    fn outlives(&self, list_since: Timestamp, listed: &Self) -> bool {
        self.written_at.is_some_and(|at| at >= list_since)
            && self.uid == listed.uid
            && is_older(listed.version, self.version)
    }
}

fn identity(object: &Projected) -> (ObjectKey, String, Option<u64>) {
    let (key, uid, version) = object.identity();
    (key, uid, parse(&version))
}

fn parse(version: &str) -> Option<u64> {
    version.parse().ok()
}

/// Whether the one version is known to be older than the other. Versions are numbers on every API server we know; one
/// that is not tells nothing.
fn is_older(version: Option<u64>, than: Option<u64>) -> bool {
    matches!((version, than), (Some(version), Some(than)) if version < than)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::view::Pod;

    fn pod(name: &str, version: u32) -> Projected {
        Projected::Pod(Arc::new(Pod {
            key: key(name),
            uid: name.to_owned(),
            resource_version: version.to_string(),
            owner_uid: String::new(),
            revision: String::new(),
            template_label: None,
            ready_since: None,
            terminating: false,
            trouble: None,
        }))
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey { namespace: "ns".to_owned(), name: name.to_owned() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn list(second: i64, pods: &[(&str, u32)]) -> List {
        let objects = pods.iter().map(|(name, version)| (key(name), Seen::Object(pod(name, *version)))).collect();
        List { since: at(second), objects }
    }

    fn event(name: &str, version: u32) -> BTreeMap<ObjectKey, Seen> {
        BTreeMap::from([(key(name), Seen::Object(pod(name, version)))])
    }

    fn gone(name: &str, version: u32) -> BTreeMap<ObjectKey, Seen> {
        BTreeMap::from([(key(name), Seen::Gone { version: version.to_string() })])
    }

    fn versions(cache: &Cache) -> Vec<(String, String)> {
        cache.objects().map(|(key, object)| (key.name.clone(), object.identity().2)).collect()
    }

    fn is(cache: &Cache, expected: &[(&str, u32)]) {
        let expected: Vec<_> =
            expected.iter().map(|(name, version)| ((*name).to_owned(), version.to_string())).collect();
        assert_eq!(versions(cache), expected);
    }

    fn listed(pods: &[(&str, u32)]) -> Cache {
        let mut cache = Cache::default();
        cache.take_in(Some(list(0, pods)), BTreeMap::new());
        cache
    }

    #[test]
    fn an_event_never_takes_an_object_backward() {
        let mut cache = listed(&[("a", 5)]);
        assert!(cache.take_in(None, event("a", 4)).is_empty());
        is(&cache, &[("a", 5)]);
        assert_eq!(cache.take_in(None, event("a", 6)).len(), 1);
        is(&cache, &[("a", 6)]);
        assert!(cache.take_in(None, gone("a", 5)).is_empty());
        is(&cache, &[("a", 6)]);
        assert_eq!(cache.take_in(None, gone("a", 7)), vec![(key("a"), None)]);
    }

    #[test]
    fn a_list_may_take_an_object_backward_and_shows_what_is_gone() {
        let mut cache = listed(&[("a", 50), ("b", 60), ("c", 3)]);
        let changed = cache.take_in(Some(list(10, &[("a", 7), ("c", 3)])), BTreeMap::new());
        assert_eq!(changed, vec![(key("a"), Some(pod("a", 7))), (key("b"), None)]);
        is(&cache, &[("a", 7), ("c", 3)]);
        assert_eq!(cache.take_in(None, event("a", 8)).len(), 1, "and it goes on from there");
    }

    #[test]
    fn own_writes_are_seen_before_their_event_and_outlive_older_news() {
        let mut cache = listed(&[("a", 5)]);
        assert_eq!(cache.feed(pod("a", 8), at(1)), Some(key("a")));
        assert!(cache.take_in(None, event("a", 7)).is_empty());
        is(&cache, &[("a", 8)]);
        assert_eq!(cache.feed(pod("b", 9), at(1)), Some(key("b")), "a create is seen too");
        assert!(
            cache.take_in(Some(list(0, &[("a", 7)])), BTreeMap::new()).is_empty(),
            "a list asked for before the writes"
        );
        is(&cache, &[("a", 8), ("b", 9)]);
        cache.take_in(Some(list(2, &[("a", 7)])), BTreeMap::new());
        is(&cache, &[("a", 7)]);
    }

    #[test]
    fn a_late_answer_does_not_bring_back_what_is_deleted() {
        let mut cache = listed(&[("a", 5)]);
        cache.take_in(None, gone("a", 9));
        assert_eq!(cache.feed(pod("a", 8), at(1)), None);
        is(&cache, &[]);
        assert_eq!(Cache::default().feed(pod("a", 8), at(1)), None, "nor before the first list");
    }

    #[test]
    fn a_delete_of_ours_takes_only_the_object_it_was_about() {
        let mut cache = listed(&[("a", 5)]);
        assert!(!cache.forget(&key("a"), "another uid"));
        assert!(cache.forget(&key("a"), "a"));
        is(&cache, &[]);
    }

    #[test]
    fn an_unreadable_object_keeps_its_last_readable_state() {
        let mut cache = listed(&[("a", 5)]);
        let unreadable = |_: &str| BTreeMap::from([(key("a"), Seen::Unreadable), (key("b"), Seen::Unreadable)]);
        assert!(cache.take_in(None, unreadable("event")).is_empty());
        assert!(cache.take_in(Some(List { since: at(1), objects: unreadable("list") }), BTreeMap::new()).is_empty());
        is(&cache, &[("a", 5)]);
    }
}
