//! `RolloutRun`: one walk from the old revision to the new, fully expanded.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{open_enum, root};
use super::policy::Policies;
use super::shared::rules;
use super::shared::{
    CodeReasonMessage, CommandStatus, Condition, CrossClusterObjectNameReference, MetadataPatch, ObjectTypeRef,
    RolloutWebhook, RolloutWebhookStatus, RolloutWorkloadStatus, SkippedCluster, TolerationStrategy, TrafficStrategy,
    WaitStatus, WorkloadRevision,
};
use super::{IntOrString, Time};

/// Moves a fixed list of workloads to their new revision: an optional canary, then batch after batch.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(oldSelf.status) || !has(oldSelf.status.canaryStatus) || !has(oldSelf.status.canaryStatus.state) || \
            oldSelf.status.canaryStatus.state in ['', 'Pending'] || !has(self.spec) || !has(self.spec.canary) || \
            !has(oldSelf.spec.canary) || self.spec.canary.targets == oldSelf.spec.canary.targets && \
            has(self.spec.canary.properties) == has(oldSelf.spec.canary.properties) && \
            (!has(self.spec.canary.properties) || self.spec.canary.properties == oldSelf.spec.canary.properties) && \
            has(self.spec.canary.blueGreen) == has(oldSelf.spec.canary.blueGreen) && \
            (!has(self.spec.canary.blueGreen) || self.spec.canary.blueGreen == oldSelf.spec.canary.blueGreen)",
        "message": "was changed after the canary began: only traffic may, restore the rest",
        "fieldPath": ".spec.canary",
        "reason": "FieldValueForbidden",
    },
    {
        "rule": "!has(oldSelf.status) || !has(oldSelf.status.batchStatus) || !has(self.spec) || !has(self.spec.batch) || \
            !has(self.spec.batch.batches) || !has(oldSelf.spec.batch) || !has(oldSelf.spec.batch.batches) || \
            size(self.spec.batch.batches) > oldSelf.status.batchStatus.currentBatchIndex || \
            size(self.spec.batch.batches) >= size(oldSelf.spec.batch.batches)",
        "message": "has too few batches, for a later one is under way: restore the batches up to it",
        "fieldPath": ".spec.batch",
        "reason": "FieldValueForbidden",
    },
]))]
pub struct RolloutRun {
    /// Standard metadata.
    #[serde(default)]
    #[schemars(skip)]
    pub metadata: ObjectMeta,
    /// The plan.
    #[serde(default)]
    pub spec: RolloutRunSpec,
    /// How far it is.
    #[serde(default)]
    pub status: Option<RolloutRunStatus>,
}
root!(RolloutRun, "rolloutruns", skip_default: [spec], skip_none: [status = "status"]);

/// The plan of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.batch) && has(self.batch.batches) && size(self.batch.batches) > 0",
        "message": "has no batch, so there is nothing to run: write batch.batches with at least one",
        "fieldPath": ".batch",
        "reason": "FieldValueRequired",
    },
    {
        "rule": "has(self.targetType) == has(oldSelf.targetType) && (!has(self.targetType) || self.targetType == oldSelf.targetType)",
        "message": "was changed, and may not be in a run: restore it, or cancel this run and start another",
        "fieldPath": ".targetType",
        "reason": "FieldValueForbidden",
    },
    {
        "rule": "has(self.webhooks) == has(oldSelf.webhooks) && (!has(self.webhooks) || self.webhooks == oldSelf.webhooks)",
        "message": "was changed, and may not be in a run: restore it, or cancel this run and start another",
        "fieldPath": ".webhooks",
        "reason": "FieldValueForbidden",
    },
    {
        "rule": "has(self.trafficTopologyRefs) == has(oldSelf.trafficTopologyRefs) && (!has(self.trafficTopologyRefs) || self.trafficTopologyRefs == oldSelf.trafficTopologyRefs)",
        "message": "was changed, and may not be in a run: restore it, or cancel this run and start another",
        "fieldPath": ".trafficTopologyRefs",
        "reason": "FieldValueForbidden",
    },
    {
        "rule": "has(self.canary) == has(oldSelf.canary)",
        "message": "was added or removed: restore it, or cancel this run and start another",
        "fieldPath": ".canary",
        "reason": "FieldValueForbidden",
    },
    {
        "rule": "has(self.batch) == has(oldSelf.batch)",
        "message": "was added or removed: restore it, or cancel this run and start another",
        "fieldPath": ".batch",
        "reason": "FieldValueForbidden",
    },
]))]
pub struct RolloutRunSpec {
    /// Kind of every target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_type: Option<ObjectTypeRef>,
    /// Hooks around the steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<RolloutWebhook>,
    /// Names of TrafficTopologies, in the same namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic_topology_refs: Vec<String>,
    /// The canary step, before the first batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<RolloutRunCanaryStrategy>,
    /// The batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<RolloutRunBatchStrategy>,
    /// What happens when things do not go as planned (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policies: Option<Policies>,
    /// Present in a run that takes back what another one did (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RolloutRunRollback>,
}

