//! `x-kubernetes-validations`: CEL rules on the nodes of a schema.

mod convert;
pub(super) mod functions;

use kube_cel::cel::{self, Context, Program, objects::OptionalValue};
use serde_json::{Map, Value, json};
use std::{fmt::Write as _, sync::Arc};

use super::{
    Cause, Kind, Schema,
    cause::NO_FIELD,
    go,
    parse::{flag, text},
};

/// One rule, compiled.
#[derive(Debug)]
pub(super) struct Rule {
    source: String,
    program: Program,
    message: Option<String>,
    message_program: Option<Program>,
    reason: Option<String>,
    field_path: Option<String>,
    optional_old: bool,
    is_transition: bool,
}

thread_local! {
    /// The functions of CEL and Kubernetes: registering them costs more than evaluating a rule.
    static FUNCTIONS: Context<'static> = functions::context();
}

impl Rule {
    /// Compiles a rule; `field` is its path in the definition.
    pub(super) fn parse(rule: &Value, field: &str) -> Result<Self, Cause> {
        let empty = Map::new();
        let map = rule.as_object().unwrap_or(&empty);
        let Some(source) = text(map, "rule").filter(|source| !source.trim().is_empty()) else {
            return Err(Cause::required(&format!("{field}.rule"), "rule is not specified"));
        };
        let compile = |key: &str, source: &str| {
            Program::compile(source).map_err(|error| {
                let told = error.to_string().replace("\n| ", "\n | ");
                let message = format!("Invalid value: {}: compilation failed: {told}", shown(map));
                Cause::new(&format!("{field}.{key}"), "FieldValueInvalid", message)
            })
        };
        let program = compile("rule", source)?;
        let message_program = match text(map, "messageExpression").filter(|source| !source.is_empty()) {
            Some(source) => Some(compile("messageExpression", source)?),
            None => None,
        };
        let own = |key: &str| text(map, key).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self {
            is_transition: program.references().has_variable("oldSelf"),
            source: source.to_owned(),
            program,
            message: own("message"),
            message_program,
            reason: own("reason"),
            field_path: own("fieldPath"),
            optional_old: flag(map, "optionalOldSelf"),
        })
    }

    pub(super) fn is_transition(&self) -> bool {
        self.is_transition
    }

    fn evaluate(&self, node: &Node<'_>, schema: &Schema, scope: &Context<'_>) -> Option<Cause> {
        let rule_text = self.message.as_deref().unwrap_or(&self.source).trim();
        let detail = match self.program.execute(scope) {
            Ok(cel::Value::Bool(true)) => return None,
            Ok(cel::Value::Bool(false)) => self.failure_message(scope, rule_text),
            Ok(_) => return Some(node.broken(schema, &format!("rule does not give a boolean: {rule_text}"))),
            Err(error) => return Some(node.broken(schema, &functions::told(&error, rule_text))),
        };
        let field = node.field(self.field_path.as_deref(), schema);
        let omitted = matches!(schema.kind, Some(Kind::Object | Kind::Array));
        Some(match self.reason.as_deref() {
            Some("FieldValueForbidden") => Cause::forbidden(&field, &detail),
            Some("FieldValueRequired") => Cause::required(&field, &detail),
            Some("FieldValueDuplicate") if omitted => {
                Cause::new(&field, "FieldValueDuplicate", format!("Duplicate value: {detail}"))
            }
            Some("FieldValueDuplicate") => Cause::duplicate(&field, node.value),
            _ if omitted => Cause::invalid_omitted(&field, &detail),
            _ => Cause::invalid(&field, node.value, &detail),
        })
    }

    fn failure_message(&self, scope: &Context<'_>, rule_text: &str) -> String {
        if let Some(program) = &self.message_program
            && let Ok(cel::Value::String(message)) = program.execute(scope)
            && !message.trim().is_empty()
            && !message.trim().contains('\n')
        {
            return message.trim().to_owned();
        }
        if self.message.is_some() { rule_text.to_owned() } else { format!("failed rule: {rule_text}") }
    }
}

/// A rule as the messages of kube-apiserver show it: a Go struct, in the order of its fields.
fn shown(rule: &Map<String, Value>) -> String {
    let own = |key: &str| json!(text(rule, key).unwrap_or_default());
    let fields = [
        ("Rule", own("rule")),
        ("Message", own("message")),
        ("MessageExpression", own("messageExpression")),
        ("Reason", json!(rule.get("reason"))),
        ("FieldPath", own("fieldPath")),
        ("OptionalOldSelf", json!(rule.get("optionalOldSelf"))),
    ];
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("\"{name}\":{}", go::json_text(value))).collect();
    format!("{{{}}}", fields.join(","))
}

