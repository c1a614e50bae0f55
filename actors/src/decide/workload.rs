//! What to write to a workload so that it meets its goal.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, ToSpan};
use serde_json::{Map, Value, json};

use super::{
    canary,
    deployment::{self, Steering},
    partition::{PARKED, has_template, partition},
    toleration,
};
use crate::{
    api::keys::{self, ProgressingInfo},
    intent::{CanaryGoal, Release, Tolerance, WorkloadGoal},
    view::{ObjectKey, Pod, PodCounts, ReplicaSet, Workload},
    workloads::WorkloadKind,
};

/// What a workload actor does next.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct WorkloadStep {
    /// What to write; `None` when the goal is met.
    pub write: Option<WorkloadWrite>,
    /// When to decide again though nothing changed: a ready pod becomes available by the passing of time alone.
    pub wake: Option<Timestamp>,
}

/// One write for the sake of a workload.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkloadWrite {
    /// A JSON merge patch, guarded by the resourceVersion in it, with the template of an earlier revision laid over the
    /// workload's if one is named.
    Patch {
        /// The patch.
        patch: Value,
        /// The revision.
        restore: Option<String>,
    },
    /// A JSON merge patch of a ReplicaSet of the workload, guarded by the resourceVersion in it.
    ReplicaSet(ObjectKey, Value),
    /// Deletes a pod that serves nobody and holds up its own replacement, if it is still as it was.
    DeletePod(Arc<Pod>),
    /// Makes the copy beside it, or brings it up to date.
    Canary(CanaryGoal),
    /// Deletes the workload itself: it is a copy that nobody needs any more.
    Discard,
}

/// Decides the next write of one workload. `copy` is its canary, if there is one; `pods`, and of a Deployment the `sets`
/// they belong to, are `None` as long as they are not known.
pub fn workload(
    goal: &WorkloadGoal,
    workload: &Workload,
    copy: Option<&Workload>,
    pods: Option<&[Arc<Pod>]>,
    sets: Option<&[Arc<ReplicaSet>]>,
    now: Timestamp,
) -> WorkloadStep {
    let WorkloadGoal::Controlled { rollout, release, progressing, canary, .. } = goal else {
        let write = match goal {
            WorkloadGoal::Scaled { run, scale, progressing, .. } => scaled(run, *scale, progressing.as_ref(), workload),
            // Once it goes by itself there is nothing more to do for it, however long its pods take.
            WorkloadGoal::Discarded => (!workload.deleting || workload.is_protected).then_some(WorkloadWrite::Discard),
            _ if workload.deleting => None,
            _ => released(workload).into_write(&workload.resource_version),
        };
        return WorkloadStep { write, wake: None };
    };
    if workload.deleting {
        return WorkloadStep::default();
    }
    let tolerance = tolerance(goal);
    let wake = pods.and_then(|pods| {
        let failed = tolerance.and_then(|tolerance| toleration::next_failed(workload, pods, tolerance.since, now));
        next_available(workload, pods, now).into_iter().chain(failed).min()
    });
    let known = pods.unwrap_or_default();
    let counts = counts(workload, pods, now).map(|counts| PodCounts {
        tolerated: tolerance.map_or(0, |most| toleration::tolerated(workload, known, most, now)),
        ..counts
    });
    let mut changes = marks(rollout, progressing.as_ref(), workload);
    if workload.kind == WorkloadKind::Deployment {
        let steering = deployment::steer(release, workload, counts, sets);
        if let Some((key, patch)) = steering.set {
            return WorkloadStep { write: Some(WorkloadWrite::ReplicaSet(key, patch)), wake };
        }
        changes.steer(steering);
    } else {
        changes.steer_by_partition(release, workload, counts, pods);
    }
    changes.restore(release, workload);
    // A pod goes only once everything that decides about its successor has been read back.
    let write = changes
        .into_write(&workload.resource_version)
        .or_else(|| broken(release, workload, known).map(WorkloadWrite::DeletePod))
        .or_else(|| stale_copy(canary.as_ref(), workload, copy).map(WorkloadWrite::Canary));
    WorkloadStep { write, wake }
}

