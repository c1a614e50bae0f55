//! A document that was read.

use serde_json::Value;

/// A document, and what it has twice; the last one counts.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) value: Value,
    pub(crate) repeated: Repeated,
}

/// What a document has twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repeated {
    /// Paths of fields, in JSON.
    Fields(Vec<String>),
    /// What is said of keys, line by line, in YAML.
    Lines(Vec<String>),
}

impl Default for Repeated {
    fn default() -> Self {
        Self::Fields(Vec::new())
    }
}

impl Repeated {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Fields(all) | Self::Lines(all) => all.is_empty(),
        }
    }

    /// One warning for each.
    pub(crate) fn warnings(&self) -> Vec<String> {
        match self {
            Self::Fields(paths) => paths.iter().map(|path| format!("duplicate field {path:?}")).collect(),
            Self::Lines(lines) => lines.clone(),
        }
    }

    /// As a refusal tells of them: the lines of YAML are one error.
    pub(crate) fn errors(&self) -> Vec<String> {
        match self {
            Self::Lines(lines) if !lines.is_empty() => {
                vec![format!("yaml: unmarshal errors:\n  {}", lines.join("\n  "))]
            }
            _ => self.warnings(),
        }
    }
}
