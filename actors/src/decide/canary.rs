//! The states of the canary: `"" → Pending → PreCanaryStepHook → Running → PostCanaryStepHook → ResourceRecycling →
//! Succeeded`, where the copies take over (see [`super::blue_green`]) with `Switching → Switched` instead of the last but
//! one.
//!
//! A canary is a copy of each target, beside it and on the new template, so that no pod of the target itself moves. It
//! always waits for `continue`, and goes before the first batch begins, or when the run is canceled or rolled back.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    absence,
    batch::{self, Lookup, Progress},
    blue_green, condition, goals,
    run::{self, error},
    status, traffic,
};
use crate::{
    api::{
        CodeReasonMessage, RolloutRun, RolloutRunPhase, RolloutRunStatus, RolloutWorkloadStatus, StepState,
        intorpercent, keys,
        keys::{CanaryProgressingInfo, ProgressingInfo},
        rolloutrun::{RolloutRunCanaryStrategy, RolloutRunStepTarget},
    },
    intent::{CanaryGoal, Wait},
    view::{RolloutView, Workload, WorkloadId},
    workloads::WorkloadKind,
};

/// What follows a workload's name in its canary's.
pub const SUFFIX: &str = "-canary";

/// Whether the run has no canary to deal with any more.
pub fn finished(run: &RolloutRun, status: &RolloutRunStatus) -> bool {
    run.spec.canary.is_none() || state(status) == StepState::Succeeded
}

/// Whether the canary is in that state.
pub fn is_in(status: &RolloutRunStatus, expected: &StepState) -> bool {
    state(status) == *expected
}

fn state(status: &RolloutRunStatus) -> StepState {
    status.canary_status.as_ref().map(|canary| canary.state.clone()).unwrap_or_default()
}

/// Whether the canary is being taken away, and nothing but that.
pub fn is_leaving(run: &RolloutRun, status: &RolloutRunStatus) -> bool {
    run.spec.canary.is_some()
        && state(status) == StepState::ResourceRecycling
        && status.phase != RolloutRunPhase::Paused
}

/// Ends the step early: what it made is taken away, and the batches follow.
pub fn give_up(status: &mut RolloutRunStatus) {
    let record = status.canary_status.get_or_insert_default();
    record.state = StepState::ResourceRecycling;
    record.switch_time = None;
}

/// Takes one transition of the canary, if it may be taken.
pub fn step(view: &RolloutView, run: &RolloutRun, status: &mut RolloutRunStatus, now: Timestamp) -> Progress {
    let Some(canary) = &run.spec.canary else { return Progress::Moved };
    if let Some(error) = unfit(run, canary) {
        return Progress::Failed(error);
    }
    let state = state(status);
    if state == StepState::None && !can_be_copied(run) {
        // Nothing to copy: on to the batches.
        let record = status.canary_status.get_or_insert_default();
        (record.start_time, record.finish_time) = (Some(condition::time(now)), Some(condition::time(now)));
        record.state = StepState::Succeeded;
        return Progress::Moved;
    }
    match gate(view, run, status, canary, now) {
        Err(error) => return Progress::Failed(error),
        Ok(waits) if !waits.is_empty() => return Progress::Waiting(waits),
        Ok(_) => {}
    }
    let next = match state {
        StepState::None => StepState::Pending,
        StepState::Pending => StepState::PreCanaryStepHook,
        StepState::PreCanaryStepHook => StepState::Running,
        StepState::Running => StepState::PostCanaryStepHook,
        StepState::PostCanaryStepHook => {
            status.phase = RolloutRunPhase::Paused;
            if blue_green::is_asked(run) { StepState::Switching } else { StepState::ResourceRecycling }
        }
        StepState::Switching => {
            blue_green::take_over(status, now);
            StepState::Switched
        }
        StepState::Switched | StepState::ResourceRecycling => StepState::Succeeded,
        other => {
            let message = format!("status.canaryStatus.state {other} is no state of a canary: skip or cancel");
            return Progress::Failed(error("Error", "UnknownStepState", message));
        }
    };
    let record = status.canary_status.get_or_insert_default();
    match next {
        StepState::PreCanaryStepHook => record.start_time = Some(condition::time(now)),
        StepState::Succeeded => record.finish_time = Some(condition::time(now)),
        _ => {}
    }
    record.state = next;
    Progress::Moved
}

