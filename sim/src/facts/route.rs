//! What a route shows, and what of it is the users'.
//!
//! Our part of a route is told by what it is: references to forks of a backend, rules whose names end as ours do, and
//! mirrors to forks. What is left is the users', and must be what a user wrote last.

use serde_json::{Value, json};

use super::{Change, OURS, Verb, Who, text};

/// What the names of rules end in that send matching requests to a fork.
const CLONES: [&str; 2] = [".canary.rollout.kusionstack.io", ".stable.rollout.kusionstack.io"];

/// Whether a rule of that name is ours as a whole.
pub(super) fn is_ours(name: &str) -> bool {
    CLONES.iter().any(|ending| name.ends_with(ending))
}

/// What the names of forks end in.
const ENDINGS: [&str; 2] = ["-stable", "-canary"];

/// Whether a reference of a kind and a name is to a fork.
pub(super) type IsFork<'a> = &'a dyn Fn(&str, &str) -> bool;

/// A route.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteFacts {
    /// Its kind.
    pub kind: String,
    /// Its rules in words.
    pub words: Vec<String>,
    /// The users' part of it, as it is.
    users: Part,
    /// The users' part of it, as a user wrote it last.
    wanted: Part,
    /// What of it is ours, in words.
    pub ours: Vec<String>,
    /// What gateways say of it, for each of its parents: type, status and reason of conditions.
    pub answers: Vec<String>,
    /// Whether it is gone.
    pub gone: bool,
    /// Whether the operator deleted it.
    robbed: bool,
}

/// The users' part of a route.
#[derive(Clone, Debug, Default, PartialEq)]
struct Part {
    /// All but the rules.
    frame: Value,
    rules: Vec<Rule>,
}

/// A rule of the users'.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rule {
    /// All but the weights, forks joined to what they were made of.
    frame: Value,
    /// The weights, in the order of the references.
    weights: Vec<u64>,
    /// Whether there is no fork in it. Where there is, only the proportion of the weights is known.
    exact: bool,
}

impl RouteFacts {
    pub(super) fn update(&mut self, change: &Change<'_>, kind: &str, is_fork: IsFork<'_>) {
        let route = change.new;
        kind.clone_into(&mut self.kind);
        self.gone = change.verb == Verb::Delete;
        self.robbed = self.gone && change.who == Who::Operator;
        self.words = list(&route["spec"]["rules"]).iter().map(words).collect();
        self.users = Part::of(route, is_fork);
        self.ours = ours(route, is_fork);
        self.answers = answers(route);
        if change.who == Who::User {
            self.wanted = self.users.clone().knowing(&self.wanted);
        }
    }

    /// Where the users' part is another than a user wrote it last.
    pub fn touched(&self) -> Option<String> {
        if self.gone {
            return self.robbed.then(|| "it is deleted".to_owned());
        }
        let (found, wanted) = (&self.users, &self.wanted);
        if found.frame != wanted.frame {
            return Some(format!("a user wrote {}, it has {}", wanted.frame, found.frame));
        }
        if found.rules.len() != wanted.rules.len() {
            return Some(format!("a user wrote {} rules, it has {}", wanted.rules.len(), found.rules.len()));
        }
        let differing = found.rules.iter().zip(&wanted.rules).enumerate().find(|(_, (a, b))| !a.is_like(b));
        differing.map(|(index, (found, wanted))| format!("rules[{index}]: a user wrote {wanted}, it has {found}"))
    }
}

impl Part {
    fn of(route: &Value, is_fork: IsFork<'_>) -> Self {
        let mut frame = joined(&route["spec"], is_fork);
        let mut rules = Vec::new();
        if route["kind"] != "Ingress"
            && let Some(fields) = frame.as_object_mut()
        {
            fields.remove("rules");
            let own = list(&route["spec"]["rules"]).iter().filter(|rule| !is_clone(rule));
            rules = own.map(|rule| Rule::of(rule, is_fork)).collect();
        }
        let metadata = |key: &str| {
            let mut all = route["metadata"][key].as_object().cloned().unwrap_or_default();
            all.retain(|key, _| !key.contains(OURS));
            all
        };
        let frame = json!({ "labels": metadata("labels"), "annotations": metadata("annotations"), "spec": frame });
        Self { frame, rules }
    }

