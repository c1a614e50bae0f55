//! Well-known labels, annotations and finalizers, and what is stored under them.

use serde::{Deserialize, Serialize};

/// Group and version of ServiceExports and ServiceImports.
pub const MULTICLUSTER_API: &str = "multicluster.x-k8s.io/v1alpha1";
/// Label on a workload: the lower-case kind. Its presence means that a Rollout controls the workload.
pub const LABEL_WORKLOAD: &str = "rollout.kusionstack.io/workload";
/// Annotation on a workload: the name of the Rollout that controls it. Not a label, because a name may be longer than 63.
pub const ANNOTATION_NAME: &str = "rollout.kusionstack.io/name";
/// Legacy label on a workload. Nobody writes it; it is removed when the Rollout goes.
pub const LABEL_CONTROLLED_BY: &str = "rollout.kusionstack.io/controlled-by";
/// Annotation on a workload and on its pods: [`ProgressingInfo`] as JSON. Its presence means that a run is on its way.
pub const ANNOTATION_PROGRESSING_INFO: &str = "rollout.kusionstack.io/progressing-info";
/// Annotation on a pod: a JSON array of [`ProgressingInfo`], sorted by kind and Rollout.
pub const ANNOTATION_PROGRESSING_INFOS: &str = "rollout.kusionstack.io/progressing-infos";
/// Label on everything that exists for a canary only; the value is `"true"`.
pub const LABEL_CANARY_RESOURCE: &str = "rollout.kusionstack.io/canary-resource";
/// Label on pods, templates and backend selectors: one of the `LANE_*` values.
pub const LABEL_TRAFFIC_LANE: &str = "rollout.kusionstack.io/traffic-lane";
/// Label on hub objects: which controller instance they belong to.
pub const LABEL_ROLLOUT_CLASS: &str = "rollout.kusionstack.io/rollout-class";
/// Annotation on a Rollout: start a run now. The value is the run's name, if it can be one.
pub const ANNOTATION_TRIGGER: &str = "rollout.kusionstack.io/trigger";
/// Annotation on a Rollout or a run: one of the `COMMAND_*` values.
pub const ANNOTATION_MANUAL_COMMAND: &str = "rollout.kusionstack.io/manual-command";
/// Annotation on a Rollout or a run: a strategy for this run only, as JSON with `batch` or `batchV2`.
pub const ANNOTATION_ONE_TIME_STRATEGY: &str = "rollout.kusionstack.io/one-time-strategy";
/// Annotation on a route: the spec it had before its first edit, as JSON.
pub const ANNOTATION_ORIGIN_ROUTE_SPEC: &str = "rollout.kusionstack.io/origin-route-spec";
/// Annotation on a route: `{"conditions": [...]}`, written by a gateway integration.
pub const ANNOTATION_CONDITION_EXTENSION: &str = "rollout.kusionstack.io/condition-extension";
/// Annotation on a workload (Slipway's addition): `spec.updateStrategy` as it was before the first parking, as JSON.
pub const ANNOTATION_RECORDED_STRATEGY: &str = "slipway.rollout.kusionstack.io/update-strategy";
/// Annotation on a Rollout (Slipway's addition): the kinds of which it has taken workloads, as `apps/v1 StatefulSet`,
/// separated by commas.
pub const ANNOTATION_WORKLOAD_KINDS: &str = "slipway.rollout.kusionstack.io/workload-kinds";
/// Annotation on a canary (Slipway's addition): our hash of the template that it was copied from.
pub const ANNOTATION_CANARY_TEMPLATE: &str = "slipway.rollout.kusionstack.io/canary-template";
/// Annotation on a Rollout or a run (Slipway's addition): a command that was taken in and is not acknowledged yet.
pub const ANNOTATION_PENDING_COMMAND: &str = "slipway.rollout.kusionstack.io/pending-command";
/// Annotation on a Rollout (Slipway's addition): a trigger that was taken in and has not led to a run yet.
pub const ANNOTATION_PENDING_TRIGGER: &str = "slipway.rollout.kusionstack.io/pending-trigger";
/// Annotation on a Rollout (Slipway's addition): a one-time strategy that was taken in and is not acknowledged yet.
pub const ANNOTATION_PENDING_ONE_TIME_STRATEGY: &str = "slipway.rollout.kusionstack.io/pending-one-time-strategy";
/// Label on objects in memory only: the cluster they were read from.
pub const LABEL_CLUSTER: &str = "kusionstack.io/cluster";
/// Kubernetes' own label on a pod: its revision.
pub const LABEL_CONTROLLER_REVISION_HASH: &str = "controller-revision-hash";
/// Kubernetes' own label on a ReplicaSet of a Deployment, and on its template and pods.
pub const LABEL_POD_TEMPLATE_HASH: &str = "pod-template-hash";
/// Kubernetes' own annotation on a ReplicaSet: the size of its Deployment that it was scaled for.
pub const ANNOTATION_DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";

