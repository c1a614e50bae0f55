//! Slipway's API types, pure decisions and actor graph.
pub mod api;
