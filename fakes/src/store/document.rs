//! An object in its two forms: the text that readers get, and the value that the server works with.

use std::{ops::Deref, sync::OnceLock};

use bytes::Bytes;
use serde_json::Value;

/// An object as a value. One that is kept for its text alone is read again when somebody looks at it.
#[derive(Debug)]
pub struct Document {
    text: Bytes,
    value: OnceLock<Value>,
}

impl Document {
    /// A value and its text.
    pub(super) fn new(value: Value, text: Bytes) -> Self {
        Self { text, value: value.into() }
    }

    /// The same without the value, which takes ten times the memory of the text.
    pub(super) fn folded(&self) -> Self {
        Self { text: self.text.clone(), value: OnceLock::new() }
    }
}

impl Deref for Document {
    type Target = Value;

    fn deref(&self) -> &Value {
        // The text was written from a value, so it can be read.
        self.value.get_or_init(|| serde_json::from_slice(&self.text).unwrap_or_default())
    }
}
