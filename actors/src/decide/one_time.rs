//! A strategy for one run: the annotation `rollout.kusionstack.io/one-time-strategy` on a Rollout.
//!
//! It takes the place of the batches of the run that is under way, as far as a run may be changed; without one it waits,
//! and the next run is made by it. As with commands, one guarded write takes the annotation in, status records what came
//! of it, and only then it goes. The run it was applied to keeps it, and so says that it was.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{
    command::{self, Pending},
    condition, patch, plan, run, select,
};
use crate::{
    api::{
        BatchStrategy, BatchStrategyV2, RolloutRun, RolloutStatus, RolloutStrategy, keys,
        rolloutrun::RolloutRunBatchStrategy, validate,
    },
    intent::{HubKind, HubWrite},
    view::{RolloutView, Workload},
};

/// What the annotation says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OneTimeStrategy {
    batch: Option<BatchStrategy>,
    batch_v2: Option<BatchStrategyV2>,
}

/// What became of it.
enum Outcome {
    Applied,
    Ignored(String),
    Invalid(String),
}

/// Takes the annotation in and applies it to the run that is under way. Returns the write that does so.
pub fn take(
    view: &RolloutView,
    active: Option<&RolloutRun>,
    status: &mut RolloutStatus,
    now: Timestamp,
) -> Option<HubWrite> {
    let meta = &view.rollout.metadata;
    let Some(pending) = command::pending(meta, keys::ANNOTATION_PENDING_ONE_TIME_STRATEGY) else {
        let (from, to) = (keys::ANNOTATION_ONE_TIME_STRATEGY, keys::ANNOTATION_PENDING_ONE_TIME_STRATEGY);
        let patch = command::take(meta, from, to, now)?;
        return Some(HubWrite::Patch { kind: HubKind::Rollout, key: patch::key(meta), patch });
    };
    if is_done(status, &pending) {
        return None;
    }
    let (outcome, name) = match (parse(&pending.command), active) {
        (Err(why), _) => (Outcome::Invalid(why), String::new()),
        // It waits for the next run.
        (Ok(_), None) => return None,
        (Ok(once), Some(run)) => {
            let name = run.metadata.name.clone().unwrap_or_default();
            match change(view, run, &once, &pending) {
                Ok(write) => return Some(write),
                Err(outcome) => (outcome, name),
            }
        }
    };
    let (holds, reason, told) = match outcome {
        Outcome::Applied => (true, "ApplyOneTimeStrategy", Ok(format!("applied to rolloutRun {name}"))),
        Outcome::Ignored(why) => (true, "OneTimeStrategyIgnored", Err(why)),
        Outcome::Invalid(why) => (false, "InvalidStrategy", Err(why)),
    };
    let message = told.clone().unwrap_or_else(|why| why);
    let message = format!("annotation {}: {message}", keys::ANNOTATION_ONE_TIME_STRATEGY);
    condition::set(&mut status.conditions, "Trigger", holds, reason, message, now);
    let mut done = command::acknowledge(&pending, told, now);
    done.command.clear();
    status.one_time_strategy = Some(done);
    None
}

/// The strategy by which the next run is made, and what that run is to carry if it is not the Rollout's own.
pub fn next<'a>(
    view: &RolloutView,
    status: &RolloutStatus,
    strategy: &'a RolloutStrategy,
) -> (Cow<'a, RolloutStrategy>, Option<String>) {
    let pending = command::pending(&view.rollout.metadata, keys::ANNOTATION_PENDING_ONE_TIME_STRATEGY);
    let once = pending.filter(|pending| !is_done(status, pending)).map(|pending| (parse(&pending.command), pending));
    match once {
        Some((Ok(once), pending)) => (Cow::Owned(once.over(strategy)), Some(pending.command)),
        _ => (Cow::Borrowed(strategy), None),
    }
}

fn is_done(status: &RolloutStatus, pending: &Pending) -> bool {
    status.one_time_strategy.as_ref().is_some_and(|done| done.id == pending.id)
}

fn parse(text: &str) -> Result<OneTimeStrategy, String> {
    let once: OneTimeStrategy = serde_json::from_str(text).map_err(|error| {
        format!("expected JSON with batch or batchV2 as in a RolloutStrategy, found {error}: set it again")
    })?;
    let alone = once.over(&RolloutStrategy::default());
    let errors: Vec<_> = validate::batches_of(&alone).iter().map(ToString::to_string).collect();
    if !errors.is_empty() {
        return Err(format!("{}: set it again", errors.join("; ")));
    }
    Ok(once)
}

impl OneTimeStrategy {
    /// `strategy` with these batches in place of its own.
    fn over(&self, strategy: &RolloutStrategy) -> RolloutStrategy {
        let inherited = strategy.batch.as_ref().and_then(|batch| batch.toleration.clone());
        let mut batch = self.batch.clone();
        if let Some(batch) = &mut batch {
            batch.toleration = batch.toleration.take().or(inherited);
        }
        RolloutStrategy { batch, batch_v2: self.batch_v2.clone(), ..strategy.clone() }
    }
}

