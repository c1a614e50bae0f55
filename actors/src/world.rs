//! The door: everything the graph may ask of the outside comes in here, at construction.
//!
//! No code of the graph reads a clock, sleeps, draws a random number or opens a connection but through a [`World`].
//! The operator hands in the wall clock and real clients, the simulator virtual time and fake ones, and nothing in
//! the graph can tell which.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;

/// The only source of time and of sleep.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Completes once `duration` of this clock's time has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The longest answer of an endpoint that is read. A hook may send the whole document back, and that grows with the
/// targets of a step: 100 bytes for each of some thousand.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A POST to an endpoint outside the clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCall {
    /// Where to, `http` or `https`.
    pub url: String,
    /// All headers, by name.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
    /// Certificates in PEM that the endpoint's certificate is verified with; absent means the system's roots.
    pub ca_bundle: Option<Bytes>,
}

/// What an endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// The only way to endpoints outside the clusters.
pub trait Http: Send + Sync + 'static {
    /// Makes a call, and completes with the answer or with what went wrong on the wire. Redirects are answers like any
    /// other, and an answer of more than [`MAX_ANSWER_BYTES`] is an error. Whoever drops the future no longer waits;
    /// the endpoint may have been asked all the same.
    fn post(&self, call: HttpCall) -> BoxFuture<'static, Result<HttpAnswer, String>>;
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
    /// Endpoints outside the clusters: hooks.
    pub http: Arc<dyn Http>,
    /// Seeds back-off jitter.
    pub seed: u64,
    /// The rollout class that is served; empty for what has none.
    pub class: String,
}
