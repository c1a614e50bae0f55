//! Uids and generated name endings from one seeded stream.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Kubernetes leaves out vowels and the digits that look like them.
const SUFFIX_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;

/// The stream that uids of reviews are drawn from.
const REVIEWS: u64 = 0x72_65_76_69_65_77;

pub(super) struct Random(ChaCha8Rng);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A stream of its own, so that who is asked about writes shifts no other uid.
    pub(super) fn for_reviews(seed: u64) -> Self {
        let mut stream = ChaCha8Rng::seed_from_u64(seed);
        stream.set_stream(REVIEWS);
        Self(stream)
    }

    pub(super) fn uid(&mut self) -> String {
        let mut bytes = [0_u8; 16];
        self.0.fill_bytes(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let n = u128::from_be_bytes(bytes);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            n >> 96,
            (n >> 80) & 0xffff,
            (n >> 64) & 0xffff,
            (n >> 48) & 0xffff,
            n & 0xffff_ffff_ffff
        )
    }

    pub(super) fn suffix(&mut self) -> String {
        let mut bytes = [0_u8; SUFFIX_LENGTH];
        self.0.fill_bytes(&mut bytes);
        bytes.iter().map(|byte| char::from(SUFFIX_ALPHABET[usize::from(*byte) % SUFFIX_ALPHABET.len()])).collect()
    }
}
