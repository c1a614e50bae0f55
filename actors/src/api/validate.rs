//! What a stored object must not ask for.

use std::fmt;

use super::{Rollout, RolloutStrategy};

/// One field that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field.
    pub path: String,
    /// What was found, what was expected, what to do.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Checks a Rollout.
pub fn rollout(_: &Rollout) -> Vec<FieldError> {
    Vec::new()
}

/// Checks a strategy.
pub fn strategy(_: &RolloutStrategy) -> Vec<FieldError> {
    Vec::new()
}
