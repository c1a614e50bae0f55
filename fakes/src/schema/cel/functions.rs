//! The functions rules may call, and their errors in the words of kube-apiserver.

use std::sync::Arc;

use kube_cel::{
    KubeCelExt,
    cel::{Context, ExecutionError, FunctionContext, ResolveResult, Value, extractors::This},
};

use crate::{cel::TYPES, schema::pattern};

/// The functions of CEL and Kubernetes, with those the crate lacks.
pub(crate) fn context() -> Context<'static> {
    let mut context = Context::default().with_all();
    context.add_function("type", |value: Value| -> ResolveResult { Ok(type_of(&value)) });
    context.add_function("dyn", |value: Value| -> ResolveResult { Ok(value) });
    context.add_function("bool", |value: Value| -> ResolveResult {
        Ok(match &value {
            Value::String(text) => Value::Bool(text.as_str() == "true"),
            _ => value,
        })
    });
    context.add_function("size", size);
    context.add_function("matches", matches);
    context.add_function(OR, or);
    context.add_function(AND, and);
    for name in TYPES.into_iter().filter(|name| !name.contains('.')) {
        context.add_variable_from_value(name, type_named(name));
    }
    context
}

/// `||` and `&&`, telling the first of two errors.
pub(super) const OR: &str = "@or";
pub(super) const AND: &str = "@and";

fn or(context: &FunctionContext<'_, '_>) -> ResolveResult {
    either(context, true)
}

fn and(context: &FunctionContext<'_, '_>) -> ResolveResult {
    either(context, false)
}

/// `||` where `decides` is true, `&&` where it is false.
fn either(context: &FunctionContext<'_, '_>, decides: bool) -> ResolveResult {
    let [left, right] = context.args else { return Err(ExecutionError::NoSuchOverload) };
    let outcome = Value::Bool(decides);
    let left = context.ptx.resolve(left);
    if left.as_ref() == Ok(&outcome) {
        return left;
    }
    let right = context.ptx.resolve(right);
    if right.as_ref() == Ok(&outcome) {
        return right;
    }
    match (left?, right?) {
        (Value::Bool(_), Value::Bool(_)) => Ok(Value::Bool(!decides)),
        _ => Err(ExecutionError::NoSuchOverload),
    }
}

/// Texts are counted by characters.
fn size(This(of): This<Value>) -> ResolveResult {
    let count = match &of {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.map.len(),
        _ => return Err(ExecutionError::NoSuchOverload),
    };
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

/// Patterns are Go's, and compiled once.
#[expect(clippy::needless_pass_by_value, reason = "the form of functions that contexts take")]
fn matches(This(text): This<Arc<String>>, source: Arc<String>) -> ResolveResult {
    match pattern::compile(&source) {
        Ok(regex) => Ok(Value::Bool(regex.is_match(&text))),
        Err(error) => Err(ExecutionError::function_error("matches", error)),
    }
}

fn type_named(name: &str) -> Value {
    Value::String(Arc::new(format!("type({name})")))
}

fn type_of(value: &Value) -> Value {
    type_named(match value {
        Value::Int(_) => "int",
        Value::UInt(_) => "uint",
        Value::Float(_) => "double",
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Null => "null_type",
        Value::Timestamp(_) => "google.protobuf.Timestamp",
        Value::Duration(_) => "google.protobuf.Duration",
        _ => "dyn",
    })
}

/// What went wrong when a rule was evaluated.
pub(super) fn told(error: &ExecutionError, rule: &str) -> String {
    let overload = || {
        format!(
            "'no such overload': call arguments did not match a supported operator, function or macro signature for \
             rule: {rule}"
        )
    };
    let what = match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::IndexOutOfBounds(Value::Int(index)) => format!("index out of bounds: {index}"),
        ExecutionError::FunctionError { function, message } => match function.as_str() {
            "duration" => "type conversion error from 'string' to 'google.protobuf.Duration'".to_owned(),
            "timestamp" => "type conversion error from 'string' to 'google.protobuf.Timestamp'".to_owned(),
            "int" | "uint" | "double" if message.starts_with("string parse error") => {
                format!("type conversion error from 'string' to '{function}'")
            }
            _ => message.clone(),
        },
        ExecutionError::NoSuchOverload
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::UnsupportedUnaryOperator(..)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::UnsupportedTargetType { .. } => return overload(),
        other => other.to_string(),
    };
    format!("{what} evaluating rule: {rule}")
}
