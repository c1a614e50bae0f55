//! One seed, many independent streams.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::scenario::{Ratio, Span};

/// What a stream of random numbers is for. Each concern draws from a stream of its own, so that a new kind of fault
/// does not shift what the others draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Concern {
    /// Seeds of the fake clusters.
    Cluster = 1,
    /// Seeds of the operator's own back-off.
    Operator = 2,
    /// Time on the wire.
    Latency = 3,
    /// Requests and responses that get lost.
    Loss = 4,
    /// Errors answered in place of the API server.
    Refusal = 5,
    /// Ends of watches.
    Watch = 6,
    /// Clusters that cannot be reached.
    Partition = 7,
    /// Crashes of the operator, and how long it stays away.
    Crash = 8,
    /// Which kinds of fault a seed uses, and how hard.
    Swarm = 9,
    /// Questions to hooks and their answers.
    Hook = 10,
    /// Requests of clients.
    Client = 11,
    /// How late imports follow exports.
    ClusterSet = 12,
}

/// A stream of bounded integers. Nothing here is a float: the same seed must draw the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of one concern. `lane` tells clusters apart.
    pub(crate) fn new(seed: u64, concern: Concern, lane: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream((concern as u64) << 32 | u64::from(lane));
        Self(rng)
    }

    /// Any number.
    pub(crate) fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; zero when the bound is zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// A duration within a span, both ends included, in whole milliseconds.
    pub(crate) fn within(&mut self, span: Span) -> std::time::Duration {
        let [low, high] = [span.low, span.high].map(|end| u64::try_from(end.as_millis()).unwrap_or(u64::MAX));
        std::time::Duration::from_millis(low + self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// True in `ratio` of all draws. Draws once, whatever the ratio is.
    pub(crate) fn hits(&mut self, ratio: Ratio) -> bool {
        self.below(u64::from(ratio.of)) < u64::from(ratio.hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_repeatable_and_independent() {
        let draw = |concern, lane| {
            let mut dice = Dice::new(7, concern, lane);
            [dice.below(1000), dice.below(1000), dice.below(1000)]
        };
        assert_eq!(draw(Concern::Loss, 0), draw(Concern::Loss, 0));
        assert_ne!(draw(Concern::Loss, 0), draw(Concern::Loss, 1));
        assert_ne!(draw(Concern::Loss, 0), draw(Concern::Crash, 0));
    }

    #[test]
    fn ratios_and_bounds_hold() {
        let mut dice = Dice::new(1, Concern::Latency, 0);
        assert!((0..1000).all(|_| dice.below(3) < 3));
        assert_eq!(dice.below(0), 0);
        for (ratio, low, high) in [("0/1", 0, 0), ("1/1", 10_000, 10_000), ("3/100", 200, 400)] {
            let ratio: Ratio = ratio.parse().unwrap();
            let hits = (0..10_000).filter(|_| dice.hits(ratio)).count();
            assert!((low..=high).contains(&hits), "{ratio}: {hits}");
        }
        let span: Span = "5ms..7ms".parse().unwrap();
        let drawn: std::collections::BTreeSet<_> = (0..100).map(|_| dice.within(span).as_millis()).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [5, 6, 7]);
    }
}
