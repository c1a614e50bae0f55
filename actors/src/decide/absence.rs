//! Clusters that a run goes on without: `spec.policies.clusterFailurePolicy` of type `Skip`.
//!
//! A cluster that has not answered for longer than its grace period, or is no member any more, is left out of what the
//! current step waits for, as long as no more than `maxClusters` are. Status names it. Once it is back the current step
//! waits for it again and brings it to where the others are; until then it stays on record.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{condition, goals, run, select, status as numbers};
use crate::{
    api::{
        ClusterFailurePolicy, ClusterFailureType, Policies, RolloutRun, RolloutRunStatus, SkippedCluster, StepState,
        intorpercent,
    },
    intent::Wait,
    view::{Health, MemberView, RolloutView, Workload},
};

/// For how long a cluster must not have answered, unless the policy says otherwise.
const GRACE_SECONDS: i32 = 60;

/// The policy, if it is one to skip clusters.
pub fn skips(policies: Option<&Policies>) -> Option<&ClusterFailurePolicy> {
    policies?.cluster_failure_policy.as_ref().filter(|policy| policy.type_ == ClusterFailureType::Skip)
}

/// How many of `all` clusters may be skipped at a time.
pub fn budget(policy: &ClusterFailurePolicy, all: usize) -> usize {
    let all = i32::try_from(all).unwrap_or(i32::MAX);
    let most =
        policy.max_clusters.as_ref().map_or(1, |most| intorpercent::parse(most).map_or(0, |most| most.scaled(all)));
    usize::try_from(most).unwrap_or(0)
}

/// From when on a cluster that does not answer may be skipped, and why; `None` for one that does, or of which nothing is
/// known yet.
pub fn away(policy: &ClusterFailurePolicy, member: Option<&MemberView>) -> Option<(Timestamp, String)> {
    match member.map(|member| &member.health) {
        None => Some((Timestamp::MIN, "it is no member of the clusterset".to_owned())),
        Some(Health::Unreachable { since, error }) => {
            let grace = i64::from(policy.grace_period_seconds.unwrap_or(GRACE_SECONDS).max(0));
            let due = since.checked_add(SignedDuration::from_secs(grace)).unwrap_or(Timestamp::MAX);
            Some((due, format!("it is unreachable: {error}")))
        }
        Some(Health::Syncing | Health::Ready) => None,
    }
}

/// The clusters that a run names. One that is its own hub is none of them: without the hub nothing is decided.
pub fn clusters(run: &RolloutRun) -> BTreeSet<&str> {
    let targets = run::batches(run).iter().flat_map(|batch| &batch.targets);
    let canary = run.spec.canary.iter().flat_map(|canary| &canary.targets);
    targets.chain(canary).map(|target| &*target.cluster).filter(|cluster| !cluster.is_empty()).collect()
}

/// Whether the run goes on without this cluster now.
pub fn is_skipped(status: &RolloutRunStatus, cluster: &str) -> bool {
    status.skipped_clusters.iter().any(|skipped| skipped.name == cluster && skipped.returned.is_none())
}

/// Whether this cluster is back and still has to be brought to where the others are.
pub fn catches_up(status: &RolloutRunStatus, cluster: &str) -> bool {
    status.skipped_clusters.iter().any(|skipped| skipped.name == cluster && skipped.returned.is_some())
}

