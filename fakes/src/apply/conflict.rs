//! Why an apply fails.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::PathElement;

/// Why an apply fails.
#[derive(Debug, Clone, PartialEq)]
pub enum ApplyError {
    /// Other managers own what would change (409).
    Conflicts(Vec<Conflict>),
    /// The request makes no sense (400).
    BadRequest(String),
    /// The configuration does not fit its type (500, with no reason).
    Invalid(String),
}

/// A field that the applier would change and another manager owns.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// The owner, as the message names it.
    pub manager: String,
    /// The field.
    pub path: Vec<PathElement>,
}

impl Conflict {
    fn field(&self) -> String {
        self.path.iter().map(PathElement::to_string).collect()
    }
}

/// The Status that kube-apiserver answers conflicts with.
pub(super) fn status(conflicts: &[Conflict]) -> Value {
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|conflict| {
            json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {}", conflict.manager),
                "field": conflict.field(),
            })
        })
        .collect();
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message(conflicts),
        "reason": "Conflict",
        "details": { "causes": causes },
        "code": 409,
    })
}

fn message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", only.manager, only.field());
    }
    let mut by_manager: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for conflict in conflicts {
        by_manager.entry(&conflict.manager).or_default().push(format!("- {}", conflict.field()));
    }
    let lines: Vec<String> = by_manager
        .into_iter()
        .map(|(manager, fields)| format!("conflicts with {manager}:\n{}", fields.join("\n")))
        .collect();
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

impl ApplyError {
    /// The Status to answer with.
    pub fn status(&self) -> Value {
        let head = |message: &str, code: u16| {
            json!({
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": message,
                "code": code,
            })
        };
        match self {
            Self::Conflicts(conflicts) => status(conflicts),
            Self::Invalid(message) => head(message, 500),
            Self::BadRequest(message) => {
                let mut status = head(message, 400);
                status["reason"] = json!("BadRequest");
                status
            }
        }
    }
}
