//! A controller's view of one resource: the store's objects, found by what controls them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::object;
use crate::store::{GroupResource, Store, Stored, Subscription};

/// Objects of one resource as of a revision.
pub(crate) struct Cache {
    store: Store,
    resource: GroupResource,
    revision: u64,
    objects: BTreeMap<Name, Arc<Stored>>,
    controlled: BTreeMap<Controller, BTreeSet<String>>,
}

/// Namespace and name.
pub(crate) type Name = (String, String);
/// Namespace and the uid of the controller, empty for objects that nobody controls.
type Controller = (String, String);

/// One object before and after a change.
pub(crate) struct Change {
    pub(crate) old: Option<Arc<Stored>>,
    pub(crate) new: Option<Arc<Stored>>,
}

impl Cache {
    /// A view that has not seen anything yet, and what tells of changes.
    pub(crate) fn new(store: &Store, resource: GroupResource) -> (Self, Subscription) {
        let subscription = store.subscribe_to(&resource);
        let (objects, controlled) = (BTreeMap::new(), BTreeMap::new());
        (Self { store: store.clone(), resource, revision: 0, objects, controlled }, subscription)
    }

    /// Catches up with the store and tells what changed.
    pub(crate) fn refresh(&mut self) -> Vec<Change> {
        let events = if self.revision == 0 { None } else { self.store.changes(self.revision, &self.resource).ok() };
        let Some((events, revision)) = events else { return self.relist() };
        self.revision = revision;
        let changes = events.into_iter().map(|event| {
            let key = &event.new.key;
            let gone = event.kind == crate::store::EventType::Deleted;
            let new = (!gone).then(|| event.new.clone());
            self.replace((key.namespace.clone(), key.name.clone()), new)
        });
        changes.collect()
    }

    /// What a controller controls, and what nobody controls, in the order of names.
    pub(crate) fn controlled_by(&self, namespace: &str, uid: &str) -> Vec<Arc<Stored>> {
        let with = |uid: &str| self.controlled.get(&(namespace.to_owned(), uid.to_owned()));
        let names = with(uid).into_iter().chain(with("")).flatten();
        let mut found: Vec<_> =
            names.filter_map(|name| self.objects.get(&(namespace.to_owned(), name.clone()))).cloned().collect();
        found.sort_by(|a, b| a.key.name.cmp(&b.key.name));
        found
    }

    /// Objects whose name starts with a prefix.
    pub(crate) fn with_prefix(&self, namespace: &str, prefix: &str) -> Vec<Arc<Stored>> {
        let from = (namespace.to_owned(), prefix.to_owned());
        let starting =
            self.objects.range(from..).take_while(|((found, name), _)| found == namespace && name.starts_with(prefix));
        starting.map(|(_, stored)| stored.clone()).collect()
    }

    pub(crate) fn get(&self, name: &Name) -> Option<&Arc<Stored>> {
        self.objects.get(name)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Stored>> {
        self.objects.values().cloned().collect()
    }

    /// Everything again, after the log was compacted: each object that is there or was there may have changed.
    fn relist(&mut self) -> Vec<Change> {
        let (list, revision) = self.store.snapshot(&self.resource, None);
        self.revision = revision;
        let now: BTreeMap<Name, Arc<Stored>> =
            list.into_iter().map(|stored| ((stored.key.namespace.clone(), stored.key.name.clone()), stored)).collect();
        let gone: Vec<Name> = self.objects.keys().filter(|name| !now.contains_key(*name)).cloned().collect();
        let mut changes: Vec<Change> = gone.into_iter().map(|name| self.replace(name, None)).collect();
        changes.extend(now.into_iter().map(|(name, stored)| self.replace(name, Some(stored))));
        changes
    }

    fn replace(&mut self, name: Name, new: Option<Arc<Stored>>) -> Change {
        let old = match &new {
            Some(new) => self.objects.insert(name.clone(), new.clone()),
            None => self.objects.remove(&name),
        };
        if let Some(controller) = old.as_deref().map(controller)
            && let Some(names) = self.controlled.get_mut(&controller)
        {
            names.remove(&name.1);
            if names.is_empty() {
                self.controlled.remove(&controller);
            }
        }
        if let Some(controller) = new.as_deref().map(controller) {
            self.controlled.entry(controller).or_default().insert(name.1);
        }
        Change { old, new }
    }
}

fn controller(stored: &Stored) -> Controller {
    (stored.key.namespace.clone(), object::controller_uid(&stored.value).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Clock;
    use crate::store::Key;

    fn names(found: &[Arc<Stored>]) -> Vec<&str> {
        found.iter().map(|stored| stored.key.name.as_str()).collect()
    }

    fn pod(name: &str, controller: Option<&str>) -> Value {
        let owners: Vec<_> = controller.iter().map(|uid| json!({"uid": uid, "controller": true})).collect();
        json!({"metadata": {"name": name, "ownerReferences": owners}})
    }

    #[tokio::test(start_paused = true)]
    async fn objects_are_found_by_their_controller() {
        let store = Store::new(1, Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1));
        let pods = GroupResource::new("", "pods");
        let key = |name: &str| Key::new(&pods, "shop", name);
        let (mut cache, _) = Cache::new(&store, pods.clone());
        for (name, controller) in [("a-1", Some("a")), ("a-0", Some("a")), ("b-0", Some("b")), ("lone", None)] {
            store.insert(key(name), pod(name, controller)).unwrap();
        }
        assert_eq!(cache.refresh().len(), 4);
        assert_eq!(names(&cache.controlled_by("shop", "a")), ["a-0", "a-1", "lone"]);
        assert_eq!(names(&cache.controlled_by("elsewhere", "a")), [""; 0]);
        assert_eq!(names(&cache.with_prefix("shop", "a-")), ["a-0", "a-1"]);

        store.put(key("a-0"), pod("a-0", Some("b")), None).unwrap();
        store.remove(&key("a-1"), None).unwrap();
        let changes = cache.refresh();
        assert!(changes[0].old.is_some() && changes[0].new.is_some());
        assert!(changes[1].old.is_some() && changes[1].new.is_none());
        assert_eq!(names(&cache.controlled_by("shop", "b")), ["a-0", "b-0", "lone"]);

        store.remove(&key("b-0"), None).unwrap();
        store.insert(key("new"), pod("new", Some("a"))).unwrap();
        store.compact(store.revision());
        cache.refresh();
        assert_eq!(names(&cache.controlled_by("shop", "b")), ["a-0", "lone"]);
        assert_eq!(names(&cache.controlled_by("shop", "a")), ["lone", "new"]);
    }
}
