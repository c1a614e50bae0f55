//! Checks of a run, when it is made and when it is changed.

use super::parts::{
    count, policies, preview, references, target_names, target_type, template_patch, toleration, traffic, webhooks,
    window,
};
use super::{Errors, FieldError, TAKEN, metadata};
use crate::api::rolloutrun::{RolloutRunCanaryStrategy, RolloutRunStep, RolloutRunStepTarget};
use crate::api::{RolloutRun, StepState};

/// Checks a run.
pub fn run(run: &RolloutRun) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let spec = &run.spec;
    metadata(&mut errors, &run.metadata);
    target_type(&mut errors, spec.target_type.as_ref());
    references(&mut errors, "spec.trafficTopologyRefs", "TrafficTopology", &spec.traffic_topology_refs);
    webhooks(&mut errors, "spec.webhooks", &spec.webhooks);
    if let Some(canary) = &spec.canary {
        targets(&mut errors, "spec.canary", &canary.targets);
        if canary.blue_green.is_some() {
            preview(&mut errors, "spec.canary.traffic", canary.traffic.as_ref());
        } else {
            traffic(&mut errors, "spec.canary", canary.traffic.as_ref());
        }
        let path = "spec.canary.podTemplateMetadataPatch";
        template_patch(&mut errors, path, canary.pod_template_metadata_patch.as_ref());
    }
    let is_switched = spec.canary.as_ref().is_some_and(|canary| canary.blue_green.is_some());
    if steps(run).is_empty() {
        errors.add("spec.batch.batches", "has no batch, so there is nothing to run; write at least one");
    }
    for (index, step) in steps(run).iter().enumerate() {
        let path = format!("spec.batch.batches[{index}]");
        targets(&mut errors, &path, &step.targets);
        traffic(&mut errors, &path, step.traffic.as_ref());
        if is_switched && step.traffic.is_some() {
            errors.add(format_args!("{path}.traffic"), TAKEN);
        }
    }
    if let Some(found) = spec.batch.as_ref().and_then(|batch| batch.toleration.as_ref()) {
        toleration(&mut errors, "spec.batch.toleration", found);
    }
    policies(&mut errors, "spec.policies", spec.policies.as_ref());
    errors.0
}

/// Checks a change of a run: what has begun stays as it was. `old` is the stored object, with its status.
pub fn run_update(old: &RolloutRun, new: &RolloutRun) -> Vec<FieldError> {
    let mut errors = Errors::default();
    frozen(&mut errors, "spec.targetType", &old.spec.target_type, &new.spec.target_type);
    frozen(&mut errors, "spec.webhooks", &old.spec.webhooks, &new.spec.webhooks);
    let topologies = (&old.spec.traffic_topology_refs, &new.spec.traffic_topology_refs);
    frozen(&mut errors, "spec.trafficTopologyRefs", topologies.0, topologies.1);
    canary_update(&mut errors, old, new);
    if old.spec.batch.is_some() == new.spec.batch.is_some() {
        batch_update(&mut errors, old, new);
    } else {
        errors.add("spec.batch", "was added or removed; restore it, or cancel this run and start another");
    }
    errors.0
}

fn steps(run: &RolloutRun) -> &[RolloutRunStep] {
    run.spec.batch.as_ref().map(|batch| &*batch.batches).unwrap_or_default()
}

fn targets(errors: &mut Errors, path: &str, targets: &[RolloutRunStepTarget]) {
    let names: Vec<_> = targets.iter().map(RolloutRunStepTarget::name_ref).collect();
    target_names(errors, path, &names);
    for (index, target) in targets.iter().enumerate() {
        let path = format!("{path}.targets[{index}]");
        count(errors, format_args!("{path}.replicas"), &target.replicas);
        window(errors, &path, target.replica_sliding_window.as_ref());
    }
}

pub(super) fn frozen<T: PartialEq>(errors: &mut Errors, path: &str, old: &T, new: &T) {
    if old != new {
        errors.add(path, "was changed, and may not be in a run; restore it, or cancel this run and start another");
    }
}

fn canary_update(errors: &mut Errors, old: &RolloutRun, new: &RolloutRun) {
    let (old_canary, new_canary) = match (&old.spec.canary, &new.spec.canary) {
        (None, None) => return,
        (Some(old), Some(new)) => (old, new),
        _ => {
            return errors.add("spec.canary", "was added or removed; restore it, or cancel this run and start another");
        }
    };
    let patch = |canary: &RolloutRunCanaryStrategy| canary.pod_template_metadata_patch.clone();
    frozen(errors, "spec.canary.podTemplateMetadataPatch", &patch(old_canary), &patch(new_canary));
    let state = old.status.as_ref().and_then(|status| status.canary_status.as_ref()).map(|canary| &canary.state);
    let frozen = |canary: &RolloutRunCanaryStrategy| RolloutRunCanaryStrategy { traffic: None, ..canary.clone() };
    if has_begun(state) && frozen(old_canary) != frozen(new_canary) {
        errors.add("spec.canary", "was changed after the canary began; only traffic may, restore the rest");
    }
}

fn batch_update(errors: &mut Errors, old: &RolloutRun, new: &RolloutRun) {
    let batches = old.status.as_ref().and_then(|status| status.batch_status.as_ref());
    let Some(current) = batches.map(|batches| usize::try_from(batches.current_batch_index).unwrap_or_default()) else {
        return;
    };
    let (old, new) = (steps(old), steps(new));
    if new.len() <= current && new.len() < old.len() {
        let found = new.len();
        let message = format_args!("found {found}, but batch {current} is under way; restore the batches up to it");
        return errors.add("spec.batch.batches", message);
    }
    for (index, (old, new)) in old.iter().zip(new).enumerate().take(current) {
        if old != new {
            errors.add(format_args!("spec.batch.batches[{index}]"), "was changed after it was done; restore it");
        }
    }
    let (Some(old), Some(new)) = (old.get(current), new.get(current)) else { return };
    let path = format!("spec.batch.batches[{current}]");
    if has_begun(batches.map(|batches| &batches.current_batch_state)) {
        if without_replicas(old) != without_replicas(new) {
            errors.add(path, "was changed after it began; only targets[].replicas and traffic may, restore the rest");
        }
    } else if old.breakpoint != new.breakpoint {
        errors.add(format_args!("{path}.breakpoint"), "was changed when the batch was next; restore it");
    }
}

pub(super) fn has_begun(state: Option<&StepState>) -> bool {
    !matches!(state, None | Some(StepState::None | StepState::Pending))
}

fn without_replicas(step: &RolloutRunStep) -> RolloutRunStep {
    let mut step = RolloutRunStep { traffic: None, ..step.clone() };
    for target in &mut step.targets {
        target.replicas = crate::api::IntOrString::Int(0);
    }
    step
}
