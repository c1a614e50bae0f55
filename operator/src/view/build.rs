//! The view, built from what the API says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use slipway_actors::api::{
    IntOrString, Rollout, RolloutRun, RolloutRunPhase, RolloutWorkloadStatus, StepState, TrafficStrategy, WaitStatus,
    rolloutrun::{RolloutRunStep, RolloutRunStepStatus},
};

use super::{Batch, Cluster, Hook, Requests, Run, State, View, Wait, Workload};

/// The objects a view is built from, as last seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// The Rollout.
    pub rollout: Option<Rollout>,
    /// The runs of its namespace, by name.
    pub runs: BTreeMap<String, RolloutRun>,
    /// The workloads, by cluster and name.
    pub workloads: BTreeMap<(String, String), StatefulSet>,
    /// What becomes of requests, by cluster.
    pub requests: BTreeMap<String, Requests>,
}

impl Observed {
    /// The current or last run.
    pub(crate) fn run(&self) -> Option<&RolloutRun> {
        let status = self.rollout.as_ref()?.status.as_ref()?;
        self.runs.get(&status.rollout_id)
    }
}

/// What there is to see `now`, first looked at `since`. Nothing as long as there is no Rollout.
pub(crate) fn view(observed: &Observed, since: Timestamp, now: Timestamp) -> Option<View> {
    let rollout = observed.rollout.as_ref()?;
    let run = observed.run();
    let clusters = clusters(observed, run);
    let done = clusters.iter().all(|it| it.state() == State::Done);
    Some(View {
        namespace: rollout.metadata.namespace.clone().unwrap_or_default(),
        name: rollout.metadata.name.clone().unwrap_or_default(),
        phase: rollout.status.as_ref().map(|it| it.phase.to_string()).unwrap_or_default(),
        elapsed: seconds(since, now),
        run: run.map(|it| run_view(it, now)),
        waits: match run {
            Some(run) if !is_over(run) => run_waits(run),
            Some(_) if done => Vec::new(),
            _ => trigger_waits(rollout),
        },
        clusters,
    })
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs()
}

fn is_over(run: &RolloutRun) -> bool {
    run.status.as_ref().is_some_and(|it| it.phase.is_completed())
}

fn run_view(run: &RolloutRun, now: Timestamp) -> Run {
    let status = run.status.clone().unwrap_or_default();
    let batches = status.batch_status.unwrap_or_default();
    let current = usize::try_from(batches.current_batch_index).unwrap_or_default();
    let error = status.error.filter(|it| !it.message.is_empty() || !it.code.is_empty());
    let began = run.metadata.creation_timestamp.as_ref().map_or(now, |it| it.0);
    let finished = batches.records.iter().filter_map(|it| it.finish_time.as_ref()).map(|it| it.0).max();
    let end = match status.phase {
        RolloutRunPhase::Succeeded => finished,
        RolloutRunPhase::Canceled => status.last_update_time.as_ref().map(|it| it.0),
        _ => None,
    };
    let end = end.unwrap_or(now);
    let steps = run.spec.batch.as_ref().map(|it| it.batches.as_slice()).unwrap_or_default();
    let back = status.rollback.as_ref().map(|it| usize::try_from(it.from_batch_index).unwrap_or_default());
    let in_canary = run.spec.canary.is_some()
        && status.canary_status.as_ref().is_none_or(|canary| canary.state != StepState::Succeeded);
    let place = |index| Place { index, current, in_canary, phase: &status.phase, failed: error.is_some(), back };
    let views = steps.iter().enumerate().map(|(index, step)| {
        let record = batches.records.get(index).cloned().unwrap_or_default();
        batch_view(step, &record, &place(index), end)
    });
    let canary = run.spec.canary.as_ref().map(|canary| {
        let record = status.canary_status.clone().unwrap_or_default();
        Batch {
            state: canary_state(&record.state, &place(0)),
            goal: distinct(canary.targets.iter().map(|it| pods(&it.replicas))).unwrap_or_else(|| "nothing".to_owned()),
            window: None,
            traffic: traffic(canary.traffic.as_ref()),
            breakpoint: false,
            took: record.start_time.as_ref().map(|it| seconds(it.0, record.finish_time.map_or(end, |end| end.0))),
        }
    });
    let of_batch = |record: &RolloutRunStepStatus| record.index.map(|index| format!(" of batch {}", index + 1));
    let of_steps = status.canary_status.iter().chain(&batches.records);
    let of_steps =
        of_steps.flat_map(|step| step.webhooks.iter().map(move |it| (of_batch(step).unwrap_or_default(), it)));
    let asked = of_steps.chain(status.webhooks.iter().map(|it| (String::new(), it)));
    let hooks = asked
        .filter(|(_, it)| !it.state.is_empty())
        .map(|(step, it)| Hook { title: format!("{} ({}{step})", it.name, it.hook_type), state: it.state.clone() });
    Run {
        hooks: hooks.collect(),
        canary,
        blue_green: run.spec.canary.as_ref().is_some_and(|canary| canary.blue_green.is_some()),
        rolling_back: back.is_some(),
        name: run.metadata.name.clone().unwrap_or_default(),
        batches: views.collect(),
        current,
        took: seconds(began, end),
        error: error.as_ref().map(|it| format!("{}: {}", it.code, it.message)),
        phase: status.phase.to_string(),
    }
}

