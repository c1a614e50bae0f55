//! The KusionStack Rollout API, group `rollout.kusionstack.io/v1alpha1`, as Rust types.
//!
//! One file per kind. Fields, defaults and bounds are upstream's; Slipway's own fields are optional and stand last in
//! their struct. Types are for reading and for building patches: a field that a type does not know is not kept by it,
//! so nothing is ever written back through one as a whole.

pub mod backendrouting;
pub mod crd;
pub mod http;
pub mod intorpercent;
pub mod keys;
mod kind;
pub mod policy;
pub mod rollout;
pub mod rolloutrun;
pub mod rolloutstrategy;
pub mod scalerun;
pub mod shared;
pub mod traffictopology;
pub mod validate;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as MetaCondition, LabelSelector, Time};
pub use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub use backendrouting::{BackendRouting, BackendRoutingSpec, BackendRoutingStatus};
pub use policy::{
    ClusterFailurePolicy, ClusterFailureType, Policies, ProgressDeadlinePolicy, RouteDriftPolicy, TemplateChangePolicy,
};
pub use rollout::{BehindCluster, Rollout, RolloutPhase, RolloutSpec, RolloutStatus, TriggerPolicy};
pub use rolloutrun::{RolloutRun, RolloutRunPhase, RolloutRunSpec, RolloutRunStatus, StepState};
pub use rolloutstrategy::{BatchStrategy, BatchStrategyV2, RolloutStrategy};
pub use scalerun::{ScaleRun, ScaleRunSpec, ScaleRunStatus};
pub use shared::{
    CodeReasonMessage, CommandStatus, Condition, CrossClusterObjectNameReference, CrossClusterObjectReference,
    HookType, MetadataPatch, ObjectTypeRef, ResourceMatch, RolloutWebhook, RolloutWebhookStatus, RolloutWorkloadStatus,
    SkippedCluster, TolerationStrategy, TrafficStrategy, WaitStatus, WorkloadRef, WorkloadRevision,
};
pub use traffictopology::{TrafficTopology, TrafficTopologySpec, TrafficTopologyStatus};

/// The API group of every kind.
pub const GROUP: &str = "rollout.kusionstack.io";
/// The one version that is served and stored.
pub const VERSION: &str = "v1alpha1";
/// Group and version, as they stand in `apiVersion`.
pub const API_VERSION: &str = "rollout.kusionstack.io/v1alpha1";
