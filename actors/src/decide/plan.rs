//! From a strategy and the selected workloads to the plan of a run.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    api::{
        IntOrString, ResourceMatch, RolloutStrategy,
        rolloutrun::{
            RolloutRunBatchStrategy, RolloutRunBlueGreen, RolloutRunCanaryStrategy, RolloutRunStep,
            RolloutRunStepTarget,
        },
    },
    decide::select::matches,
    view::Workload,
};

/// The fields of `strategy` that say where requests go.
pub fn traffic(strategy: &RolloutStrategy) -> impl Iterator<Item = &'static str> {
    let canary = strategy.canary.iter().map(|canary| ("canary.traffic", canary.traffic.is_some()));
    let canary_v2 = strategy.canary_v2.iter().map(|canary| ("canaryV2.traffic", canary.traffic.is_some()));
    let blue_green = strategy.blue_green.iter().map(|_| ("blueGreen", true));
    let batches = strategy.batch.iter().flat_map(|batch| &batch.batches);
    let batches = batches.map(|step| ("batch.batches[].traffic", step.traffic.is_some()));
    let batches_v2 = strategy.batch_v2.iter().flat_map(|batch| &batch.batches);
    let batches_v2 = batches_v2.map(|step| ("batchV2.batches[].traffic", step.traffic.is_some()));
    let all = canary.chain(canary_v2).chain(blue_green).chain(batches).chain(batches_v2);
    all.filter_map(|(field, says)| says.then_some(field))
}

fn expand(
    strategy: &RolloutStrategy,
    workloads: &[&Arc<Workload>],
) -> Result<(&'static str, RolloutRunBatchStrategy), String> {
    // Only the first form of batches has one.
    let toleration = strategy.batch.as_ref().filter(|_| strategy.batch_v2.is_none());
    let toleration = toleration.and_then(|batch| batch.toleration.clone());
    let (field, batches): (_, Vec<RolloutRunStep>) = if let Some(batch) = &strategy.batch_v2 {
        let step = |step: &crate::api::rolloutstrategy::RolloutStepV2| RolloutRunStep {
            targets: step
                .targets
                .iter()
                .flat_map(|group| {
                    targets(
                        workloads,
                        group.match_targets.as_ref(),
                        &group.replicas,
                        group.replica_sliding_window.as_ref(),
                    )
                })
                .collect(),
            traffic: step.traffic.clone(),
            breakpoint: step.breakpoint,
            properties: step.properties.clone(),
        };
        ("batchV2", batch.batches.iter().map(step).collect())
    } else if let Some(batch) = &strategy.batch {
        let step = |step: &crate::api::rolloutstrategy::RolloutStep| RolloutRunStep {
            targets: targets(
                workloads,
                step.match_targets.as_ref(),
                &step.replicas,
                step.replica_sliding_window.as_ref(),
            )
            .collect(),
            traffic: step.traffic.clone(),
            breakpoint: step.breakpoint,
            properties: step.properties.clone(),
        };
        ("batch", batch.batches.iter().map(step).collect())
    } else if let Some(copies) = &strategy.blue_green {
        // Behind copies that have all requests the workloads follow at once.
        let all = IntOrString::String("100%".to_owned());
        let groups = copies.targets.iter();
        let targets = groups.flat_map(|group| targets(workloads, group.match_targets.as_ref(), &all, None)).collect();
        ("blueGreen", vec![RolloutRunStep { targets, ..RolloutRunStep::default() }])
    } else {
        return Err("neither batch nor batchV2 is set: write at least one batch under one of them".to_owned());
    };
    if batches.is_empty() {
        return Err(format!("{field}.batches is empty: write at least one batch"));
    }
    Ok((field, RolloutRunBatchStrategy { batches, toleration }))
}

/// Expands `strategy` for the `workloads` of clusters that are caught up with: steps that mean none of them are left out.
pub fn catch_up(strategy: &RolloutStrategy, workloads: &[&Arc<Workload>]) -> Result<RolloutRunBatchStrategy, String> {
    let (field, mut plan) = expand(strategy, workloads)?;
    plan.batches.retain(|batch| !batch.targets.is_empty());
    if plan.batches.is_empty() {
        return Err(format!("no step of {field}.batches means any of their workloads"));
    }
    checked(field, plan)
}