fn can_be_copied(run: &RolloutRun) -> bool {
    run::kind(run).is_none_or(WorkloadKind::can_be_copied)
}

/// What the canary waits for in its state.
fn gate(
    view: &RolloutView,
    run: &RolloutRun,
    status: &RolloutRunStatus,
    canary: &RolloutRunCanaryStrategy,
    now: Timestamp,
) -> Result<Vec<Wait>, CodeReasonMessage> {
    let in_force = || traffic::waits(view, run, status, now);
    let waits = match state(status) {
        StepState::None => {
            ready_to_begin(view, run, canary)?.into_iter().chain(traffic::plan_waits(view, run)).collect()
        }
        StepState::PreCanaryStepHook => in_force(),
        StepState::Running => {
            let waits = absence::gate(view, run, status, all_available(view, run, canary)?, now);
            if waits.is_empty() { in_force() } else { waits }
        }
        StepState::Switching if traffic::is_switched(view, run) => {
            blue_green::waits(view, run).into_iter().chain(in_force()).collect()
        }
        StepState::Switching => all_available(view, run, canary)?.into_iter().chain(in_force()).collect(),
        StepState::Switched => {
            let until = blue_green::kept_until(run, status).filter(|until| *until > now);
            until.map(|until| blue_green::keeps(run, until)).into_iter().collect()
        }
        // What was made in a cluster that is skipped is taken away once it is back, as every copy that nobody wants.
        StepState::ResourceRecycling => left_behind(view, run).into_iter().chain(in_force()).collect(),
        _ => Vec::new(),
    };
    Ok(absence::gate(view, run, status, waits, now))
}

fn unfit(run: &RolloutRun, canary: &RolloutRunCanaryStrategy) -> Option<CodeReasonMessage> {
    if let Some(error) = batch::unfit(run) {
        return Some(error);
    }
    if blue_green::is_asked(run) && !can_be_copied(run) {
        let kind = run.spec.target_type.as_ref().map(|kind| kind.kind.clone()).unwrap_or_default();
        let message = format!(
            "spec.canary.blueGreen: a {kind} cannot be copied: cancel, and write the strategy without blueGreen"
        );
        return Some(error("Error", "InvalidSpec", message));
    }
    let suffixed = canary.targets.iter().find(|target| target.name.ends_with(SUFFIX));
    if let Some(target) = suffixed {
        let message = format!(
            "spec.canary target {}: a name that ends in {SUFFIX} is a canary's: rename the workload, or skip the canary",
            target.name_ref()
        );
        return Some(error("Error", "InvalidSpec", message));
    }
    None
}

fn ready_to_begin(
    view: &RolloutView,
    run: &RolloutRun,
    canary: &RolloutRunCanaryStrategy,
) -> Result<Vec<Wait>, CodeReasonMessage> {
    each(view, run, canary, |workload| {
        let marked = matches!(&workload.progressing, Some(Ok(info))
            if Some(&info.rollout_id) == run.metadata.name.as_ref() && info.canary.is_some());
        batch::unowned(view, workload).or_else(|| {
            let error = batch::last_error(view, workload);
            (!marked).then(|| batch::wait(workload, format!("to be marked as progressing{error}")))
        })
    })
}

