//! Our part of a route: laid over the route as it is now, and subtracted from it again exactly.
//!
//! A route's rules are one list that only whole can be written, so nobody can own a part of it. Instead our part can be
//! told from the user's by what it is: references to the two forks of a backend, rules whose names end in [`CLONE`], and
//! mirrors to the canary fork. So what the user has is never remembered, and an edit of the user's that comes between our
//! read and our write, or while our part lies over the route, is the user's afterwards as well.

mod filters;
mod matches;
mod rules;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::api::http::{HttpRouteFilter, HttpRouteMatch};

pub use self::rules::{with, without};

/// What the names of the rules end in that send matching requests to the canary fork.
pub const CLONE: &str = ".canary.rollout.kusionstack.io";

/// A backend of a route, and its forks. They are of one kind, and in the route's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// Group; empty for core.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace of the route.
    pub namespace: String,
    /// The user's own.
    pub origin: String,
    /// The fork that selects pods of the old version.
    pub stable: String,
    /// The fork that selects pods of the new one.
    pub canary: String,
}

/// What our part of a route does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forwarding {
    /// What goes to the canary fork; without it all requests go to the stable one.
    pub canary: Option<Canary>,
    /// Share of requests that the canary fork gets a copy of, in percent.
    pub mirror: Option<i32>,
}

/// What goes to the canary fork.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// Which requests.
    pub share: Share,
    /// What is done to them.
    pub filters: Vec<HttpRouteFilter>,
}

/// Which requests go to the canary fork.
#[derive(Clone, Debug, PartialEq)]
pub enum Share {
    /// So many percent of those that the backend gets.
    Weight(i32),
    /// Those that match any of these.
    Matches(Vec<HttpRouteMatch>),
}

/// Why our part cannot be laid over a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The rules would be more than a route may hold.
    #[error(
        "it would have {found} rules with those that send matching requests to {canary}, and a route holds at most 16: use a weight instead of matches, or split the route"
    )]
    Rules {
        /// How many they would be.
        found: usize,
        /// The canary fork.
        canary: String,
    },
    /// The matches would be more than a rule or a route may hold.
    #[error(
        "rules[{rule}] would have {found} matches, and a rule holds at most 64: use fewer matches, or split the route"
    )]
    MatchesOfRule {
        /// The rule of the user's.
        rule: usize,
        /// How many they would be.
        found: usize,
    },
    /// All matches of a route together.
    #[error(
        "it would have {found} matches in all, and a route holds at most 128: use fewer matches, or split the route"
    )]
    Matches {
        /// How many they would be.
        found: usize,
    },
    /// A rule would have more references than it may.
    #[error(
        "rules[{rule}] would have {found} backendRefs, and a rule holds at most 16: use matches instead of a weight, or split the rule"
    )]
    BackendRefs {
        /// The rule.
        rule: usize,
        /// How many they would be.
        found: usize,
    },
    /// A weight that leaves no room for a share of it.
    #[error(
        "rules[{rule}].backendRefs[].weight is {found}: shares of a weight can be told up to 10000: use smaller weights"
    )]
    Weight {
        /// The rule.
        rule: usize,
        /// The weight.
        found: i64,
    },
    /// Nothing in it goes to the backend.
    #[error("no rule of it refers to {kind} {name}: correct the TrafficTopology, or the route")]
    Unreferenced {
        /// Kind of the backend.
        kind: String,
        /// Its name.
        name: String,
    },
    /// No match of ours fits any of a rule's.
    #[error("the matches fit none of the route's own, so that no request would take them: correct the matches")]
    NothingMatches,
}

/// The JSON Patch that turns the rules that were read into others. It fails if they have changed meanwhile.
pub fn patch(read: &Value, rules: &Value, resource_version: &str) -> Value {
    serde_json::json!([
        { "op": "test", "path": "/metadata/resourceVersion", "value": resource_version },
        { "op": "test", "path": "/spec/rules", "value": read },
        { "op": "replace", "path": "/spec/rules", "value": rules },
    ])
}
