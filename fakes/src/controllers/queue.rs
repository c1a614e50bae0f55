//! A work queue: keys wait until they are due, and a key waits only once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::Clock;

/// The first pause after a failed sync; it doubles with every further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause: a failure that lasts is looked at every few seconds, soon enough after it heals.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The finest step of tokio's timer. What is due within it is due: a shorter sleep would never end under paused time.
const TICK: SignedDuration = SignedDuration::from_millis(1);

/// Keys and when each is due. Equal times come out in the order of keys.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    clock: Clock,
    due: BTreeMap<K, Timestamp>,
    order: BTreeSet<(Timestamp, K)>,
    failures: BTreeMap<K, u32>,
}

impl<K: Ord + Clone> Queue<K> {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, due: BTreeMap::new(), order: BTreeSet::new(), failures: BTreeMap::new() }
    }

    /// Has the key come out after a delay, or sooner when it waits already.
    pub(crate) fn add(&mut self, key: K, delay: Duration) {
        let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
        let at = self.clock.now().saturating_add(delay).unwrap_or(Timestamp::MAX);
        match self.due.get(&key) {
            Some(&due) if due <= at => return,
            Some(&due) => drop(self.order.remove(&(due, key.clone()))),
            None => {}
        }
        self.due.insert(key.clone(), at);
        self.order.insert((at, key));
    }

    /// Has the key come out after a delay, no matter when it would have before.
    pub(crate) fn set(&mut self, key: K, delay: Duration) {
        if let Some(due) = self.due.remove(&key) {
            self.order.remove(&(due, key.clone()));
        }
        self.add(key, delay);
    }

    /// Takes the first key that is due.
    pub(crate) fn pop(&mut self) -> Option<K> {
        let (at, _) = self.order.first()?;
        if self.until(*at) > TICK {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.due.remove(&key);
        Some(key)
    }

    /// Tells how a key's work ended: a failed one comes back after a pause.
    pub(crate) fn done(&mut self, key: K, succeeded: bool) {
        if succeeded {
            self.failures.remove(&key);
            return;
        }
        let failures = self.failures.entry(key.clone()).or_default();
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(*failures)).min(LONGEST_PAUSE);
        *failures += 1;
        self.add(key, pause);
    }

    /// Sleeps until a key is due; without keys for ever.
    pub(crate) async fn wait(&self) {
        let Some((at, _)) = self.order.first() else { return std::future::pending().await };
        let wait = self.until(*at);
        if wait > TICK {
            self.clock.sleep(wait.unsigned_abs()).await;
        }
    }

    fn until(&self, at: Timestamp) -> SignedDuration {
        at.duration_since(self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn queue() -> Queue<&'static str> {
        Queue::new(Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1))
    }

    async fn next(queue: &mut Queue<&'static str>) -> &'static str {
        loop {
            queue.wait().await;
            if let Some(key) = queue.pop() {
                return key;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_come_out_once_when_due() {
        let mut queue = queue();
        for (key, delay) in [("b", 30), ("a", 5), ("c", 10), ("b", 20), ("c", 40)] {
            queue.add(key, ms(delay));
        }
        queue.set("a", ms(50));
        assert_eq!(queue.pop(), None);
        let mut order = Vec::new();
        for _ in 0..3 {
            order.push(next(&mut queue).await);
        }
        assert_eq!(order, ["c", "b", "a"]);
        assert_eq!(queue.order.len() + queue.due.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_pause_longer_each_time() {
        let mut queue = queue();
        let start = queue.clock.now();
        let mut waited = Vec::new();
        for _ in 0..13 {
            queue.done("a", false);
            let before = queue.clock.now();
            next(&mut queue).await;
            waited.push(queue.clock.now().duration_since(before).as_millis());
        }
        assert!(waited.is_sorted() && waited[0] < 10 && waited[12] >= 9_999, "{waited:?}");
        assert!(queue.clock.now().duration_since(start).as_secs() < 60);
        queue.done("a", true);
        assert_eq!(queue.failures.len(), 0);
    }
}