    /// The same with the exact weights of what was known before and is as before: a user's write of something else leaves
    /// our part where it lies.
    fn knowing(mut self, before: &Self) -> Self {
        for rule in self.rules.iter_mut().filter(|rule| !rule.exact) {
            if let Some(known) = before.rules.iter().find(|known| known.is_like(rule)) {
                *rule = known.clone();
            }
        }
        self
    }
}

impl Rule {
    fn of(rule: &Value, is_fork: IsFork<'_>) -> Self {
        let (mut frame, mut weights, mut exact) = (rule.clone(), Vec::new(), true);
        // The references with, for one that comes of a stable fork, its name before.
        let mut references: Vec<(Value, bool)> = Vec::new();
        for reference in list(&rule["backendRefs"]) {
            let mut reference = reference.clone();
            let weight = reference["weight"].as_u64().unwrap_or(1);
            if let Some(fields) = reference.as_object_mut() {
                fields.remove("weight");
            }
            let name = text(&reference["name"]);
            let is_ours = is_fork(kind_of(&reference), &name);
            exact &= !is_ours;
            if is_ours {
                reference["name"] = origin(&name).into();
            }
            let is_canary = is_ours && name.ends_with("-canary");
            let sibling = references.last().is_some_and(|(last, is_stable)| {
                is_canary && *is_stable && last["name"] == reference["name"] && kind_of(last) == kind_of(&reference)
            });
            if let (true, Some(sum)) = (sibling, weights.last_mut()) {
                *sum += weight;
                continue;
            }
            references.push((reference, is_ours && !is_canary));
            weights.push(weight);
        }
        if !references.is_empty() {
            frame["backendRefs"] = references.into_iter().map(|(reference, _)| reference).collect();
        }
        unmirror(&mut frame, is_fork);
        Self { frame, weights, exact }
    }

    /// Whether the two say the same, as far as is known.
    fn is_like(&self, other: &Self) -> bool {
        let same = |a: &[u64], b: &[u64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b);
        let weights = if self.exact && other.exact {
            same(&self.weights, &other.weights)
        } else {
            same(&proportion(&self.weights), &proportion(&other.weights))
        };
        weights && self.frame == other.frame
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with weights {:?}", self.frame, self.weights)
    }
}

/// Weights divided by what divides them all.
fn proportion(weights: &[u64]) -> Vec<u64> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    weights.iter().map(|weight| weight / divisor).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// What a fork was made of.
pub(super) fn origin(name: &str) -> &str {
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

fn is_clone(rule: &Value) -> bool {
    rule["name"].as_str().is_some_and(is_ours)
}

fn kind_of(reference: &Value) -> &str {
    reference["kind"].as_str().unwrap_or("Service")
}

/// Takes mirrors to forks away.
fn unmirror(rule: &mut Value, is_fork: IsFork<'_>) {
    let filters = list(&rule["filters"]);
    let kept: Vec<Value> = filters.iter().filter(|filter| !mirrors(filter, is_fork)).cloned().collect();
    if kept.len() == filters.len() {
        return;
    }
    match rule.as_object_mut() {
        Some(fields) if kept.is_empty() => drop(fields.remove("filters")),
        _ => rule["filters"] = Value::Array(kept),
    }
}

fn mirrors(filter: &Value, is_fork: IsFork<'_>) -> bool {
    let reference = &filter["requestMirror"]["backendRef"];
    is_fork(kind_of(reference), &text(&reference["name"]))
}

/// A canary Ingress in words: what it takes and where that goes.
pub(super) fn of_canary(ingress: &Value) -> String {
    let annotations = ingress["metadata"]["annotations"].as_object().into_iter().flatten();
    let of_canary = annotations.filter_map(|(key, value)| {
        let key = key.split_once(".ingress.kubernetes.io/canary-")?.1;
        Some(format!("{key}={}", text(value)))
    });
    let rules: Vec<String> = list(&ingress["spec"]["rules"]).iter().map(words).collect();
    format!("canary Ingress by {}: {}", of_canary.collect::<Vec<_>>().join(" "), rules.join(" | "))
}

/// The spec of an Ingress with the backends that forks were made of; of a route there is nothing to join but in rules.
fn joined(value: &Value, is_fork: IsFork<'_>) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: serde_json::Map<_, _> =
                fields.iter().map(|(key, value)| (key.clone(), joined(value, is_fork))).collect();
            for part in ["service", "resource"] {
                let name = text(&value[part]["name"]);
                if is_fork(kind_of(&value[part]), &name) {
                    fields[part]["name"] = origin(&name).into();
                }
            }
            Value::Object(fields)
        }
        Value::Array(items) => items.iter().map(|item| joined(item, is_fork)).collect(),
        other => other.clone(),
    }
}