/// What a run takes back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRunRollback {
    /// Name of the run that is taken back.
    pub run_name: String,
    /// Revisions that the workloads return to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<WorkloadRevision>,
}

/// The canary step of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRunCanaryStrategy {
    /// Workloads that get a canary.
    #[schemars(extend("x-kubernetes-validations" = [rules::some_target()]))]
    pub targets: Vec<RolloutRunStepTarget>,
    /// Traffic during the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficStrategy>,
    /// Handed to hooks as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Labels and annotations for the canary's pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "self == oldSelf",
        "message": "was changed, and may not be in a run: restore it, or cancel this run and start another",
        "reason": "FieldValueForbidden",
    }]))]
    pub pod_template_metadata_patch: Option<MetadataPatch>,
    /// Present where the copies take over all requests, and stay until the batches are done (Slipway's addition). Traffic
    /// is a preview then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<RolloutRunBlueGreen>,
}

/// How the copies of a canary take over (Slipway's addition).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRunBlueGreen {
    /// For how many seconds the old version is kept as it is afterwards; 30 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_seconds: Option<i32>,
}

/// The batches of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRunBatchStrategy {
    /// The batches, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<RolloutRunStep>,
    /// How much failure is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toleration: Option<TolerationStrategy>,
}

/// One batch of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRunStep {
    /// Workloads that move in this batch.
    #[schemars(extend("x-kubernetes-validations" = [rules::some_target()]))]
    pub targets: Vec<RolloutRunStepTarget>,
    /// Traffic during the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficStrategy>,
    /// Pause before this batch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub breakpoint: bool,
    /// Handed to hooks as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

/// How far one workload moves in a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRunStepTarget {
    /// Name of the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Name of the workload.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Pods that are on the new revision after the step, as a number or as a share of all.
    pub replicas: IntOrString,
    /// Pods that may be under way at a time; absent means the whole step at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_sliding_window: Option<IntOrString>,
}

impl RolloutRunStepTarget {
    /// The workload as cluster and name.
    pub fn name_ref(&self) -> CrossClusterObjectNameReference {
        CrossClusterObjectNameReference::new(&*self.cluster, &*self.name)
    }
}

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRunStatus {
    /// Generation that this status is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// State by aspect: `Progressing`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What the run is doing, in one word.
    #[serde(default, skip_serializing_if = "RolloutRunPhase::is_default")]
    pub phase: RolloutRunPhase,
    /// When this status changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Time>,
    /// Why the run does not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<CodeReasonMessage>,
    /// How far the canary is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_status: Option<RolloutRunStepStatus>,
    /// How far the batches are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_status: Option<RolloutRunBatchStatus>,
    /// All workloads of the batches as they are now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_statuses: Vec<RolloutWorkloadStatus>,
    /// The last command that was taken in (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandStatus>,
    /// What the current step waits for (Slipway's addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<WaitStatus>,
    /// Clusters that the run goes on without, or has gone on without and still catches up with (Slipway's addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped_clusters: Vec<SkippedCluster>,
    /// The last progress of the current step, where there is a deadline for it (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<StepProgress>,
    /// Revisions that the workloads had before the run, which a rollback returns to (Slipway's addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stable_revisions: Vec<WorkloadRevision>,
    /// Present once the run is being rolled back: batches are undone from the current one to the first (Slipway's
    /// addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackStatus>,
    /// How often the run started over because a template changed (Slipway's addition).
    #[serde(default, skip_serializing_if = "super::kind::is_default")]
    pub restarts: i32,
    /// The hooks before the first step and after the last (Slipway's addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<RolloutWebhookStatus>,
    /// The last change of our part of each route by somebody else that the run has acted on (Slipway's addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub route_drifts: Vec<RouteDriftStatus>,
}

