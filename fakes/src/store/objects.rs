//! The objects of one resource, in the order of the paths under which the real server keeps them.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use super::{Event, Stored};

/// Something of each object, by its path.
#[derive(Debug)]
pub(super) struct ByPath<T>(BTreeMap<String, T>);

/// The objects as they are.
pub(super) type Objects = ByPath<Arc<Stored>>;
/// What objects were before they changed; nothing where there was none yet.
pub(super) type Before = ByPath<Option<Arc<Stored>>>;

/// Where an object is. Those of a namespace are side by side.
pub(super) fn path(namespace: &str, name: &str) -> String {
    [namespace, "/", name].concat()
}

impl<T> Default for ByPath<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> ByPath<T> {
    pub(super) fn get(&self, path: &str) -> Option<&T> {
        self.0.get(path)
    }

    pub(super) fn insert(&mut self, path: String, entry: T) -> Option<T> {
        self.0.insert(path, entry)
    }

    pub(super) fn remove(&mut self, path: &str) -> Option<T> {
        self.0.remove(path)
    }

    /// Those of a namespace or of all, from a path on.
    pub(super) fn from(&self, namespace: Option<&str>, start: &str) -> impl Iterator<Item = (&str, &T)> {
        // What follows the slash is the first character that is beyond a namespace.
        let bounds = namespace.map(|namespace| (path(namespace, ""), [namespace, "0"].concat()));
        let (first, end) = match bounds {
            None => (start.to_owned(), Bound::Unbounded),
            Some((first, end)) => (start.clamp(&first, &end).to_owned(), Bound::Excluded(end)),
        };
        self.0.range((Bound::Included(first), end)).map(|(path, entry)| (path.as_str(), entry))
    }
}

impl Before {
    /// What was before changes, which come oldest first.
    pub(super) fn changes(changes: &[Arc<Event>]) -> Self {
        let mut before = BTreeMap::new();
        for change in changes {
            let key = change.key();
            before.entry(path(&key.namespace, &key.name)).or_insert_with(|| change.old.clone());
        }
        Self(before)
    }
}

/// The present with what has changed put back, both in the order of paths.
pub(super) fn put_back<'a>(
    now: impl Iterator<Item = (&'a str, &'a Arc<Stored>)>,
    before: impl Iterator<Item = (&'a str, &'a Option<Arc<Stored>>)>,
) -> impl Iterator<Item = &'a Arc<Stored>> {
    let (mut now, mut before) = (now.peekable(), before.peekable());
    std::iter::from_fn(move || {
        loop {
            let Some(&(changed, old)) = before.peek() else { return now.next().map(|(_, stored)| stored) };
            if let Some((_, unchanged)) = now.next_if(|(path, _)| *path < changed) {
                return Some(unchanged);
            }
            now.next_if(|(path, _)| *path == changed);
            before.next();
            if old.is_some() {
                return old.as_ref();
            }
        }
    })
}