/// A canary is done when each copy runs as many pods as it is to have, all of them on the template of today.
fn all_available(
    view: &RolloutView,
    run: &RolloutRun,
    canary: &RolloutRunCanaryStrategy,
) -> Result<Vec<Wait>, CodeReasonMessage> {
    each(view, run, canary, |workload| {
        let goal = goal(run, workload)?;
        let refused = batch::last_error(view, workload);
        let Some(copy) = find(view, workload) else {
            return Some(batch::wait(workload, format!("its canary to be made{refused}")));
        };
        let condition = if !is_current(copy, workload, &goal) {
            format!("to be a copy of {}{refused}", workload.key.name)
        } else if copy.observed_generation < copy.generation {
            format!("its controller to observe generation {}", copy.generation)
        } else if copy.updated_replicas.min(copy.available) < goal.replicas {
            format!("{} of {} pods available", copy.updated_replicas.min(copy.available), goal.replicas)
        } else {
            return None;
        };
        Some(batch::wait(copy, condition))
    })
}

fn each(
    view: &RolloutView,
    run: &RolloutRun,
    canary: &RolloutRunCanaryStrategy,
    wait: impl Fn(&Workload) -> Option<Wait>,
) -> Result<Vec<Wait>, CodeReasonMessage> {
    let mut waits = Vec::new();
    for target in &canary.targets {
        match batch::look_up(view, run, target) {
            Lookup::Absent(error) => return Err(error),
            Lookup::Unknown(unknown) => waits.push(unknown),
            Lookup::Found(workload) => waits.extend(wait(workload)),
        }
    }
    Ok(waits)
}

/// What of the canary is still there, and marks of it. A target that is gone may have left its copy all the same.
pub fn left_behind(view: &RolloutView, run: &RolloutRun) -> Vec<Wait> {
    let Some(canary) = &run.spec.canary else { return Vec::new() };
    let mut waits: Vec<Wait> =
        copies(view).map(|copy| batch::wait(copy, format!("to go{}", batch::last_error(view, copy)))).collect();
    for target in &canary.targets {
        match batch::look_up(view, run, target) {
            Lookup::Unknown(wait) if view.members.contains_key(&target.cluster) => waits.push(wait),
            Lookup::Found(workload) if is_marked(run, workload) => {
                let error = batch::last_error(view, workload);
                waits.push(batch::wait(workload, format!("the mark of the canary to be taken off{error}")));
            }
            _ => {}
        }
    }
    waits
}

fn is_marked(run: &RolloutRun, workload: &Workload) -> bool {
    matches!(&workload.progressing, Some(Ok(info))
        if Some(&info.rollout_id) == run.metadata.name.as_ref() && info.canary.is_some())
}

/// The copies that this Rollout made, whatever for.
pub fn copies(view: &RolloutView) -> impl Iterator<Item = &Arc<Workload>> {
    let rollout = view.rollout.metadata.name.as_deref();
    let all = view.members.values().flat_map(|member| member.workloads.values());
    all.filter(move |workload| is_copy(workload) && workload.rollout.as_deref() == rollout)
}

fn is_copy(workload: &Workload) -> bool {
    workload.labels.contains_key(keys::LABEL_CANARY_RESOURCE) && workload.key.name.ends_with(SUFFIX)
}

/// The id of a workload's copy.
pub fn id_of_copy(workload: &Workload) -> WorkloadId {
    let mut id = workload.id();
    id.name.push_str(SUFFIX);
    id
}

/// A workload's copy, if there is one.
pub fn find<'a>(view: &'a RolloutView, workload: &Workload) -> Option<&'a Arc<Workload>> {
    view.members.get(&workload.cluster)?.workloads.get(&id_of_copy(workload)).filter(|copy| is_copy(copy))
}

/// The workload that is a copy of `workload` is what it is to be.
pub fn is_current(copy: &Workload, workload: &Workload, goal: &CanaryGoal) -> bool {
    !copy.deleting && copy.copied_template.as_ref() == Some(&workload.template_hash) && copy.desired == goal.replicas
}