/// A change of our part of a route by somebody else (Slipway's addition).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteDriftStatus {
    /// The BackendRouting that shows it.
    pub backend_routing: String,
    /// Name of the route's cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Kind of the route.
    pub kind: String,
    /// Name of the route.
    pub name: String,
    /// The field manager that wrote the route's rules last; empty if that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manager: String,
    /// When it was seen.
    pub time: Time,
}

/// The last progress of a step (Slipway's addition).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepProgress {
    /// Index of the batch; absent for the canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<i32>,
    /// State of the step.
    #[serde(default, skip_serializing_if = "StepState::is_default")]
    pub state: StepState,
    /// The most available updated pods that the step had in this state.
    #[serde(default)]
    pub available: i32,
    /// Since when it has had no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// How a rollback began, and how far templates are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackStatus {
    /// Index of the batch that is undone first.
    pub from_batch_index: i32,
    /// Revisions that are rolled back. Only a trigger starts them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<WorkloadRevision>,
    /// Workloads whose template is the stable one again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restored: Vec<CrossClusterObjectNameReference>,
    /// Why, where nobody asked for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When every batch was undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_time: Option<Time>,
}

/// How far the batches of a run are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRunBatchStatus {
    /// Index of the current batch, from 0.
    pub current_batch_index: i32,
    /// State of the current batch.
    #[serde(default, skip_serializing_if = "StepState::is_default")]
    pub current_batch_state: StepState,
    /// What happened in each batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RolloutRunStepStatus>,
}

/// What happened in one step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRunStepStatus {
    /// Index of the batch; absent for the canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<i32>,
    /// State of the step.
    #[serde(default, skip_serializing_if = "StepState::is_default")]
    pub state: StepState,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When its copies had taken over all requests (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch_time: Option<Time>,
    /// When it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_time: Option<Time>,
    /// The step's workloads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<RolloutWorkloadStatus>,
    /// The step's hooks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<RolloutWebhookStatus>,
}

open_enum!(
    /// What a run is doing, in one word.
    RolloutRunPhase {
        /// Not looked at yet.
        None = "",
        /// Accepted.
        Initial = "Initial",
        /// Before the first step.
        PreRollout = "PreRollout",
        /// In a step.
        Progressing = "Progressing",
        /// Asked to pause.
        Pausing = "Pausing",
        /// Paused, until told to continue.
        Paused = "Paused",
        /// After the last step.
        PostRollout = "PostRollout",
        /// Done.
        Succeeded = "Succeeded",
        /// Asked to cancel.
        Canceling = "Canceling",
        /// Cancelled.
        Canceled = "Canceled",
    }
);

impl RolloutRunPhase {
    /// Whether the run has ended, one way or the other.
    pub fn is_completed(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Canceled)
    }
}

open_enum!(
    /// State of a step.
    StepState {
        /// Not begun.
        None = "",
        /// About to begin; a breakpoint holds here.
        Pending = "Pending",
        /// Hooks before the canary.
        PreCanaryStepHook = "PreCanaryStepHook",
        /// Hooks before the batch.
        PreBatchStepHook = "PreBatchStepHook",
        /// Pods are moving.
        Running = "Running",
        /// Hooks after the canary.
        PostCanaryStepHook = "PostCanaryStepHook",
        /// All requests go over to the copies (Slipway's addition).
        Switching = "Switching",
        /// The copies have all requests, and the old version is kept (Slipway's addition).
        Switched = "Switched",
        /// Hooks after the batch.
        PostBatchStepHook = "PostBatchStepHook",
        /// What the step created goes away.
        ResourceRecycling = "ResourceRecycling",
        /// Done.
        Succeeded = "Succeeded",
        /// Left as it was, by command.
        Skipped = "Skipped",
    }
);