/// Expands `strategy` against the workloads as they are now. `Err` names the field that leads to no batch.
pub fn batches(strategy: &RolloutStrategy, workloads: &[&Arc<Workload>]) -> Result<RolloutRunBatchStrategy, String> {
    let (field, plan) = expand(strategy, workloads)?;
    checked(field, plan)
}

fn checked(field: &str, plan: RolloutRunBatchStrategy) -> Result<RolloutRunBatchStrategy, String> {
    for (index, batch) in plan.batches.iter().enumerate() {
        check(&format!("{field}.batches[{index}]"), &batch.targets)?;
    }
    Ok(plan)
}

/// Expands the canary of `strategy`, if it has one, whichever form it has. `Err` says what it leads to instead.
pub fn canary(
    strategy: &RolloutStrategy,
    workloads: &[&Arc<Workload>],
) -> Result<Option<RolloutRunCanaryStrategy>, String> {
    let (field, canary) = if let Some(canary) = &strategy.canary_v2 {
        let groups = canary.targets.iter();
        let targets = groups.flat_map(|group| {
            targets(workloads, group.match_targets.as_ref(), &group.replicas, group.replica_sliding_window.as_ref())
        });
        let plan = RolloutRunCanaryStrategy {
            targets: targets.collect(),
            traffic: canary.traffic.clone(),
            properties: canary.properties.clone(),
            pod_template_metadata_patch: canary.template_metadata_patch.clone(),
            blue_green: None,
        };
        ("canaryV2", plan)
    } else if let Some(canary) = &strategy.canary {
        let plan = RolloutRunCanaryStrategy {
            targets: targets(workloads, canary.match_targets.as_ref(), &canary.replicas, None).collect(),
            traffic: canary.traffic.clone(),
            properties: canary.properties.clone(),
            pod_template_metadata_patch: canary.template_metadata_patch.clone(),
            blue_green: None,
        };
        ("canary", plan)
    } else if let Some(copies) = &strategy.blue_green {
        let groups = copies.targets.iter();
        let targets = groups.flat_map(|group| {
            targets(workloads, group.match_targets.as_ref(), &group.replicas, group.replica_sliding_window.as_ref())
        });
        let plan = RolloutRunCanaryStrategy {
            targets: targets.collect(),
            traffic: copies.preview.clone(),
            properties: copies.properties.clone(),
            pod_template_metadata_patch: copies.template_metadata_patch.clone(),
            blue_green: Some(RolloutRunBlueGreen { keep_seconds: copies.keep_seconds }),
        };
        ("blueGreen", plan)
    } else {
        return Ok(None);
    };
    check(field, &canary.targets).map(|()| Some(canary))
}

/// The targets of one group, in the order of the workloads.
fn targets<'a>(
    workloads: &'a [&Arc<Workload>],
    group: Option<&'a ResourceMatch>,
    replicas: &'a IntOrString,
    window: Option<&'a IntOrString>,
) -> impl Iterator<Item = RolloutRunStepTarget> + 'a {
    // A match without selector and names means every workload, as no match does.
    let group = group.filter(|group| group.selector.is_some() || !group.names.is_empty());
    workloads.iter().filter(move |workload| group.is_none_or(|group| matches(group, workload))).map(move |workload| {
        RolloutRunStepTarget {
            cluster: workload.cluster.clone(),
            name: workload.key.name.clone(),
            replicas: replicas.clone(),
            replica_sliding_window: window.cloned(),
        }
    })
}

fn check(path: &str, targets: &[RolloutRunStepTarget]) -> Result<(), String> {
    if targets.is_empty() {
        return Err(format!("{path} matches no workload: correct its matchTargets, or remove it"));
    }
    let mut seen = BTreeSet::new();
    match targets.iter().find(|target| !seen.insert((&target.cluster, &target.name))) {
        None => Ok(()),
        Some(twice) => Err(format!("{path} names {} twice: make its target groups disjoint", twice.name_ref())),
    }
}
