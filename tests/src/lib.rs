//! Cross-crate and real-API-server tests.
