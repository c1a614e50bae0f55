//! Clusters that a run went without, and how they are caught up with.
//!
//! What a run left out stands in the Rollout's status once the run is over. As soon as such a cluster answers and its
//! workloads have an update waiting, a run through the same strategy starts for them alone, whatever the trigger policy
//! says: the change was triggered before.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    absence, condition, plan, run, select,
    trigger::{self, State},
};
use crate::{
    api::{BehindCluster, RolloutRunPhase, RolloutStatus},
    view::{Health, RolloutView, Workload},
};

/// The members that a run which starts now goes without, with why.
pub fn left_out(view: &RolloutView, now: Timestamp) -> BTreeMap<String, String> {
    let mut away = away(view);
    away.retain(|(due, _, _)| *due <= now);
    away.into_iter().take(most(view)).map(|(_, why, name)| (name.to_owned(), why)).collect()
}

/// When a run would go without one member more.
pub fn due(view: &RolloutView, now: Timestamp) -> Option<(Timestamp, &'static str)> {
    let due = away(view).into_iter().map(|(due, _, _)| due).find(|due| *due > now);
    due.map(|due| (due, "a cluster has not answered for too long"))
}

fn most(view: &RolloutView) -> usize {
    let policy = view.strategy.as_ref().and_then(|strategy| absence::skips(strategy.policies.as_ref()));
    policy.map_or(0, |policy| absence::budget(policy, view.members.len()))
}

/// The members that do not answer, with when they may be left out, longest away first.
fn away(view: &RolloutView) -> Vec<(Timestamp, String, &str)> {
    let policy = view.strategy.as_ref().and_then(|strategy| absence::skips(strategy.policies.as_ref()));
    let Some(policy) = policy else { return Vec::new() };
    let members = view.members.iter().filter(|(name, _)| !name.is_empty());
    let mut away: Vec<_> = members
        .filter_map(|(name, member)| {
            let (due, why) = absence::away(policy, Some(member))?;
            Some((due, why, name.as_str()))
        })
        .collect();
    away.sort_by(|a, b| (a.0, a.2).cmp(&(b.0, b.2)));
    away
}

/// Puts on record what a new run goes without. Returns whether that is new.
pub fn note(status: &mut RolloutStatus, left_out: &BTreeMap<String, String>, run: &str, now: Timestamp) -> bool {
    let mut changed = false;
    for (name, why) in left_out {
        let known = status.behind_clusters.iter().any(|behind| behind.name == *name && behind.run_name == run);
        if !known {
            set(status, name, run, why, now);
            changed = true;
        }
    }
    changed
}

/// The clusters that the run of this name, which is about to be made, goes without.
pub fn of_run<'a>(status: &'a RolloutStatus, run: &str) -> BTreeSet<&'a str> {
    let of_run = status.behind_clusters.iter().filter(|behind| behind.run_name == run);
    of_run.map(|behind| behind.name.as_str()).collect()
}

/// Takes over what the run that has just ended went without. A run that was given up leaves nothing to catch up with.
pub fn take_over(view: &RolloutView, status: &mut RolloutStatus, now: Timestamp) {
    let Some((name, run)) = view.runs.get_key_value(&status.rollout_id).filter(|(_, run)| run::completed(run)) else {
        return;
    };
    if is_taken_over(status) {
        return;
    }
    let ended = run.status.clone().unwrap_or_default();
    let given_up = ended.phase != RolloutRunPhase::Succeeded;
    let clusters = absence::clusters(run);
    let source = run.spec.rollback.as_ref().map(|rollback| &rollback.run_name);
    let of_it = |behind: &BehindCluster| behind.run_name == *name || Some(&behind.run_name) == source;
    let settled = |behind: &BehindCluster| clusters.contains(&*behind.name) || given_up && of_it(behind);
    status.behind_clusters.retain(|behind| !settled(behind));
    for skipped in ended.skipped_clusters.iter().filter(|_| !given_up) {
        set(status, &skipped.name, name, &skipped.reason, now);
    }
}

/// Whether this status knows that its run has ended.
pub fn is_taken_over(status: &RolloutStatus) -> bool {
    condition::get(&status.conditions, "Progressing").is_none_or(|progressing| progressing.status != "True")
}

