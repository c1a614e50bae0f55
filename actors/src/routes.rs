//! Our part of a route: laid over the route as it is now, and subtracted from it again exactly.
//!
//! A route's rules are one list that only whole can be written, so nobody can own a part of it. Instead our part can be
//! told from the user's by what it is: references to the two forks of a backend, rules that are named after them, and
//! mirrors to the canary fork. So what the user has is never remembered, and an edit of the user's that comes between our
//! read and our write, or while our part lies over the route, is the user's afterwards as well. Parts of several backends
//! lie over one route without knowing of each other.

mod clones;
mod filters;
pub mod ingress;
mod limits;
mod matches;
mod normal;
mod precedence;
mod refusal;
mod rules;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::api::http::{Fraction, HttpRouteFilter, HttpRouteMatch};

pub use self::normal::{bearing, is_laid, kept, normal};
pub use self::refusal::Refusal;
pub use self::rules::{with, without};

/// What the names of the rules end in that send matching requests to the canary fork.
pub const CANARY_RULE: &str = ".canary.rollout.kusionstack.io";
/// What the names of the rules end in that send matching requests to the stable fork.
pub const STABLE_RULE: &str = ".stable.rollout.kusionstack.io";

/// The kinds of route that have rules of the Gateway API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTPRoute.
    Http,
    /// GRPCRoute, which matches by method and headers, and neither redirects nor rewrites.
    Grpc,
}

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
    /// Where requests go that nothing else takes.
    pub rest: Rest,
    /// What goes to the stable fork whatever becomes of the rest. What goes to the canary fork comes first.
    pub stable: Option<Stable>,
    /// What goes to the canary fork.
    pub canary: Option<Canary>,
    /// Which requests the canary fork gets a copy of.
    pub mirror: Option<Mirror>,
}

/// Where requests go that nothing else takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rest {
    /// To the stable fork.
    #[default]
    Stable,
    /// To the user's own backend, as ever.
    Origin,
}

impl Forwarding {
    /// Whether any request goes to the stable fork.
    pub fn needs_stable(&self) -> bool {
        let has_all = |canary: &Canary| matches!(canary.share, Share::Weight(percent) if percent >= 100);
        self.stable.is_some() || !self.canary.as_ref().is_some_and(has_all)
    }
}

/// What goes to the stable fork.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stable {
    /// Requests that match any of these.
    pub matches: Vec<HttpRouteMatch>,
    /// What is done to them.
    pub filters: Vec<HttpRouteFilter>,
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

/// Of which requests a copy is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Mirror {
    /// Of so many percent.
    Percent(i32),
    /// Of a fraction.
    Fraction(Fraction),
}

/// The JSON Patch that turns the rules that were read into others. It fails if they have changed meanwhile.
pub fn patch(read: &Value, rules: &Value, resource_version: &str) -> Value {
    serde_json::json!([
        { "op": "test", "path": "/metadata/resourceVersion", "value": resource_version },
        { "op": "test", "path": "/spec/rules", "value": read },
        { "op": "replace", "path": "/spec/rules", "value": rules },
    ])
}

impl Kind {
    /// The kind of route that a kind is, if it is one.
    pub fn of(kind: &str) -> Option<Self> {
        match kind {
            "HTTPRoute" => Some(Self::Http),
            "GRPCRoute" => Some(Self::Grpc),
            _ => None,
        }
    }
}

impl Backend {
    /// Whether a reference is to the backend of this kind and that name.
    fn is(&self, reference: &Value, name: &str) -> bool {
        let text = |key: &str, default: &'static str| reference[key].as_str().unwrap_or(default).to_owned();
        let namespace = reference["namespace"].as_str();
        reference["name"] == name
            && text("group", "") == self.group
            && text("kind", "Service") == self.kind
            && namespace.is_none_or(|namespace| namespace == self.namespace)
    }

    /// Whether any reference of a rule is.
    fn is_in(&self, rule: &Value, name: &str) -> bool {
        list(&rule["backendRefs"]).iter().any(|reference| self.is(reference, name))
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
