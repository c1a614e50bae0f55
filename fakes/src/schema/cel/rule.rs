//! One rule: what it says, and what it says of a value.

use std::sync::Arc;

use kube_cel::cel::{self, Context};
use serde_json::{Map, Value, json};

use super::{Findings, Node, check, functions, program::Program, types::Type};
use crate::schema::{
    Cause, Kind, Schema, go,
    parse::{flag, text},
};

/// The longest message that an expression may give.
const MAX_MESSAGE_BYTES: usize = 5 * 1024;

/// One rule, read.
#[derive(Debug)]
pub(in crate::schema) struct Rule {
    source: String,
    program: Arc<Program>,
    message: Option<String>,
    message_program: Option<Arc<Program>>,
    reason: Option<String>,
    field_path: Option<String>,
    pub(super) optional_old: bool,
}

/// What is wrong with the expressions of a rule.
pub(in crate::schema) struct Fault {
    /// The field of the rule.
    pub(in crate::schema) field: &'static str,
    pub(in crate::schema) detail: String,
}

impl Rule {
    /// Reads a rule; none if its expressions cannot be read, of which [`Rule::fault`] tells.
    pub(in crate::schema) fn read(rule: &Value) -> Option<Self> {
        let map = rule.as_object()?;
        let own = |key: &str| text(map, key).filter(|text| !text.is_empty()).map(str::to_owned);
        let source = own("rule")?;
        let message_program = match own("messageExpression") {
            Some(source) => Some(Program::read(&source).ok()?),
            None => None,
        };
        Some(Self {
            program: Program::read(&source).ok()?,
            source,
            message: own("message"),
            message_program,
            reason: own("reason"),
            field_path: own("fieldPath"),
            optional_old: flag(map, "optionalOldSelf"),
        })
    }

    /// What is wrong with the expressions of a rule on values of a type.
    pub(in crate::schema) fn fault(rule: &Map<String, Value>, self_type: &Type) -> Option<Fault> {
        let old = if flag(rule, "optionalOldSelf") { Type::optional(self_type.clone()) } else { self_type.clone() };
        let variables = [("self", self_type.clone()), ("oldSelf", old)];
        let faulty = |field, prefix: &str, wanted: &str, mismatch: &str| {
            let source = text(rule, field).filter(|source| !source.trim().is_empty())?;
            let detail = match Program::read(source) {
                Err(error) => format!("{prefix}compilation failed: {error}"),
                Ok(program) => match check::check(program.expression(), &variables) {
                    Err(error) => format!("{prefix}compilation failed: ERROR: {error}"),
                    Ok(found) if found == Type::Dyn || found.is(wanted) => return None,
                    Ok(_) => mismatch.to_owned(),
                },
            };
            Some(Fault { field, detail })
        };
        faulty("rule", "", "bool", "cel expression must evaluate to a bool").or_else(|| {
            let mismatch = "messageExpression must evaluate to a string";
            faulty("messageExpression", "messageExpression ", "string", mismatch)
        })
    }

    /// Whether the rule asks for the value before an update.
    pub(in crate::schema) fn uses_old(&self) -> bool {
        self.program.uses_old
    }

    pub(super) fn evaluate(&self, node: &Node<'_>, schema: &Schema, scope: &Context<'_>, findings: &mut Findings) {
        let detail = match self.program.evaluate(scope) {
            Ok(cel::Value::Bool(true)) => return,
            Ok(cel::Value::Bool(false)) => self.failure_message(scope),
            Ok(_) => {
                let detail = format!("rule does not give a boolean: {}", self.told());
                return findings.causes.push(node.broken(schema, &detail));
            }
            Err(error) => return findings.causes.push(node.broken(schema, &functions::told(&error, self.told()))),
        };
        let cause = self.cause(node, schema, &detail);
        if node.unchanged && !self.uses_old() {
            findings.warnings.push(cause.to_string());
        } else {
            findings.causes.push(cause);
        }
    }

    fn cause(&self, node: &Node<'_>, schema: &Schema, detail: &str) -> Cause {
        let field = node.field(self.field_path.as_deref(), schema);
        let omitted = matches!(schema.kind, Some(Kind::Object | Kind::Array));
        match self.reason.as_deref() {
            Some("FieldValueForbidden") => Cause::forbidden(&field, detail),
            Some("FieldValueRequired") => Cause::required(&field, detail),
            // The message has no place here.
            Some("FieldValueDuplicate") if omitted => {
                Cause::new(&field, "FieldValueDuplicate", "Duplicate value".to_owned())
            }
            Some("FieldValueDuplicate") => Cause::duplicate(&field, node.value),
            _ if omitted => Cause::invalid_omitted(&field, detail),
            _ => Cause::invalid(&field, node.value, detail),
        }
    }

    /// The rule in its own words.
    fn told(&self) -> &str {
        self.message.as_deref().unwrap_or(&self.source).trim()
    }

    fn failure_message(&self, scope: &Context<'_>) -> String {
        if let Some(program) = &self.message_program
            && let Ok(cel::Value::String(message)) = program.evaluate(scope)
        {
            let message = message.trim();
            if !message.is_empty() && !message.contains('\n') && message.len() <= MAX_MESSAGE_BYTES {
                return message.to_owned();
            }
        }
        if self.message.is_some() { self.told().to_owned() } else { format!("failed rule: {}", self.told()) }
    }
}

/// A rule as the messages of kube-apiserver show it: a Go struct, in the order of its fields.
pub(in crate::schema) fn shown(rule: &Map<String, Value>) -> String {
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
