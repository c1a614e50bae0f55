//! Level-triggered notice of writes.
//!
//! Not tokio's `watch` channel: that one draws at random which waiter it wakes first, and a seed must decide
//! everything. `Notify` wakes in the order of waiting.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

pub(super) struct Bell {
    revision: AtomicU64,
    notify: Notify,
}

impl Bell {
    pub(super) fn new(revision: u64) -> Self {
        Self { revision: AtomicU64::new(revision), notify: Notify::new() }
    }

    pub(super) fn ring(&self, revision: u64) {
        self.revision.fetch_max(revision, Ordering::SeqCst);
        self.notify.notify_waiters();
    }
}

/// Tells that something was written since the last look.
pub struct Subscription {
    bell: Arc<Bell>,
    seen: u64,
}

impl Subscription {
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        let seen = bell.revision.load(Ordering::SeqCst);
        Self { bell, seen }
    }

    /// Waits until there is a revision newer than the last one answered, and answers the newest. Safe to cancel.
    pub async fn changed(&mut self) -> u64 {
        loop {
            let notified = self.bell.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let newest = self.bell.revision.load(Ordering::SeqCst);
            if newest > self.seen {
                self.seen = newest;
                return newest;
            }
            notified.await;
        }
    }
}
