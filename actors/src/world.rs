//! The door: everything the graph may ask of the outside comes in here, at construction.
//!
//! No code of the graph reads a clock, sleeps, draws a random number or opens a connection but through a [`World`].
//! The operator hands in the wall clock and real clients, the simulator virtual time and fake ones, and nothing in
//! the graph can tell which.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use jiff::Timestamp;

/// The only source of time and of sleep.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Completes once `duration` of this clock's time has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// One API server the graph works with.
#[derive(Clone)]
pub struct Member {
    /// The cluster's name as it stands in manifests; empty for a hub that is its own member.
    pub name: String,
    /// The client, over any tower service.
    pub client: kube::Client,
}

/// What the graph is handed at construction.
#[derive(Clone)]
pub struct World {
    /// The cluster that holds Rollouts, RolloutRuns, strategies and topologies.
    pub hub: kube::Client,
    /// The clusters that hold workloads and routes, in order of name. Without any, the hub is its own member.
    pub members: Vec<Member>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Seeds back-off jitter.
    pub seed: u64,
}
