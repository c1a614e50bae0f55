//! Seeded choices, in integers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One stream of choices. Each concern has its own, so that a new choice in one shifts no other.
#[derive(Debug, Clone)]
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number below `n`, which is not zero.
    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.0.next_u32()).unwrap_or_default() % n
    }

    /// True `wanted` times of `all`.
    pub(super) fn chance(&mut self, wanted: usize, all: usize) -> bool {
        self.below(all) < wanted
    }

    /// One of some.
    pub(super) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// One of some, each as often as its weight says.
    pub(super) fn weighted<T: Clone>(&mut self, choices: &[(usize, T)]) -> T {
        let mut left = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return choice.clone(),
            }
        }
        choices[0].1.clone()
    }

    /// `wanted` times of `all` what `make` makes.
    pub(super) fn maybe<T>(&mut self, wanted: usize, all: usize, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(wanted, all).then(|| make(self))
    }
}
