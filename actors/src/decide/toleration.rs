//! How much failure a run accepts: `spec.batch.toleration`.
//!
//! A pod on the new revision that is not available and says why counts as failed once the initial delay is over. A step
//! passes over failed pods within two thresholds: that of the step (`taskFailureThreshold`) and that of each workload
//! over all steps (`workloadTotalFailureThreshold`). Beyond either the run stops and names the pods.
//!
//! A StatefulSet's own controller updates no further pod as long as an updated one is broken, so there a step that ends
//! with a failed pod can be passed, but the next one of the same workload waits for its repair. A kind that owns no pods
//! has none that fail.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan};

use super::{batch, goals, run, status, workload::is_available};
use crate::{
    api::{
        CodeReasonMessage, IntOrString, RolloutRun, RolloutRunStatus, StepState, TolerationStrategy, intorpercent,
        rolloutrun::{RolloutRunStep, RolloutRunStepTarget},
    },
    intent::Tolerance,
    view::{Pod, RolloutView, Workload},
};

/// How many failed pods an error names. The rest is counted.
const NAMED: usize = 10;

/// How many failed pods the window of a step passes over.
pub fn tolerated(workload: &Workload, pods: &[Arc<Pod>], tolerance: Tolerance, now: Timestamp) -> i32 {
    number(failed(workload, pods, tolerance.since, now).count()).min(tolerance.most)
}

/// When pods that are in trouble now will count as failed.
pub fn next_failed(workload: &Workload, pods: &[Arc<Pod>], since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    (since > now && pods.iter().any(|pod| is_broken(workload, pod, now))).then_some(since)
}

/// Every updated pod that has failed by now.
fn failed<'a>(
    workload: &'a Workload,
    pods: &'a [Arc<Pod>],
    since: Timestamp,
    now: Timestamp,
) -> impl Iterator<Item = &'a Arc<Pod>> {
    let is_due = since <= now && workload.observed_generation >= workload.generation;
    pods.iter().filter(move |pod| is_due && is_broken(workload, pod, now))
}

/// What `workload` is given in the current step of `run`.
pub fn granted(view: &RolloutView, run: &RolloutRun, workload: &Workload) -> Option<Tolerance> {
    let step = Step::current(run, run.status.as_ref()?)?;
    let total = step.total(workload).saturating_add(step.accepted_before(workload, true));
    let task = step.task(view).saturating_add(step.accepted_before(workload, false));
    Some(Tolerance { since: step.since, most: total.min(task) })
}

/// Judges the current step: how many failed pods of each workload it passes over, or why the run stops.
pub fn judge<'a>(
    view: &'a RolloutView,
    run: &'a RolloutRun,
    status: &'a RolloutRunStatus,
    now: Timestamp,
) -> Result<impl Fn(&Workload) -> i32 + use<'a>, CodeReasonMessage> {
    let step = Step::current(run, status);
    if let Some(excess) = step.as_ref().and_then(|step| step.excess(view, now)) {
        return Err(run::error("Error", "TolerationExceeded", excess));
    }
    Ok(move |workload: &Workload| {
        let step = step.as_ref();
        step.map_or(0, |step| number(step.failed(view, workload, now).len()))
    })
}

/// When pods that are in trouble now will count as failed.
pub fn due(view: &RolloutView, run: &RolloutRun, status: &RolloutRunStatus, now: Timestamp) -> Option<Timestamp> {
    let step = Step::current(run, status)?;
    step.workloads(view).find_map(|(_, workload)| next_failed(workload, pods(view, workload), step.since, now))
}

fn pods<'v>(view: &'v RolloutView, workload: &Workload) -> &'v [Arc<Pod>] {
    status::report(view, workload).and_then(|report| report.pods.as_deref()).unwrap_or_default()
}

fn is_broken(workload: &Workload, pod: &Pod, now: Timestamp) -> bool {
    let updated = !pod.terminating && workload.kind.is_on(pod, &workload.updated_revision);
    updated && pod.trouble.is_some() && !is_available(workload, pod, now)
}