/// The copy that the run wants of a workload by what is stored.
pub fn wanted(view: &RolloutView, run: &RolloutRun, workload: &Workload) -> Option<CanaryGoal> {
    let status = run.status.as_ref()?;
    let there = match state(status) {
        _ if status.phase == RolloutRunPhase::Canceling || status.phase.is_completed() => false,
        StepState::Running | StepState::PostCanaryStepHook | StepState::Switching | StepState::Switched => true,
        StepState::Succeeded => blue_green::carries_batches(run, status),
        // It waits for `continue` here, and goes afterwards.
        StepState::ResourceRecycling => status.phase == RolloutRunPhase::Paused,
        _ => false,
    };
    // What requests still go to is neither changed nor taken away.
    let served = (!finished(run, status) || blue_green::has_taken_over(run, status))
        && !status.phase.is_completed()
        && find(view, workload).is_some()
        && !traffic::is_off(view, run, workload);
    let goal = goal(run, workload).filter(|_| there || served)?;
    Some(CanaryGoal { hold: served, ..goal })
}

/// Whether every copy of the step is what it is to be, with all its pods available.
pub fn is_up(view: &RolloutView, run: &RolloutRun, status: &RolloutRunStatus, now: Timestamp) -> bool {
    let Some(canary) = &run.spec.canary else { return false };
    let waits = all_available(view, run, canary);
    waits.is_ok_and(|waits| absence::gate(view, run, status, waits, now).is_empty())
}

/// Whether no copy that is there waits to be changed.
pub fn are_current(view: &RolloutView, run: &RolloutRun) -> bool {
    let targets = run.spec.canary.iter().flat_map(|canary| &canary.targets);
    let mut pairs = targets.filter_map(|target| {
        let workload = batch::find(view, run, target)?;
        Some((find(view, workload)?, workload, goal(run, workload)?))
    });
    pairs.all(|(copy, workload, goal)| is_current(copy, workload, &goal))
}

/// The copy that the canary step asks for.
fn goal(run: &RolloutRun, workload: &Workload) -> Option<CanaryGoal> {
    let (canary, target) = (run.spec.canary.as_ref()?, target(run, workload)?);
    Some(CanaryGoal {
        replicas: intorpercent::parse(&target.replicas).ok()?.scaled(workload.desired),
        patch: canary.pod_template_metadata_patch.clone().unwrap_or_default(),
        hold: false,
    })
}

/// What the canary step wants of a workload.
pub fn target<'a>(run: &'a RolloutRun, workload: &Workload) -> Option<&'a RolloutRunStepTarget> {
    run.spec.canary.as_ref()?.targets.iter().find(|target| run::means(run, target, workload))
}

/// The annotation that a workload carries while it has a canary.
pub fn progressing(run: &RolloutRun, workload: &Workload) -> Option<ProgressingInfo> {
    let status = run.status.as_ref()?;
    target(run, workload)?;
    (!is_leaving(run, status)).then(|| ProgressingInfo { canary: Some(CanaryProgressingInfo {}), ..goals::mark(run) })
}

