//! Deliberate defects, to see that each invariant notices the one it is there for.
//!
//! Nothing but tests of the simulator switches one on. The operator under test stays as it is: its writes are changed
//! on the wire, or a rogue writes in its name.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::link::Wanted;

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sabotage {
    /// Every partition is one too low; where there is none, a Deployment surges by one too many.
    PartitionTooLow,
    /// A Deployment may take down two pods more than it should.
    UnavailableTooHigh,
    /// A canary is one pod too large.
    CanaryTooLarge,
    /// Two serving pods are deleted as soon as a batch begins.
    PodsDeleted,
    /// A pause at a breakpoint is written as progress.
    BreakpointIgnored,
    /// A wait for a hook is written as its end.
    HookIgnored,
    /// Every question to a hook has another idempotency key.
    HookKeyChanged,
    /// The current batch is set back to the first one.
    BatchSetBack,
    /// The canary fork gets a percent more than it should.
    ShareTooHigh,
    /// The canary fork gets a percent while there is no canary.
    ShareTooEarly,
    /// The last rule of a route is dropped when it is written.
    RuleDropped,
    /// The status of a run is never written.
    WritesSwallowed,
    /// Something is written although there is nothing to do.
    WritesAtRest,
    /// An annotation is put on a workload after its Rollout is gone.
    AnnotationLeft,
    /// Something is logged at level ERROR.
    ErrorLogged,
    /// Something panics.
    Panic,
}

/// Where workloads of one kind or another have their partition.
const PARTITIONS: [&str; 3] = [
    "/spec/updateStrategy/rollingUpdate/partition",
    "/spec/updateStrategy/rollingUpdate/byPartition/partition",
    "/spec/updateStrategy/partition",
];

/// What becomes of a write.
pub(crate) enum Tampered {
    /// It passes as it is.
    Not,
    /// It never gets there.
    Swallowed,
    /// It has another body.
    Changed(Bytes),
}

impl Sabotage {
    /// Changes a write on its way.
    pub(crate) fn tamper(self, wanted: &Wanted, body: &Bytes) -> Tampered {
        let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return Tampered::Not };
        let changed = match self {
            Self::PartitionTooLow => lower_partition(&mut value) || raise(&mut value, "maxSurge", 1),
            Self::UnavailableTooHigh => raise(&mut value, "maxUnavailable", 2),
            Self::CanaryTooLarge if wanted.plural == "statefulsets" => enlarge_canary(&mut value),
            Self::BreakpointIgnored if wanted.plural == "rolloutruns" && value["status"]["phase"] == "Paused" => {
                value["status"]["phase"] = "Progressing".into();
                true
            }
            Self::HookIgnored if wanted.plural == "rolloutruns" => pass_hook(&mut value),
            Self::ShareTooHigh if wanted.plural == "httproutes" => in_rules(&mut value, |rules| raise_share(rules)),
            Self::ShareTooEarly if wanted.plural == "httproutes" => in_rules(&mut value, |rules| give_too_early(rules)),
            Self::RuleDropped if wanted.plural == "httproutes" => {
                in_rules(&mut value, |rules| rules.len() > 1 && rules.pop().is_some())
            }
            Self::ShareTooHigh if wanted.plural == "ingresses" => raise_weight(&mut value),
            Self::ShareTooEarly if wanted.plural == "ingresses" => {
                in_paths(&mut value, |operations| lead_to_canary(operations))
            }
            Self::RuleDropped if wanted.plural == "ingresses" => in_paths(&mut value, |operations| {
                operations.push(json!({ "op": "remove", "path": "/spec/rules/0/http/paths/1" }));
                true
            }),
            Self::WritesSwallowed if wanted.plural == "rolloutruns" && wanted.status => return Tampered::Swallowed,
            _ => false,
        };
        if changed { Tampered::Changed(Bytes::from(value.to_string())) } else { Tampered::Not }
    }
}

/// Changes the rules that a JSON Patch puts in the place of others.
fn in_rules(patch: &mut Value, change: impl Fn(&mut Vec<Value>) -> bool) -> bool {
    let operations = patch.as_array_mut().into_iter().flatten();
    let mut replaced =
        operations.filter(|operation| operation["op"] == "replace" && operation["path"] == "/spec/rules");
    replaced.any(|operation| operation["value"].as_array_mut().is_some_and(&change))
}

