//! Whether a run starts now, and if not, what it waits for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{command::Pending, select};
use crate::{
    api::{TriggerPolicy, WorkloadRevision, keys},
    view::{RolloutView, Workload},
};

/// The answer of [`evaluate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Start a run. `id` makes one trigger one run; `value` is the annotation's.
    Start {
        /// Unique among the triggers of the Rollout.
        id: String,
        /// The value of the annotation; empty for Auto.
        value: String,
    },
    /// Start nothing, and say why.
    Wait {
        /// CamelCase reason of the `Trigger` condition.
        reason: &'static str,
        /// What is waited for.
        message: String,
    },
}

impl Trigger {
    fn wait(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Wait { reason, message: message.into() }
    }
}

/// Decides whether a run of `workloads` starts, without the members that are `left_out`. `canceled` are the revisions whose run ended before they were everywhere; Auto never
/// starts them again.
pub fn evaluate(
    view: &RolloutView,
    workloads: &[&Arc<Workload>],
    pending: Option<&Pending>,
    canceled: &[WorkloadRevision],
    left_out: &BTreeMap<String, String>,
) -> Trigger {
    if let Some(pending) = pending {
        return Trigger::Start { id: pending.id.clone(), value: pending.command.trim().to_owned() };
    }
    let by_hand = format!("set annotation {} to start a run", keys::ANNOTATION_TRIGGER);
    if view.rollout.spec.trigger_policy != TriggerPolicy::Auto {
        return Trigger::wait(
            "UnTriggered",
            format!("triggerPolicy is {}: {by_hand}", view.rollout.spec.trigger_policy),
        );
    }
    if let Some((cluster, why)) = select::unreliable(view).find(|(cluster, _)| !left_out.contains_key(*cluster)) {
        return Trigger::wait("UnTriggered", format!("waiting for cluster {}: {why}", quoted(cluster)));
    }
    if workloads.is_empty() {
        return Trigger::wait("UnTriggered", "spec.workloadRef.match selects no workload in any cluster");
    }
    if let Some(message) = not_waiting(workloads, &by_hand) {
        return Trigger::wait("UnTriggered", message);
    }
    if given_up(workloads, canceled) {
        return Trigger::wait(
            "Canceled",
            format!("the last run of these revisions did not update every pod: {by_hand}"),
        );
    }
    Trigger::Start {
        id: format!("auto-{}", view.rollout.status.as_ref().and_then(|s| s.trigger_count).unwrap_or(0) + 1),
        value: String::new(),
    }
}

/// Whether what a run gave up is still what would be rolled out: of the workloads it was about, those that are left have
/// the template they had then.
fn given_up(workloads: &[&Arc<Workload>], canceled: &[WorkloadRevision]) -> bool {
    // Of one workload several revisions may have been given up.
    let of = |workload: &Workload| {
        let place = (workload.cluster.clone(), workload.key.name.clone());
        canceled.iter().filter(move |entry| (&entry.cluster, &entry.name) == (&place.0, &place.1))
    };
    let mut left = workloads.iter().filter(|workload| of(workload).next().is_some()).peekable();
    left.peek().is_some() && left.all(|workload| of(workload).any(|entry| entry.revision == workload.updated_revision))
}

/// The revisions that wait to be rolled out. Workloads without replicas have none of interest: they converge by
/// themselves.
pub fn revisions(workloads: &[&Arc<Workload>]) -> BTreeSet<WorkloadRevision> {
    let sized = workloads.iter().filter(|workload| workload.desired > 0);
    sized
        .map(|workload| WorkloadRevision {
            cluster: workload.cluster.clone(),
            name: workload.key.name.clone(),
            revision: workload.updated_revision.clone(),
        })
        .collect()
}

/// Why Auto starts nothing yet: it waits until every selected workload with replicas has an update that no pod has.
fn not_waiting(workloads: &[&Arc<Workload>], by_hand: &str) -> Option<String> {
    let sized: Vec<_> = workloads.iter().filter(|workload| workload.desired > 0).collect();
    if sized.is_empty() {
        return Some("no selected workload has replicas".to_owned());
    }
    let states: Vec<_> = sized.iter().map(|workload| (workload, state(workload))).collect();
    if states.iter().all(|(_, state)| *state == State::UpToDate) {
        return Some(format!("every workload is up to date ({} selected)", workloads.len()));
    }
    let (workload, state) = states.iter().find(|(_, state)| *state != State::Waiting)?;
    let name = format!("{}/{}", workload.kind.noun(), workload.key.name);
    let place = if workload.cluster.is_empty() { name } else { format!("{name} in cluster {}", workload.cluster) };
    Some(match state {
        State::Unobserved => format!("waiting for the controller of {place} to observe its newest generation"),
        State::UpToDate => format!("waiting for {place} to get a new template, as others have: or {by_hand}"),
        State::Partial => format!(
            "waiting for {place} to be on one revision, {} of {} pods are updated: or {by_hand}",
            workload.updated_replicas, workload.desired
        ),
        State::Waiting => return None,
    })
}

