//! Rules of ours: clones of the user's that send some of their requests to a fork.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Backend, CANARY_RULE, Kind, Refusal, STABLE_RULE, filters, limits, list, matches};
use crate::api::http::{HttpRouteFilter, HttpRouteMatch};

/// A rule's name has 253 characters at most; what is left beside a number and our ending.
const LABEL: usize = 200;

/// Which fork a clone is for. What goes to the canary fork comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fork {
    Canary,
    Stable,
}

impl Fork {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Stable => "stable",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Canary => CANARY_RULE,
            Self::Stable => STABLE_RULE,
        }
    }

    fn name(self, backend: &Backend) -> &str {
        match self {
            Self::Canary => &backend.canary,
            Self::Stable => &backend.stable,
        }
    }
}

/// Clones for one backend and one fork, as they are being made.
pub(super) struct Clones<'a> {
    pub(super) kind: Kind,
    pub(super) backend: &'a Backend,
    pub(super) to: Fork,
    pub(super) matches: &'a [HttpRouteMatch],
    pub(super) filters: &'a [HttpRouteFilter],
    pub(super) made: usize,
}

impl Clones<'_> {
    /// What sends matching requests of a rule of the user's to the fork; nothing where no request can match both.
    pub(super) fn of(&mut self, rule: &Value) -> Vec<Value> {
        let merged = matches::merge(self.kind, list(&rule["matches"]), self.matches);
        if merged.is_empty() {
            return Vec::new();
        }
        let mut clone = rule.clone();
        self.send(&mut clone);
        filters::merge(&mut clone, self.filters);
        let is_single = limits::replaces_prefix(&clone);
        let sets = if is_single { merged.into_iter().map(|one| vec![one]).collect() } else { vec![merged] };
        let first = self.made;
        self.made += sets.len();
        let clones = sets.into_iter().enumerate().map(|(number, set)| {
            let mut clone = clone.clone();
            let label = label(self.backend, self.to);
            clone["name"] = json!(format!("{}.{label}{}", first + number, self.to.ending()));
            clone["matches"] = Value::Array(set);
            clone
        });
        clones.collect()
    }

    fn send(&self, clone: &mut Value) {
        if self.filters.iter().any(|filter| filter.type_ == "RequestRedirect") {
            // What is redirected goes to no backend, and no copy of it either.
            if let Some(fields) = clone.as_object_mut() {
                fields.remove("backendRefs");
            }
            if let Some(filters) = clone.get_mut("filters").and_then(Value::as_array_mut) {
                filters.retain(|filter| filter["type"] != "RequestMirror");
            }
            return;
        }
        for reference in clone["backendRefs"].as_array_mut().into_iter().flatten() {
            if self.backend.is(reference, &self.backend.origin) {
                reference["name"] = json!(self.to.name(self.backend));
            }
        }
    }

    /// Whether any request would take one.
    pub(super) fn take_requests(&self) -> Result<(), Refusal> {
        let of = self.to.word();
        match (self.matches.is_empty(), self.made) {
            (true, _) => Err(Refusal::NoMatches { of }),
            (false, 0) => Err(Refusal::NothingMatches { of }),
            (false, _) => Ok(()),
        }
    }
}

/// Whether a rule is a clone, whoever made it for whichever backend.
pub(super) fn is_any(rule: &Value) -> bool {
    parse(rule).is_some()
}

/// Whether a rule is a clone for this backend.
///
/// Older releases name none in it, so what it refers to counts; a redirect refers to nothing. An API server that does not
/// know names keeps none: then a rule with the canary fork and no other of the backend is a clone, unless it was made by
/// dividing a rule, of which somebody took the other part away.
pub(super) fn is_of(rule: &Value, rules: &[Value], backend: &Backend) -> bool {
    let refers = |rule: &Value, name: &str| backend.is_in(rule, name);
    let has_rest = |rule: &Value| refers(rule, &backend.stable) || refers(rule, &backend.origin);
    match parse(rule) {
        Some((to, _, "")) => refers(rule, to.name(backend)) || list(&rule["backendRefs"]).is_empty(),
        Some((to, _, found)) => found == label(backend, to),
        None if rule["name"].is_string() || !refers(rule, &backend.canary) || has_rest(rule) => false,
        None => {
            let is_divided = |rule: &Value| refers(rule, &backend.canary) && has_rest(rule);
            rules.iter().any(has_rest) && !rules.iter().any(is_divided)
        }
    }
}

/// In which order clones of a rule stand, so that it does not matter which backend's part was laid first.
pub(super) fn order(rule: &Value) -> Option<(Fork, String, usize)> {
    parse(rule).map(|(to, number, label)| (to, label.to_owned(), number))
}

/// Fork, number and label of a clone's name.
fn parse(rule: &Value) -> Option<(Fork, usize, &str)> {
    let name = rule["name"].as_str()?;
    let (to, start) =
        [Fork::Canary, Fork::Stable].into_iter().find_map(|to| Some((to, name.strip_suffix(to.ending())?)))?;
    let (number, label) = start.split_once('.').unwrap_or((start, ""));
    Some((to, number.parse().ok()?, label))
}

/// What tells the clones for one fork from those for others: its name, and its kind where that is not the usual one.
fn label(backend: &Backend, to: Fork) -> String {
    let fork = to.name(backend);
    let kind = backend.kind.to_ascii_lowercase();
    let label = if kind == "service" { fork.to_owned() } else { format!("{fork}.{kind}") };
    if label.len() <= LABEL {
        return label;
    }
    let hash = Sha256::digest(label.as_bytes());
    hash.iter().take(16).fold(String::new(), |told, byte| told + &format!("{byte:02x}"))
}
