//! `MutatingAdmissionPolicy`: expressions that say how an object is to be changed.

use kube_cel::cel;
use serde_json::Value;

use super::{
    Chain, Object,
    attributes::Attributes,
    json_patch, literal,
    policies::{Invocation, Misfit},
    reinvoke::Round,
    review,
    scope::{Inputs, within},
};
use crate::{
    object::{at, text},
    server::{ApiServer, managed},
    status::Status,
};

/// Policy, binding and parameter: what tells one invocation from another.
pub(super) type Id = (String, String, String);

/// Why a policy did not change an object.
enum Fault {
    /// It cannot be evaluated, or what it wants cannot be done.
    Policy(String),
    /// What it makes of the object is none of its kind.
    Object(String),
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Policy(why)
    }
}

impl ApiServer {
    /// Has every mutating policy that concerns the request change the object.
    pub(super) fn apply_policies(
        &self,
        chain: &Chain,
        request: &Attributes<'_>,
        object: &mut Object<'_>,
        round: &mut Round<Id>,
    ) -> Result<(), Status> {
        let (invocations, mut misfits) = self.invocations(chain.mutating_policies(), request, object);
        if !invocations.is_empty() {
            let namespace = self.namespace_object(request)?;
            round.begin(object.value());
            for invocation in &invocations {
                match mutate_once(invocation, request, object, namespace.as_ref(), round) {
                    Ok(()) => {}
                    Err(Fault::Policy(why)) => {
                        misfits.push(Misfit { policy: invocation.policy, binding: Some(invocation.binding), why });
                    }
                    Err(Fault::Object(why)) => return Err(Status::internal(&why)),
                }
            }
            round.end(object.value());
        }
        misfits.retain(|misfit| !misfit.policy.may_fail);
        if misfits.is_empty() { Ok(()) } else { Err(refused(request, object, &misfits, &invocations)) }
    }
}

fn mutate_once(
    invocation: &Invocation<'_>,
    request: &Attributes<'_>,
    object: &mut Object<'_>,
    namespace: Option<&Value>,
    round: &mut Round<Id>,
) -> Result<(), Fault> {
    let (policy, target) = (invocation.policy, &invocation.target);
    let document = Value::Object(review::request(request, target));
    let old = request.old_in(target);
    let first = object.shown(target);
    let inputs = Inputs {
        object: first.as_ref(),
        old: old.as_ref(),
        request: &document,
        params: invocation.param.as_ref(),
        namespace,
    };
    if !policy.conditions.hold(&inputs, &policy.variables)? {
        return Ok(());
    }
    let id = id(invocation);
    if !round.runs(&id) {
        return Ok(());
    }
    let mut changed = false;
    let list = policy.spec.get("mutations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (mutation, expression) in list.iter().zip(&policy.expressions) {
        let Some(mut shown) = object.shown(target) else { continue };
        let before = shown.clone();
        let inputs = Inputs { object: Some(&before), ..inputs };
        let found = within(&inputs, &policy.variables, [expression], |scope| scope.evaluate(expression))?;
        if text(mutation, &["patchType"]) == "JSONPatch" {
            let operations = json_patch::read(operations(&found)?)?;
            match json_patch::apply(&mut shown, &operations) {
                Ok(()) => {}
                Err(why) if json_patch::failed_test(&why) => continue,
                Err(why) => return Err(Fault::Policy(format!("JSON Patch: {why}"))),
            }
        } else {
            let applied = literal::configuration(&found, &before)?;
            managed::merge(&mut shown, &applied, target).map_err(|why| format!("error applying patch: {why}"))?;
        }
        changed |= object.replace(target, shown).map_err(Fault::Object)?;
    }
    round.ran(id, text(&policy.spec, &["reinvocationPolicy"]) == "IfNeeded", changed);
    Ok(())
}

fn id(invocation: &Invocation<'_>) -> Id {
    let param = invocation.param.as_ref();
    let param = param.map(|it| format!("{}/{}", crate::object::namespace(it), crate::object::name(it)));
    (invocation.policy.name.clone(), invocation.binding.name.clone(), param.unwrap_or_default())
}

/// The operations that an expression made.
fn operations(found: &cel::Value) -> Result<Value, String> {
    let cel::Value::List(items) = found else {
        return Err("type mismatch: JSONPatchType.expression should evaluate to array".to_owned());
    };
    let operations = items.iter().map(|item| {
        let (of_type, mut operation) = literal::split(item)?;
        if of_type.as_deref() != Some("JSONPatch") {
            return Err("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch".to_owned());
        }
        literal::check(item, None)?;
        if let Some(value) = operation.get_mut("value") {
            literal::strip(value);
        }
        Ok(operation)
    });
    Ok(Value::Array(operations.collect::<Result<_, _>>()?))
}

fn refused(
    request: &Attributes<'_>,
    object: &Object<'_>,
    misfits: &[Misfit<'_>],
    invocations: &[Invocation<'_>],
) -> Status {
    let shown = object.shown(request.target);
    let mut status = request.forbidden(shown.as_ref(), "");
    status.message.clear();
    for misfit in misfits {
        let evaluated = invocations.iter().any(|it| std::ptr::eq(it.policy, misfit.policy));
        let told = match misfit.binding {
            Some(binding) if evaluated => {
                format!(
                    "policy '{}' with binding '{}' denied request: {}",
                    misfit.policy.name, binding.name, misfit.why
                )
            }
            Some(binding) => format!(
                "policy '{}' with binding '{}' denied request: failed to configure binding: {}",
                misfit.policy.name, binding.name, misfit.why
            ),
            None => {
                format!("policy {:?} denied request: failed to configure policy: {}", misfit.policy.name, misfit.why)
            }
        };
        if status.message.is_empty() {
            status.message.clone_from(&told);
            if evaluated {
                status.reason = "Invalid".into();
            }
        }
        status = status.with_cause("", &told, "");
    }
    status
}

/// Where a policy's own expressions are.
pub(super) fn expressions(policy: &Value) -> Vec<&str> {
    let list = at(policy, &["spec", "mutations"]).and_then(Value::as_array);
    let of = |mutation| {
        let field = if text(mutation, &["patchType"]) == "JSONPatch" { "jsonPatch" } else { "applyConfiguration" };
        text(mutation, &[field, "expression"])
    };
    list.into_iter().flatten().map(of).collect()
}
