//! Deterministic simulation of Slipway against fake clusters.
//!
//! A [`Scenario`] says which clusters there are, what users do and which faults strike; [`run`] plays it with a seed,
//! with the operator's own actor graph, in virtual time, and judges it by the [`invariants`]. The same scenario and
//! seed give the same trace, byte for byte.
//!
//! Read in this order: [`scenario`] (what can be said), `run` (how it is played), `link` (where faults are injected),
//! [`facts`] (what is true, computed apart from the operator), [`invariants`] (what must hold), `story` (how it is
//! told).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod alarms;
pub mod coverage;
mod drill;
mod expectation;
pub mod facts;
mod hooks;
pub mod invariants;
mod link;
mod marker;
mod operator;
mod random;
mod recorder;
mod rogue;
mod run;
mod sabotage;
pub mod scenario;
mod site;
mod story;
mod timeline;
pub mod trace;
mod traffic;

pub use self::{
    coverage::Coverage,
    drill::{Summary, drill},
    invariants::Verdict,
    link::Blow,
    run::{Options, Outcome, run, run_with},
    sabotage::Sabotage,
    scenario::{Scenario, ScenarioError, WorkloadKind},
};
