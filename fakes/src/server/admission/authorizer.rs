//! The `authorizer` of expressions: what the requester may do.
//!
//! Whoever reaches this server may do everything, as a member of `system:masters` may. Service accounts have no roles here,
//! so they may do nothing.

use std::sync::Arc;

use kube_cel::cel::{
    Context, ExecutionError, ResolveResult, Value,
    extractors::{Arguments, This},
    objects::Opaque,
};

/// Steps that say more about what is asked.
const STEPS: [&str; 8] =
    ["path", "group", "resource", "subresource", "namespace", "name", "fieldSelector", "labelSelector"];

/// Somebody, and what is asked of them so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Requester,
    ServiceAccount,
}

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decision {
    allowed: bool,
}

impl Opaque for Question {
    fn runtime_type_name(&self) -> &'static str {
        "kubernetes.authorization.Authorizer"
    }
}

impl Opaque for Decision {
    fn runtime_type_name(&self) -> &'static str {
        "kubernetes.authorization.Decision"
    }
}

/// The authorizer of whoever sent the request.
pub(super) fn of_requester() -> Value {
    Value::Opaque(Arc::new(Question::Requester))
}

/// Adds what expressions may call on an authorizer.
pub(super) fn add_functions(context: &mut Context<'static>) {
    for step in STEPS {
        context.add_function(step, |This(this): This<Value>, Arguments(_): Arguments| -> ResolveResult {
            question(&this).map(|_| this)
        });
    }
    context.add_function("serviceAccount", |This(this): This<Value>, Arguments(_): Arguments| -> ResolveResult {
        question(&this).map(|_| Value::Opaque(Arc::new(Question::ServiceAccount)))
    });
    context.add_function("check", |This(this): This<Value>, Arguments(_): Arguments| -> ResolveResult {
        let allowed = question(&this)? == Question::Requester;
        Ok(Value::Opaque(Arc::new(Decision { allowed })))
    });
    context.add_function("allowed", |This(this): This<Value>| -> ResolveResult {
        decision(&this).map(|decision| Value::Bool(decision.allowed))
    });
    context.add_function("errored", |This(this): This<Value>| -> ResolveResult {
        decision(&this).map(|_| Value::Bool(false))
    });
    for words in ["reason", "error"] {
        context.add_function(words, |This(this): This<Value>| -> ResolveResult {
            decision(&this).map(|_| Value::String(Arc::default()))
        });
    }
}

fn question(value: &Value) -> Result<Question, ExecutionError> {
    match value {
        Value::Opaque(opaque) => opaque.downcast_ref::<Question>().copied().ok_or(ExecutionError::NoSuchOverload),
        _ => Err(ExecutionError::NoSuchOverload),
    }
}

fn decision(value: &Value) -> Result<Decision, ExecutionError> {
    match value {
        Value::Opaque(opaque) => opaque.downcast_ref::<Decision>().copied().ok_or(ExecutionError::NoSuchOverload),
        _ => Err(ExecutionError::NoSuchOverload),
    }
}
