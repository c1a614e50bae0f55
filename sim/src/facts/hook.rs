//! What hooks were asked and said.

use std::fmt;

use serde_json::Value;

use super::{int, text};

/// One hook of one moment of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HookId {
    /// The run.
    pub run: String,
    /// The moment.
    pub hook_type: String,
    /// The batch, counted from 0, where it is about one.
    pub batch: Option<usize>,
    /// The hook's name.
    pub name: String,
}

impl fmt::Display for HookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.name, self.hook_type)?;
        match self.batch {
            Some(index) => write!(f, " of batch {})", index + 1),
            None => write!(f, ")"),
        }
    }
}

/// What an answer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Go on.
    Ok,
    /// Not done yet.
    Processing,
    /// Anything that is a failure: `Error`, no answer, or one that cannot be read.
    Failed,
}

/// What is known of one hook of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookFacts {
    /// The idempotency keys it was asked under since its step last began.
    pub keys: std::collections::BTreeSet<String>,
    /// Those of before. Whoever is asked under one of them once more is not asked anew.
    stale: std::collections::BTreeSet<String>,
    /// Whether its last answer was `OK`.
    pub ok: bool,
    /// Failures in a row.
    pub failures: u32,
}

impl HookFacts {
    /// The run begins its steps anew: what was said so far is about something else.
    pub(super) fn begin_anew(&mut self) {
        self.stale.append(&mut self.keys);
        (self.ok, self.failures) = (false, 0);
    }

    pub(super) fn asked(&mut self, key: &str, said: Said) {
        if self.stale.contains(key) {
            return;
        }
        self.keys.insert(key.to_owned());
        self.ok = said == Said::Ok;
        self.failures = if said == Said::Failed { self.failures + 1 } else { 0 };
    }
}

/// What a run says of a hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookRule {
    /// Its name.
    pub name: String,
    /// The moments at which it is asked.
    pub types: Vec<String>,
    /// Whether a failure of it is ignored.
    pub ignored: bool,
    /// How many failures in a row count as one.
    pub threshold: u32,
    /// Whether it has a deadline, after which it counts as failed whatever it says.
    pub bounded: bool,
}

impl HookRule {
    pub(super) fn read(hook: &Value) -> Self {
        let types = hook["hookTypes"].as_array().map(Vec::as_slice).unwrap_or_default();
        Self {
            name: text(&hook["name"]),
            types: types.iter().map(text).collect(),
            ignored: hook["failurePolicy"] == "Ignore",
            threshold: u32::try_from(int(&hook["failureThreshold"])).ok().filter(|n| *n > 0).unwrap_or(3),
            bounded: hook["deadlineSeconds"].is_number(),
        }
    }

    /// Whether the run may go on past it.
    pub fn passed(&self, hook: Option<&HookFacts>) -> bool {
        let Some(hook) = hook else { return false };
        hook.ok || self.ignored && (hook.failures >= self.threshold || self.bounded)
    }
}