/// Notes which clusters the run goes on without, and which are back.
pub fn keep(view: &RolloutView, run: &RolloutRun, status: &mut RolloutRunStatus, now: Timestamp) {
    let policy = skips(run.spec.policies.as_ref());
    let mut skipped = std::mem::take(&mut status.skipped_clusters);
    for cluster in skipped.iter_mut().filter(|cluster| cluster.returned.is_none()) {
        // A run that may skip nothing any more waits again.
        let answers = view.members.get(&cluster.name).is_some_and(|member| member.health == Health::Ready);
        cluster.returned = (answers || policy.is_none()).then(|| condition::time(now));
    }
    skipped.retain(|cluster| {
        let behind = || lacking(view, run, status, &cluster.name, now).next().is_some();
        let answers = || view.members.get(&cluster.name).is_some_and(|member| member.health == Health::Ready);
        cluster.returned.is_none() || !answers() || behind()
    });
    if let Some(policy) = policy {
        let clusters = clusters(run);
        let most = budget(policy, clusters.len());
        let free = most.saturating_sub(skipped.iter().filter(|cluster| cluster.returned.is_none()).count());
        let known = |name: &str| skipped.iter().any(|cluster| cluster.name == name && cluster.returned.is_none());
        let mut due: Vec<_> = clusters
            .iter()
            .filter(|name| !known(name))
            .filter_map(|name| Some((away(policy, view.members.get(*name))?, *name)))
            .filter(|((at, _), _)| *at <= now)
            .collect();
        due.sort();
        for ((_, reason), name) in due.into_iter().take(free) {
            skipped.retain(|cluster| cluster.name != name);
            let since = Some(condition::time(now));
            skipped.push(SkippedCluster { name: name.to_owned(), since, reason, returned: None });
        }
    }
    skipped.sort_by(|a, b| a.name.cmp(&b.name));
    status.skipped_clusters = skipped;
}

/// When the next cluster may be skipped.
pub fn due(view: &RolloutView, run: &RolloutRun, status: &RolloutRunStatus, now: Timestamp) -> Option<Timestamp> {
    let policy = skips(run.spec.policies.as_ref())?;
    let clusters = clusters(run).into_iter().filter(|name| !is_skipped(status, name));
    let due = clusters.filter_map(|name| Some(away(policy, view.members.get(name))?.0));
    due.filter(|at| *at > now).min()
}

/// What the current step waits for, without the clusters that are skipped, and with what the others lack that are back.
pub fn gate(
    view: &RolloutView,
    run: &RolloutRun,
    status: &RolloutRunStatus,
    mut waits: Vec<Wait>,
    now: Timestamp,
) -> Vec<Wait> {
    waits.retain(|wait| wait.cluster.is_empty() || !is_skipped(status, &wait.cluster));
    let running = status.batch_status.as_ref().is_some_and(|batch| batch.current_batch_state == StepState::Running);
    let back = status.skipped_clusters.iter().filter(|cluster| running && cluster.returned.is_some());
    for cluster in back {
        for wait in lacking(view, run, status, &cluster.name, now) {
            if waits.iter().all(|other| (&other.cluster, &other.object) != (&wait.cluster, &wait.object)) {
                waits.push(wait);
            }
        }
    }
    if let Some(policy) = skips(run.spec.policies.as_ref()) {
        let most = budget(policy, clusters(run).len());
        let over = |wait: &&mut Wait| {
            let away = away(policy, view.members.get(&wait.cluster)).filter(|_| !wait.cluster.is_empty());
            away.is_some_and(|(at, _)| at <= now)
        };
        for wait in waits.iter_mut().filter(over) {
            wait.condition =
                format!("{} (at most {most} may be skipped: spec.policies.clusterFailurePolicy)", wait.condition);
        }
    }
    waits
}

/// One line for each cluster that is skipped or caught up with: the run goes on, but somebody should know.
pub fn told(status: &RolloutRunStatus) -> impl Iterator<Item = Wait> {
    status.skipped_clusters.iter().map(|cluster| Wait {
        cluster: cluster.name.clone(),
        object: format!("cluster/{}", cluster.name),
        condition: match &cluster.returned {
            None => format!("skipped, because {}; it is caught up with once it is back", cluster.reason),
            Some(_) => "back, and being brought to where the others are".to_owned(),
        },
        unblock: None,
    })
}