/// The copies as they are now.
pub fn target_statuses(view: &RolloutView, run: &RolloutRun, now: Timestamp) -> Vec<RolloutWorkloadStatus> {
    let targets = run.spec.canary.iter().flat_map(|canary| &canary.targets);
    let copies = targets.filter_map(|target| find(view, batch::find(view, run, target)?));
    copies.map(|copy| status::workload_status(view, copy, now)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decide::fixtures;

    fn run(state: &str, phase: &str) -> RolloutRun {
        let target = json!([{ "cluster": "east", "name": "web", "replicas": "30%" }]);
        let run = json!({
            "metadata": { "name": "demo-1", "namespace": "default" },
            "spec": {
                "targetType": { "apiVersion": "apps/v1", "kind": "StatefulSet" },
                "canary": { "targets": target },
                "batch": { "batches": [{ "targets": target }] },
            },
            "status": { "phase": phase, "canaryStatus": { "state": state } },
        });
        fixtures::object::<RolloutRun>(run).as_ref().clone()
    }

    fn marked() -> Workload {
        let mark = json!({ "kind": "Rollout", "rollout": "demo", "rolloutID": "demo-1", "canary": {} });
        Workload {
            progressing: Some(Ok(serde_json::from_value(mark).unwrap())),
            ..fixtures::workload("east", "web", 5)
        }
    }

    fn copy(available: i32) -> Workload {
        let template = Some(fixtures::workload("east", "web", 5).template_hash);
        let labels = [(keys::LABEL_CANARY_RESOURCE.to_owned(), "true".to_owned())].into();
        let copy = fixtures::workload("east", "web-canary", 2);
        Workload { copied_template: template, labels, available, updated_replicas: 2, ..copy }
    }

    /// Walks as far as the API's state lets it: the states, then what is waited for.
    fn walk(run: &RolloutRun, workloads: Vec<Workload>) -> String {
        let view = fixtures::view(workloads);
        let mut status = run.status.clone().unwrap();
        let mut walked = vec![state(&status).to_string()];
        loop {
            match step(&view, run, &mut status, fixtures::at(0)) {
                Progress::Moved if status.phase == RolloutRunPhase::Paused => walked.push("Paused".to_owned()),
                Progress::Moved => walked.push(state(&status).to_string()),
                Progress::Waiting(waits) => {
                    let waits = waits.into_iter();
                    walked.extend(waits.map(|wait| format!("waits for {} {}", wait.object, wait.condition)));
                }
                Progress::Failed(error) => walked.push(error.message),
            }
            let over = status.phase == RolloutRunPhase::Paused || finished(run, &status);
            if over || walked.last().is_some_and(|last| last.contains(' ')) {
                return walked.join(" → ");
            }
        }
    }

    #[test]
    fn each_state_waits_for_what_the_api_shows() {
        let begin = |workloads| walk(&run("", "Progressing"), workloads);
        let recycle = |workloads| walk(&run("ResourceRecycling", "Progressing"), workloads);
        let old = Workload { copied_template: Some("older".into()), ..copy(2) };
        let unobserved = Workload { generation: 9, ..copy(2) };
        let unmarked = fixtures::workload("east", "web", 5);
        let lines = [
            ("no mark yet", begin(vec![unmarked.clone()])),
            ("no copy yet", begin(vec![marked()])),
            ("an old copy", begin(vec![marked(), old])),
            ("not observed", begin(vec![marked(), unobserved])),
            ("not up", begin(vec![marked(), copy(1)])),
            ("up", begin(vec![marked(), copy(2)])),
            ("gone already", begin(vec![])),
            ("the copy is there", recycle(vec![marked(), copy(2)])),
            ("the mark is there", recycle(vec![marked()])),
            ("nothing is left", recycle(vec![unmarked])),
        ];
        let lines: Vec<_> = lines.iter().map(|(when, what)| format!("{when:18} {what}")).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_copy_in_a_cluster_that_is_skipped_is_not_waited_for() {
        let mut run = run("ResourceRecycling", "Progressing");
        let workloads = || vec![marked(), copy(2)];
        assert!(walk(&run, workloads()).contains("waits for"));
        let skipped = serde_json::from_value(json!([{ "name": "east", "reason": "it is unreachable" }])).unwrap();
        run.status.as_mut().unwrap().skipped_clusters = skipped;
        assert_eq!(walk(&run, workloads()), "ResourceRecycling → Succeeded");
    }

    #[test]
    fn a_copy_is_wanted_only_in_its_step() {
        let table = [
            ("", "Progressing", false),
            ("Pending", "Progressing", false),
            ("PreCanaryStepHook", "Progressing", false),
            ("Running", "Progressing", true),
            ("Running", "Paused", true),
            ("PostCanaryStepHook", "Progressing", true),
            ("ResourceRecycling", "Paused", true),
            ("ResourceRecycling", "Pausing", false),
            ("ResourceRecycling", "Progressing", false),
            ("Succeeded", "Progressing", false),
            ("Running", "Canceling", false),
            ("Running", "Canceled", false),
        ];
        for (state, phase, expected) in table {
            let wanted = wanted(&fixtures::view(vec![]), &run(state, phase), &marked());
            assert_eq!(wanted.is_some(), expected, "{state} {phase}");
        }
    }
}
