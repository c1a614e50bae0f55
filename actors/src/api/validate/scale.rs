//! Checks of a ScaleRun, when it is made and when it is changed.

use super::parts::{target_names, target_type, webhooks};
use super::run::{frozen, has_begun};
use super::{Errors, FieldError, metadata};
use crate::api::scalerun::{
    ScaleRun, ScaleRunBatchStatus, ScaleRunBatchStrategy, ScaleRunStatus, ScaleRunStep, ScaleRunStepTarget,
};
use crate::workloads::WorkloadKind;

/// Checks a ScaleRun.
pub fn scale_run(run: &ScaleRun) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let spec = &run.spec;
    metadata(&mut errors, &run.metadata);
    target_type(&mut errors, spec.target_type.as_ref());
    if spec.target_type.as_ref().and_then(WorkloadKind::of_target).is_some_and(|kind| !kind.owns_pods()) {
        let message = "names a kind that has no pods of its own to scale; write the kind of the workloads that have";
        errors.add("spec.targetType.kind", message);
    }
    webhooks(&mut errors, "spec.webhooks", &spec.webhooks);
    if spec.batch.is_none() {
        errors.add("spec.batch", "is absent, so there is nothing to run; write batches with at least one");
    }
    let ways = [("spec.batch", &spec.batch), ("spec.rollback", &spec.rollback)];
    for (path, way) in ways.into_iter().filter_map(|(path, way)| Some((path, way.as_ref()?))) {
        steps(&mut errors, path, &way.batches);
    }
    errors.0
}

/// Checks a change of a ScaleRun: what has begun stays as it was. `old` is the stored object, with its status.
pub fn scale_run_update(old: &ScaleRun, new: &ScaleRun) -> Vec<FieldError> {
    let mut errors = Errors::default();
    frozen(&mut errors, "spec.targetType", &old.spec.target_type, &new.spec.target_type);
    frozen(&mut errors, "spec.webhooks", &old.spec.webhooks, &new.spec.webhooks);
    let none = ScaleRunStatus::default();
    let status = old.status.as_ref().unwrap_or(&none);
    way_update(&mut errors, "spec.batch", (&old.spec.batch, &new.spec.batch), status.batches.as_ref());
    way_update(&mut errors, "spec.rollback", (&old.spec.rollback, &new.spec.rollback), status.rollback.as_ref());
    errors.0
}

fn steps(errors: &mut Errors, path: &str, steps: &[ScaleRunStep]) {
    if steps.is_empty() {
        errors.add(format_args!("{path}.batches"), "has no batch, so there is nothing to run; write at least one");
    }
    for (index, step) in steps.iter().enumerate() {
        let path = format!("{path}.batches[{index}]");
        let names: Vec<_> = step.targets.iter().map(ScaleRunStepTarget::name_ref).collect();
        target_names(errors, &path, &names);
        for (index, target) in step.targets.iter().enumerate().filter(|(_, target)| target.replicas < 0) {
            let found = target.replicas;
            let message = format_args!("found {found}, expected a number of pods from 0");
            errors.add(format_args!("{path}.targets[{index}].replicas"), message);
        }
    }
}

/// A way may be changed behind the batch that has begun, and added or removed as long as none has.
fn way_update(
    errors: &mut Errors,
    path: &str,
    (old, new): (&Option<ScaleRunBatchStrategy>, &Option<ScaleRunBatchStrategy>),
    status: Option<&ScaleRunBatchStatus>,
) {
    let Some(status) = status else { return };
    let begun = usize::try_from(status.current_batch_index).unwrap_or_default()
        + usize::from(has_begun(Some(&status.current_batch_state)));
    let batches = |way: &Option<ScaleRunBatchStrategy>| way.as_ref().map(|way| way.batches.clone()).unwrap_or_default();
    let (old, new) = (batches(old), batches(new));
    if new.len() < old.len() && new.len() < begun {
        let found = new.len();
        let message = format_args!("found {found}, but {begun} have begun; restore those");
        return errors.add(format_args!("{path}.batches"), message);
    }
    for (index, (old, new)) in old.iter().zip(&new).enumerate().take(begun) {
        if old != new {
            errors.add(format_args!("{path}.batches[{index}]"), "was changed after it began; restore it");
        }
    }
}
