//! Which of several rules a gateway takes that a request matches: that with the most specific match, by path, method, number
//! of headers and number of parameters in this order, and of those the first.
//!
//! A match of ours makes a rule more specific, so that it may come before a rule that came before it. The request would then
//! go to a fork of a backend that it never went to.

use serde_json::{Value, json};

use super::{Backend, Kind, Refusal, list, matches};
use crate::api::http::HttpRouteMatch;

/// Refuses matches with which a rule of the backend's takes what another of the user's rules takes.
pub(super) fn is_kept(
    kind: Kind,
    rules: &[&Value],
    backend: &Backend,
    wanted: &[HttpRouteMatch],
) -> Result<(), Refusal> {
    let rules: Vec<Rule> = rules
        .iter()
        .map(|rule| Rule { matches: of_rule(rule), is_ours: backend.is_in(rule, &backend.origin) })
        .collect();
    // What has a path of its own is meant to take all that goes there.
    for wanted in wanted.iter().filter(|wanted| wanted.path.is_none()) {
        for (by, ours) in rules.iter().enumerate().filter(|(_, rule)| rule.is_ours) {
            for one in &ours.matches {
                let Some(clone) = matches::both(kind, one, &json!(wanted)) else { continue };
                if let Some(rule) = overtaken(kind, &rules, (by, one), &clone, wanted) {
                    return Err(Refusal::Overtakes { rule, by, name: backend.origin.clone() });
                }
            }
        }
    }
    Ok(())
}

struct Rule {
    matches: Vec<Value>,
    is_ours: bool,
}

/// The rule that comes before one, but after its clone.
fn overtaken(
    kind: Kind,
    rules: &[Rule],
    (by, one): (usize, &Value),
    clone: &Value,
    wanted: &HttpRouteMatch,
) -> Option<usize> {
    let comes_first = |this: (&Value, usize), other: (&Value, usize)| {
        (rank(this.0), std::cmp::Reverse(this.1)) > (rank(other.0), std::cmp::Reverse(other.1))
    };
    let is_overtaken = |other: &Value, at: usize, is_ours: bool| {
        if path(other) != path(one) || !comes_first((other, at), (one, by)) {
            return false;
        }
        // What goes to the backend anyway has a clone of its own.
        let Some(other) = (if is_ours { matches::both(kind, other, &json!(wanted)) } else { Some(other.clone()) })
        else {
            return false;
        };
        comes_first((clone, by), (&other, at)) && fit(clone, &other)
    };
    let others = rules.iter().enumerate().filter(|(at, _)| *at != by);
    others
        .filter(|(at, rule)| rule.matches.iter().any(|other| is_overtaken(other, *at, rule.is_ours)))
        .map(|(at, _)| at)
        .next()
}

/// Where nothing is said everything is meant.
fn of_rule(rule: &Value) -> Vec<Value> {
    let matches = list(&rule["matches"]);
    if matches.is_empty() { vec![json!({})] } else { matches.to_vec() }
}

fn path(one: &Value) -> (&str, &str) {
    let path = &one["path"];
    (path["type"].as_str().unwrap_or("PathPrefix"), path["value"].as_str().unwrap_or("/"))
}

/// How specific a match is among those with one path.
fn rank(one: &Value) -> (bool, bool, usize, usize) {
    let method = &one["method"];
    let has_method = method.is_string() || method["method"].is_string();
    (method["service"].is_string(), has_method, list(&one["headers"]).len(), list(&one["queryParams"]).len())
}

/// Whether there may be a request that matches both.
fn fit(one: &Value, other: &Value) -> bool {
    let (method, wanted) = (&one["method"], &other["method"]);
    let is_same_method = method.is_null() || wanted.is_null() || method.is_object() || method == wanted;
    is_same_method && matches::both(Kind::Http, one, other).is_some()
}
