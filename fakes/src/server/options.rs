//! How somebody writes, and what they are told beside the answer.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::types::Repeated;

/// Who writes and how.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Name under which written fields are recorded in managedFields.
    pub field_manager: String,
    /// Do everything but store the result.
    pub dry_run: bool,
    /// Take over fields that other appliers own (server-side apply only).
    pub force: bool,
    /// What happens to fields the schema does not know.
    pub field_validation: FieldValidation,
    /// Whether built-in objects are held against their types; writers inside the process are trusted to be right.
    pub(crate) check_types: bool,
    /// What the writer is to be told although the write succeeds.
    pub(crate) warnings: Warnings,
    /// What the body has twice.
    pub(crate) repeated: Repeated,
    /// The options a request gave, as admission is told of them.
    pub(crate) given: Vec<(&'static str, Value)>,
}

/// Warnings that come with an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    pub(crate) fn push(&self, warning: String) {
        let mut warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What happens to fields the schema does not know: they are always pruned; `Strict` refuses them instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Prune and say nothing.
    Ignore,
    /// Prune and warn.
    #[default]
    Warn,
    /// Refuse.
    Strict,
}

impl WriteOptions {
    /// Options of a writer with this name.
    pub fn manager(name: &str) -> Self {
        Self { field_manager: name.to_owned(), ..Self::default() }
    }
}