fn set(status: &mut RolloutStatus, name: &str, run: &str, why: &str, now: Timestamp) {
    status.behind_clusters.retain(|behind| behind.name != name);
    status.behind_clusters.push(BehindCluster {
        name: name.to_owned(),
        run_name: run.to_owned(),
        reason: why.to_owned(),
        since: Some(condition::time(now)),
    });
    status.behind_clusters.sort_by(|a, b| a.name.cmp(&b.name));
}

/// What is to be caught up with now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CatchUp {
    /// The clusters that are back and have an update waiting.
    pub clusters: Vec<String>,
    /// Why nothing is, for the end of a sentence.
    pub waits: Vec<String>,
}

/// Forgets clusters that are back and have nothing waiting, and says which are to be caught up with.
pub fn catch_up(view: &RolloutView, status: &mut RolloutStatus) -> CatchUp {
    let mut result = CatchUp::default();
    status.behind_clusters.retain(|behind| {
        let wait = match standing(view, &behind.name) {
            Standing::Away => "it answers",
            Standing::Unknown => "its controllers have seen the newest generation",
            Standing::UpToDate => return false,
            Standing::Waiting => {
                result.clusters.push(behind.name.clone());
                return true;
            }
        };
        let (name, run) = (&behind.name, &behind.run_name);
        result.waits.push(format!("cluster {name} was left out of rolloutRun {run} and is caught up with once {wait}"));
        true
    });
    let workloads = of_clusters(&select::selected(view), &result.clusters);
    let planned = view.strategy.as_ref().map(|strategy| plan::catch_up(strategy, &workloads));
    if let Some(Err(why)) = planned.filter(|_| !result.clusters.is_empty()) {
        let clusters = std::mem::take(&mut result.clusters).join(", ");
        result.waits.push(format!("clusters {clusters} cannot be caught up with: {why}"));
    }
    result
}

/// What is said of a run that is not for all members, for the end of a sentence.
pub fn purpose(clusters: &[String], left_out: &BTreeMap<String, String>) -> String {
    if !clusters.is_empty() {
        return format!(": catches up with {}, which the last run went without", clusters.join(", "));
    }
    let without: Vec<_> = left_out.iter().map(|(name, why)| format!("{name} ({why})")).collect();
    if without.is_empty() { String::new() } else { format!(" without {}", without.join(", ")) }
}

/// The workloads that are in one of `clusters`.
pub fn of_clusters<'a>(workloads: &[&'a Arc<Workload>], clusters: &[String]) -> Vec<&'a Arc<Workload>> {
    workloads.iter().copied().filter(|workload| clusters.contains(&workload.cluster)).collect()
}

enum Standing {
    Away,
    Unknown,
    UpToDate,
    Waiting,
}

