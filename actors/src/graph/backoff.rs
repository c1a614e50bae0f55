//! Growing delays with seeded jitter.

use std::time::Duration;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use sha2::{Digest, Sha256};

/// Delays that double up to a cap. Each is between half and the whole of its step, so that many clients that failed
/// together do not come back together.
pub(crate) struct Backoff {
    random: ChaCha8Rng,
    first: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// Delays for `what`: the same seed and text give the same delays in every process.
    pub(crate) fn new(seed: u64, what: &str, first: Duration, cap: Duration) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(what.as_bytes());
        let random = ChaCha8Rng::from_seed(hash.finalize().into());
        Self { random, first, cap, failures: 0 }
    }

    /// The delay after one more failure.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures += 1;
        let step = self.first.saturating_mul(factor).min(self.cap);
        let half_ms = u64::try_from(step.as_millis() / 2).unwrap_or(u64::MAX);
        Duration::from_millis(half_ms + self.random.next_u64() % (half_ms + 1))
    }

    /// Failures since the last success.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Begins again at the first delay.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(seed: u64, what: &str) -> Vec<Duration> {
        let mut backoff = Backoff::new(seed, what, Duration::from_secs(1), Duration::from_secs(8));
        (0..6).map(|_| backoff.next_delay()).collect()
    }

    #[test]
    fn delays_double_up_to_the_cap_with_jitter_below() {
        for (delay, step_s) in delays(1, "a").into_iter().zip([1, 2, 4, 8, 8, 8]) {
            let step = Duration::from_secs(step_s);
            assert!(delay >= step / 2 && delay <= step, "{delay:?} is not within half of {step:?}");
        }
    }

    #[test]
    fn jitter_depends_on_seed_and_purpose_alone() {
        assert_eq!(delays(1, "a"), delays(1, "a"));
        assert_ne!(delays(1, "a"), delays(1, "b"));
        assert_ne!(delays(1, "a"), delays(2, "a"));
    }

    #[test]
    fn many_failures_stay_at_the_cap() {
        let mut backoff = Backoff::new(1, "a", Duration::from_secs(1), Duration::from_secs(8));
        for _ in 0..100 {
            assert!(backoff.next_delay() <= Duration::from_secs(8));
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_secs(1));
    }
}