/// Changes the JSON Patch of an Ingress that has paths lead to a fork.
fn in_paths(patch: &mut Value, change: impl Fn(&mut Vec<Value>) -> bool) -> bool {
    let lays =
        |operations: &[Value]| operations.iter().any(|it| it["op"] == "replace" && ends_in(&it["value"], "-stable"));
    patch.as_array_mut().is_some_and(|operations| lays(operations) && change(operations))
}

fn lead_to_canary(operations: &mut [Value]) -> bool {
    for operation in operations.iter_mut().filter(|it| it["op"] == "replace") {
        operation["value"] = operation["value"].as_str().unwrap_or_default().replace("-stable", "-canary").into();
    }
    true
}

fn raise_weight(ingress: &mut Value) -> bool {
    let weight = ingress.pointer_mut("/metadata/annotations/nginx.ingress.kubernetes.io~1canary-weight");
    let number = weight.as_ref().and_then(|weight| weight.as_str()?.parse::<u64>().ok());
    let (Some(weight), Some(number)) = (weight, number) else { return false };
    *weight = (number + 1).to_string().into();
    true
}

fn refs(rules: &mut [Value]) -> impl Iterator<Item = &mut Value> {
    rules.iter_mut().filter_map(|rule| rule["backendRefs"].as_array_mut()).flatten()
}

fn is_to(reference: &Value, fork: &str) -> bool {
    ends_in(&reference["name"], fork)
}

fn ends_in(name: &Value, ending: &str) -> bool {
    name.as_str().is_some_and(|name| name.ends_with(ending))
}

fn raise_share(rules: &mut [Value]) -> bool {
    let mut changed = false;
    for reference in refs(rules).filter(|reference| is_to(reference, "-canary")) {
        let weight = reference["weight"].as_i64().unwrap_or(1);
        reference["weight"] = (weight + 1).into();
        changed = true;
    }
    changed
}

fn give_too_early(rules: &mut [Value]) -> bool {
    if refs(rules).any(|reference| is_to(reference, "-canary")) {
        return false;
    }
    let mut changed = false;
    for refs in rules.iter_mut().filter_map(|rule| rule["backendRefs"].as_array_mut()) {
        let Some(stable) = refs.iter_mut().find(|reference| is_to(reference, "-stable")) else { continue };
        let mut canary = stable.clone();
        canary["name"] = stable["name"].as_str().unwrap_or_default().replace("-stable", "-canary").into();
        (stable["weight"], canary["weight"]) = (99.into(), 1.into());
        refs.push(canary);
        changed = true;
    }
    changed
}

fn enlarge_canary(value: &mut Value) -> bool {
    let of_canary = value["metadata"]["name"].as_str().is_some_and(|name| name.ends_with("-canary"));
    let Some(replicas) = value["spec"]["replicas"].as_i64().filter(|_| of_canary) else { return false };
    value["spec"]["replicas"] = (replicas + 1).into();
    true
}

fn pass_hook(value: &mut Value) -> bool {
    let Some(batch) = value.pointer_mut("/status/batchStatus") else { return false };
    let waits = batch["currentBatchState"] == "PreBatchStepHook";
    if waits {
        batch["currentBatchState"] = "Running".into();
    }
    waits
}

fn raise(value: &mut Value, field: &str, by: i64) -> bool {
    let rolling = value.pointer_mut("/spec/strategy/rollingUpdate");
    let Some((rolling, number)) = rolling.and_then(|it| it[field].as_i64().map(|number| (it, number))) else {
        return false;
    };
    rolling[field] = (number + by).into();
    true
}

fn lower_partition(value: &mut Value) -> bool {
    let found = PARTITIONS.into_iter().find(|path| value.pointer(path).is_some());
    let Some(partition) = found.and_then(|path| value.pointer_mut(path)) else { return false };
    let Some(number) = partition.as_i64().filter(|number| (1..1000).contains(number)) else { return false };
    *partition = (number - 1).into();
    true
}
