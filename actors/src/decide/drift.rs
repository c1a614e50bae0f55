//! What a run does when somebody else changes our part of a route: `spec.policies.routeDriftPolicy`.
//!
//! A BackendRouting shows the drift; the run acts on each once, and has it on record with what it came to in the same
//! write. `Pause` stops the run with an error, as a missed progress deadline does: that is shown wherever errors are, also
//! while the run is paused already, and nothing moves before somebody says `retry`. That clears the error, and the
//! BackendRouting is told to lay our part again.

use super::{run::error, traffic};
use crate::{
    api::{RolloutRun, RolloutRunPhase, RolloutRunStatus, RouteDriftPolicy, Time, rolloutrun::RouteDriftStatus},
    view::RolloutView,
};

/// The reason of the error that the run stops with.
const REASON: &str = "RouteDrifted";

/// What the run's plan says of drifts.
fn policy(run: &RolloutRun) -> RouteDriftPolicy {
    run.spec.policies.as_ref().map(|policies| policies.route_drift_policy.clone()).unwrap_or_default()
}

/// Acts on what has drifted since the last look.
pub fn heed(view: &RolloutView, run: &RolloutRun, status: &mut RolloutRunStatus) {
    let policy = policy(run);
    let acts = matches!(policy, RouteDriftPolicy::Pause | RouteDriftPolicy::Cancel);
    // One error at a time: the route stays as it is until this one can be told.
    let is_busy = status.error.as_ref().is_some_and(|error| error.reason != REASON);
    if !acts || status.phase == RolloutRunPhase::Canceling || is_busy && policy == RouteDriftPolicy::Pause {
        return;
    }
    let open = traffic::drifts(view, run);
    let new: Vec<_> = open.iter().filter(|drift| !status.route_drifts.contains(drift)).cloned().collect();
    if new.is_empty() {
        return;
    }
    status.route_drifts.retain(|known| new.iter().all(|drift| place(drift) != place(known)));
    status.route_drifts.extend(new);
    status.route_drifts.sort();
    if policy == RouteDriftPolicy::Cancel {
        status.phase = RolloutRunPhase::Canceling;
        return;
    }
    let told: Vec<_> = status.route_drifts.iter().filter(|drift| open.contains(drift)).map(in_words).collect();
    let message = format!(
        "{} (spec.policies.routeDriftPolicy); the route stays as it is: see to it that it is not changed again, then retry, \
         and our part is laid again, or cancel",
        told.join("; ")
    );
    status.error = Some(error("Error", REASON, message));
}

/// A person who has the run go on has read why it stood still.
pub fn forgive(status: &mut RolloutRunStatus) {
    if stands(status) {
        status.error = None;
    }
}

/// Whether the run stands still because of a drift.
fn stands(status: &RolloutRunStatus) -> bool {
    status.error.as_ref().is_some_and(|error| error.reason == REASON)
}

/// What a BackendRouting is to make of drifts by what is stored: the policy, and until when they are repaired all the
/// same, where `repaired` says until when they were so far.
pub fn handling(
    run: &RolloutRun,
    status: &RolloutRunStatus,
    routing: &str,
    repaired: Option<&Time>,
) -> (RouteDriftPolicy, Option<Time>) {
    let over = status.phase == RolloutRunPhase::Canceling || status.phase.is_completed();
    match policy(run) {
        // Who gives everything back lays nothing over what somebody else has taken off.
        RouteDriftPolicy::Pause | RouteDriftPolicy::Cancel if over => (RouteDriftPolicy::Cancel, repaired.cloned()),
        RouteDriftPolicy::Cancel => (RouteDriftPolicy::Cancel, repaired.cloned()),
        RouteDriftPolicy::Pause => {
            let heeded = status.route_drifts.iter().filter(|drift| drift.backend_routing == routing && !stands(status));
            let until = heeded.map(|drift| &drift.time).chain(repaired).max();
            (RouteDriftPolicy::Pause, until.cloned())
        }
        _ => (RouteDriftPolicy::Repair, None),
    }
}

/// The new drifts among those on record, in words.
pub fn told<'a>(old: &'a RolloutRunStatus, new: &'a RolloutRunStatus) -> impl Iterator<Item = String> + 'a {
    new.route_drifts.iter().filter(|drift| !old.route_drifts.contains(drift)).map(in_words)
}

fn in_words(drift: &RouteDriftStatus) -> String {
    let RouteDriftStatus { kind, name, cluster, manager, .. } = drift;
    let at = if cluster.is_empty() { String::new() } else { format!(" in cluster {cluster}") };
    let by = if manager.is_empty() { String::new() } else { format!(" by {manager}") };
    format!("{kind} {name}{at}: our part of it was changed{by}")
}

