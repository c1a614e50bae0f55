//! An in-process Kubernetes: API server, workload controllers, kubelet.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod apply;
pub mod clock;
pub mod controllers;
pub mod schema;
pub mod store;

pub use clock::Clock;
pub use store::Store;
