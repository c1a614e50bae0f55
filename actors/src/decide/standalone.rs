//! A RolloutRun made by hand. No Rollout controls it, so a stand-in takes the Rollout's place: it bears a name that no
//! Rollout can have, selects nothing, and lasts until the run has ended and given back what it took.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::{batch, command, goals, kinds, rollout, run, select};
use crate::{
    api::{GROUP, ObjectTypeRef, Rollout, RolloutRun, ScaleRun, keys},
    intent::{Decision, HubKind, Notice, Wait, WorkloadGoal},
    view::{Charge, RolloutView},
    workloads::WorkloadKind,
};

/// What the name of a stand-in begins with. No object's name has a slash in it.
const RUN: &str = "rolloutrun/";
/// The same, for what a ScaleRun has in place of a Rollout.
const SCALE: &str = "scalerun/";

/// The Rollout that controls a run.
pub fn owner(run: &RolloutRun) -> Option<&OwnerReference> {
    let owners = run.metadata.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    (owner.kind == "Rollout" && owner.api_version.split('/').next() == Some(GROUP)).then_some(owner)
}

/// Whether a run goes by itself and has something left to do: to roll out, to give back, or to answer a command.
pub fn is_due(run: &RolloutRun) -> bool {
    owner(run).is_none() && (!run::completed(run) || rollout::protected(&run.metadata) || is_asked(&run.metadata))
}

/// Whether a command is still to be answered.
pub fn is_asked(meta: &ObjectMeta) -> bool {
    let annotations = [keys::ANNOTATION_MANUAL_COMMAND, keys::ANNOTATION_PENDING_COMMAND];
    annotations.into_iter().any(|annotation| command::annotation_value(meta, annotation).is_some())
}

/// The name of the stand-in for the run of that name.
pub fn run_name(run: &str) -> String {
    format!("{RUN}{run}")
}

/// The name of the stand-in for the ScaleRun of that name.
pub fn scale_name(run: &str) -> String {
    format!("{SCALE}{run}")
}

/// What a Rollout of that name is there for, and the name of the run it stands in for, if it does.
pub fn charge(rollout: &str) -> (Charge, Option<&str>) {
    match (rollout.strip_prefix(RUN), rollout.strip_prefix(SCALE)) {
        (Some(run), _) => (Charge::Run, Some(run)),
        (None, Some(run)) => (Charge::ScaleRun, Some(run)),
        (None, None) => (Charge::Rollout, None),
    }
}

/// The Rollout that a run made by hand would have.
pub fn stand_in(run: &RolloutRun) -> Rollout {
    let mut rollout = named(run_name, &run.metadata, run.spec.target_type.as_ref());
    rollout.spec.traffic_topology_refs.clone_from(&run.spec.traffic_topology_refs);
    rollout
}

/// The Rollout that a ScaleRun would have.
pub fn scale_stand_in(run: &ScaleRun) -> Rollout {
    named(scale_name, &run.metadata, run.spec.target_type.as_ref())
}

fn named(name: fn(&str) -> String, of: &ObjectMeta, kind: Option<&ObjectTypeRef>) -> Rollout {
    let kinds = kind.and_then(WorkloadKind::of_target).map(|kind| kinds::text(&[kind].into()));
    let metadata = ObjectMeta {
        name: of.name.as_deref().map(name),
        namespace: of.namespace.clone(),
        uid: of.uid.clone(),
        labels: of.labels.clone(),
        annotations: kinds.map(|kinds| [(keys::ANNOTATION_WORKLOAD_KINDS.to_owned(), kinds)].into()),
        ..ObjectMeta::default()
    };
    Rollout { metadata, ..Rollout::default() }
}

/// A Rollout in words, from the name that stands on its workloads.
pub fn in_words(rollout: &str) -> String {
    match charge(rollout) {
        (Charge::Run, Some(run)) => format!("RolloutRun {run}"),
        (Charge::ScaleRun, Some(run)) => format!("ScaleRun {run}"),
        _ => format!("Rollout {rollout}"),
    }
}

/// Decides the next step of a run made by hand.
pub fn step(view: &RolloutView, now: Timestamp) -> Decision {
    let mut decision = Decision::default();
    let Some(run) = view.runs.values().next() else { return decision };
    if !run::completed(run) {
        // Nothing is taken that a deletion could not give back.
        if rollout::protected(&run.metadata) {
            decision.goals = goals::controlled(view, Some(run));
        }
        rollout::carry_out(view, run, &mut decision, now);
        return decision;
    }
    decision.goals = goals::released(view);
    let parked = rollout::stays_parked(view, &decision.goals);
    decision.notices.extend(parked.into_iter().map(|message| Notice {
        kind: HubKind::RolloutRun,
        key: super::patch::key(&run.metadata),
        uid: run.metadata.uid.clone().unwrap_or_default(),
        warning: true,
        reason: "StaysParked".to_owned(),
        message,
    }));
    decision.waits = still_held(view, &decision);
    let free = decision.waits.is_empty();
    decision.writes.extend(run::refuse_commands(run, now).or_else(|| free.then(|| run::unprotect(run)).flatten()));
    decision
}

/// What a run that has ended has not given back yet, as far as anybody can say.
fn still_held(view: &RolloutView, decision: &Decision) -> Vec<Wait> {
    let held =
        decision.goals.iter().filter(|(_, goal)| matches!(goal, WorkloadGoal::Released | WorkloadGoal::Discarded));
    let held = held.filter_map(|(id, _)| {
        let workload = view.members.get(&id.cluster)?.workloads.get(id)?;
        Some(batch::wait(workload, "to be given back".to_owned()))
    });
    select::unreliable_waits(view).chain(held).collect()
}