fn place(drift: &RouteDriftStatus) -> (&str, &str, &str, &str) {
    (&drift.backend_routing, &drift.cluster, &drift.kind, &drift.name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::keys,
        decide::{
            command::Command,
            fixtures::{self, at, object},
            run::step,
        },
        intent::HubWrite,
    };

    /// A run with a drift that its BackendRouting shows, unless it was repaired.
    struct World {
        run: RolloutRun,
        drift: Option<i64>,
        repaired: Option<Time>,
        policy: RouteDriftPolicy,
        log: Vec<String>,
    }

    impl World {
        fn new(policy: &str, phase: &str) -> Self {
            let target = json!([{ "cluster": "east", "name": "web", "replicas": 1 }]);
            let run = object::<RolloutRun>(json!({
                "metadata": { "name": "demo-1", "namespace": "default", "finalizers": [keys::FINALIZER_PROTECTION] },
                "spec": {
                    "targetType": { "apiVersion": "apps/v1", "kind": "StatefulSet" },
                    "trafficTopologyRefs": ["web"],
                    "policies": { "routeDriftPolicy": policy },
                    "canary": { "targets": target, "traffic": { "http": { "weight": 20 } } },
                    "batch": { "batches": [{ "targets": target }] },
                },
                "status": { "phase": phase, "canaryStatus": { "state": "PreCanaryStepHook" } },
            }));
            let policy = RouteDriftPolicy::from(policy);
            Self { run: run.as_ref().clone(), drift: None, repaired: None, policy, log: Vec::new() }
        }

        fn view(&self) -> RolloutView {
            let mut view = fixtures::view(vec![fixtures::workload("east", "web", 4)]);
            let tied = json!([{
                "workloadRef": { "cluster": "east", "name": "web" }, "backendRoutingName": "web-ics-east",
            }]);
            let topology = json!({ "metadata": { "name": "web" }, "status": { "topologies": tied } });
            let mark = json!({ "rolloutID": "demo-1" }).to_string();
            let drift = self.drift.map(|second| json!({ "generation": 9, "manager": "argocd", "time": time(second) }));
            let forks = json!({ "stable": { "name": "web-stable" }, "canary": { "name": "web-canary" } });
            let routing = json!({
                "metadata": { "name": "web-ics-east", "annotations": { keys::ANNOTATION_PROGRESSING_INFO: mark } },
                "spec": {
                    "trafficType": "InCluster", "forkedBackends": forks,
                    "backend": { "apiVersion": "v1", "kind": "Service", "cluster": "east", "name": "web" },
                    "routeDriftPolicy": self.policy, "routeRepairTime": self.repaired,
                },
                "status": { "routes": [{ "kind": "HTTPRoute", "cluster": "east", "name": "shop", "drift": drift }] },
            });
            view.topologies.insert("web".into(), object(topology));
            view.routings.insert("web-ics-east".into(), object(routing));
            view
        }

        /// Decides, stores what was decided, and says how the run stands and what its BackendRouting is told.
        fn look(&mut self, what: &str, command: Option<Command>) {
            let annotations = command.map(|command| {
                let pending = json!({ "id": what, "command": command.to_string(), "time": time(0) }).to_string();
                [(keys::ANNOTATION_PENDING_COMMAND.to_owned(), pending)].into()
            });
            self.run.metadata.annotations = annotations;
            if let Some(HubWrite::PatchStatus { patch, .. }) = step(&self.view(), &self.run, at(0)).write {
                let mut status = json!(self.run.status);
                json_patch::merge(&mut status, &patch["status"]);
                self.run.status = serde_json::from_value(status).unwrap();
            }
            let status = self.run.status.clone().unwrap();
            let handling = handling(&self.run, &status, "web-ics-east", self.repaired.as_ref());
            (self.policy, self.repaired) = handling;
            let error = status.error.map(|error| format!(", {}", error.reason)).unwrap_or_default();
            let until =
                self.repaired.as_ref().map(|until| format!(" until {}", until.0.as_second() - at(0).as_second()));
            self.log.push(format!(
                "{what:30} {}{error}; told {}{}",
                status.phase,
                self.policy,
                until.unwrap_or_default()
            ));
        }
    }

    fn time(second: i64) -> Value {
        json!(Time(at(second)))
    }

    #[test]
    fn what_a_run_makes_of_drift() {
        let mut lines = Vec::new();
        for policy in ["Repair", "Pause", "Cancel", "Abort"] {
            for phase in ["Progressing", "Paused"] {
                let mut world = World::new(policy, phase);
                world.look("at rest", None);
                world.drift = Some(5);
                world.look("somebody changes a route", None);
                world.look("another look", None);
                world.look("retry", Some(Command::Retry));
                world.look("before it is repaired", None);
                world.drift = Some(9);
                world.look("somebody does so again", None);
                world.look("continue", Some(Command::Continue));
                world.look("cancel", Some(Command::Cancel));
                lines.push(format!("{policy}, {phase}:\n  {}", world.log.join("\n  ")));
            }
        }
        insta::assert_snapshot!(lines.join("\n"));
    }
}
