//! Decisions: pure functions from what the API shows now to what is to happen next.
//!
//! No I/O, no clock, no randomness and no actor in any signature here. The operator and the simulator call the very
//! same functions.

pub mod absence;
pub mod admission;
pub mod batch;
pub mod behind;
pub mod blue_green;
pub mod canary;
pub mod class;
pub mod command;
pub mod condition;
pub mod deadline;
mod deployment;
pub mod direction;
pub mod drift;
#[cfg(test)]
mod fixtures;
pub mod goals;
pub mod history;
pub mod holder;
pub mod hooks;
pub mod kinds;
#[cfg(test)]
mod model;
pub mod naming;
pub mod one_time;
pub mod orphans;
pub mod pace;
pub mod partition;
pub mod patch;
pub mod plan;
pub mod rollback;
pub mod rollout;
pub mod route;
pub mod routing;
pub mod run;
pub mod scale;
pub mod select;
pub mod standalone;
pub mod start;
pub mod status;
pub mod template;
pub mod toleration;
pub mod topology;
pub mod traffic;
pub mod trigger;
#[cfg(test)]
mod walk;
pub mod workload;

pub use self::{
    command::Command,
    partition::PARKED,
    rollout::rollout,
    route::route,
    routing::routing,
    topology::topology,
    workload::{WorkloadStep, WorkloadWrite, count, workload},
};
