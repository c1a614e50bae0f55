//! Defaults have to be what their own schema asks for.

use serde_json::Value;

use super::{Additional, Cause, Findings, Schema, cel, embedded};

/// The causes for which the defaults below a schema are refused; `at` is the schema's path.
pub(super) fn check(schema: &Schema, at: &str) -> Vec<Cause> {
    let mut findings = Findings::default();
    node(schema, at, &mut findings);
    findings.causes
}

fn node(schema: &Schema, at: &str, findings: &mut Findings) {
    if let Some(default) = &schema.default {
        default_of(schema, default, &format!("{at}.default"), findings);
    }
    // Defaults inside of additionalProperties do not count.
    if !schema.inside.defaults {
        return;
    }
    if let Some(items) = schema.items() {
        node(items, &format!("{at}.items"), findings);
    }
    for (name, child) in &schema.properties {
        node(child, &format!("{at}.properties[{name}]"), findings);
    }
}

fn default_of(schema: &Schema, default: &Value, at: &str, findings: &mut Findings) {
    let causes = &mut findings.causes;
    if schema.would_prune(default) {
        causes.push(Cause::invalid(at, default, "must not have unknown fields"));
    }
    let mut coerced = default.clone();
    if let Err(cause) = embedded::coerce(schema, &mut coerced, at, &mut Vec::new()) {
        return causes.push(cause);
    }
    let before = causes.len();
    embedded::check_at(schema, default, at, causes);
    if causes.len() == before {
        causes.append(&mut schema.check_at(at, default, None));
    }
    if causes.len() == before {
        cel::evaluate(schema, default, Some(default), at, findings);
    }
    if findings.causes.len() == before {
        cel::evaluate(schema, default, None, at, findings);
    }
}

impl Schema {
    /// Whether pruning a value would take something away.
    fn would_prune(&self, value: &Value) -> bool {
        match value {
            Value::Object(map) => map.iter().any(|(name, child)| match (self.properties.get(name), &self.additional) {
                (Some(property), _) => property.would_prune(child),
                (None, Some(Additional::Schema(values))) => values.would_prune(child),
                (None, Some(Additional::Any)) => Schema::default().would_prune(child),
                (None, _) => !(self.preserve_unknown || self.embedded && super::prune::is_meta(name)),
            }),
            Value::Array(list) => list.iter().any(|item| self.items().is_some_and(|items| items.would_prune(item))),
            _ => false,
        }
    }
}
