//! What an object must not ask for.
//!
//! The CRDs refuse most of this at admission. These functions say the rest, and say it again for objects that were
//! stored before: pure, complete (every error, not the first), and with a remedy each.

mod labels;
mod metadata;
mod parts;
mod run;
mod scale;
mod traffic;

use std::fmt;

pub use self::labels::is_object_name;
use self::metadata::{metadata, one_time_strategy, trigger};
use self::parts::{
    count, match_targets, policies, preview, references, template_patch, traffic, webhooks, window, workloads,
};
pub use self::run::{run, run_update};
pub use self::scale::{scale_run, scale_run_update};
pub use self::traffic::{backend_routing, traffic_topology};
use super::rolloutstrategy::{BlueGreenStrategy, RolloutStepTarget};
use super::{Rollout, RolloutStrategy, TriggerPolicy};

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
    metadata(&mut errors, &rollout.metadata);
    trigger(&mut errors, &rollout.metadata);
    one_time_strategy(&mut errors, &rollout.metadata);
    if let Some(limit) = spec.history_limit.filter(|limit| *limit < 0) {
        errors.add(
            "spec.historyLimit",
            format_args!("found {limit}, expected a number from 0; 0 keeps the last run alone"),
        );
    }
    if let TriggerPolicy::Unknown(found) = &spec.trigger_policy {
        errors.add("spec.triggerPolicy", format_args!("found {found:?}, expected Auto or Manual"));
    }
    if spec.strategy_ref.is_empty() {
        errors.add("spec.strategyRef", "is empty; write the name of a RolloutStrategy in the same namespace");
    }
    match &spec.workload_ref {
        None => errors.add("spec.workloadRef", "is absent; write the kind of the workloads and what to match"),
        Some(found) => workloads(&mut errors, "spec.workloadRef", found),
    }
    references(&mut errors, "spec.trafficTopologyRefs", "TrafficTopology", &spec.traffic_topology_refs);
    errors.0
}

/// Checks a strategy.
pub fn strategy(strategy: &RolloutStrategy) -> Vec<FieldError> {
    let mut errors = Errors::default();
    metadata(&mut errors, &strategy.metadata);
    plan(&mut errors, strategy);
    errors.0
}

/// Checks the batches of a strategy alone.
pub fn batches_of(strategy: &RolloutStrategy) -> Vec<FieldError> {
    let mut errors = Errors::default();
    plan(&mut errors, strategy);
    errors.0
}

/// Checks everything of a strategy but its metadata.
fn plan(errors: &mut Errors, strategy: &RolloutStrategy) {
    let RolloutStrategy { batch, batch_v2, canary, canary_v2, blue_green, .. } = strategy;
    if batch.is_some() && batch_v2.is_some() {
        errors.add("batchV2", "stands beside batch; keep one and remove the other");
    }
    if canary.is_some() && canary_v2.is_some() {
        errors.add("canaryV2", "stands beside canary; keep one and remove the other");
    }
    match (batch, batch_v2) {
        (None, None) if blue_green.is_some() => {}
        (None, None) => errors.add("batch", NO_BATCH),
        (Some(batch), _) if batch.batches.is_empty() => errors.add("batch.batches", NO_BATCH),
        (_, Some(batch)) if batch.batches.is_empty() => errors.add("batchV2.batches", NO_BATCH),
        _ => {}
    }
    batches(errors, strategy);
    if let Some(canary) = canary {
        count(errors, "canary.replicas", &canary.replicas);
        match_targets(errors, "canary", canary.match_targets.as_ref());
        traffic(errors, "canary", canary.traffic.as_ref());
        template_patch(errors, "canary.templateMetadataPatch", canary.template_metadata_patch.as_ref());
    }
    if let Some(canary) = canary_v2 {
        targets(errors, "canaryV2", &canary.targets);
        traffic(errors, "canaryV2", canary.traffic.as_ref());
        template_patch(errors, "canaryV2.templateMetadataPatch", canary.template_metadata_patch.as_ref());
    }
    if let Some(copies) = blue_green {
        self::blue_green(errors, strategy, copies);
    }
    webhooks(errors, "webhooks", &strategy.webhooks);
    policies(errors, "policies", strategy.policies.as_ref());
}

fn blue_green(errors: &mut Errors, strategy: &RolloutStrategy, copies: &BlueGreenStrategy) {
    if strategy.canary.is_some() || strategy.canary_v2.is_some() {
        errors.add("blueGreen", "stands beside a canary, and is one itself; keep one and remove the other");
    }
    targets(errors, "blueGreen", &copies.targets);
    preview(errors, "blueGreen.preview", copies.preview.as_ref());
    template_patch(errors, "blueGreen.templateMetadataPatch", copies.template_metadata_patch.as_ref());
    let steps = strategy.batch.iter().flat_map(|batch| &batch.batches).map(|step| ("batch", step.traffic.as_ref()));
    let steps_v2 = strategy.batch_v2.iter().flat_map(|batch| &batch.batches);
    let all = steps.chain(steps_v2.map(|step| ("batchV2", step.traffic.as_ref())));
    for (index, (field, _)) in all.enumerate().filter(|(_, (_, traffic))| traffic.is_some()) {
        errors.add(format_args!("{field}.batches[{index}].traffic"), TAKEN);
    }
}

/// Why batches behind copies that have all requests say nothing of traffic.
const TAKEN: &str = "stands beside blue/green, where the copies have all requests; remove it";

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
