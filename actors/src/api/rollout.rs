//! `Rollout`: which workloads are rolled out, how, and when it starts.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;
use super::kind::{open_enum, root};
use super::shared::{CommandStatus, Condition, RolloutWorkloadStatus, WorkloadRef, WorkloadRevision};

/// Rolls out the workloads of one application, across clusters, whenever their templates change.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
pub struct Rollout {
    /// Standard metadata.
    #[serde(default)]
    #[schemars(skip)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default)]
    pub spec: RolloutSpec,
    /// What is.
    #[serde(default)]
    pub status: Option<RolloutStatus>,
}
root!(Rollout, "rollouts", skip_default: [spec], skip_none: [status = "status"]);

/// What is wanted of a Rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.strategyRef) && size(self.strategyRef) > 0",
        "message": "is empty: write the name of a RolloutStrategy in the same namespace",
        "fieldPath": ".strategyRef",
        "reason": "FieldValueRequired",
    },
    {
        "rule": "has(self.workloadRef)",
        "message": "is absent: write the kind of the workloads and what to match",
        "fieldPath": ".workloadRef",
        "reason": "FieldValueRequired",
    },
]))]
pub struct RolloutSpec {
    /// Start nothing new; a run that is under way goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// How many completed runs are kept beside the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 10, "x-kubernetes-validations" = [{
        "rule": "self >= 0",
        "message": "must be a number from 0; 0 keeps the last run alone",
    }]))]
    pub history_limit: Option<i32>,
    /// What starts a run: `Auto` on a changed template, `Manual` only by the trigger annotation.
    #[serde(default)]
    #[schemars(extend("x-default" = "Auto", "x-kubernetes-validations" = [{
        "rule": "self in ['Auto', 'Manual']",
        "message": "triggerPolicy must be Auto or Manual",
    }]))]
    pub trigger_policy: TriggerPolicy,
    /// Name of the RolloutStrategy, in the same namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub strategy_ref: String,
    /// Workloads that are rolled out together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_ref: Option<WorkloadRef>,
    /// Names of TrafficTopologies, in the same namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic_topology_refs: Vec<String>,
}

/// What a Rollout is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Generation that this status is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// State by aspect: `Available`, `Trigger`, `Progressing`, `Terminating`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// `Initialized`, `Progressing`, `Disabled` or `Terminating`.
    #[serde(default, skip_serializing_if = "RolloutPhase::is_default")]
    pub phase: RolloutPhase,
    /// Name of the current or last RolloutRun.
    #[serde(default, rename = "rolloutID", skip_serializing_if = "String::is_empty")]
    pub rollout_id: String,
    /// When this status changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Time>,
    /// The selected workloads, by cluster and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workload_statuses: Vec<RolloutWorkloadStatus>,
    /// How many runs were triggered so far; part of what a run's name is made from (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_count: Option<i64>,
    /// The last trigger that was taken in (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerStatus>,
    /// Revisions whose run was cancelled or rolled back; only a trigger starts them again (Slipway's addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canceled_revisions: Vec<WorkloadRevision>,
    /// The last command that was taken in (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandStatus>,
    /// The last one-time strategy that was taken in (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_time_strategy: Option<CommandStatus>,
    /// Clusters that a run went without. Each is caught up with once it answers (Slipway's addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind_clusters: Vec<BehindCluster>,
}

/// A cluster that a run went without (Slipway's addition).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BehindCluster {
    /// Name of the cluster.
    pub name: String,
    /// Name of the run that went without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run_name: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Since when it is on record here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// A trigger that was taken in (Slipway's addition).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerStatus {
    /// Id of the trigger; one id takes effect once.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Value of the annotation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Name of the run that it led to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run_name: String,
    /// Name of the run that is taken back, if the trigger was the command `rollback`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rollback_of: String,
    /// The clusters that are caught up with, if the run is for that alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
}

open_enum!(
    /// What starts a run.
    TriggerPolicy {
        /// A changed template.
        Auto = "Auto",
        /// The trigger annotation alone.
        Manual = "Manual",
    }
);

open_enum!(
    /// What a Rollout is doing, in one word.
    RolloutPhase {
        /// Not looked at yet.
        None = "",
        /// No run is under way.
        Initialized = "Initialized",
        /// A run is under way.
        Progressing = "Progressing",
        /// `spec.disabled` is set.
        Disabled = "Disabled",
        /// Being deleted.
        Terminating = "Terminating",
    }
);