fn standing(view: &RolloutView, cluster: &str) -> Standing {
    if view.members.get(cluster).is_none_or(|member| member.health != Health::Ready) {
        return Standing::Away;
    }
    let selected = select::selected(view).into_iter().filter(|workload| workload.cluster == cluster);
    let states: Vec<_> =
        selected.filter(|workload| workload.desired > 0).map(|workload| trigger::state(workload)).collect();
    if states.contains(&State::Unobserved) {
        Standing::Unknown
    } else if states.iter().all(|state| *state == State::UpToDate) {
        Standing::UpToDate
    } else {
        Standing::Waiting
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::RolloutRun,
        decide::fixtures::{self, at},
    };

    fn view(west: Workload, health: Health) -> RolloutView {
        let up_to_date =
            Workload { updated_revision: "v1".into(), updated_replicas: 5, ..fixtures::workload("east", "web", 5) };
        let mut view = fixtures::view(vec![up_to_date, west]);
        view.members.get_mut("west").unwrap().health = health;
        let policies = json!({ "clusterFailurePolicy": { "type": "Skip", "gracePeriodSeconds": 10 } });
        view.strategy = Some(fixtures::object(json!({
            "metadata": { "name": "demo" }, "batchV2": fixtures::quick_start(), "policies": policies,
        })));
        view
    }

    fn unreachable() -> Health {
        Health::Unreachable { since: at(0), error: "no route".into() }
    }

    fn behind(run: &str) -> RolloutStatus {
        let mut status = RolloutStatus { rollout_id: "demo-1".into(), ..RolloutStatus::default() };
        condition::set(&mut status.conditions, "Progressing", true, "Running", "", at(0));
        set(&mut status, "west", run, "it is unreachable: no route", at(0));
        status
    }

    #[test]
    fn when_a_cluster_is_caught_up_with() {
        let waiting = fixtures::workload("west", "web", 5);
        let with = |change: &dyn Fn(&mut Workload)| {
            let mut workload = waiting.clone();
            change(&mut workload);
            view(workload, Health::Ready)
        };
        let no_step = {
            let mut view = view(waiting.clone(), Health::Ready);
            let group = json!([{ "replicas": 1, "matchTargets": { "names": [{ "cluster": "east", "name": "web" }] } }]);
            view.strategy = Some(fixtures::object(json!({ "batchV2": { "batches": [{ "targets": group }] } })));
            view
        };
        let table = [
            ("away", view(waiting.clone(), unreachable())),
            ("back, an update waits", with(&|_| {})),
            ("back, partly updated", with(&|w| w.updated_replicas = 2)),
            ("back, not observed", with(&|w| w.generation = 3)),
            ("back, up to date", with(&|w| (w.updated_revision, w.updated_replicas) = ("v1".into(), 5))),
            ("back, without replicas", with(&|w| w.desired = 0)),
            ("back, not selected any more", with(&|w| w.labels.clear())),
            ("back, but no step means it", no_step),
        ];
        let lines: Vec<_> = table
            .iter()
            .map(|(when, view)| {
                let mut status = behind("demo-1");
                let CatchUp { clusters, waits } = catch_up(view, &mut status);
                let kept = if status.behind_clusters.is_empty() { "forgotten" } else { "kept" };
                format!("{when:28} {kept}, catches up {clusters:?} {}", waits.join("; "))
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn what_is_left_out() {
        let mut view = view(fixtures::workload("west", "web", 5), unreachable());
        let names = |view: &RolloutView, second| left_out(view, at(second)).into_keys().collect::<Vec<_>>();
        assert_eq!(names(&view, 9), Vec::<String>::new());
        assert_eq!(due(&view, at(9)).map(|(at, _)| at), Some(at(10)));
        assert_eq!(names(&view, 10), ["west"]);
        view.members.get_mut("east").unwrap().health = Health::Unreachable { since: at(5), error: "no route".into() };
        assert_eq!(names(&view, 100), ["west"], "one is the budget, longest away first");
        view.strategy = None;
        assert_eq!(names(&view, 100), Vec::<String>::new());
    }

    /// A run over `clusters` that ended in `phase`, without `skipped`.
    fn ended(phase: &str, clusters: &[&str], skipped: &[&str]) -> std::sync::Arc<RolloutRun> {
        let targets: Vec<_> = clusters.iter().map(|c| json!({ "cluster": c, "name": "web", "replicas": 1 })).collect();
        let skipped: Vec<_> = skipped.iter().map(|name| json!({ "name": name, "reason": "gone" })).collect();
        fixtures::object(json!({
            "metadata": { "name": "demo-1" },
            "spec": { "batch": { "batches": [{ "targets": targets }] } },
            "status": { "phase": phase, "skippedClusters": skipped },
        }))
    }

    #[test]
    fn what_a_run_leaves_behind() {
        let table = [
            ("Succeeded", vec!["east", "west"], vec!["west"], "demo-0", "west of demo-1"),
            ("Succeeded", vec!["east", "west"], vec![], "demo-0", ""),
            ("Succeeded", vec!["east"], vec![], "demo-0", "west of demo-0"),
            ("Succeeded", vec!["east"], vec![], "demo-1", "west of demo-1"),
            ("Canceled", vec!["east", "west"], vec!["west"], "demo-0", ""),
            ("Canceled", vec!["east"], vec![], "demo-1", ""),
            ("Canceled", vec!["east"], vec![], "demo-0", "west of demo-0"),
        ];
        for (phase, clusters, skipped, before, expected) in table {
            let mut view = fixtures::view(vec![]);
            view.runs.insert("demo-1".into(), ended(phase, &clusters, &skipped));
            let mut status = behind(before);
            take_over(&view, &mut status, at(0));
            let left = |status: &RolloutStatus| {
                let one = |b: &BehindCluster| format!("{} of {}", b.name, b.run_name);
                status.behind_clusters.iter().map(one).collect::<Vec<_>>().join(", ")
            };
            assert_eq!(left(&status), expected, "{phase} {clusters:?} {skipped:?} {before}");
            // Once the end of the run is known, what has been caught up with does not come back.
            condition::set(&mut status.conditions, "Progressing", false, "", "", at(1));
            status.behind_clusters.clear();
            take_over(&view, &mut status, at(2));
            assert_eq!(left(&status), "");
        }
    }
}
