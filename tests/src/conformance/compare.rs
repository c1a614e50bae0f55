//! Compares two transcripts.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Result;
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::conformance::Answer;

    fn answers(body: Value) -> Transcript {
        vec![Answer {
            step: "get".to_owned(),
            status: 200,
            warnings: Vec::new(),
            headers: std::collections::BTreeMap::default(),
            body,
        }]
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
}
