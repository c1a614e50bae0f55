//! `x-kubernetes-validations`: CEL rules on the nodes of a schema.

mod check;
mod convert;
pub(super) mod functions;
mod program;
mod rule;
mod signatures;
mod types;

use kube_cel::cel::{self, Context, objects::OptionalValue};
use serde_json::Value;
use std::sync::Arc;

use super::{Cause, Kind, Schema, cause::NO_FIELD, field_path, validate::Findings};

pub(super) use rule::{Rule, shown};
pub(super) use types::Type;

thread_local! {
    /// The functions of CEL and Kubernetes: registering them costs more than evaluating a rule.
    static FUNCTIONS: Context<'static> = functions::context();
}

/// Appends the causes for which an object breaks the rules of its schema. `at` is the object's path.
pub(super) fn evaluate(schema: &Schema, object: &Value, old: Option<&Value>, at: &str, findings: &mut Findings) {
    let is_resource = at.is_empty() || schema.embedded;
    let node = Node { value: object, old, unchanged: false, is_resource, path: at };
    FUNCTIONS.with(|functions| walk(schema, &node, functions, findings));
}

/// A value on which rules run.
#[derive(Clone, Copy)]
struct Node<'a> {
    value: &'a Value,
    /// Its counterpart before the update.
    old: Option<&'a Value>,
    /// Whether it, or something around it, is as it was: then a broken rule is not held against it.
    unchanged: bool,
    is_resource: bool,
    path: &'a str,
}

impl Node<'_> {
    fn field(&self, relative: Option<&str>, schema: &Schema) -> String {
        let mut field = self.path.to_owned();
        if let Some((steps, _)) = relative.and_then(|relative| field_path::resolve(relative, schema, true).ok()) {
            field.push_str(if field.is_empty() { "" } else { "." });
            field.push_str(&steps);
        }
        if field.is_empty() { NO_FIELD.to_owned() } else { field }
    }

    fn broken(&self, schema: &Schema, detail: &str) -> Cause {
        let shown = match schema.kind {
            Some(Kind::IntOrString) | None => "",
            Some(kind) => kind.names(),
        };
        Cause::invalid(&self.field(None, schema), &Value::from(shown), detail)
    }
}

fn walk(schema: &Schema, node: &Node<'_>, functions: &Context<'static>, findings: &mut Findings) {
    if !schema.inside.rules || node.value.is_null() {
        return;
    }
    let unchanged = node.unchanged || node.old.is_some_and(|old| old == node.value);
    if unchanged && findings.trusts_old && !schema.inside.transition_rules {
        return;
    }
    let node = &Node { unchanged, ..*node };
    run_rules(schema, node, functions, findings);
    match node.value {
        Value::Object(map) => {
            for (name, value) in map {
                let (child, path) = match (schema.properties.get(name), schema.additional_schema()) {
                    (Some(child), _) if !child.inside.rules => continue,
                    (Some(child), _) if node.path.is_empty() => (child, name.clone()),
                    (Some(child), _) => (child, format!("{}.{name}", node.path)),
                    (None, Some(child)) => (child, format!("{}[{name}]", node.path)),
                    (None, None) => continue,
                };
                let old = node.old.and_then(|old| old.get(name));
                let below = Node { value, old, unchanged, is_resource: child.embedded, path: &path };
                walk(child, &below, functions, findings);
            }
        }
        Value::Array(list) => {
            let Some(items) = schema.items().filter(|items| items.inside.rules) else { return };
            let olds = node.old.and_then(Value::as_array);
            for (i, value) in list.iter().enumerate() {
                let old = olds.and_then(|olds| schema.counterpart(value, olds));
                let path = format!("{}[{i}]", node.path);
                let below = Node { value, old, unchanged, is_resource: items.embedded, path: &path };
                walk(items, &below, functions, findings);
            }
        }
        _ => {}
    }
}

fn run_rules(schema: &Schema, node: &Node<'_>, functions: &Context<'static>, findings: &mut Findings) {
    let is_known = node.unchanged && findings.trusts_old;
    let runs = |rule: &&Rule| if rule.uses_old() { node.old.is_some() || rule.optional_old } else { !is_known };
    let mut rules = schema.rules.iter().filter(runs).peekable();
    if rules.peek().is_none() {
        return;
    }
    let mut scope = functions.new_inner_scope();
    scope.add_variable_from_value("self", convert::to_cel(node.value, schema, node.is_resource));
    let needs_old = schema.rules.iter().any(Rule::uses_old);
    let old = node.old.filter(|_| needs_old).map(|old| convert::to_cel(old, schema, node.is_resource));
    if let Some(old) = &old {
        scope.add_variable_from_value("oldSelf", old.clone());
    }
    for rule in rules {
        if rule.uses_old() && rule.optional_old {
            let optional = old.clone().map_or_else(OptionalValue::none, OptionalValue::of);
            let mut scope = scope.new_inner_scope();
            scope.add_variable_from_value("oldSelf", cel::Value::Opaque(Arc::new(optional)));
            rule.evaluate(node, schema, &scope, findings);
        } else {
            rule.evaluate(node, schema, &scope, findings);
        }
    }
}

/// Whether an expression asks for the value before an update.
pub(super) fn uses_old(source: &str) -> bool {
    program::Program::read(source).is_ok_and(|program| program.uses_old)
}