/// A step that is moving pods, and what it tolerates.
struct Step<'a> {
    run: &'a RolloutRun,
    status: &'a RolloutRunStatus,
    toleration: &'a TolerationStrategy,
    batch: &'a RolloutRunStep,
    index: usize,
    /// From when on pods in trouble count as failed.
    since: Timestamp,
}

impl<'a> Step<'a> {
    fn current(run: &'a RolloutRun, status: &'a RolloutRunStatus) -> Option<Self> {
        let toleration = run.spec.batch.as_ref()?.toleration.as_ref()?;
        let progress = status.batch_status.as_ref()?;
        // On the way back every pod counts.
        if progress.current_batch_state != StepState::Running || status.rollback.is_some() {
            return None;
        }
        let index = usize::try_from(progress.current_batch_index).ok()?;
        let started = progress.records.get(index)?.start_time.as_ref()?.0;
        // Whoever repaired something and says `retry` gives the pods their time again.
        let commanded = status.command.as_ref().filter(|command| command.effect == "Accepted");
        let commanded = commanded.and_then(|command| command.time.as_ref()).map(|time| time.0);
        let delay = i64::from(toleration.initial_delay_seconds.unwrap_or(0).max(0));
        let since = started.max(commanded.unwrap_or(started)).checked_add(delay.seconds()).ok()?;
        Some(Self { run, status, toleration, batch: run::batches(run).get(index)?, index, since })
    }

    fn workloads<'v>(
        &self,
        view: &'v RolloutView,
    ) -> impl Iterator<Item = (&'a RolloutRunStepTarget, &'v Arc<Workload>)> + use<'a, 'v> {
        let run = self.run;
        self.batch.targets.iter().filter_map(move |target| Some((target, batch::find(view, run, target)?)))
    }

    fn failed<'v>(&self, view: &'v RolloutView, workload: &'v Workload, now: Timestamp) -> Vec<&'v Arc<Pod>> {
        failed(workload, pods(view, workload), self.since, now).collect()
    }

    /// Why the step goes no further.
    fn excess(&self, view: &RolloutView, now: Timestamp) -> Option<String> {
        let mut all = Vec::new();
        let mut of_step = 0;
        for (_, workload) in self.workloads(view) {
            let failed = self.failed(view, workload, now);
            let (count, most) = (number(failed.len()), self.total(workload));
            let pods = failed.into_iter().map(|pod| describe(workload, pod));
            if count > most.saturating_add(self.accepted_before(workload, true)) {
                let what = format!("pods failed of {}", batch::place(workload));
                return Some(self.sentence(&what, count, most, "workloadTotalFailureThreshold", pods.collect()));
            }
            of_step += (count - self.accepted_before(workload, false)).max(0);
            all.extend(pods);
        }
        let most = self.task(view);
        (of_step > most).then(|| self.sentence("pods failed in this step", of_step, most, "taskFailureThreshold", all))
    }

    fn sentence(&self, what: &str, count: i32, most: i32, field: &str, pods: Vec<String>) -> String {
        let more = match pods.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let pods = pods.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        format!(
            "batch {}: {what}: {count}, tolerated: {most} (spec.batch.toleration.{field}): {pods}{more}; repair and retry, or \
             skip the batch, or roll back, or cancel",
            self.index + 1
        )
    }

    /// How many pods of one workload may fail, over all steps.
    fn total(&self, workload: &Workload) -> i32 {
        threshold(self.toleration.workload_total_failure_threshold.as_ref(), workload.desired)
    }

    /// How many pods of this step may fail.
    fn task(&self, view: &RolloutView) -> i32 {
        let sizes = self.workloads(view).map(|(target, workload)| {
            let before = goals::entries(self.run, workload).take_while(|(index, _)| *index < self.index);
            let before = before.map(|(_, target)| goals::wanted(target, workload.desired)).max().unwrap_or(0);
            (goals::wanted(target, workload.desired) - before).max(0)
        });
        threshold(self.toleration.task_failure_threshold.as_ref(), sizes.sum())
    }

    /// The failed pods that earlier steps left behind; with `skipped` only those that a person accepted by skipping.
    fn accepted_before(&self, workload: &Workload, skipped: bool) -> i32 {
        let records = self.status.batch_status.iter().flat_map(|batch| &batch.records);
        let earlier = goals::entries(self.run, workload).take_while(|(index, _)| *index < self.index);
        let left = earlier.filter_map(|(index, target)| {
            let record = records.clone().nth(index)?;
            let fits = record.state == StepState::Skipped || (!skipped && record.state == StepState::Succeeded);
            let then = record.targets.iter().find(|then| {
                fits && (then.cluster.as_str(), then.name.as_str()) == (&*workload.cluster, &*workload.key.name)
            })?;
            Some(goals::wanted(target, then.replicas).min(then.updated_replicas) - then.updated_available_replicas)
        });
        left.max().unwrap_or(0).max(0)
    }
}