/// The copy that is wanted and is not there, or not as it is to be. One that is being deleted is made anew once it is
/// gone.
fn stale_copy(wanted: Option<&CanaryGoal>, workload: &Workload, copy: Option<&Workload>) -> Option<CanaryGoal> {
    let stale = |goal: &&CanaryGoal| {
        copy.is_none_or(|copy| !copy.deleting && !goal.hold && !canary::is_current(copy, workload, goal))
    };
    wanted.filter(stale).cloned()
}

/// The pod that a rollback replaces next without asking its controller, because it serves nobody. The controller of a
/// StatefulSet would wait for it for ever; whoever asks for a rollback asks for this.
fn broken(release: &Release, workload: &Workload, pods: &[Arc<Pod>]) -> Option<Arc<Pod>> {
    let Release::Back { revision, moving: true, .. } = release else { return None };
    if !workload.kind.has_ordinals() || !has_template(workload, revision) {
        return None;
    }
    let broken = |pod: &&Arc<Pod>| !workload.kind.is_on(pod, revision) && !pod.terminating && pod.ready_since.is_none();
    // Where the stable revision is the current one, a pod below the partition comes back on it too.
    let everywhere = workload.stable_revision == *revision;
    let due = |pod: &&Arc<Pod>| pod.ordinal().is_some_and(|ordinal| everywhere || ordinal >= workload.partition);
    pods.iter().filter(broken).filter(due).max_by_key(|pod| pod.ordinal()).cloned()
}

/// What a batch asks of `workload`'s pods, as far as it is known.
pub fn counts(workload: &Workload, pods: Option<&[Arc<Pod>]>, now: Timestamp) -> Option<PodCounts> {
    if !workload.kind.owns_pods() {
        return workload.told;
    }
    let counted = count(workload, pods?, now);
    Some(workload.told.map_or(counted, |told| PodCounts {
        updated_ready: counted.updated_ready.min(told.updated_ready),
        updated_available: counted.updated_available.min(told.updated_available),
        ..counted
    }))
}

fn tolerance(goal: &WorkloadGoal) -> Option<Tolerance> {
    match goal {
        WorkloadGoal::Controlled { release: Release::Step { tolerance, .. }, .. } => *tolerance,
        _ => None,
    }
}

/// Counts `workload`'s pods one by one.
pub fn count(workload: &Workload, pods: &[Arc<Pod>], now: Timestamp) -> PodCounts {
    let mut counts = PodCounts::default();
    for pod in pods {
        if pod.terminating {
            counts.terminating += 1;
            continue;
        }
        let available = is_available(workload, pod, now);
        counts.available += i32::from(available);
        if workload.kind.is_on(pod, &workload.updated_revision) {
            counts.updated += 1;
            counts.updated_ready += i32::from(pod.ready_since.is_some());
            counts.updated_available += i32::from(available);
        }
    }
    counts
}

/// Whether a lower partition would replace pods, or may: because a template waits to be rolled out, the controller has
/// not yet seen the newest one, or pods of a revision that was given up are left.
pub fn update_pending(workload: &Workload) -> bool {
    workload.observed_generation < workload.generation
        || workload.stable_revision != workload.updated_revision
        || workload.updated_replicas < workload.replicas
}

/// Whether a pod has been ready for long enough.
pub fn is_available(workload: &Workload, pod: &Pod, now: Timestamp) -> bool {
    // Another cluster's clock matters only where time does.
    match workload.min_ready_seconds {
        ..=0 => pod.ready_since.is_some(),
        _ => available_from(workload, pod).is_some_and(|from| from <= now),
    }
}

/// From when on a pod counts as available.
fn available_from(workload: &Workload, pod: &Pod) -> Option<Timestamp> {
    let seconds = i64::from(workload.min_ready_seconds.max(0));
    pod.ready_since.and_then(|since| since.checked_add(seconds.seconds()).ok())
}

