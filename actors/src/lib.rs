//! Slipway's API types, pure decisions and actor graph.
//!
//! Read in this order: [`api`] (the kinds), [`workloads`] (what can be rolled
//! out), [`view`] (what is known), [`intent`] (what can be wanted), [`decide`]
//! (from the one to the other, pure), [`world`] (the door to the outside), [`graph`] (the actors, plumbing).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod api;
pub mod backends;
pub mod decide;
pub mod graph;
pub mod intent;
pub mod routes;
pub mod view;
pub mod workloads;
pub mod world;
