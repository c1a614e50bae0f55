//! `ValidatingAdmissionPolicy`: expressions that have to be true.

use kube_cel::cel;
use serde_json::Value;

use super::{
    Chain, Object,
    attributes::Attributes,
    policies::{Invocation, Policy},
    review,
    scope::{Compiled, Inputs, Scope, within},
};
use crate::{object::text, server::ApiServer, status::Status};

/// The longest message an expression may make.
const MAX_MESSAGE_BYTES: usize = 5 * 1024;

/// A validation that did not hold.
struct Denial {
    message: String,
    reason: String,
    /// Whether it could not be evaluated.
    is_error: bool,
    /// Whether it denies whatever the binding says.
    always: bool,
}

impl ApiServer {
    /// Holds every validating policy against a request. The first that denies it is told; others only warn.
    pub(super) fn check_policies(
        &self,
        chain: &Chain,
        request: &Attributes<'_>,
        object: &Object<'_>,
    ) -> Result<(), Status> {
        let (invocations, misfits) = self.invocations(chain.validating_policies(), request, object);
        let namespace = if invocations.is_empty() { None } else { self.namespace_object(request)? };
        let mut denied: Vec<(String, String)> = Vec::new();
        for misfit in misfits.iter().filter(|misfit| !misfit.policy.may_fail) {
            let (what, by) = match misfit.binding {
                None => ("policy", String::new()),
                Some(binding) => ("binding", format!(" with binding '{}'", binding.name)),
            };
            let message = format!(
                "ValidatingAdmissionPolicy '{}'{by} denied request: failed to configure {what}: {}",
                misfit.policy.name, misfit.why
            );
            denied.push((message, String::new()));
        }
        for invocation in &invocations {
            let (policy, binding) = (&invocation.policy.name, &invocation.binding.name);
            for denial in validate(invocation, request, object, namespace.as_ref()) {
                if denial.is_error && invocation.policy.may_fail {
                    continue;
                }
                let says = |action: &str| invocation.binding.actions.iter().any(|it| it == action);
                // There is no audit log that `Audit` could write to.
                let of = format!("ValidatingAdmissionPolicy '{policy}' with binding '{binding}'");
                if says("Warn") && !denial.always {
                    request.warn(&[format!("Validation failed for {of}: {}", denial.message)]);
                }
                if says("Deny") || denial.always {
                    denied.push((format!("{of} denied request: {}", denial.message), denial.reason));
                }
            }
        }
        let Some((message, reason)) = denied.into_iter().next() else { return Ok(()) };
        Err(refused(request, object, &message, &reason))
    }
}

fn refused(request: &Attributes<'_>, object: &Object<'_>, message: &str, reason: &str) -> Status {
    let shown = object.shown(request.target);
    let mut status = request.forbidden(shown.as_ref(), message).with_cause("", message, "");
    let reason = if reason.is_empty() { "Invalid" } else { reason };
    status.code = match reason {
        "Unauthorized" => 401,
        "Forbidden" => 403,
        "RequestEntityTooLarge" => 413,
        _ => 422,
    };
    status.reason = reason.to_owned().into();
    status
}

fn validate(
    invocation: &Invocation<'_>,
    request: &Attributes<'_>,
    object: &Object<'_>,
    namespace: Option<&Value>,
) -> Vec<Denial> {
    let policy = invocation.policy;
    let document = Value::Object(review::request(request, &invocation.target));
    let (shown, old) = (object.shown(&invocation.target), request.old_in(&invocation.target));
    let inputs = Inputs {
        object: shown.as_ref(),
        old: old.as_ref(),
        request: &document,
        params: invocation.param.as_ref(),
        namespace,
    };
    let error = |message: String| Denial { message, reason: String::new(), is_error: true, always: false };
    match policy.conditions.hold(&inputs, &policy.variables) {
        Ok(true) => {}
        Ok(false) => return Vec::new(),
        Err(why) => return vec![error(why)],
    }
    let list = policy.spec.get("validations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let messages: Vec<Option<Compiled>> = list.iter().map(message_expression).collect();
    let all = policy.expressions.iter().chain(messages.iter().flatten());
    within(&inputs, &policy.variables, all, |scope| {
        let mut denials = Vec::new();
        for ((validation, expression), message) in list.iter().zip(&policy.expressions).zip(&messages) {
            match scope.evaluate(expression) {
                Ok(cel::Value::Bool(true)) => {}
                Ok(_) => denials.push(Denial {
                    message: message_of(validation, message.as_ref(), scope),
                    reason: text(validation, &["reason"]).to_owned(),
                    is_error: false,
                    always: false,
                }),
                Err(why) => denials.push(error(why)),
            }
        }
        denials.extend(audit(policy, scope).into_iter().map(|why| Denial { always: true, ..error(why) }));
        denials
    })
}

fn message_expression(validation: &Value) -> Option<Compiled> {
    Some(text(validation, &["messageExpression"])).filter(|source| !source.is_empty()).map(Compiled::new)
}

/// The message: what its expression makes, or the one that is written, or the expression that is not true.
fn message_of(validation: &Value, expression: Option<&Compiled>, scope: &Scope<'_>) -> String {
    let made = expression.and_then(|expression| scope.evaluate(expression).ok());
    if let Some(cel::Value::String(made)) = made {
        let made = made.trim();
        if !made.is_empty() && made.len() <= MAX_MESSAGE_BYTES && !made.contains('\n') {
            return made.to_owned();
        }
    }
    match text(validation, &["message"]).trim() {
        "" => format!("failed expression: {}", text(validation, &["expression"]).trim()),
        message => message.to_owned(),
    }
}

/// Values for the audit log are made and thrown away: making them may fail.
fn audit(policy: &Policy, scope: &Scope<'_>) -> Vec<String> {
    let list = policy.spec.get("auditAnnotations").and_then(Value::as_array);
    let values = list.into_iter().flatten().map(|it| Compiled::new(text(it, &["valueExpression"])));
    values.filter_map(|value| scope.evaluate(&value).err()).collect()
}

/// Where a policy's own expressions are.
pub(super) fn expressions(policy: &Value) -> Vec<&str> {
    let list = crate::object::at(policy, &["spec", "validations"]).and_then(Value::as_array);
    list.into_iter().flatten().map(|it| text(it, &["expression"])).collect()
}