/// The next time at which a pod that is ready now becomes available.
pub fn next_available(workload: &Workload, pods: &[Arc<Pod>], now: Timestamp) -> Option<Timestamp> {
    pods.iter()
        .filter(|pod| !pod.terminating && workload.min_ready_seconds > 0)
        .filter_map(|pod| available_from(workload, pod))
        .filter(|at| *at > now)
        .min()
}

/// The fields of one workload that change.
#[derive(Default)]
struct Changes {
    labels: BTreeMap<&'static str, Option<String>>,
    annotations: BTreeMap<&'static str, Option<String>>,
    spec: Option<Value>,
    restore: Option<String>,
}

impl Changes {
    fn steer(&mut self, Steering { spec, record, .. }: Steering) {
        if let Some(record) = record {
            self.annotations.insert(keys::ANNOTATION_RECORDED_STRATEGY, Some(record));
        }
        self.spec = Some(Value::Object(spec)).filter(|spec| *spec != json!({}));
    }

    /// Puts the template of an earlier revision back. Where the controller has not seen the newest template, nobody knows
    /// yet whether it is another.
    fn restore(&mut self, release: &Release, workload: &Workload) {
        if let Release::Back { revision, restore: true, .. } = release
            && workload.observed_generation >= workload.generation
            && workload.updated_revision != *revision
        {
            self.restore = Some(revision.clone());
        }
    }

    fn steer_by_partition(
        &mut self,
        release: &Release,
        workload: &Workload,
        counts: Option<PodCounts>,
        pods: Option<&[Arc<Pod>]>,
    ) {
        // Where no partition counts, as with `OnDelete`, nothing could be kept back.
        if workload.unpartitioned.is_some() || (*release == Release::Parked && is_arriving(workload)) {
            return;
        }
        if workload.recorded_strategy.is_none() {
            self.annotations.insert(keys::ANNOTATION_RECORDED_STRATEGY, Some(workload.update_strategy.to_string()));
        }
        let wanted = partition(release, workload, counts, pods);
        // A share that comes to the same number is left as it is written.
        if wanted != workload.partition {
            self.set_partition(workload, &json!(wanted));
        }
    }

    /// Sets the partition, if it is not so already.
    fn set_partition(&mut self, workload: &Workload, wanted: &Value) {
        let now = workload.kind.partition_in(&workload.update_strategy);
        if now != *wanted {
            self.spec = Some(workload.kind.partition_patch(wanted));
        }
    }

    fn into_write(self, resource_version: &str) -> Option<WorkloadWrite> {
        let nothing = self.labels.is_empty() && self.annotations.is_empty() && self.spec.is_none();
        if nothing && self.restore.is_none() {
            return None;
        }
        let mut metadata = Map::from_iter([("resourceVersion".to_owned(), json!(resource_version))]);
        if !self.labels.is_empty() {
            metadata.insert("labels".to_owned(), json!(self.labels));
        }
        if !self.annotations.is_empty() {
            metadata.insert("annotations".to_owned(), json!(self.annotations));
        }
        let mut patch = json!({ "metadata": metadata });
        if let Some(spec) = self.spec {
            patch["spec"] = spec;
        }
        Some(WorkloadWrite::Patch { patch, restore: self.restore })
    }
}

/// What says on a workload that a Rollout controls it, and which run moves it.
fn marks(rollout: &str, progressing: Option<&ProgressingInfo>, workload: &Workload) -> Changes {
    let mut changes = Changes::default();
    let label = workload.kind.name().to_lowercase();
    if workload.labels.get(keys::LABEL_WORKLOAD) != Some(&label) {
        changes.labels.insert(keys::LABEL_WORKLOAD, Some(label));
    }
    if workload.rollout.as_deref() != Some(rollout) {
        changes.annotations.insert(keys::ANNOTATION_NAME, Some(rollout.to_owned()));
    }
    // The mark of a ScaleRun is taken off by that, or makes place for a run's once nobody is left to do so.
    let scaled = matches!(&workload.progressing, Some(Ok(info)) if info.is_scale()) && progressing.is_none();
    if !scaled && workload.progressing.as_ref() != progressing.cloned().map(Ok).as_ref() {
        changes.annotations.insert(keys::ANNOTATION_PROGRESSING_INFO, progressing.map(|info| json!(info).to_string()));
    }
    changes
}

