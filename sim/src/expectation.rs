//! Whether conditions and expectations of a scenario hold in the facts.

use std::collections::BTreeMap;

use crate::{
    facts::{Facts, RunFacts, WorkloadFacts},
    scenario::{Condition, Expect, ExpectRun, ExpectWorkload},
};

/// Whether a condition of the timeline holds.
pub(crate) fn holds(condition: &Condition, facts: &Facts) -> bool {
    let run = facts.newest_run();
    let of_run = |is: &dyn Fn(&RunFacts) -> bool| run.is_some_and(is);
    let workload = condition.workload.as_deref().and_then(|name| facts.named(name)).map(|(_, workload)| workload);
    let of_workload = |is: &dyn Fn(&WorkloadFacts) -> bool| workload.is_some_and(is);
    let count = |is: &dyn Fn(&crate::facts::PodFacts) -> bool| {
        let pods = workload.into_iter().filter(|w| w.pending()).flat_map(WorkloadFacts::on_update);
        i32::try_from(pods.filter(|pod| is(pod)).count()).unwrap_or(i32::MAX)
    };
    condition.phase.as_ref().is_none_or(|phase| of_run(&|run| run.phase == *phase))
        && condition.batch.is_none_or(|batch| of_run(&|run| run.index + 1 == batch))
        && condition.canary.as_ref().is_none_or(|state| of_run(&|run| run.canary_state == *state))
        && condition.state.as_ref().is_none_or(|state| of_run(&|run| run.state == *state))
        && condition.runs.is_none_or(|runs| facts.runs.len() >= runs)
        && condition.error.is_none_or(|error| of_run(&|run| run.error.is_some() == error))
        && condition.updated.is_none_or(|updated| count(&|_| true) >= updated)
        && condition.updated_ready.is_none_or(|ready| count(&crate::facts::PodFacts::ready) >= ready)
        && condition.replicas.is_none_or(|replicas| of_workload(&|w| w.desired == replicas))
        && condition.parked.is_none_or(|parked| match condition.workload {
            Some(_) => of_workload(&|w| w.parked() == parked),
            None => facts.workloads.values().all(|w| w.parked() == parked),
        })
        && condition.rollout_gone.is_none_or(|gone| facts.rollouts.values().all(|rollout| rollout.gone) == gone)
}

/// What is expected and not true, in words.
pub(crate) fn unmet(expect: &Expect, facts: &Facts) -> Vec<String> {
    let mut unmet = Vec::new();
    if let Some(wanted) = &expect.run {
        match facts.newest_run() {
            None => unmet.push("a run was expected and there is none".to_owned()),
            Some(run) => unmet.extend(of_run(wanted, run)),
        }
    }
    unmet.extend(differs("runs", expect.runs.as_ref(), &facts.runs.len()));
    let rollout = facts.rollouts.values().next_back();
    if let Some(phase) = &expect.rollout {
        unmet.extend(differs(
            "the rollout's phase",
            Some(phase),
            &rollout.map(|r| r.phase.clone()).unwrap_or_default(),
        ));
    }
    if expect.rollout_gone && facts.rollouts.values().any(|rollout| !rollout.gone) {
        unmet.push("the rollout is still there".to_owned());
    }
    for (kind, wanted) in &expect.conditions {
        let found = rollout.and_then(|rollout| rollout.conditions.get(kind));
        let found = found.map(
            |(status, reason, _)| if wanted.contains('/') { format!("{status}/{reason}") } else { status.clone() },
        );
        unmet.extend(differs(&format!("condition {kind}"), Some(wanted), &found.unwrap_or_default()));
    }
    for (name, wanted) in &expect.workloads {
        match facts.named(name) {
            None => unmet.push(format!("{name} is gone")),
            Some((_, workload)) => unmet.extend(of_workload(name, wanted, workload)),
        }
    }
    unmet
}

fn of_run(wanted: &ExpectRun, run: &RunFacts) -> Vec<String> {
    let batches: Vec<String> = run.batches.iter().map(|batch| batch.state.clone()).collect();
    let error = run.error.as_ref().map(|(code, ..)| code.clone()).unwrap_or_default();
    [
        differs("the run's phase", wanted.phase.as_ref(), &run.phase),
        differs("the states of its batches", wanted.batches.as_ref(), &batches),
        differs("its current batch", wanted.batch.as_ref(), &(run.index + 1)),
        differs("its error", wanted.error.as_ref(), &error),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn of_workload(name: &str, wanted: &ExpectWorkload, workload: &WorkloadFacts) -> Vec<String> {
    let mut images: BTreeMap<String, usize> = BTreeMap::new();
    for pod in workload.pods.values() {
        *images.entry(pod.image.clone()).or_default() += 1;
    }
    let ready = workload.pods.values().filter(|pod| pod.ready()).count();
    [
        differs("the images of its pods", wanted.images.as_ref(), &images),
        differs("its ready pods", wanted.ready.as_ref(), &ready),
        differs("parked", wanted.parked.as_ref(), &workload.parked()),
        differs("its replicas", wanted.replicas.as_ref(), &workload.desired),
    ]
    .into_iter()
    .flatten()
    .map(|problem| format!("{name}: {problem}"))
    .collect()
}

pub(crate) fn differs<T: PartialEq + std::fmt::Debug>(what: &str, wanted: Option<&T>, found: &T) -> Option<String> {
    let wanted = wanted?;
    (wanted != found).then(|| format!("{what}: expected {wanted:?}, found {found:?}"))
}
