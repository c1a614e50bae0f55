//! Compares two transcripts, and knows which differences are accepted.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::script::Transcript;

/// One place where two answers differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The script's name.
    pub script: String,
    /// The step's words.
    pub step: String,
    /// `status`, `warnings`, or a path that begins with `body`.
    pub path: String,
    /// The real API server's value.
    pub real: Option<Value>,
    /// The other's value.
    pub other: Option<Value>,
}

/// All differences between what the real API server answered and what another did.
pub fn compare(script: &str, real: &Transcript, other: &Transcript) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    for index in 0..real.len().max(other.len()) {
        let (real, other) = (real.get(index), other.get(index));
        let step = real.or(other).map(|answer| answer.step.clone()).unwrap_or_default();
        let [real, other] = [real, other].map(|answer| answer.map(serde_json::to_value).transpose());
        differ(real?.as_ref(), other?.as_ref(), String::new(), &mut |path, real, other| {
            found.push(Difference {
                script: script.to_owned(),
                step: step.clone(),
                path,
                real: real.cloned(),
                other: other.cloned(),
            });
        });
    }
    Ok(found)
}

fn differ(
    real: Option<&Value>,
    other: Option<&Value>,
    path: String,
    found: &mut impl FnMut(String, Option<&Value>, Option<&Value>),
) {
    match (real, other) {
        (Some(Value::Object(real)), Some(Value::Object(other))) => {
            let names: BTreeSet<&String> = real.keys().chain(other.keys()).collect();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                differ(real.get(name), other.get(name), path, found);
            }
        }
        (Some(Value::Array(real)), Some(Value::Array(other))) => {
            for index in 0..real.len().max(other.len()) {
                differ(real.get(index), other.get(index), format!("{path}[{index}]"), found);
            }
        }
        (real, other) if real != other => found(path, real, other),
        _ => {}
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or("(nothing)".to_owned(), Value::to_string);
        writeln!(f, "{} / {} / {}", self.script, self.step, self.path)?;
        writeln!(f, "  - real:  {}", text(&self.real))?;
        write!(f, "  + other: {}", text(&self.other))
    }
}

/// A difference that may be, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The script's name, or `*`.
    pub script: String,
    /// The step's words, or `*`.
    pub step: String,
    /// A path as differences print it; everything below it is accepted too. `[*]` is any index.
    pub path: String,
    /// Why this is no fault.
    pub reason: String,
}

impl Accepted {
    /// Everything in `differences.yaml`.
    pub fn read() -> Result<Vec<Self>> {
        let path = Path::new(super::FOLDER).join("differences.yaml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        serde_saphyr::from_str(&text).with_context(|| format!("`{}` is malformed", path.display()))
    }

    fn covers(&self, difference: &Difference) -> bool {
        let is = |pattern: &str, text: &str| pattern == "*" || pattern == text;
        is(&self.script, &difference.script)
            && is(&self.step, &difference.step)
            && is_below(&self.path, &difference.path)
    }
}

/// Takes out what is accepted. Returns what is left, and the entries that accepted nothing.
pub fn judge(differences: Vec<Difference>, accepted: &[Accepted]) -> (Vec<Difference>, Vec<Accepted>) {
    let idle = accepted.iter().filter(|entry| !differences.iter().any(|it| entry.covers(it))).cloned().collect();
    let left = differences.into_iter().filter(|it| !accepted.iter().any(|entry| entry.covers(it))).collect();
    (left, idle)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::conformance::Answer;

    fn answers(body: Value) -> Transcript {
        vec![Answer { step: "get".to_owned(), status: 200, warnings: Vec::new(), body }]
    }

    fn paths(real: Value, other: Value) -> Vec<String> {
        compare("s", &answers(real), &answers(other)).unwrap().into_iter().map(|it| it.path).collect()
    }

    #[test]
    fn differences_name_their_place() {
        assert_eq!(
            paths(json!({ "a": 1, "b": [1, 2] }), json!({ "b": [1, 3, 4], "a": 1 })),
            ["body.b[1]", "body.b[2]"]
        );
        assert_eq!(paths(json!({ "a": { "b": null } }), json!({ "a": {} })), ["body.a.b"]);
        assert_eq!(paths(json!(1), json!(1)), [""; 0]);
        assert_eq!(compare("s", &answers(json!(1)), &Vec::new()).unwrap().len(), 1, "a missing answer is a difference");
    }

    #[test]
    fn only_what_is_listed_is_accepted() {
        let accept = |path: &str| Accepted {
            script: "s".to_owned(),
            step: "*".to_owned(),
            path: path.to_owned(),
            reason: "none".to_owned(),
        };
        let found = || compare("s", &answers(json!([{ "a": 1 }, { "ab": 1 }])), &answers(json!([{}, {}]))).unwrap();
        for (path, left, idle) in [
            ("body", 0, 0),
            ("body[*]", 0, 0),
            ("body[*].a", 1, 0),
            ("body[0].a", 1, 0),
            ("body[0].b", 2, 1),
            ("status", 2, 1),
        ] {
            let (kept, unused) = judge(found(), &[accept(path)]);
            assert_eq!((kept.len(), unused.len()), (left, idle), "{path}");
        }
    }
}