/// What a cluster lacks of what the batches that have begun allow its workloads.
fn lacking<'a>(
    view: &'a RolloutView,
    run: &'a RolloutRun,
    status: &'a RolloutRunStatus,
    cluster: &'a str,
    now: Timestamp,
) -> impl Iterator<Item = Wait> + use<'a> {
    let workloads = select::workloads(&view.members).filter(move |workload| workload.cluster == cluster);
    workloads.filter_map(move |workload| {
        // On the way back the current step counts for every workload.
        let allowed = allowed(run, status, workload)?;
        let available = numbers::counts(view, workload, now).map(|counts| counts.updated_available);
        let seen = workload.observed_generation >= workload.generation;
        let condition = match available {
            Some(available) if seen && available >= allowed => return None,
            Some(available) => format!("{available} of {allowed} updated pods available, catching up"),
            None => "its pods to be listed".to_owned(),
        };
        let object = format!("{}/{}", workload.kind.noun(), workload.key.name);
        Some(Wait { cluster: workload.cluster.clone(), object, condition, unblock: None })
    })
}

/// The most updated pods that any batch begun so far gives a workload.
fn allowed(run: &RolloutRun, status: &RolloutRunStatus, workload: &Workload) -> Option<i32> {
    let batch = status.batch_status.as_ref().filter(|_| status.rollback.is_none())?;
    let current = usize::try_from(batch.current_batch_index).ok()?;
    let begun = goals::entries(run, workload).filter(|(index, _)| {
        let started = batch.records.get(*index).is_some_and(|record| record.start_time.is_some());
        *index < current && started || *index == current && run::releases_pods(&batch.current_batch_state)
    });
    begun.map(|(_, target)| goals::wanted(target, workload.desired)).max()
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, sync::Arc};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::decide::fixtures::{self, at};

    const CLUSTERS: [&str; 4] = ["east", "north", "south", "west"];

    fn run(policy: &Value) -> Arc<RolloutRun> {
        let target = |cluster| json!({ "cluster": cluster, "name": "web", "replicas": 2 });
        fixtures::object(json!({ "metadata": { "name": "demo-1" }, "spec": {
            "targetType": { "apiVersion": "apps/v1", "kind": "StatefulSet" },
            "policies": { "clusterFailurePolicy": policy },
            "batch": { "batches": [{ "targets": CLUSTERS.map(target) }] },
        }}))
    }

    fn running() -> RolloutRunStatus {
        serde_json::from_value(json!({ "phase": "Progressing", "batchStatus": {
            "currentBatchIndex": 0, "currentBatchState": "Running", "records": [{ "startTime": at(0).to_string() }] } }))
        .unwrap()
    }

    /// One workload in each cluster, with two updated pods where `done`.
    fn view(done: bool) -> RolloutView {
        let workload = |cluster: &str| {
            let updated = if done { 2 } else { 0 };
            Workload { updated_replicas: updated, ..fixtures::workload(cluster, "web", 3) }
        };
        fixtures::view(CLUSTERS.iter().map(|cluster| workload(cluster)).collect())
    }

    fn dark(view: &mut RolloutView, cluster: &str, since: i64) {
        view.members.get_mut(cluster).unwrap().health =
            Health::Unreachable { since: at(since), error: "no route".into() };
    }

    fn shown(status: &RolloutRunStatus) -> String {
        let one = |c: &SkippedCluster| format!("{}{}", c.name, if c.returned.is_some() { " (back)" } else { "" });
        status.skipped_clusters.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn who_is_skipped() {
        let run = run(&json!({ "type": "Skip" }));
        let mut status = running();
        let mut log = String::new();
        let mut look = |second: i64, what: &str, view: &RolloutView| {
            keep(view, &run, &mut status, at(second));
            let due = due(view, &run, &status, at(second)).map(|due| due.as_second() - at(0).as_second());
            writeln!(log, "{second:>4} {what:36} skipped: {}; due {due:?}", shown(&status)).unwrap();
            for wait in told(&status) {
                writeln!(log, "       {}: {}", wait.object, wait.condition).unwrap();
            }
        };
        let mut now = view(false);
        dark(&mut now, "west", 0);
        look(59, "the west is away", &now);
        look(60, "for too long", &now);
        dark(&mut now, "north", 50);
        look(110, "the north too, but one is the budget", &now);
        now.members.get_mut("west").unwrap().health = Health::Syncing;
        look(111, "the operator is new and knows nothing", &now);
        now.members.get_mut("west").unwrap().health = Health::Ready;
        look(120, "the west is back, with old pods", &now);
        let mut done = view(true);
        dark(&mut done, "north", 50);
        look(130, "the west has what it lacked", &done);
        done.members.remove("north");
        look(140, "the north is no member any more", &done);
        look(150, "and is one again", &view(true));
        insta::assert_snapshot!(log);
    }

    #[test]
    fn a_cluster_that_goes_again_before_it_has_caught_up_is_skipped_again() {
        let run = run(&json!({ "type": "Skip", "gracePeriodSeconds": 0 }));
        let mut status = running();
        let mut now = view(false);
        dark(&mut now, "west", 0);
        keep(&now, &run, &mut status, at(0));
        keep(&view(false), &run, &mut status, at(10));
        assert_eq!(shown(&status), "west (back)");
        dark(&mut now, "west", 20);
        keep(&now, &run, &mut status, at(20));
        assert_eq!(shown(&status), "west");
    }

    #[test]
    fn only_the_skip_policy_skips() {
        for policy in [json!(null), json!({}), json!({ "type": "Hold" }), json!({ "type": "Skip", "maxClusters": 0 })] {
            let (run, mut status, mut now) = (run(&policy), running(), view(false));
            dark(&mut now, "west", 0);
            keep(&now, &run, &mut status, at(1000));
            assert_eq!(shown(&status), "", "{policy}");
        }
    }

    #[test]
    fn the_gate_leaves_out_who_is_skipped_and_asks_for_who_is_back() {
        let run = run(&json!({ "type": "Skip" }));
        let mut now = view(false);
        dark(&mut now, "north", 0);
        dark(&mut now, "west", 0);
        let mut status = running();
        let skipped = |name: &str, returned: bool| SkippedCluster {
            name: name.to_owned(),
            returned: returned.then(|| condition::time(at(0))),
            ..SkippedCluster::default()
        };
        status.skipped_clusters = vec![skipped("south", true), skipped("west", false)];
        let wait = |cluster: &str| Wait {
            cluster: cluster.to_owned(),
            object: "statefulset/web".to_owned(),
            condition: "its cluster to be reachable".to_owned(),
            unblock: None,
        };
        let waits = gate(&now, &run, &status, vec![wait("north"), wait("west")], at(100));
        let lines: Vec<_> = waits.iter().map(|wait| format!("{}: {}", wait.cluster, wait.condition)).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    proptest! {
        /// Whatever the clusters do: no more are skipped than the budget, none that answers, and none before its time.
        #[test]
        fn the_budget_holds(
            most in 0..=4usize,
            moves in prop::collection::vec((0..4usize, 0..3u8, 1..100i64), 1..40),
        ) {
            let run = run(&json!({ "type": "Skip", "maxClusters": most }));
            let (mut now, mut status, mut second) = (view(false), running(), 0);
            for (cluster, health, pause) in moves {
                second += pause;
                match health {
                    0 => dark(&mut now, CLUSTERS[cluster], second),
                    1 => now.members.get_mut(CLUSTERS[cluster]).unwrap().health = Health::Ready,
                    _ => {}
                }
                let before = status.clone();
                keep(&now, &run, &mut status, at(second));
                let skipped = |status: &RolloutRunStatus| CLUSTERS.map(|name| is_skipped(status, name));
                let (was, is) = (skipped(&before), skipped(&status));
                prop_assert!(is.iter().filter(|skipped| **skipped).count() <= most);
                for (index, name) in CLUSTERS.iter().enumerate().filter(|(index, _)| is[*index]) {
                    let Health::Unreachable { since, .. } = &now.members[*name].health else {
                        return Err(TestCaseError::fail(format!("{name} answers")));
                    };
                    prop_assert!(was[index] || since.checked_add(SignedDuration::from_secs(60)).unwrap() <= at(second));
                }
            }
        }
    }
}
