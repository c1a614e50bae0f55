//! Coalescing intake: what an actor is told, kept as the latest value per key until it looks.
//!
//! Mailboxes are unbounded. Facts therefore do not travel in messages: a producer puts them here, where a newer one
//! replaces an older one of the same key, and the actor gets one message that says something is waiting. So the
//! mailbox is bounded by the number of inboxes, and each inbox by the number of objects.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

type Waker = Box<dyn Fn() + Send>;

/// Latest values by key, from any number of producers to one actor.
pub(crate) struct Inbox<K, V> {
    state: Arc<Mutex<State<K, V>>>,
}

struct State<K, V> {
    pending: BTreeMap<K, V>,
    waker: Option<Waker>,
}

impl<K, V> Clone for Inbox<K, V> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone() }
    }
}

impl<K: Ord, V> Inbox<K, V> {
    /// An inbox nobody reads yet. It collects until [`Inbox::attach`].
    pub(crate) fn new() -> Self {
        Self { state: Arc::new(Mutex::new(State { pending: BTreeMap::new(), waker: None })) }
    }

    /// Names the reader: `wake` is called whenever the inbox turns from empty to not empty, and now if it is not.
    pub(crate) fn attach(&self, wake: impl Fn() + Send + 'static) {
        let mut state = self.lock();
        if !state.pending.is_empty() {
            wake();
        }
        state.waker = Some(Box::new(wake));
    }

    /// Puts `value`, in place of an older one under the same key.
    pub(crate) fn push(&self, key: K, value: V) {
        self.change(|pending| {
            pending.insert(key, value);
        });
    }

    /// Takes everything there is.
    pub(crate) fn drain(&self) -> BTreeMap<K, V> {
        std::mem::take(&mut self.lock().pending)
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<K, V>)) {
        let mut state = self.lock();
        let was_empty = state.pending.is_empty();
        change(&mut state.pending);
        if was_empty && let Some(wake) = &state.waker {
            wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord, V: Default> Inbox<K, V> {
    /// Changes the value under `key`, beginning with the default one.
    pub(crate) fn update(&self, key: K, update: impl FnOnce(&mut V)) {
        self.change(|pending| update(pending.entry(key).or_default()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn counted() -> (Inbox<&'static str, u32>, Arc<AtomicUsize>) {
        let inbox = Inbox::new();
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = wakes.clone();
        inbox.attach(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        (inbox, wakes)
    }

    #[test]
    fn a_newer_value_replaces_an_older_one_and_wakes_once() {
        let (inbox, wakes) = counted();
        inbox.push("a", 1);
        inbox.push("b", 2);
        inbox.push("a", 3);
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
        assert_eq!(inbox.drain(), BTreeMap::from([("a", 3), ("b", 2)]));
        inbox.push("a", 4);
        assert_eq!(wakes.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn what_came_before_the_reader_wakes_it() {
        let inbox = Inbox::new();
        inbox.push("a", 1);
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = woken.clone();
        inbox.attach(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(woken.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn an_update_works_on_what_waits() {
        let (inbox, wakes) = counted();
        inbox.update("a", |value| *value += 1);
        inbox.update("a", |value| *value += 1);
        assert_eq!((inbox.drain()["a"], wakes.load(Ordering::SeqCst)), (2, 1));
    }
}
