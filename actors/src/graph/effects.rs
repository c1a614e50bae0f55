//! The one place where tasks are started, and the graph's way to time.
//!
//! Handlers await no I/O: they start an effect here, and its result comes back as a message. Every effect is known,
//! so that killing the graph leaves none behind.

use std::{
    collections::BTreeMap,
    future::Future,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{
    FutureExt,
    future::{Either, select},
};
use jiff::Timestamp;
use ractor::concurrency::JoinHandle;

use super::backoff::Backoff;
use crate::world::Clock;

/// What every actor is handed: time, the seed, and the means to start effects.
#[derive(Clone)]
pub(crate) struct Context {
    clock: Arc<dyn Clock>,
    seed: u64,
    effects: Effects,
    serials: Arc<AtomicU64>,
}

impl Context {
    pub(crate) fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self { clock, seed, effects: Effects::default(), serials: Arc::default() }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock, for an effect that sleeps.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// A number not given out before in this graph. It orders things; it is never shown.
    pub(crate) fn serial(&self) -> u64 {
        self.serials.fetch_add(1, Ordering::Relaxed)
    }

    /// Growing delays whose jitter depends on the seed and on `what` only.
    pub(crate) fn backoff(&self, what: &str, first: Duration, cap: Duration) -> Backoff {
        Backoff::new(self.seed, what, first, cap)
    }

    /// Starts an effect. It ends when its [`Task`] is dropped.
    pub(crate) fn start(&self, effect: impl Future<Output = ()> + Send + 'static) -> Task {
        self.effects.start(effect)
    }

    /// Calls `then` after `delay`, unless the [`Task`] is dropped before.
    pub(crate) fn after(&self, delay: Duration, then: impl FnOnce() + Send + 'static) -> Task {
        let sleep = self.clock.sleep(delay);
        self.start(async move {
            sleep.await;
            then();
        })
    }

    /// Ends all effects, lets none start any more, and waits until they are gone.
    pub(crate) async fn close(&self) {
        for task in self.effects.close() {
            // An aborted task ends in an error; that it ended is all that is asked.
            let _ = task.await;
        }
    }

    /// Forbids effects and tells the running ones to end, without waiting.
    pub(crate) fn abort(&self) {
        self.effects.abort();
    }

    /// How many effects are running.
    pub(crate) fn running(&self) -> usize {
        self.effects.lock().running.len()
    }
}

/// The result of `work`, or `None` if `limit` of the clock's time passes before.
pub(crate) async fn within<T>(clock: &Arc<dyn Clock>, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), clock.sleep(limit)).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(_) => None,
    }
}

/// The result of `work`, or `None` if it panics: a bug in one effect must not leave an actor waiting for ever.
pub(crate) async fn caught<T>(what: &str, work: impl Future<Output = T>) -> Option<T> {
    let result = AssertUnwindSafe(work).catch_unwind().await;
    if result.is_err() {
        tracing::error!(effect = what, "effect panicked");
    }
    result.ok()
}

/// A running effect; dropping it aborts it.
#[must_use]
pub(crate) struct Task {
    id: u64,
    effects: Effects,
}

impl Drop for Task {
    fn drop(&mut self) {
        let ended = self.effects.lock().running.remove(&self.id);
        if let Some(handle) = ended {
            handle.abort();
        }
    }
}

#[derive(Clone, Default)]
struct Effects {
    tasks: Arc<Mutex<Tasks>>,
}

#[derive(Default)]
struct Tasks {
    closed: bool,
    next: u64,
    running: BTreeMap<u64, JoinHandle<()>>,
}

impl Effects {
    fn start(&self, effect: impl Future<Output = ()> + Send + 'static) -> Task {
        let mut tasks = self.lock();
        let id = tasks.next;
        tasks.next += 1;
        if !tasks.closed {
            let effects = self.clone();
            let handle = ractor::concurrency::spawn(async move {
                effect.await;
                effects.lock().running.remove(&id);
            });
            tasks.running.insert(id, handle);
        }
        Task { id, effects: self.clone() }
    }

    fn abort(&self) {
        let mut tasks = self.lock();
        tasks.closed = true;
        for handle in tasks.running.values() {
            handle.abort();
        }
    }

    fn close(&self) -> Vec<JoinHandle<()>> {
        self.abort();
        std::mem::take(&mut self.lock().running).into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