/// A threshold that is absent tolerates nothing, and so does one that does not parse.
fn threshold(value: Option<&IntOrString>, total: i32) -> i32 {
    value.and_then(|value| intorpercent::parse(value).ok()).map_or(0, |value| value.scaled(total))
}

fn describe(workload: &Workload, pod: &Pod) -> String {
    let why = pod.trouble.as_deref().unwrap_or_default();
    let cluster = if workload.cluster.is_empty() { String::new() } else { format!("{}/", workload.cluster) };
    format!("{cluster}pod/{} ({why})", pod.key.name)
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::decide::fixtures;

    /// Two workloads of ten pods in two clusters, each with `broken` updated pods in trouble and `available` fine ones.
    fn view(east: (i32, i32), west: (i32, i32)) -> RolloutView {
        let mut view = fixtures::view(vec![workload("east", east), workload("west", west)]);
        for (cluster, (broken, available)) in [("east", east), ("west", west)] {
            let pod = |n: i32| {
                let mut pod = fixtures::pod(&format!("web-{n}"), "v2", (n >= broken).then_some(0)).as_ref().clone();
                pod.trouble = (n < broken).then(|| "CrashLoopBackOff".to_owned());
                Arc::new(pod)
            };
            let pods = Some((0..broken + available).map(pod).collect());
            view.members.get_mut(cluster).unwrap().reports.values_mut().next().unwrap().pods = pods;
        }
        view
    }

    fn workload(cluster: &str, (broken, available): (i32, i32)) -> Workload {
        Workload { updated_replicas: broken + available, ..fixtures::workload(cluster, "web", 10) }
    }

    /// A run of 2, 6 and 100 %, in its batch `index` since second 100.
    fn run(toleration: &Value, index: usize, records: &[Value]) -> Arc<RolloutRun> {
        let targets = |replicas: Value| {
            json!({ "targets": [
                { "cluster": "east", "name": "web", "replicas": replicas, "replicaSlidingWindow": 1 },
                { "cluster": "west", "name": "web", "replicas": replicas, "replicaSlidingWindow": 1 },
            ]})
        };
        let mut all = records.to_vec();
        all.push(json!({ "index": index, "state": "Running", "startTime": fixtures::at(100).to_string() }));
        fixtures::object(json!({
            "metadata": { "name": "demo-1", "namespace": "default" },
            "spec": { "batch": { "toleration": toleration,
                "batches": [targets(json!(2)), targets(json!(6)), targets(json!("100%"))] } },
            "status": { "phase": "Progressing", "batchStatus": {
                "currentBatchIndex": index, "currentBatchState": "Running", "records": all } },
        }))
    }

    /// The record of the first batch, ended with `available` of two updated pods in the east.
    fn record(state: &str, available: i32) -> Value {
        json!({ "index": 0, "state": state, "targets": [{ "cluster": "east", "name": "web", "replicas": 10,
            "updatedReplicas": 2, "updatedAvailableReplicas": available }] })
    }

    fn verdict(view: &RolloutView, run: &RolloutRun, second: i64) -> String {
        let status = run.status.clone().unwrap();
        match judge(view, run, &status, fixtures::at(second)) {
            Err(error) => format!("{}: {}", error.reason, error.message),
            Ok(tolerated) => {
                let of = |cluster: &str| tolerated(view.members[cluster].workloads.values().next().unwrap());
                let most = |cluster: &str| {
                    granted(view, run, view.members[cluster].workloads.values().next().unwrap())
                        .map_or(0, |granted| granted.most)
                };
                let numbers = ["east", "west"].map(|cluster| format!("{cluster} {} of {}", of(cluster), most(cluster)));
                format!("tolerated: {}", numbers.join(", "))
            }
        }
    }

    #[test]
    fn what_is_tolerated() {
        let both = |task: Value, total: Value| json!({ "taskFailureThreshold": task, "workloadTotalFailureThreshold": total, "initialDelaySeconds": 30 });
        let one = both(json!(1), json!(1));
        let half = both(json!("25%"), json!("20%"));
        let first = |toleration: &Value| run(toleration, 0, &[]);
        let second = |toleration: &Value, before: Value| run(toleration, 1, &[before]);
        let retried = {
            let mut run = first(&one).as_ref().clone();
            let command = json!({ "id": "1", "command": "retry", "effect": "Accepted", "message": "",
                "time": fixtures::at(1000).to_string() });
            run.status.as_mut().unwrap().command = serde_json::from_value(command).unwrap();
            run
        };
        let table = [
            ("nothing fails", verdict(&view((0, 2), (0, 2)), &first(&one), 200)),
            ("before the delay is over", verdict(&view((2, 0), (2, 0)), &first(&one), 129)),
            ("after the delay", verdict(&view((1, 1), (0, 2)), &first(&one), 130)),
            ("one too many of the step", verdict(&view((1, 1), (1, 1)), &first(&one), 130)),
            ("one too many of a workload", verdict(&view((2, 0), (0, 2)), &first(&one), 130)),
            ("nothing is the default", verdict(&view((1, 1), (0, 2)), &first(&json!({})), 130)),
            ("a share of step and workload", verdict(&view((1, 1), (0, 2)), &first(&half), 130)),
            ("a share is exceeded", verdict(&view((1, 1), (1, 1)), &first(&half), 130)),
            ("left by an earlier step", verdict(&view((1, 5), (1, 5)), &second(&one, record("Succeeded", 1)), 200)),
            ("and one more of this", verdict(&view((2, 4), (0, 6)), &second(&one, record("Succeeded", 1)), 200)),
            ("accepted by a skip", verdict(&view((2, 4), (1, 5)), &second(&one, record("Skipped", 0)), 200)),
            ("just after a retry", verdict(&view((2, 0), (2, 0)), &retried, 1029)),
            ("long after a retry", verdict(&view((2, 0), (2, 0)), &retried, 1030)),
        ];
        let lines: Vec<_> = table.iter().map(|(when, what)| format!("{when:28} {what}")).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn only_a_broken_updated_pod_fails() {
        let mut workload = workload("east", (1, 0));
        let broken = |change: &dyn Fn(&mut Pod)| {
            let mut pod = fixtures::pod("web-0", "v2", None).as_ref().clone();
            pod.trouble = Some("ImagePullBackOff".to_owned());
            change(&mut pod);
            Arc::new(pod)
        };
        let pods = [
            broken(&|_| {}),
            broken(&|pod| pod.revision = "v1".into()),
            broken(&|pod| pod.terminating = true),
            broken(&|pod| pod.trouble = None),
            broken(&|pod| pod.ready_since = Some(fixtures::at(0))),
        ];
        let since = fixtures::at(10);
        assert_eq!(failed(&workload, &pods, since, fixtures::at(10)).count(), 1);
        assert_eq!(failed(&workload, &pods, since, fixtures::at(9)).count(), 0);
        assert_eq!(next_failed(&workload, &pods, since, fixtures::at(9)), Some(since));
        assert_eq!(next_failed(&workload, &pods, since, fixtures::at(10)), None);
        let least = Tolerance { since, most: 0 };
        assert_eq!(tolerated(&workload, &pods, least, fixtures::at(10)), 0);
        workload.generation += 1;
        assert_eq!(failed(&workload, &pods, since, fixtures::at(10)).count(), 0, "revisions are not known");
    }
}