/// Field manager of every write of Slipway's.
pub const FIELD_MANAGER: &str = "slipway";

/// Finalizer on Rollout, RolloutRun and ScaleRun.
pub const FINALIZER_PROTECTION: &str = "finalizer.rollout.kusionstack.io/protection";
/// Finalizer on a canary workload.
pub const FINALIZER_CANARY_RELEASE: &str = "finalizer.rollout.kusionstack.io/canary-release";
/// Finalizer on a TrafficTopology.
pub const FINALIZER_TOPOLOGY: &str = "resource-consist.kusionstack.io/clean-finalizer";
/// Start of the finalizer that older releases put on a TrafficTopology; its name follows.
pub const FINALIZER_TOPOLOGY_LEGACY_PREFIX: &str = "resource-consist.kusionstack.io/clean-";

/// Traffic lane of pods on the stable revision.
pub const LANE_STABLE: &str = "stable";
/// Traffic lane of pods on the new revision.
pub const LANE_CANARY: &str = "canary";
/// Traffic lane of pods whose revision is not known yet.
pub const LANE_UNKNOWN: &str = "__unknown__";

/// Pause the run after what is under way.
pub const COMMAND_PAUSE: &str = "pause";
/// Go on from a pause.
pub const COMMAND_CONTINUE: &str = "continue";
/// Older spelling of [`COMMAND_CONTINUE`].
pub const COMMAND_RESUME: &str = "resume";
/// Clear the error and try the step again.
pub const COMMAND_RETRY: &str = "retry";
/// Clear the error and go on with the next batch.
pub const COMMAND_SKIP: &str = "skip";
/// Go on with the next batch, error or not.
pub const COMMAND_FORCE_SKIP: &str = "force-skip-current-batch";
/// Stop the run and leave the pods as they are.
pub const COMMAND_CANCEL: &str = "cancel";
/// Return every target to its stable revision (Slipway's addition).
pub const COMMAND_ROLLBACK: &str = "rollback";

/// `kind` of the [`ProgressingInfo`] that a ScaleRun writes.
pub const PROGRESSING_KIND_SCALE: &str = "RollingScale";

/// Which run is moving a workload or a pod, and how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressingInfo {
    /// Kind of the run's owner, or [`PROGRESSING_KIND_SCALE`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name of the Rollout; empty for a ScaleRun.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rollout: String,
    /// Name of the run.
    #[serde(default, rename = "rolloutID", skip_serializing_if = "String::is_empty")]
    pub rollout_id: String,
    /// Present while the canary step is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryProgressingInfo>,
    /// Present while a batch is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchProgressingInfo>,
}

impl ProgressingInfo {
    /// Whether a ScaleRun wrote it.
    pub fn is_scale(&self) -> bool {
        self.kind == PROGRESSING_KIND_SCALE
    }
}

/// Marks the canary step in a [`ProgressingInfo`]; it has no fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CanaryProgressingInfo {}

/// The batch in a [`ProgressingInfo`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchProgressingInfo {
    /// Index of the current batch, from 0.
    #[serde(default)]
    pub current_batch_index: i32,
}