/// Where a batch stands among the others.
struct Place<'a> {
    index: usize,
    current: usize,
    phase: &'a RolloutRunPhase,
    failed: bool,
    /// Whether the canary's turn is not over.
    in_canary: bool,
    /// The batch that is undone first, in a rollback.
    back: Option<usize>,
}

fn batch_view(step: &RolloutRunStep, record: &RolloutRunStepStatus, place: &Place<'_>, now: Timestamp) -> Batch {
    let end = record.finish_time.as_ref().map_or(now, |it| it.0);
    Batch {
        state: batch_state(&record.state, place),
        goal: distinct(step.targets.iter().map(|it| pods(&it.replicas))).unwrap_or_else(|| "nothing".to_owned()),
        window: distinct(step.targets.iter().filter_map(|it| it.replica_sliding_window.as_ref()).map(count)),
        traffic: traffic(step.traffic.as_ref()),
        breakpoint: step.breakpoint,
        took: record.start_time.as_ref().map(|it| seconds(it.0, end)),
    }
}

fn canary_state(record: &StepState, place: &Place<'_>) -> State {
    match (record, place.phase) {
        (StepState::Succeeded, _) => State::Done,
        (_, RolloutRunPhase::Canceled) => State::Canceled,
        _ if place.failed => State::Failed,
        (_, RolloutRunPhase::Paused | RolloutRunPhase::Pausing) => State::Paused,
        (StepState::None, _) => State::Pending,
        _ => State::Running,
    }
}

fn batch_state(record: &StepState, place: &Place<'_>) -> State {
    if let Some(from) = place.back.filter(|_| *record != StepState::Skipped) {
        return undone_state(record, place, from);
    }
    match (record, place.phase) {
        (StepState::Skipped, _) => State::Skipped,
        (StepState::Succeeded, _) | (_, RolloutRunPhase::Succeeded) => State::Done,
        (_, RolloutRunPhase::Canceled) => State::Canceled,
        _ if place.in_canary || place.index > place.current => State::Pending,
        _ if place.index < place.current => State::Done,
        _ if place.failed => State::Failed,
        (_, RolloutRunPhase::Paused | RolloutRunPhase::Pausing) => State::Paused,
        (StepState::None, _) | (_, RolloutRunPhase::None | RolloutRunPhase::Initial | RolloutRunPhase::PreRollout) => {
            State::Pending
        }
        _ => State::Running,
    }
}

/// The state of a batch on the way back from batch `from`.
fn undone_state(record: &StepState, place: &Place<'_>, from: usize) -> State {
    let over = *place.phase == RolloutRunPhase::Canceled;
    match record {
        _ if place.index > from => State::Canceled,
        _ if place.index > place.current || over => State::Undone,
        _ if place.index < place.current => State::Done,
        StepState::Succeeded => State::Undone,
        _ if place.failed => State::Failed,
        _ if matches!(place.phase, RolloutRunPhase::Paused | RolloutRunPhase::Pausing) => State::Paused,
        _ => State::Undoing,
    }
}

