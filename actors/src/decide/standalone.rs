//! A RolloutRun made by hand. No Rollout controls it, so a stand-in takes the Rollout's place: it bears a name that no
//! Rollout can have, selects nothing, and lasts until the run has ended and given back what it took.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::{batch, goals, kinds, rollout, run, select};
use crate::{
    api::{GROUP, Rollout, RolloutRun, RolloutSpec, keys},
    intent::{Decision, HubKind, Notice, Wait, WorkloadGoal},
    view::{ObjectKey, RolloutView},
};

/// What the name of a stand-in begins with. No object's name has a slash in it.
const PREFIX: &str = "rolloutrun/";

/// The Rollout that controls a run.
pub fn owner(run: &RolloutRun) -> Option<&OwnerReference> {
    let owners = run.metadata.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    (owner.kind == "Rollout" && owner.api_version.split('/').next() == Some(GROUP)).then_some(owner)
}

/// Whether a run goes by itself and has something left to do: to roll out, to give back, or to answer a command.
pub fn is_due(run: &RolloutRun) -> bool {
    let asked = |annotation| super::command::annotation_value(&run.metadata, annotation).is_some();
    owner(run).is_none()
        && (!run::completed(run)
            || rollout::protected(&run.metadata)
            || asked(keys::ANNOTATION_MANUAL_COMMAND)
            || asked(keys::ANNOTATION_PENDING_COMMAND))
}

/// The key of the stand-in for the run of that key.
pub fn key(run: &ObjectKey) -> ObjectKey {
    ObjectKey { namespace: run.namespace.clone(), name: format!("{PREFIX}{}", run.name) }
}

/// The key of the run that the stand-in of that key stands for.
pub fn run_of(stand_in: &ObjectKey) -> Option<ObjectKey> {
    let name = stand_in.name.strip_prefix(PREFIX)?.to_owned();
    Some(ObjectKey { namespace: stand_in.namespace.clone(), name })
}

/// The Rollout that a run made by hand would have.
pub fn stand_in(run: &RolloutRun) -> Rollout {
    let meta = &run.metadata;
    let kinds = run::kind(run).map(|kind| kinds::text(&[kind].into()));
    Rollout {
        metadata: ObjectMeta {
            name: meta.name.as_ref().map(|name| format!("{PREFIX}{name}")),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            labels: meta.labels.clone(),
            annotations: kinds.map(|kinds| [(keys::ANNOTATION_WORKLOAD_KINDS.to_owned(), kinds)].into()),
            ..ObjectMeta::default()
        },
        spec: RolloutSpec { traffic_topology_refs: run.spec.traffic_topology_refs.clone(), ..RolloutSpec::default() },
        status: None,
    }
}

/// A Rollout in words, from the name that stands on its workloads.
pub fn in_words(rollout: &str) -> String {
    match rollout.strip_prefix(PREFIX) {
        Some(run) => format!("RolloutRun {run}"),
        None => format!("Rollout {rollout}"),
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
    let unknown = select::unreliable(view).map(|(cluster, why)| Wait {
        cluster: cluster.to_owned(),
        object: String::new(),
        condition: why,
        unblock: None,
    });
    let held =
        decision.goals.iter().filter(|(_, goal)| matches!(goal, WorkloadGoal::Released | WorkloadGoal::Discarded));
    let held = held.filter_map(|(id, _)| {
        let workload = view.members.get(&id.cluster)?.workloads.get(id)?;
        Some(batch::wait(workload, "to be given back".to_owned()))
    });
    unknown.chain(held).collect()
}
