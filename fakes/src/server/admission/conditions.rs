//! `matchConditions`: expressions that all have to hold before a webhook or a policy is asked.

use serde_json::Value;

use kube_cel::cel;

use super::scope::{Compiled, Inputs, Variables, within};
use crate::object::text;

/// The conditions of one webhook or policy.
#[derive(Debug)]
pub(super) struct Conditions {
    expressions: Vec<Compiled>,
    may_fail: bool,
}

impl Conditions {
    pub(super) fn read(from: &Value, may_fail: bool) -> Self {
        let list = from.get("matchConditions").and_then(Value::as_array);
        let expressions = list.into_iter().flatten().map(|it| Compiled::new(text(it, &["expression"]))).collect();
        Self { expressions, may_fail }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.expressions.is_empty()
    }

    /// Whether all hold. One that is false decides, whatever the others come to.
    pub(super) fn hold(&self, inputs: &Inputs<'_>, composed: &Variables) -> Result<bool, String> {
        if self.expressions.is_empty() {
            return Ok(true);
        }
        let found: Vec<_> = within(inputs, composed, &self.expressions, |scope| {
            self.expressions.iter().map(|expression| scope.evaluate(expression)).collect()
        });
        if found.iter().any(|it| matches!(it, Ok(cel::Value::Bool(false)))) {
            return Ok(false);
        }
        let mut errors: Vec<String> = Vec::new();
        for error in found.into_iter().filter_map(Result::err) {
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
        match errors.as_slice() {
            [] => Ok(true),
            _ if self.may_fail => Ok(false),
            [one] => Err(one.clone()),
            many => Err(format!("[{}]", many.join(", "))),
        }
    }
}