/// The different texts, in order of appearance.
fn distinct(texts: impl Iterator<Item = String>) -> Option<String> {
    let mut all = Vec::new();
    for text in texts {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    (!all.is_empty()).then(|| all.join(" or "))
}

/// The share of requests that a step gives the new version, when it gives one.
fn traffic(strategy: Option<&TrafficStrategy>) -> Option<String> {
    let weight = strategy?.http.as_ref()?.weight?;
    Some(format!("{weight}%"))
}

fn count(value: &IntOrString) -> String {
    match value {
        IntOrString::Int(count) => count.to_string(),
        IntOrString::String(text) => text.clone(),
    }
}

fn pods(value: &IntOrString) -> String {
    match value {
        IntOrString::Int(1) => "1 pod".to_owned(),
        IntOrString::Int(count) => format!("{count} pods"),
        IntOrString::String(share) => share.clone(),
    }
}

/// A count or a share of `total`, rounded up; what is no share counts as nothing.
fn scaled(value: &IntOrString, total: i32) -> i32 {
    let pods = match value {
        IntOrString::Int(count) => i64::from(*count),
        IntOrString::String(text) => {
            let percent: i64 = text.strip_suffix('%').and_then(|it| it.parse().ok()).unwrap_or_default();
            percent.saturating_mul(i64::from(total)).saturating_add(99) / 100
        }
    };
    i32::try_from(pods.clamp(0, i64::from(total.max(0)))).unwrap_or(total)
}

fn clusters(observed: &Observed, run: Option<&RolloutRun>) -> Vec<Cluster> {
    let mut clusters: BTreeMap<&str, Vec<Workload>> = BTreeMap::new();
    for ((cluster, name), workload) in &observed.workloads {
        clusters.entry(cluster).or_default().push(workload_view(cluster, name, workload, run));
    }
    let cluster = |(name, workloads): (&str, _)| Cluster {
        name: name.to_owned(),
        workloads,
        requests: observed.requests.get(name).cloned(),
    };
    clusters.into_iter().map(cluster).collect()
}

fn workload_view(cluster: &str, name: &str, workload: &StatefulSet, run: Option<&RolloutRun>) -> Workload {
    let status = workload.status.clone().unwrap_or_default();
    let desired = workload.spec.as_ref().and_then(|it| it.replicas).unwrap_or(1);
    let (updated, available) = (status.updated_replicas.unwrap_or(0), status.available_replicas.unwrap_or(0));
    // Pods that are available and not on the old revision: exact as long as the old ones are all available.
    let at_least = (available - (status.replicas - updated)).clamp(0, updated);
    let reported = run.and_then(|it| target_status(it, cluster, name)).map(|it| it.updated_available_replicas);
    let mut view = Workload {
        name: name.to_owned(),
        state: State::Pending,
        desired,
        updated,
        updated_available: reported.unwrap_or(at_least).max(at_least).min(updated),
        available,
        goal: run.filter(|it| !is_over(it)).and_then(|it| goal(it, cluster, name, desired)),
    };
    view.state = workload_state(&view, run);
    view
}

fn target_status<'a>(run: &'a RolloutRun, cluster: &str, name: &str) -> Option<&'a RolloutWorkloadStatus> {
    let status = run.status.as_ref().filter(|it| !it.phase.is_completed())?;
    status.target_statuses.iter().find(|it| it.cluster == cluster && it.name == name)
}

fn goal(run: &RolloutRun, cluster: &str, name: &str, desired: i32) -> Option<i32> {
    let index = run.status.as_ref().and_then(|it| it.batch_status.as_ref()).map_or(0, |it| it.current_batch_index);
    let step = run.spec.batch.as_ref()?.batches.get(usize::try_from(index).ok()?)?;
    let count = |step: &RolloutRunStep| {
        let target = step.targets.iter().find(|it| it.name_ref().matches(cluster, name))?;
        Some(scaled(&target.replicas, desired))
    };
    let wanted = count(step)?;
    if run.status.as_ref().is_none_or(|it| it.rollback.is_none()) {
        return Some(wanted);
    }
    // On the way back the stable revision is the updated one.
    let before = run.spec.batch.as_ref()?.batches.iter().take(usize::try_from(index).ok()?);
    Some(desired - before.filter_map(count).max().unwrap_or(0))
}

fn workload_state(workload: &Workload, run: Option<&RolloutRun>) -> State {
    let whole = workload.updated_available >= workload.desired;
    let status = run.and_then(|it| it.status.as_ref());
    match (status.map(|it| &it.phase), workload.goal) {
        (Some(RolloutRunPhase::Canceled), _) if !whole => State::Canceled,
        (_, Some(goal)) if workload.updated_available >= goal => State::Done,
        (Some(RolloutRunPhase::Paused | RolloutRunPhase::Pausing), Some(_)) => State::Paused,
        (_, Some(_)) => State::Running,
        _ if whole => State::Done,
        _ => State::Pending,
    }
}

/// Why no run has begun, in the words of the Rollout's conditions.
fn trigger_waits(rollout: &Rollout) -> Vec<Wait> {
    let conditions = rollout.status.as_ref().map(|it| it.conditions.as_slice()).unwrap_or_default();
    let kept_back = conditions.iter().filter(|it| {
        matches!(it.type_.as_str(), "Available" | "Trigger") && it.status == "False" && !it.message.is_empty()
    });
    kept_back.map(|it| Wait { what: it.message.clone(), unblock: None }).collect()
}

fn run_waits(run: &RolloutRun) -> Vec<Wait> {
    run.status.as_ref().map(|it| it.waits.iter().map(wait).collect()).unwrap_or_default()
}

fn wait(status: &WaitStatus) -> Wait {
    let parts = [&status.cluster, &status.object, &status.condition];
    let what = parts.into_iter().filter(|it| !it.is_empty()).cloned().collect::<Vec<_>>().join(" ");
    Wait { what, unblock: Some(status.unblock.clone()).filter(|it| !it.is_empty()) }
}

#[cfg(test)]
mod tests;