/// Appends the causes for which an object breaks the rules of its schema.
pub(super) fn evaluate(schema: &Schema, object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let node = Node { value: object, old, unchanged: false, is_root: true, path: "" };
    FUNCTIONS.with(|functions| walk(schema, &node, functions, causes));
}

/// A value on which rules run.
struct Node<'a> {
    value: &'a Value,
    /// Its counterpart before the update.
    old: Option<&'a Value>,
    /// Whether it, or something around it, is as it was: then only transition rules hold.
    unchanged: bool,
    is_root: bool,
    path: &'a str,
}

impl Node<'_> {
    fn field(&self, relative: Option<&str>, schema: &Schema) -> String {
        let mut field = self.path.to_owned();
        if let Some(relative) = relative {
            append_field_path(&mut field, relative, schema);
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

fn walk(schema: &Schema, node: &Node<'_>, functions: &Context<'static>, causes: &mut Vec<Cause>) {
    let unchanged = node.unchanged || node.old.is_some_and(|old| old == node.value);
    let any = if unchanged { schema.inside.transition_rules } else { schema.inside.rules };
    if !any || node.value.is_null() {
        return;
    }
    let node = &Node { unchanged, ..*node };
    run_rules(schema, node, functions, causes);
    for branch in &schema.checks.all_of {
        walk(branch, node, functions, causes);
    }
    match node.value {
        Value::Object(map) => {
            for (name, value) in map {
                let (child, path) = match (schema.properties.get(name), schema.additional_schema()) {
                    (Some(child), _) if node.path.is_empty() => (child, name.clone()),
                    (Some(child), _) => (child, format!("{}.{name}", node.path)),
                    (None, Some(child)) => (child, format!("{}[{name}]", node.path)),
                    (None, None) => continue,
                };
                let old = node.old.and_then(|old| old.get(name));
                walk(child, &Node { value, old, unchanged, is_root: false, path: &path }, functions, causes);
            }
        }
        Value::Array(list) => {
            let Some(items) = schema.items() else { return };
            let olds = node.old.and_then(Value::as_array);
            for (i, value) in list.iter().enumerate() {
                let old = olds.and_then(|olds| schema.counterpart(value, olds));
                let path = format!("{}[{i}]", node.path);
                walk(items, &Node { value, old, unchanged, is_root: false, path: &path }, functions, causes);
            }
        }
        _ => {}
    }
}

fn run_rules(schema: &Schema, node: &Node<'_>, functions: &Context<'static>, causes: &mut Vec<Cause>) {
    let runs = |rule: &&Rule| {
        if rule.is_transition { node.old.is_some() || rule.optional_old } else { !node.unchanged }
    };
    let mut rules = schema.rules.iter().filter(runs).peekable();
    if rules.peek().is_none() {
        return;
    }
    let mut scope = functions.new_inner_scope();
    scope.add_variable_from_value("self", convert::to_cel(node.value, schema, node.is_root));
    let old = schema.inside.transition_rules.then_some(node.old).flatten();
    let old = old.map(|old| convert::to_cel(old, schema, node.is_root));
    if let Some(old) = &old {
        scope.add_variable_from_value("oldSelf", old.clone());
    }
    for rule in rules {
        if rule.is_transition && rule.optional_old {
            let optional = old.clone().map_or_else(OptionalValue::none, OptionalValue::of);
            let mut scope = scope.new_inner_scope();
            scope.add_variable_from_value("oldSelf", cel::Value::Opaque(Arc::new(optional)));
            causes.extend(rule.evaluate(node, schema, &scope));
        } else {
            causes.extend(rule.evaluate(node, schema, &scope));
        }
    }
}

/// Appends a rule's `fieldPath`: `.name` and `['name']` steps, written as a field or as the key of a map.
fn append_field_path(field: &mut String, relative: &str, schema: &Schema) {
    let mut rest = relative;
    let mut schema = Some(schema);
    while !rest.is_empty() {
        let (name, after) = if let Some(quoted) = rest.strip_prefix("['") {
            quoted.split_once("']").unwrap_or((quoted, ""))
        } else {
            let plain = rest.strip_prefix('.').unwrap_or(rest);
            plain.split_at(plain.find(['.', '[']).unwrap_or(plain.len()))
        };
        if schema.is_none_or(|schema| schema.properties.is_empty() && schema.additional.is_some()) {
            let _ = write!(field, "[{name}]");
        } else {
            field.push_str(if field.is_empty() { "" } else { "." });
            field.push_str(name);
        }
        schema = schema.and_then(|schema| schema.field(name));
        rest = if after.len() < rest.len() { after } else { "" };
    }
}
