//! An in-process Kubernetes: API server, workload controllers, kubelet, gateway.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod apply;
mod cel;
pub mod clock;
pub mod cluster;
pub mod clusterset;
pub mod controllers;
pub mod crds;
pub mod defaults;
pub mod delay;
pub mod gateway;
pub mod hooks;
pub mod kubelet;
mod names;
mod object;
pub mod registry;
pub mod schema;
pub mod selector;
pub mod server;
pub mod status;
pub mod store;
mod types;
mod validation;

pub use clock::Clock;
pub use cluster::{Cluster, ClusterOptions};
pub use clusterset::{ClusterSet, ClusterSetOptions};
pub use delay::Delay;
pub use gateway::{Gateway, GatewayOptions};
pub use kubelet::{Kubelet, KubeletOptions};
pub use server::{ApiServer, WebhookCall, Webhooks};
pub use status::Status;
pub use store::Store;