/// What of a route is ours, in words.
fn ours(route: &Value, is_fork: IsFork<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if joined(&route["spec"], is_fork) != route["spec"] {
        found.push("a path to a fork".to_owned());
    }
    for rule in list(&route["spec"]["rules"]) {
        found.extend(is_clone(rule).then(|| format!("rule {}", text(&rule["name"]))));
        let references = list(&rule["backendRefs"]).iter();
        let forks = references.filter(|it| is_fork(kind_of(it), &text(&it["name"])));
        found.extend(forks.map(|it| format!("a reference to {}", text(&it["name"]))));
        let mirrors = list(&rule["filters"]).iter().filter(|filter| mirrors(filter, is_fork));
        found.extend(mirrors.map(|_| "a mirror to a fork".to_owned()));
    }
    found
}

fn answers(route: &Value) -> Vec<String> {
    let conditions = list(&route["status"]["parents"]).iter().flat_map(|parent| list(&parent["conditions"]));
    conditions.map(|it| format!("{} is {} ({})", text(&it["type"]), text(&it["status"]), text(&it["reason"]))).collect()
}

/// A rule in words: what it takes and where that goes.
fn words(rule: &Value) -> String {
    let matched = list(&rule["matches"]).iter().map(|it| {
        let part = |it: &Value| format!("{}={}", text(&it["name"]), text(&it["value"]));
        let parts = list(&it["headers"]).iter().chain(list(&it["queryParams"])).map(part);
        let method = &it["method"];
        let call = [&method["service"], &method["method"]].into_iter().map(text).filter(|it| !it.is_empty());
        let mut words: Vec<String> = [text(&it["path"]["value"])].into_iter().filter(|it| !it.is_empty()).collect();
        words.extend(call.chain(parts));
        words.join(" ")
    });
    let matched: Vec<String> = matched.filter(|it| !it.is_empty()).collect();
    let paths = list(&rule["http"]["paths"]).iter();
    let paths: Vec<String> = paths
        .map(|it| format!("{}{} → {}", text(&rule["host"]), text(&it["path"]), text(&it["backend"]["service"]["name"])))
        .collect();
    if !paths.is_empty() {
        return paths.join(", ");
    }
    let references = list(&rule["backendRefs"]);
    let to = references.iter().map(|it| match it["weight"].as_u64().filter(|_| references.len() > 1) {
        Some(weight) => format!("{} {weight}", text(&it["name"])),
        None => text(&it["name"]),
    });
    let matched = if matched.is_empty() { "all".to_owned() } else { matched.join(" or ") };
    let to = if references.is_empty() { "no backend".to_owned() } else { to.collect::<Vec<_>>().join(", ") };
    format!("{matched} → {to}")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
