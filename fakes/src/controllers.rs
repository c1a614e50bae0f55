//! The controllers of kube-controller-manager that a cluster's workloads need, and those of some custom workloads.
//!
//! Each has a pure part, which decides from objects alone, and a shell, which carries decisions out.

pub(crate) mod cache;
pub(crate) mod claim;
pub(crate) mod client;
pub mod cloneset;
pub mod collaset;
pub(crate) mod custom;
pub mod deployment;
pub mod disruption;
pub mod endpointslice;
pub(crate) mod events;
pub mod garbage_collector;
pub mod hpa;
pub mod namespace;
pub(crate) mod object;
pub(crate) mod pod;
pub mod poddecoration;
pub(crate) mod queue;
pub mod replicaset;
pub mod revision;
pub mod statefulset;
pub(crate) mod template_hash;
pub(crate) mod worker;

use self::client::Client;
use self::cloneset::CloneSet;
use self::collaset::CollaSet;
use self::custom::when_served;
use self::hpa::Scaler;
use self::poddecoration::PodDecoration;
use self::statefulset::Flavour;
use crate::delay::{Delay, Delays};
use crate::server::ApiServer;

/// Streams that lags are drawn from, one per controller.
const STATEFULSET: u64 = 1;
const GARBAGE_COLLECTOR: u64 = 2;
const REPLICASET: u64 = 3;
const DEPLOYMENT: u64 = 4;
const ENDPOINTSLICE: u64 = 5;
const DISRUPTION: u64 = 6;
const NAMESPACE: u64 = 7;
const HPA: u64 = 8;
const ADVANCED_STATEFULSET: u64 = 9;
const CLONESET: u64 = 10;
const COLLASET: u64 = 11;
const PODDECORATION: u64 = 12;

/// How controllers behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerOptions {
    /// From a change to the sync it causes.
    pub lag: Delay,
    /// Whether they record what they do as Events. Histories without them are shorter.
    pub events: bool,
}

impl Default for ControllerOptions {
    fn default() -> Self {
        Self { lag: Delay::between(5, 50), events: true }
    }
}

/// Runs every controller of a cluster until the task is dropped, without metrics for autoscalers.
pub async fn run(api: ApiServer, options: ControllerOptions, seed: u64) {
    Box::pin(run_scaled(api, options, Scaler::default(), seed)).await;
}

/// Runs every controller of a cluster until the task is dropped.
pub async fn run_scaled(api: ApiServer, options: ControllerOptions, scaler: Scaler, seed: u64) {
    let client = Client::new(&api, "kube-controller-manager");
    let delays = |concern| Delays::new(seed, concern);
    let recording = |component| client.of(component, options.events);
    // Joined, not spawned: the order in which they look at a change is always the same.
    futures::join!(
        statefulset::controller::run(
            recording("statefulset-controller"),
            Flavour::Kubernetes,
            options.lag,
            delays(STATEFULSET)
        ),
        garbage_collector::run(client.clone(), options.lag, delays(GARBAGE_COLLECTOR)),
        replicaset::controller::run(recording("replicaset-controller"), options.lag, delays(REPLICASET)),
        deployment::controller::run(recording("deployment-controller"), options.lag, delays(DEPLOYMENT)),
        endpointslice::controller::run(client.clone(), options.lag, delays(ENDPOINTSLICE)),
        disruption::controller::run(recording("controllermanager"), options.lag, delays(DISRUPTION)),
        namespace::run(client.clone(), options.lag, delays(NAMESPACE)),
        hpa::controller::run(recording("horizontal-pod-autoscaler"), scaler, options.lag, delays(HPA)),
        run_custom(&api, &options, seed),
    );
}

/// Runs the controllers of workloads that Kubernetes does not have, each as soon as its resource is served.
async fn run_custom(api: &ApiServer, options: &ControllerOptions, seed: u64) {
    let client = Client::new(api, "manager");
    let delays = |concern| Delays::new(seed, concern);
    let sets = client.of("statefulset-controller", options.events);
    let advanced = statefulset::controller::run(sets, Flavour::Advanced, options.lag, delays(ADVANCED_STATEFULSET));
    futures::join!(
        when_served(&client, Flavour::Advanced.resource(), advanced),
        custom::run::<CloneSet>(client.clone(), options.lag, delays(CLONESET)),
        custom::run::<CollaSet>(client.clone(), options.lag, delays(COLLASET)),
        custom::run::<PodDecoration>(client.clone(), options.lag, delays(PODDECORATION)),
    );
}

#[cfg(test)]
mod tests;
