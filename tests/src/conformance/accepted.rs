//! The differences that may be: what `differences.yaml` says, and what it says of a difference that was found.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use regex::Regex;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::compare::Difference;

/// Differences with one cause that may be, and why.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// What is answered otherwise.
    pub difference: String,
    /// Why this is no fault.
    pub reason: String,
    /// Where it shows.
    pub places: Vec<Place>,
}

/// Where a difference shows. What is left out may be anything.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The script's name. `*` at its end stands for any rest.
    pub script: String,
    /// The step's words.
    pub step: Option<String>,
    /// A path as differences print it; everything below it is accepted too. `[*]` is any index.
    pub path: String,
    /// What the real API server's value looks like: a regular expression on its JSON.
    #[serde(default, deserialize_with = "regex")]
    pub real: Option<Regex>,
    /// What the other's value looks like.
    #[serde(default, deserialize_with = "regex")]
    pub other: Option<Regex>,
}

impl Accepted {
    /// Everything in `differences.yaml`.
    pub fn read() -> Result<Vec<Self>> {
        let path = Path::new(super::FOLDER).join("differences.yaml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        serde_saphyr::from_str(&text).with_context(|| format!("`{}` is malformed", path.display()))
    }
}

impl Place {
    /// Whether it may show in scripts of this name.
    pub fn concerns(&self, script: &str) -> bool {
        match self.script.strip_suffix('*') {
            Some(start) => script.starts_with(start),
            None => script == self.script,
        }
    }

    fn covers(&self, difference: &Difference) -> bool {
        self.concerns(&difference.script)
            && self.step.as_ref().is_none_or(|step| *step == difference.step)
            && is_below(&self.path, &difference.path)
            && fits(self.real.as_ref(), difference.real.as_ref())
            && fits(self.other.as_ref(), difference.other.as_ref())
    }
}

/// Takes out what is accepted. Returns what is left, and the places where nothing was accepted.
pub fn judge(differences: Vec<Difference>, accepted: &[Accepted]) -> (Vec<Difference>, Vec<Place>) {
    let places = || accepted.iter().flat_map(|it| &it.places);
    let idle = places().filter(|place| !differences.iter().any(|it| place.covers(it))).cloned().collect();
    let left = differences.into_iter().filter(|it| !places().any(|place| place.covers(it))).collect();
    (left, idle)
}

fn fits(pattern: Option<&Regex>, value: Option<&Value>) -> bool {
    let text = || value.map_or_else(String::new, Value::to_string);
    pattern.is_none_or(|pattern| pattern.is_match(&text()))
}

/// Whether a path is the accepted one or lies below it.
fn is_below(accepted: &str, path: &str) -> bool {
    let Some((before, after)) = accepted.split_once("[*]") else {
        return path.strip_prefix(accepted).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    };
    let Some(rest) = path.strip_prefix(before).and_then(|rest| rest.strip_prefix('[')) else { return false };
    rest.split_once(']').is_some_and(|(index, rest)| {
        index.chars().all(|it| it.is_ascii_digit()) && (after.is_empty() || is_below(after, rest))
    })
}

fn regex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Regex>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Regex::new(&text)).transpose().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::conformance::{Answer, compare};

    fn answers(body: Value) -> Vec<Answer> {
        vec![Answer {
            step: "get".to_owned(),
            status: 200,
            warnings: Vec::new(),
            headers: std::collections::BTreeMap::new(),
            body,
        }]
    }

    #[test]
    fn only_what_is_listed_is_accepted() {
        let found = || compare("s-1", &answers(json!([{ "a": 1 }, { "ab": 1 }])), &answers(json!([{}, {}]))).unwrap();
        for (place, left, idle) in [
            (json!({ "script": "s-1", "path": "body" }), 0, 0),
            (json!({ "script": "s-*", "path": "body" }), 0, 0),
            (json!({ "script": "t-*", "path": "body" }), 2, 1),
            (json!({ "script": "*", "step": "get", "path": "body[*]" }), 0, 0),
            (json!({ "script": "*", "step": "put", "path": "body[*]" }), 2, 1),
            (json!({ "script": "*", "path": "body[*].a" }), 1, 0),
            (json!({ "script": "*", "path": "body[0].a" }), 1, 0),
            (json!({ "script": "*", "path": "body[0].b" }), 2, 1),
            (json!({ "script": "*", "path": "status" }), 2, 1),
            (json!({ "script": "*", "path": "body", "real": "^1$", "other": "^$" }), 0, 0),
            (json!({ "script": "*", "path": "body", "real": "^2$" }), 2, 1),
        ] {
            let accepted = json!([{ "difference": "d", "reason": "r", "places": [place] }]);
            let accepted: Vec<Accepted> = serde_json::from_value(accepted).unwrap();
            let (kept, unused) = judge(found(), &accepted);
            assert_eq!((kept.len(), unused.len()), (left, idle), "{place}");
        }
    }
}
