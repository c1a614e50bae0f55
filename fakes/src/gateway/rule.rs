//! Rules of routes, as a gateway has programmed them.

use std::fmt;

use serde_json::Value;

use super::backend::Reference;
use super::filter::Filter;
use super::matching::Match;
use crate::controllers::object::{self, list};

/// A route by its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteId {
    /// `HTTPRoute`, `GRPCRoute` or `Ingress`.
    pub kind: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl RouteId {
    /// Names a route.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// One rule of a route.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) route: RouteId,
    /// When the route was made, in the API's format, which sorts like the time.
    pub(super) created: String,
    /// Its place in the route.
    pub(super) index: usize,
    /// Its name; empty without one.
    pub(super) name: String,
    /// Host names of the route; empty for all.
    pub(super) hosts: Vec<String>,
    /// A request takes the rule if any of these fits.
    pub(super) matches: Vec<Match>,
    pub(super) filters: Vec<Filter>,
    pub(super) backends: Vec<Weighted>,
}

/// A backend's part in a rule.
#[derive(Clone, Debug)]
pub(super) struct Weighted {
    pub(super) to: Reference,
    pub(super) weight: u64,
    pub(super) filters: Vec<Filter>,
}

impl Weighted {
    /// A reference with nothing else to it.
    pub(super) fn plain(to: Reference, weight: u64) -> Self {
        Self { to, weight, filters: Vec::new() }
    }
}

/// The rules of an HTTPRoute or a GRPCRoute.
pub(super) fn of_route(kind: &str, route: &Value) -> Vec<Rule> {
    let namespace = object::namespace(route);
    let hosts = list(&route["spec"]["hostnames"]).iter().filter_map(|it| Some(it.as_str()?.to_ascii_lowercase()));
    let hosts: Vec<String> = hosts.collect();
    let filters = |value: &Value| list(value).iter().map(|filter| Filter::read(filter, namespace)).collect();
    let read = if kind == "GRPCRoute" { Match::of_grpc } else { Match::of_http };
    let rule = |(index, rule): (usize, &Value)| Rule {
        route: RouteId::new(kind, namespace, object::name(route)),
        created: route["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned(),
        index,
        name: rule["name"].as_str().unwrap_or_default().to_owned(),
        hosts: hosts.clone(),
        matches: match list(&rule["matches"]) {
            [] => vec![Match::default()],
            matches => matches.iter().map(read).collect(),
        },
        filters: filters(&rule["filters"]),
        backends: list(&rule["backendRefs"])
            .iter()
            .map(|it| Weighted {
                to: Reference::read(it, namespace),
                weight: it["weight"].as_u64().unwrap_or(1),
                filters: filters(&it["filters"]),
            })
            .collect(),
    };
    list(&route["spec"]["rules"]).iter().enumerate().map(rule).collect()
}
