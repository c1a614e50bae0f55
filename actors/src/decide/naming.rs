//! Names of runs.

use sha2::{Digest, Sha256};

/// Letters and digits that Kubernetes uses for generated names: no vowels, so no words.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Letters that follow the Rollout's name.
const SUFFIX_LEN: usize = 5;

/// What of the Rollout's name is kept: with the suffix the name stays a label value (63 characters).
const PREFIX_MAX: usize = 58;

/// The name of the run that a trigger leads to: upstream's shape, `<rollout>-` and five letters, but the letters are a
/// hash of what caused the run. So the same trigger always leads to the same name, and a repeated create is the same
/// create.
pub fn generated<'a>(
    rollout: &str,
    uid: &str,
    revisions: impl IntoIterator<Item = &'a str>,
    trigger_count: i64,
) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update(part.as_bytes());
        hash.update([0]);
    };
    add(uid);
    add(&trigger_count.to_string());
    revisions.into_iter().for_each(add);
    let digest = hash.finalize();
    let suffix: String =
        digest.iter().take(SUFFIX_LEN).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect();
    let dash = if rollout.ends_with('-') { "" } else { "-" };
    let prefix: String = format!("{rollout}{dash}").chars().take(PREFIX_MAX).collect();
    format!("{prefix}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::validate::is_object_name;

    #[test]
    fn the_same_trigger_has_the_same_name() {
        let name = generated("web", "uid", ["a=1", "b=2"], 1);
        assert_eq!(name, generated("web", "uid", ["a=1", "b=2"], 1));
        assert_ne!(name, generated("web", "uid", ["a=1", "b=2"], 2));
        assert_ne!(name, generated("web", "uid", ["a=1b=2"], 1));
        assert!(is_object_name(&name) && name.len() == "web-".len() + 5, "{name}");
    }

    #[test]
    fn long_names_are_cut_and_dashes_not_doubled() {
        assert_eq!(generated(&"x".repeat(80), "uid", [], 1).len(), 63);
        assert!(!generated("web-", "uid", [], 1).contains("--"));
    }
}