/// What a ScaleRun writes: its mark, and once that is there the size.
fn scaled(
    run: &str,
    scale: Option<(i32, i32)>,
    progressing: Option<&ProgressingInfo>,
    workload: &Workload,
) -> Option<WorkloadWrite> {
    if workload.deleting {
        return None;
    }
    let ours = matches!(&workload.progressing, Some(Ok(info)) if info.is_scale() && info.rollout_id == run);
    let mut changes = Changes::default();
    if workload.progressing.as_ref() != progressing.cloned().map(Ok).as_ref() && (ours || progressing.is_some()) {
        changes.annotations.insert(keys::ANNOTATION_PROGRESSING_INFO, progressing.map(|info| json!(info).to_string()));
    } else if let Some((_, to)) = scale.filter(|(from, _)| ours && *from == workload.desired) {
        changes.spec = Some(json!({ "replicas": to }));
    }
    changes.into_write(&workload.resource_version)
}

/// Whether a decoration that was never parked is still on its way to the pods of its first revision. Parked, it would never
/// get there: unlike a StatefulSet it has no pods to begin with.
fn is_arriving(workload: &Workload) -> bool {
    let is_first = workload.stable_revision.is_empty() || workload.stable_revision == workload.updated_revision;
    !workload.kind.owns_pods()
        && workload.recorded_strategy.is_none()
        && workload.partition == 0
        && is_first
        && workload.updated_replicas < workload.replicas
}

/// Why no batch can move the workload, with the remedy.
pub fn obstacle(workload: &Workload) -> Option<&'static str> {
    workload.unpartitioned.or(workload.halted)
}

/// Takes our marks off. The user's partition comes back only where that rolls nothing; otherwise the workload stays
/// parked, with the recorded strategy still on it for whoever releases it.
fn released(workload: &Workload) -> Changes {
    let mut changes = Changes::default();
    if workload.rollout.is_none() {
        return changes;
    }
    // Whether an update is pending is not known before the controller has seen the newest template.
    if workload.observed_generation < workload.generation {
        return changes;
    }
    for label in [keys::LABEL_WORKLOAD, keys::LABEL_CONTROLLED_BY]
        .into_iter()
        .filter(|label| workload.labels.contains_key(*label))
    {
        changes.labels.insert(label, None);
    }
    changes.annotations.insert(keys::ANNOTATION_NAME, None);
    if workload.progressing.as_ref().is_some_and(|info| !matches!(info, Ok(info) if info.is_scale())) {
        changes.annotations.insert(keys::ANNOTATION_PROGRESSING_INFO, None);
    }
    if workload.unpartitioned.is_some() || workload.recorded_strategy.is_none() {
        return changes;
    }
    if workload.kind == WorkloadKind::Deployment {
        changes.steer(deployment::give_back(workload));
        if !update_pending(workload) {
            changes.annotations.insert(keys::ANNOTATION_RECORDED_STRATEGY, None);
        }
        return changes;
    }
    let wanted = if update_pending(workload) {
        json!(PARKED)
    } else {
        changes.annotations.insert(keys::ANNOTATION_RECORDED_STRATEGY, None);
        recorded_partition(workload)
    };
    changes.set_partition(workload, &wanted);
    changes
}

/// The change of `spec` that lets a parked workload go as the user had it, as a merge patch.
pub fn released_spec(workload: &Workload) -> Value {
    match workload.kind {
        WorkloadKind::Deployment => deployment::released_spec(workload),
        kind => kind.partition_patch(&recorded_partition(workload)),
    }
}