/// The write that gives the run its new batches, or what has become of them without one.
fn change(
    view: &RolloutView,
    run: &RolloutRun,
    once: &OneTimeStrategy,
    pending: &Pending,
) -> Result<HubWrite, Outcome> {
    if command::annotation_value(&run.metadata, keys::ANNOTATION_ONE_TIME_STRATEGY) == Some(&pending.command) {
        return Err(Outcome::Applied);
    }
    let name = run.metadata.name.as_deref().unwrap_or_default();
    let batch = expand(view, run, once).map_err(Outcome::Invalid)?;
    if run.spec.batch.as_ref() == Some(&batch) {
        return Err(Outcome::Ignored(format!("rolloutRun {name} has these batches already")));
    }
    let mut changed = run.clone();
    changed.spec.batch = Some(batch);
    let mut errors = validate::run(&changed);
    errors.extend(validate::run_update(run, &changed));
    if !errors.is_empty() {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        return Err(Outcome::Invalid(format!(
            "rolloutRun {name} cannot be given these batches: {}",
            errors.join("; ")
        )));
    }
    let version = run.metadata.resource_version.as_deref().unwrap_or_default();
    let kept = (keys::ANNOTATION_ONE_TIME_STRATEGY, Some(pending.command.clone()));
    let mut patch = patch::annotations(version, [kept]);
    patch["spec"] = json!({ "batch": changed.spec.batch });
    Ok(HubWrite::Patch { kind: HubKind::RolloutRun, key: patch::key(&run.metadata), patch })
}

/// The batches for the workloads there are now, in the clusters that the run is about.
fn expand(view: &RolloutView, run: &RolloutRun, once: &OneTimeStrategy) -> Result<RolloutRunBatchStrategy, String> {
    let strategy = once.over(view.strategy.as_deref().unwrap_or(&RolloutStrategy::default()));
    let targets = run::batches(run).iter().flat_map(|batch| &batch.targets);
    let clusters: BTreeSet<_> = targets.map(|target| &*target.cluster).collect();
    let means = |workload: &&Arc<Workload>| clusters.contains("") || clusters.contains(&*workload.cluster);
    let workloads: Vec<_> = select::selected(view).into_iter().filter(means).collect();
    let mut batch = plan::batches(&strategy, &workloads)?;
    let inherited = run.spec.batch.as_ref().and_then(|batch| batch.toleration.clone());
    batch.toleration = batch.toleration.or(inherited);
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::decide::fixtures::{self, at};

    /// A run in its second of two batches, running.
    fn active(annotation: Option<&str>) -> Arc<RolloutRun> {
        let target =
            |replicas: Value| json!({ "targets": [{ "cluster": "east", "name": "web", "replicas": replicas }] });
        fixtures::object(json!({
            "metadata": { "name": "demo-1", "namespace": "default", "resourceVersion": "5",
                "annotations": annotation.map(|text| json!({ (keys::ANNOTATION_ONE_TIME_STRATEGY): text })) },
            "spec": { "targetType": { "apiVersion": "apps/v1", "kind": "StatefulSet" },
                "batch": { "batches": [target(json!(1)), target(json!(2))], "toleration": { "taskFailureThreshold": 1 } } },
            "status": { "phase": "Progressing",
                "batchStatus": { "currentBatchIndex": 1, "currentBatchState": "Running", "records": [{}, {}] } },
        }))
    }

    fn view(text: &str) -> RolloutView {
        let mut view = fixtures::view(vec![fixtures::workload("east", "web", 5), fixtures::workload("west", "web", 5)]);
        let mut rollout = view.rollout.as_ref().clone();
        let pending = json!({ "id": "9", "command": text, "time": at(0).to_string() }).to_string();
        let annotations = [(keys::ANNOTATION_PENDING_ONE_TIME_STRATEGY.to_owned(), pending)];
        rollout.metadata.annotations = Some(annotations.into());
        view.rollout = Arc::new(rollout);
        view
    }

    fn told(text: &str, active: Option<&RolloutRun>) -> String {
        let mut status = RolloutStatus::default();
        if let Some(write) = take(&view(text), active, &mut status, at(0)) {
            let HubWrite::Patch { patch, .. } = write else { panic!("{write:?}") };
            return format!("writes {}", patch["spec"]);
        }
        let Some(trigger) = condition::get(&status.conditions, "Trigger") else { return "waits".to_owned() };
        format!("{} {}: {}", trigger.status, trigger.reason, trigger.message)
    }

    #[test]
    fn what_becomes_of_it() {
        let three = r#"{"batch":{"batches":[{"replicas":1},{"replicas":3},{"replicas":"100%"}]}}"#;
        let same = r#"{"batch":{"batches":[{"replicas":1},{"replicas":2}]}}"#;
        let table = [
            ("applied", told(three, Some(&active(None)))),
            ("read back", told(three, Some(&active(Some(three))))),
            ("nothing new", told(same, Some(&active(None)))),
            ("no run", told(three, None)),
            ("no JSON", told("batches: []", None)),
            ("no batch", told("{}", None)),
            ("no batches", told(r#"{"batchV2":{"batches":[]}}"#, Some(&active(None)))),
            ("another field", told(r#"{"canary":{"replicas":1}}"#, None)),
            (
                "a batch that is over",
                told(r#"{"batch":{"batches":[{"replicas":2},{"replicas":2}]}}"#, Some(&active(None))),
            ),
            ("too few", told(r#"{"batch":{"batches":[{"replicas":1}]}}"#, Some(&active(None)))),
        ];
        let lines: Vec<_> = table.iter().map(|(when, what)| format!("{when:22} {what}")).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn the_next_run_is_made_by_it_once() {
        let text = r#"{"batch":{"batches":[{"replicas":"50%"}]}}"#;
        let (view, mut status) = (view(text), RolloutStatus::default());
        let base = view.strategy.clone().unwrap();
        let (strategy, kept) = next(&view, &status, &base);
        assert_eq!(
            (strategy.batch.as_ref().unwrap().batches.len(), &strategy.batch_v2, kept.as_deref()),
            (1, &None, Some(text))
        );
        assert!(take(&view, Some(&active(Some(text))), &mut status, at(0)).is_none());
        assert!(condition::is(&status.conditions, "Trigger", true, "ApplyOneTimeStrategy"));
        assert_eq!(next(&view, &status, &base).1, None);
    }
}
