//! Drawn delays: how long things take, from one seeded stream per concern.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// A range of delays, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The shortest delay.
    pub min_ms: u64,
    /// The longest delay; below the shortest it counts as the shortest.
    pub max_ms: u64,
}

impl Delay {
    /// No delay at all.
    pub const NONE: Self = Self { min_ms: 0, max_ms: 0 };

    /// Delays from `min_ms` to `max_ms`.
    pub const fn between(min_ms: u64, max_ms: u64) -> Self {
        Self { min_ms, max_ms }
    }
}

/// A seeded stream of delays.
#[derive(Clone, Debug)]
pub(crate) struct Delays(ChaCha8Rng);

impl Delays {
    /// A stream of its own for each concern, so that one more draw in one of them shifts no other.
    pub(crate) fn new(seed: u64, concern: u64) -> Self {
        let mut stream = ChaCha8Rng::seed_from_u64(seed);
        stream.set_stream(concern);
        Self(stream)
    }

    pub(crate) fn draw(&mut self, delay: Delay) -> Duration {
        let choices = delay.max_ms.saturating_sub(delay.min_ms).saturating_add(1);
        Duration::from_millis(delay.min_ms.saturating_add(self.0.next_u64() % choices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_fill_their_range_and_depend_on_seed_and_concern() {
        let draw = |seed, concern| -> Vec<u128> {
            let mut delays = Delays::new(seed, concern);
            (0..200).map(|_| delays.draw(Delay::between(5, 8)).as_millis()).collect()
        };
        let drawn = draw(1, 1);
        assert_eq!(drawn.iter().copied().collect::<std::collections::BTreeSet<_>>(), (5..=8).collect());
        assert_eq!(drawn, draw(1, 1));
        assert_ne!(drawn, draw(2, 1));
        assert_ne!(drawn, draw(1, 2));
        let backwards = Delays::new(1, 1).draw(Delay::between(9, 3));
        assert_eq!(backwards, Duration::from_millis(9));
    }
}
