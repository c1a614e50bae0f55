//! The functions rules may call, and their errors in the words of kube-apiserver.

use std::sync::Arc;

use kube_cel::{
    KubeCelExt,
    cel::{Context, ExecutionError, ResolveResult, Value},
};

/// The names of types, as `type(x) == string` compares them.
const TYPES: [&str; 11] = [
    "int",
    "uint",
    "double",
    "bool",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
];

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
    for name in TYPES.into_iter().filter(|name| !name.contains('.')) {
        context.add_variable_from_value(name, type_named(name));
    }
    context
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
        ExecutionError::FunctionError { message, .. } => message.clone(),
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
