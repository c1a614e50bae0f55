//! What happened, one line per event, and the hash of it.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// A trace under construction. Nothing in it comes from an actor's id, a hash map's order or a global counter, so that
/// the same seed gives the same bytes in every process.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    lines: Vec<String>,
    hash: Sha256,
}

impl Trace {
    /// Adds an event.
    pub fn line(&mut self, at: Duration, text: &str) {
        let line = format!("{} {text}", seconds(at));
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        self.lines.push(line);
    }

    /// The events.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// SHA-256 over all events, in hex.
    pub fn hash(&self) -> String {
        format!("{:x}", self.hash.clone().finalize())
    }
}

/// Seconds with milliseconds.
pub fn seconds(at: Duration) -> String {
    format!("{}.{:03}s", at.as_secs(), at.subsec_millis())
}

/// A short digest of an object's bytes (FNV-1a): two traces differ in the first write that differs in any byte.
pub fn digest(bytes: &[u8]) -> u32 {
    bytes.iter().fold(2_166_136_261, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(16_777_619))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        let hash = |texts: &[&str]| {
            let mut trace = Trace::default();
            for text in texts {
                trace.line(Duration::from_millis(1500), text);
            }
            (trace.lines().to_vec(), trace.hash())
        };
        assert_eq!(hash(&["a", "b"]).0, ["1.500s a", "1.500s b"]);
        assert_eq!(hash(&["a", "b"]), hash(&["a", "b"]));
        assert_ne!(hash(&["a", "b"]).1, hash(&["ab"]).1);
        assert_ne!(digest(b"{\"a\":1}"), digest(b"{\"a\":2}"));
    }
}
