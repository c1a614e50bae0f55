//! `ScaleRun`: scales a fixed list of workloads batch by batch.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;
use super::kind::root;
use super::rolloutrun::{RolloutRunPhase, StepState};
use super::shared::rules;
use super::shared::{
    CodeReasonMessage, CommandStatus, Condition, CrossClusterObjectNameReference, ObjectTypeRef, RolloutWebhook,
    RolloutWebhookStatus, WaitStatus,
};

/// Scales a fixed list of workloads, batch after batch.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
pub struct ScaleRun {
    /// Standard metadata.
    #[serde(default)]
    #[schemars(skip)]
    pub metadata: ObjectMeta,
    /// The plan.
    #[serde(default)]
    pub spec: ScaleRunSpec,
    /// How far it is.
    #[serde(default)]
    pub status: Option<ScaleRunStatus>,
}
root!(ScaleRun, "scaleruns", skip_default: [spec], skip_none: [status = "status"]);

/// The plan of a ScaleRun.
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
]))]
pub struct ScaleRunSpec {
    /// Kind of every target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_type: Option<ObjectTypeRef>,
    /// Hooks around the batches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<RolloutWebhook>,
    /// The batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<ScaleRunBatchStrategy>,
    /// The batches of the way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<ScaleRunBatchStrategy>,
}

/// The batches of a ScaleRun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScaleRunBatchStrategy {
    /// The batches, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<ScaleRunStep>,
}

/// One batch of a ScaleRun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScaleRunStep {
    /// Workloads that are scaled in this batch.
    #[schemars(extend("x-kubernetes-validations" = [rules::some_target()]))]
    pub targets: Vec<ScaleRunStepTarget>,
    /// Pause before this batch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub breakpoint: bool,
    /// Handed to hooks as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

/// To how many pods one workload is scaled in a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScaleRunStepTarget {
    /// Name of the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Name of the workload.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Pods desired after the batch.
    #[schemars(range(min = 0))]
    pub replicas: i32,
}

impl ScaleRunStepTarget {
    /// The workload as cluster and name.
    pub fn name_ref(&self) -> CrossClusterObjectNameReference {
        CrossClusterObjectNameReference::new(&*self.cluster, &*self.name)
    }
}

/// How far a ScaleRun is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleRunStatus {
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
    /// How far the batches are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batches: Option<ScaleRunBatchStatus>,
    /// How far the way back is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<ScaleRunBatchStatus>,
    /// The last command that was taken in (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandStatus>,
    /// What the current step waits for (Slipway's addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<WaitStatus>,
}

/// How far the batches of a ScaleRun are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleRunBatchStatus {
    /// Index of the current batch, from 0.
    pub current_batch_index: i32,
    /// State of the current batch.
    #[serde(default, skip_serializing_if = "StepState::is_default")]
    pub current_batch_state: StepState,
    /// What happened in each batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<ScaleRunStepStatus>,
}

/// What happened in one batch of a ScaleRun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleRunStepStatus {
    /// Index of the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<i32>,
    /// State of the batch.
    #[serde(default, skip_serializing_if = "StepState::is_default")]
    pub state: StepState,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_time: Option<Time>,
    /// The batch's hooks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<RolloutWebhookStatus>,
    /// The batch's workloads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<ScaleWorkloadStatus>,
}

/// How far one workload is scaled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleWorkloadStatus {
    /// Name of the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Name of the workload.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Pods desired.
    pub replicas: i32,
    /// Pods there are.
    pub current_replicas: i32,
    /// Pods available.
    pub available_replicas: i32,
    /// Pods desired before the batch.
    pub scale_from: i32,
    /// Pods desired after the batch.
    pub scale_to: i32,
}
