//! Cross-crate and real-API-server tests, and what gets them a control plane.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cache;
pub mod conformance;
pub mod control_plane;
pub mod foreign;
pub mod fuzz;
pub mod gateway;
pub mod gateway_api;
pub mod kubelet;
pub mod objects;
pub mod operator;
pub mod types;
pub mod webhooks;