/// The partition the user had before the first parking. Only the partition is put back, not the whole strategy: what
/// else the user changed in it since is the user's.
fn recorded_partition(workload: &Workload) -> Value {
    let recorded = workload.recorded_strategy.as_deref().and_then(|text| serde_json::from_str(text).ok());
    workload.kind.partition_in(&recorded.unwrap_or(Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::intorpercent::IntOrPercent, decide::fixtures};

    fn patch(goal: &WorkloadGoal, set: &Workload) -> Option<Value> {
        match workload(goal, set, None, None, None, fixtures::at(0)).write? {
            WorkloadWrite::Patch { patch, .. } => Some(patch),
            other => panic!("{other:?} is no patch"),
        }
    }

    #[test]
    fn a_copy_is_made_refreshed_and_waited_for() {
        let set = fixtures::workload("east", "web", 5);
        let wanted = CanaryGoal { replicas: 2, patch: crate::api::MetadataPatch::default(), hold: false };
        let goal = WorkloadGoal::Controlled {
            rollout: "demo".into(),
            release: Release::Parked,
            progressing: None,
            canary: Some(wanted.clone()),
            watch_pods: true,
        };
        let mut copy = fixtures::workload("east", "web-canary", 2);
        copy.copied_template = Some(set.template_hash.clone());
        let write = |copy: Option<&Workload>| workload(&goal, &set, copy, None, None, fixtures::at(0)).write;
        let made = Some(WorkloadWrite::Canary(wanted));
        assert_eq!(write(None), made, "there is none");
        assert_eq!(write(Some(&copy)), None, "it is as it is to be");
        assert_eq!(write(Some(&Workload { desired: 3, ..copy.clone() })), made, "its size");
        assert_eq!(write(Some(&Workload { copied_template: Some("h1".into()), ..copy.clone() })), made, "its template");
        assert_eq!(write(Some(&Workload { deleting: true, desired: 3, ..copy })), None, "it goes first");
    }

    #[test]
    fn a_skewed_clock_matters_only_where_time_does() {
        let mut workload = fixtures::workload("east", "web", 1);
        workload.updated_revision = "v2".into();
        let pods = [fixtures::pod("web-0", "v2", Some(600))];
        assert_eq!(count(&workload, &pods, fixtures::at(0)).updated_available, 1);
        workload.min_ready_seconds = 10;
        assert_eq!(count(&workload, &pods, fixtures::at(609)).updated_available, 0);
        assert_eq!(count(&workload, &pods, fixtures::at(610)).updated_available, 1);
        assert_eq!(next_available(&workload, &pods, fixtures::at(0)), Some(fixtures::at(610)));
    }

    #[test]
    fn a_status_that_knows_more_than_pods_is_believed() {
        let mut workload = fixtures::workload("east", "web", 3);
        let pods: Vec<_> = ["web-0", "web-1", "web-2"].map(|name| fixtures::pod(name, "v2", Some(0))).into();
        let told =
            PodCounts { updated: 3, updated_ready: 2, updated_available: 1, available: 2, ..PodCounts::default() };
        let numbers = |workload: &Workload, pods: Option<&[Arc<Pod>]>| {
            counts(workload, pods, fixtures::at(0)).map(|c| (c.updated, c.updated_ready, c.updated_available))
        };
        assert_eq!(numbers(&workload, Some(&pods)), Some((3, 3, 3)));
        assert_eq!(numbers(&workload, None), None);
        (workload.kind, workload.told) = (WorkloadKind::CollaSet, Some(told));
        assert_eq!(numbers(&workload, Some(&pods)), Some((3, 2, 1)));
        assert_eq!(numbers(&workload, None), None, "pods come first");
        workload.kind = WorkloadKind::PodDecoration;
        assert_eq!(numbers(&workload, None), Some((3, 2, 1)), "it has no pods of its own");
    }

    #[test]
    fn parking_records_what_was_there_in_the_same_write() {
        let mut set = fixtures::workload("east", "web", 5);
        set.update_strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}});
        (set.partition, set.recorded_strategy, set.rollout) = (2, None, None);
        set.labels.remove(keys::LABEL_WORKLOAD);
        let goal = WorkloadGoal::Controlled {
            rollout: "demo".into(),
            release: Release::Parked,
            progressing: None,
            canary: None,
            watch_pods: false,
        };
        let patch = patch(&goal, &set).unwrap();
        assert_eq!(
            patch,
            json!({
                "metadata": {
                    "resourceVersion": "7",
                    "labels": { keys::LABEL_WORKLOAD: "statefulset" },
                    "annotations": {
                        keys::ANNOTATION_NAME: "demo",
                        keys::ANNOTATION_RECORDED_STRATEGY: r#"{"type":"RollingUpdate","rollingUpdate":{"partition":2}}"#,
                    },
                },
                "spec": { "updateStrategy": { "rollingUpdate": { "partition": PARKED } } },
            })
        );
    }

    #[test]
    fn a_decoration_arrives_before_it_is_parked() {
        let goal = WorkloadGoal::Controlled {
            rollout: "demo".into(),
            release: Release::Parked,
            progressing: None,
            canary: None,
            watch_pods: false,
        };
        // (stable revision, partition, updated pods of 5, recorded before) → parked
        let table = [
            ("v2", 0, 0, false, false),
            ("", 0, 3, false, false),
            ("v2", 0, 5, false, true),
            ("v1", 0, 0, false, true),
            ("v2", 2, 0, false, true),
            ("v2", 0, 0, true, true),
        ];
        for (stable, partition, updated, recorded, parked) in table {
            let decoration = Workload {
                kind: WorkloadKind::PodDecoration,
                stable_revision: stable.into(),
                partition,
                update_strategy: json!({ "rollingUpdate": { "partition": partition } }),
                updated_replicas: updated,
                recorded_strategy: recorded.then(|| "{}".to_owned()),
                ..fixtures::workload("east", "proxy", 5)
            };
            let spec = patch(&goal, &decoration).and_then(|patch| patch.get("spec").cloned());
            assert_eq!(spec.is_some(), parked, "{stable} {partition} {updated} {recorded}");
        }
    }

    #[test]
    fn release_rolls_nothing() {
        let partition = |set: &Workload| {
            let patch = patch(&WorkloadGoal::Released, set)?;
            patch.pointer("/spec/updateStrategy/rollingUpdate/partition").and_then(Value::as_i64)
        };
        let mut up_to_date = fixtures::workload("east", "web", 5);
        (up_to_date.stable_revision, up_to_date.updated_replicas) = ("v2".into(), 5);
        assert_eq!(partition(&up_to_date), Some(2), "what the user had");

        let pending = fixtures::workload("east", "web", 5);
        assert_eq!(partition(&pending), None, "stays parked");

        let given_up = Workload { updated_replicas: 4, ..up_to_date.clone() };
        assert_eq!(partition(&given_up), None, "a pod of a revision that was given up would roll");

        let unobserved = Workload { generation: 3, ..up_to_date };
        assert_eq!(patch(&WorkloadGoal::Released, &unobserved), None);
    }

    #[test]
    fn a_copy_that_goes_by_itself_is_left_alone() {
        for (deleting, is_protected, expected) in
            [(false, true, true), (false, false, true), (true, true, true), (true, false, false)]
        {
            let copy = Workload { deleting, is_protected, ..fixtures::workload("east", "web-canary", 2) };
            let step = workload(&WorkloadGoal::Discarded, &copy, None, None, None, fixtures::at(0));
            assert_eq!(step.write.is_some(), expected, "deleting: {deleting}, protected: {is_protected}");
        }
    }

    #[test]
    fn a_goal_that_is_met_writes_nothing() {
        let goal = WorkloadGoal::Controlled {
            rollout: "demo".into(),
            release: Release::Held { replicas: IntOrPercent::Int(1) },
            progressing: None,
            canary: None,
            watch_pods: true,
        };
        assert_eq!(
            workload(&goal, &fixtures::workload("east", "web", 5), None, None, None, fixtures::at(0)).write,
            None
        );
    }
}
