//! What an object must not ask for.
//!
//! The CRDs refuse most of this at admission. These functions say the rest, and say it again for objects that were
//! stored before: pure, complete (every error, not the first), and with a remedy each.

mod labels;
mod parts;
mod run;

use std::fmt;

use self::parts::{count, match_targets, required_match, template_patch, traffic, webhooks};
pub use self::run::{run, run_update};
use super::rolloutstrategy::RolloutStepTarget;
use super::{IntOrString, Rollout, RolloutStrategy, TriggerPolicy};

/// One field that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field.
    pub path: String,
    /// What was found, what was expected, what to do.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Checks a Rollout. Whether its kind of workload is supported is known elsewhere.
pub fn rollout(rollout: &Rollout) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let spec = &rollout.spec;
    if let TriggerPolicy::Unknown(found) = &spec.trigger_policy {
        errors.add("spec.triggerPolicy", format_args!("found {found:?}, expected Auto or Manual"));
    }
    if spec.strategy_ref.is_empty() {
        errors.add("spec.strategyRef", "is empty; write the name of a RolloutStrategy in the same namespace");
    }
    match &spec.workload_ref {
        None => errors.add("spec.workloadRef", "is absent; write the kind of the workloads and what to match"),
        Some(workloads) => required_match(&mut errors, "spec.workloadRef.match", &workloads.match_),
    }
    errors.0
}

/// Checks a strategy.
pub fn strategy(strategy: &RolloutStrategy) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let RolloutStrategy { batch, batch_v2, canary, canary_v2, .. } = strategy;
    if batch.is_some() && batch_v2.is_some() {
        errors.add("batchV2", "stands beside batch; keep one and remove the other");
    }
    if canary.is_some() && canary_v2.is_some() {
        errors.add("canaryV2", "stands beside canary; keep one and remove the other");
    }
    match (batch, batch_v2) {
        (None, None) => errors.add("batch", NO_BATCH),
        (Some(batch), _) if batch.batches.is_empty() => errors.add("batch.batches", NO_BATCH),
        (_, Some(batch)) if batch.batches.is_empty() => errors.add("batchV2.batches", NO_BATCH),
        _ => {}
    }
    batches(&mut errors, strategy);
    if let Some(canary) = canary {
        count(&mut errors, "canary.replicas", &canary.replicas);
        match_targets(&mut errors, "canary", canary.match_targets.as_ref());
        traffic(&mut errors, "canary", canary.traffic.as_ref());
        template_patch(&mut errors, "canary.templateMetadataPatch", canary.template_metadata_patch.as_ref());
    }
    if let Some(canary) = canary_v2 {
        targets(&mut errors, "canaryV2", &canary.targets);
        traffic(&mut errors, "canaryV2", canary.traffic.as_ref());
        template_patch(&mut errors, "canaryV2.templateMetadataPatch", canary.template_metadata_patch.as_ref());
    }
    webhooks(&mut errors, "webhooks", &strategy.webhooks);
    errors.0
}

const NO_BATCH: &str = "has no batch, so there is nothing to run; write at least one, for example [{replicas: 100%}]";

fn batches(errors: &mut Errors, strategy: &RolloutStrategy) {
    let steps = strategy.batch.iter().flat_map(|batch| &batch.batches);
    for (index, step) in steps.enumerate() {
        let path = format!("batch.batches[{index}]");
        count(errors, format_args!("{path}.replicas"), &step.replicas);
        window(errors, &path, step.replica_sliding_window.as_ref());
        match_targets(errors, &path, step.match_targets.as_ref());
        traffic(errors, &path, step.traffic.as_ref());
    }
    if let Some(toleration) = strategy.batch.as_ref().and_then(|batch| batch.toleration.as_ref()) {
        parts::toleration(errors, "batch.toleration", toleration);
    }
    let steps = strategy.batch_v2.iter().flat_map(|batch| &batch.batches);
    for (index, step) in steps.enumerate() {
        let path = format!("batchV2.batches[{index}]");
        targets(errors, &path, &step.targets);
        traffic(errors, &path, step.traffic.as_ref());
    }
}

fn targets(errors: &mut Errors, path: &str, targets: &[RolloutStepTarget]) {
    if targets.is_empty() {
        errors.add(format_args!("{path}.targets"), "has no target; write at least one, for example [{replicas: 100%}]");
    }
    for (index, target) in targets.iter().enumerate() {
        let path = format!("{path}.targets[{index}]");
        count(errors, format_args!("{path}.replicas"), &target.replicas);
        window(errors, &path, target.replica_sliding_window.as_ref());
        match_targets(errors, &path, target.match_targets.as_ref());
    }
}

fn window(errors: &mut Errors, path: &str, window: Option<&IntOrString>) {
    if let Some(window) = window {
        count(errors, format_args!("{path}.replicaSlidingWindow"), window);
    }
}

/// Errors in the order of the fields.
#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn add(&mut self, path: impl fmt::Display, message: impl fmt::Display) {
        self.0.push(FieldError { path: path.to_string(), message: message.to_string() });
    }
}

#[cfg(test)]
mod tests;
