//! Whether an object of ours may be stored: what the validating webhook answers, and what `slipway lint` says.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Command, command::annotation_value, rollout::unsupported_kind};
use crate::api::{
    API_VERSION, HookType, Rollout, RolloutRun, ScaleRun, keys,
    validate::{self, FieldError},
};

/// Why a version of a kind cannot be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kind {kind:?} of {api_version:?} is none of Slipway's; expected a kind of {API_VERSION:?}")]
pub struct UnknownKind {
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its `kind`.
    pub kind: String,
}

/// Everything that is wrong with `new`, which takes the place of `old`. What was wrong before is no reason to refuse a
/// change: otherwise nobody could take a finalizer off an object that was stored unchecked.
pub fn check(old: Option<&Value>, new: &Value) -> Result<Vec<FieldError>, UnknownKind> {
    let text = |field: &str| new[field].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if api_version != API_VERSION {
        return Err(UnknownKind { api_version, kind });
    }
    Ok(match kind.as_str() {
        "Rollout" => errors(old, new, rollout, |_, _| Vec::new()),
        "RolloutStrategy" if !new["spec"].is_null() => vec![nested_strategy()],
        "RolloutStrategy" => errors(old, new, validate::strategy, |_, _| Vec::new()),
        "RolloutRun" => errors(old, new, run, validate::run_update),
        "ScaleRun" => errors(old, new, scale_run, validate::scale_run_update),
        "TrafficTopology" => errors(old, new, validate::traffic_topology, |_, _| Vec::new()),
        "BackendRouting" => errors(old, new, validate::backend_routing, |_, _| Vec::new()),
        _ => return Err(UnknownKind { api_version, kind }),
    })
}

/// What an object asks for that may be stored, but that this version does not carry out.
pub fn warnings(object: &Value) -> Vec<String> {
    match object["kind"].as_str() {
        Some("ScaleRun") => {
            let run = read::<ScaleRun>(object).unwrap_or_default();
            let hooks = run.spec.webhooks.iter().enumerate();
            let types = hooks.flat_map(|(index, hook)| hook.hook_types.iter().map(move |kind| (index, kind)));
            let batch = [HookType::PreBatchStepHook, HookType::PostBatchStepHook].map(HookType::as_str);
            types
                .filter(|(_, kind)| !batch.contains(&kind.as_str()))
                .map(|(index, kind)| {
                    format!(
                        "spec.webhooks[{index}].hookTypes: {kind} is never asked, because a ScaleRun has only batches"
                    )
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The answer to an AdmissionReview of version `admission.k8s.io/v1`, or why the question is none.
pub fn review(question: &Value) -> Result<Value, String> {
    let request = question.get("request").filter(|request| request["uid"].is_string());
    let request = request.ok_or("the body is no AdmissionReview with request.uid; expected admission.k8s.io/v1")?;
    let (old, new) = (Some(&request["oldObject"]).filter(|old| !old.is_null()), &request["object"]);
    // What is deleted need not be valid.
    let errors = if new.is_null() { Vec::new() } else { check(old, new).map_err(|error| error.to_string())? };
    let mut response = json!({ "uid": request["uid"], "allowed": errors.is_empty() });
    let warnings = warnings(new);
    if !warnings.is_empty() {
        response["warnings"] = warnings.into();
    }
    if !errors.is_empty() {
        response["status"] = refusal(request, &errors);
    }
    Ok(json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response }))
}

/// The status of a refusal, in the shape in which the API server refuses what a schema forbids.
fn refusal(request: &Value, errors: &[FieldError]) -> Value {
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let causes: Vec<Value> = errors
        .iter()
        .map(|error| json!({ "reason": "FieldValueInvalid", "field": error.path, "message": error.message }))
        .collect();
    let kind = request.pointer("/kind/kind").and_then(Value::as_str).unwrap_or_default();
    let name = request["name"].as_str().unwrap_or_default();
    json!({
        "status": "Failure",
        "code": 422,
        "reason": "Invalid",
        "message": format!("{kind} {name:?} is invalid: {}", told.join("; ")),
        "details": { "kind": kind, "name": name, "causes": causes },
    })
}

fn errors<K: DeserializeOwned>(
    old: Option<&Value>,
    new: &Value,
    check: impl Fn(&K) -> Vec<FieldError>,
    check_update: impl Fn(&K, &K) -> Vec<FieldError>,
) -> Vec<FieldError> {
    let new: K = match read(new) {
        Ok(object) => object,
        Err(error) => return vec![error],
    };
    let mut errors = check(&new);
    if let Some(Ok(old)) = old.map(read) {
        let before = check(&old);
        errors.retain(|error| !before.contains(error));
        errors.extend(check_update(&old, &new));
    }
    errors
}

fn read<K: DeserializeOwned>(object: &Value) -> Result<K, FieldError> {
    serde_path_to_error::deserialize(object).map_err(|error| FieldError {
        path: error.path().to_string(),
        message: format!("cannot be read: {}; correct its type", error.inner()),
    })
}

fn rollout(rollout: &Rollout) -> Vec<FieldError> {
    let mut errors = validate::rollout(rollout);
    errors.extend(command(&rollout.metadata));
    errors.extend(unsupported_kind(rollout));
    errors
}

fn run(run: &RolloutRun) -> Vec<FieldError> {
    validate::run(run).into_iter().chain(command(&run.metadata)).collect()
}

fn scale_run(run: &ScaleRun) -> Vec<FieldError> {
    validate::scale_run(run).into_iter().chain(command(&run.metadata)).collect()
}

/// The fields of this kind stand at the top level; below `spec` they would be dropped, and an empty strategy be left.
fn nested_strategy() -> FieldError {
    let message = "a RolloutStrategy has no spec; move what stands under spec to the top level, beside metadata";
    FieldError { path: "spec".to_owned(), message: message.to_owned() }
}

/// A command nobody knows does nothing; whoever gives it should hear so.
fn command(metadata: &ObjectMeta) -> Option<FieldError> {
    let found = annotation_value(metadata, keys::ANNOTATION_MANUAL_COMMAND)?;
    if Command::parse(found).is_some() {
        return None;
    }
    let names: Vec<_> = Command::NAMES.iter().map(|(name, _)| *name).collect();
    Some(FieldError {
        path: format!("metadata.annotations[{}]", keys::ANNOTATION_MANUAL_COMMAND),
        message: format!("found {found:?}, expected one of {}", names.join(", ")),
    })
}

#[cfg(test)]
mod tests;