/// How a workload stands towards its newest template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its controller has not seen the newest generation.
    Unobserved,
    /// Every pod has it.
    UpToDate,
    /// Some pods have it.
    Partial,
    /// No pod has it.
    Waiting,
}

/// How a workload stands towards its newest template.
pub fn state(workload: &Workload) -> State {
    if workload.observed_generation < workload.generation || workload.stable_revision.is_empty() {
        State::Unobserved
    } else if workload.stable_revision == workload.updated_revision && workload.updated_replicas >= workload.replicas {
        State::UpToDate
    } else if workload.updated_replicas > 0 {
        State::Partial
    } else {
        State::Waiting
    }
}

fn quoted(cluster: &str) -> String {
    if cluster.is_empty() { "the hub".to_owned() } else { cluster.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Rollout, decide::fixtures, view::Health};

    fn answer(view: &RolloutView, canceled: &[WorkloadRevision]) -> String {
        match evaluate(view, &select::selected(view), None, canceled, &BTreeMap::new()) {
            Trigger::Start { id, .. } => format!("start {id}"),
            Trigger::Wait { reason, message } => format!("{reason}: {message}"),
        }
    }

    #[test]
    fn what_auto_waits_for() {
        let waiting = fixtures::workload("east", "web", 5);
        let api = fixtures::workload("west", "api", 5);
        let with = |change: &dyn Fn(&mut Workload)| {
            let mut workload = waiting.clone();
            change(&mut workload);
            fixtures::view(vec![workload, api.clone()])
        };
        let mut unreachable = fixtures::view(vec![waiting.clone(), api.clone()]);
        unreachable.members.get_mut("west").unwrap().health =
            Health::Unreachable { since: fixtures::at(0), error: "connection refused".into() };
        let mut manual = fixtures::view(vec![waiting.clone()]);
        let mut rollout: Rollout = manual.rollout.as_ref().clone();
        rollout.spec.trigger_policy = TriggerPolicy::Manual;
        manual.rollout = Arc::new(rollout);
        let up_to_date = |workload: &mut Workload| workload.updated_revision = workload.stable_revision.clone();
        let all_up_to_date = {
            let mut workload = waiting.clone();
            (workload.updated_revision, workload.updated_replicas) = ("v1".into(), 5);
            fixtures::view(vec![workload])
        };
        let ready = fixtures::view(vec![waiting.clone(), api.clone()]);
        let canceled: Vec<_> = revisions(&select::selected(&ready)).into_iter().collect();
        let table = [
            ("all wait", answer(&ready, &[])),
            ("canceled before", answer(&ready, &canceled)),
            ("a part was canceled before", answer(&ready, &canceled[..1])),
            ("canceled, then changed", answer(&with(&|w| w.updated_revision = "v3".into()), &canceled)),
            ("canceled, then gone", answer(&fixtures::view(vec![waiting.clone()]), &canceled[1..])),
            ("no replicas blocks nothing", answer(&with(&|w| w.desired = 0), &[])),
            (
                "one up to date",
                answer(
                    &with(&|w| {
                        up_to_date(w);
                        w.updated_replicas = 5;
                    }),
                    &[],
                ),
            ),
            ("one partly updated", answer(&with(&|w| w.updated_replicas = 2), &[])),
            (
                "one on a third revision",
                answer(
                    &with(&|w| {
                        up_to_date(w);
                        w.updated_replicas = 3;
                    }),
                    &[],
                ),
            ),
            ("one not observed", answer(&with(&|w| w.generation = 3), &[])),
            ("all up to date", answer(&all_up_to_date, &[])),
            ("nothing selected", answer(&fixtures::view(vec![]), &[])),
            ("a member unreachable", answer(&unreachable, &[])),
            ("manual", answer(&manual, &[])),
        ];
        let lines: Vec<_> = table.iter().map(|(when, what)| format!("{when:28} {what}")).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
