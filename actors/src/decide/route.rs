//! One route: what is to be written so that our part of it is as it should be.

mod ingress;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use self::ingress::{canary, may_be_canary, said};
use crate::{
    api::keys::FIELD_MANAGER,
    intent::{RouteGoal, RouteWrite},
    routes::{self, Backend, Forwarding, Kind, Refusal},
    view::{Route, RouteReport},
};

/// The write that brings the route nearer to its goal; none where it is there already.
pub fn route(report: &RouteReport, goal: &RouteGoal) -> Result<Option<RouteWrite>, Refusal> {
    let Some(route) = report.route.as_ref().filter(|_| !goal.hold) else { return Ok(None) };
    match route.kind.rules() {
        Some(kind) => rules(kind, route, goal).map(|patch| patch.map(RouteWrite::Patch)),
        None => ingress::write(route, &report.canaries, goal),
    }
}

/// Why a forwarding cannot be laid over a route.
pub fn refusal(report: &RouteReport, backend: &Backend, part: &Forwarding) -> Option<Refusal> {
    let route = report.route.as_ref()?;
    match route.kind.rules() {
        Some(kind) => routes::with(kind, &route.rules, backend, part).err(),
        None => ingress::wanted(route, &report.canaries, backend, part).err(),
    }
}

/// Whether a route refers to a backend of that kind and name, itself or by its canary Ingress.
pub fn lays(report: &RouteReport, kind: &str, name: &str) -> bool {
    let Some(route) = &report.route else { return false };
    let canary = canary(route, &report.canaries);
    refers(&route.rules, kind, name) || canary.is_some_and(|canary| refers(&canary.rules, kind, name))
}

/// Whether a route sends requests to such a backend: one of weight 0 gets none.
pub fn sends(report: &RouteReport, kind: &str, name: &str) -> bool {
    let Some(route) = &report.route else { return false };
    let has_weight = |reference: &Map<String, Value>| reference.get("weight").is_none_or(|weight| weight != 0);
    let canary = canary(route, &report.canaries);
    // An Ingress whose canary takes all refers to what gets nothing.
    let has_rest = !canary.is_some_and(ingress::takes_all);
    has_rest && any_reference(&route.rules, kind, name, &has_weight)
        || canary.is_some_and(|canary| refers(&canary.rules, kind, name))
}

/// How much of our part lies on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Laid {
    /// Whether all of it does, and nothing else of ours.
    pub whole: bool,
    /// How many of its rules are as they should be; of an Ingress, how many of itself and its canary bear anything.
    pub kept: usize,
    /// How many of its rules bear anything of ours at all.
    pub bearing: usize,
}

/// How much of a part lies on a route.
pub fn laid(report: &RouteReport, backend: &Backend, part: &Forwarding) -> Option<Laid> {
    let route = report.route.as_ref()?;
    if let Some(kind) = route.kind.rules() {
        return Some(Laid {
            whole: routes::is_laid(kind, &route.rules, backend, part),
            kept: routes::kept(kind, &route.rules, backend, part),
            bearing: routes::bearing(kind, &route.rules, backend),
        });
    }
    let forks = [&backend.stable, &backend.canary].into_iter();
    let bearing = forks.filter(|fork| lays(report, &backend.kind, fork)).count();
    let goal = RouteGoal { backend: backend.clone(), part: Some(part.clone()), hold: false, only_over: None };
    let whole = ingress::write(route, &report.canaries, &goal).is_ok_and(|write| write.is_none());
    Some(Laid { whole, kept: bearing, bearing })
}

/// Who changed a route last, or its canary Ingress, if that was somebody else.
pub fn changed_by(report: &RouteReport) -> Option<&str> {
    let route = report.route.as_ref()?;
    let both = [Some(&**route), canary(route, &report.canaries)].into_iter().flatten();
    both.filter_map(|route| route.rules_manager.as_deref()).find(|manager| *manager != FIELD_MANAGER)
}

/// The JSON Patch of a route that has rules of the Gateway API's.
fn rules(kind: Kind, route: &Route, goal: &RouteGoal) -> Result<Option<Value>, Refusal> {
    let backend = &goal.backend;
    let Some(part) = &goal.part else {
        // What has nothing of ours is not touched, not even to write it as we would.
        let is_laid = refers(&route.rules, &backend.kind, &backend.stable)
            || refers(&route.rules, &backend.kind, &backend.canary);
        let patch = || routes::patch(&route.rules, &routes::without(&route.rules, backend), &route.resource_version);
        return Ok(is_laid.then(patch));
    };
    let wanted = routes::with(kind, &route.rules, backend, part)?;
    let is_laid = routes::is_laid(kind, &route.rules, backend, part)
        || goal.only_over.is_some_and(|generation| generation != route.generation);
    Ok((!is_laid).then(|| routes::patch(&route.rules, &wanted, &route.resource_version)))
}

/// Whether rules refer to a backend of that kind and name, wherever in them.
fn refers(rules: &Value, kind: &str, name: &str) -> bool {
    any_reference(rules, kind, name, &|_| true)
}

fn any_reference(rules: &Value, kind: &str, name: &str, counts: &dyn Fn(&Map<String, Value>) -> bool) -> bool {
    match rules {
        Value::Array(values) => values.iter().any(|value| any_reference(value, kind, name, counts)),
        Value::Object(fields) => {
            let is_it = fields.get("name").is_some_and(|found| found == name)
                && fields.get("kind").and_then(Value::as_str).unwrap_or("Service") == kind;
            is_it && counts(fields) || fields.values().any(|value| any_reference(value, kind, name, counts))
        }
        _ => false,
    }
}
