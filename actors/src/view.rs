//! What the graph knows of the clusters: objects projected at the edge into small values of ours.
//!
//! Decisions see nothing else. Objects of our own group are kept whole; of foreign kinds only what a decision needs.

mod multicluster;
mod traffic;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::{BackendRouting, Rollout, RolloutRun, RolloutStrategy, ScaleRun, TrafficTopology, keys::ProgressingInfo},
    intent::HookCall,
    workloads::WorkloadKind,
    world::HttpAnswer,
};

pub use self::multicluster::{Export, Import, MemberBackends};
pub use self::traffic::{Backend, Endpoints, Route, RouteId, RouteKind, RouteReport, RoutingView, TopologyView};

/// Namespace and name of an object within one cluster and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A workload among all of the clusterset, within a namespace. Two kinds may have workloads of one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadId {
    /// The cluster it is in.
    pub cluster: String,
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
}

/// Whether a cluster can be relied on right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The first lists have not come back yet: absence of an object means nothing.
    Syncing,
    /// Watches stand and requests are answered.
    Ready,
    /// Requests fail or get no answer.
    Unreachable {
        /// When that was first noticed.
        since: Timestamp,
        /// The last error.
        error: String,
    },
}

/// A workload of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its kind.
    pub kind: WorkloadKind,
    /// The cluster it is in.
    pub cluster: String,
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// The version every write decided on this value must carry.
    pub resource_version: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`.
    pub observed_generation: i64,
    /// Whether it carries a deletion timestamp.
    pub deleting: bool,
    /// Whether it carries our finalizer of copies.
    pub is_protected: bool,
    /// All labels: selectors match on them.
    pub labels: BTreeMap<String, String>,
    /// Value of the annotation `rollout.kusionstack.io/name`.
    pub rollout: Option<String>,
    /// The annotation `rollout.kusionstack.io/progressing-info`, parsed; `Err` keeps a text that does not parse.
    pub progressing: Option<Result<ProgressingInfo, String>>,
    /// The user's update strategy as recorded before the first parking (JSON).
    pub recorded_strategy: Option<String>,
    /// `spec.updateStrategy` as it is (JSON).
    pub update_strategy: Value,
    /// Who last changed `spec.updateStrategy`, by managed fields.
    pub strategy_manager: Option<String>,
    /// The hash of the template that a canary was copied from; absent for all others.
    pub copied_template: Option<String>,
    /// Our own hash of `spec.template`.
    pub template_hash: String,
    /// Who last changed `spec.template`, by managed fields.
    pub template_manager: Option<String>,
    /// Pods kept on the old revision.
    pub partition: i32,
    /// Pods wanted.
    pub desired: i32,
    /// `spec.minReadySeconds`.
    pub min_ready_seconds: i32,
    /// Label selector of its pods, in the form of a list request's `labelSelector`.
    pub pod_selector: String,
    /// Label `rollout.kusionstack.io/traffic-lane` of its template, which every pod of it has for good.
    pub lane: Option<String>,
    /// Revision of the pods not yet updated.
    pub stable_revision: String,
    /// Revision of the current template.
    pub updated_revision: String,
    /// `status.replicas`.
    pub replicas: i32,
    /// `status.readyReplicas`.
    pub ready: i32,
    /// `status.availableReplicas`.
    pub available: i32,
    /// `status.currentReplicas`.
    pub current_replicas: i32,
    /// `status.updatedReplicas`.
    pub updated_replicas: i32,
    /// What the status says of updated pods, for kinds whose controller knows more than pods show.
    pub told: Option<PodCounts>,
    /// Why its partition keeps no pod back, with the remedy: then it is not parked, and no batch can move it.
    pub unpartitioned: Option<&'static str>,
    /// Why its controller moves no pod whatever the partition, with the remedy.
    pub halted: Option<&'static str>,
}

impl Workload {
    /// What tells it from all others in its namespace.
    pub fn id(&self) -> WorkloadId {
        WorkloadId { cluster: self.cluster.clone(), kind: self.kind, name: self.key.name.clone() }
    }
}

/// A pod, as far as a batch needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// The uid of its controller.
    pub owner_uid: String,
    /// The label `controller-revision-hash`; of a Deployment's pod the hash of its ReplicaSet's template.
    pub revision: String,
    /// The label `pod-template-hash`, which a ReplicaSet gives its pods.
    pub template_label: Option<String>,
    /// Since when it is ready, if it is.
    pub ready_since: Option<Timestamp>,
    /// Whether it carries a deletion timestamp.
    pub terminating: bool,
    /// Why a container waits, for example `ImagePullBackOff`.
    pub trouble: Option<String>,
}

impl Pod {
    /// The number at the end of its name, where its kind gives it one.
    pub fn ordinal(&self) -> Option<i32> {
        self.key.name.rsplit_once('-').and_then(|(_, ordinal)| ordinal.parse().ok())
    }
}

/// A ReplicaSet, as far as the batches of a Deployment need to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaSet {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// The uid of its controller.
    pub owner_uid: String,
    /// Our own hash of its template, which is its Deployment's for those on the same revision.
    pub template_hash: String,
    /// Pods wanted.
    pub replicas: i32,
    /// `status.availableReplicas`.
    pub available: i32,
    /// `spec.minReadySeconds`.
    pub min_ready_seconds: i32,
    /// Whether its status speaks of its newest generation.
    pub observed: bool,
    /// The size of the Deployment that its controller last told it.
    pub told_desired: Option<i32>,
}

/// A workload's pods by what a batch asks of them. Terminating pods count for nothing but `terminating`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodCounts {
    /// Pods on the updated revision.
    pub updated: i32,
    /// Of these, ready.
    pub updated_ready: i32,
    /// Of these, ready for `minReadySeconds`.
    pub updated_available: i32,
    /// Pods on any revision that are available.
    pub available: i32,
    /// Pods being deleted.
    pub terminating: i32,
    /// Pods on the updated revision that have failed and that the step passes over.
    pub tolerated: i32,
}

/// What a workload actor knows beyond the workload object itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkloadReport {
    /// The pods, once they were listed; `None` while they are not watched or not synced.
    pub pods: Option<Vec<Arc<Pod>>>,
    /// The last write's error, until one succeeds.
    pub error: Option<String>,
}

/// One member cluster as a rollout sees it.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// Whether its data can be relied on.
    pub health: Health,
    /// Every workload of the rollout's kinds in the rollout's namespace, selected or not.
    pub workloads: BTreeMap<WorkloadId, Arc<Workload>>,
    /// What the workload actors report.
    pub reports: BTreeMap<WorkloadId, WorkloadReport>,
}

/// What came of the last call of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookAnswer {
    /// The call.
    pub call: HookCall,
    /// When it was made.
    pub asked: Timestamp,
    /// The answer, or what went wrong on the wire.
    pub outcome: Result<HttpAnswer, String>,
}

/// What a view is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charge {
    /// A Rollout and its runs.
    #[default]
    Rollout,
    /// A RolloutRun made by hand. Its Rollout is a stand-in.
    Run,
    /// A ScaleRun. Its Rollout is a stand-in.
    ScaleRun,
}

/// Everything one rollout's decisions are taken on.
#[derive(Clone, Debug)]
pub struct RolloutView {
    /// What it is about.
    pub charge: Charge,
    /// The Rollout.
    pub rollout: Arc<Rollout>,
    /// The strategy it names, if there is one by that name.
    pub strategy: Option<Arc<RolloutStrategy>>,
    /// The topologies of its namespace, by name.
    pub topologies: BTreeMap<String, Arc<TrafficTopology>>,
    /// The BackendRoutings of its namespace, by name.
    pub routings: BTreeMap<String, Arc<BackendRouting>>,
    /// The runs whose controller it is, by name.
    pub runs: BTreeMap<String, Arc<RolloutRun>>,
    /// The ScaleRun, if the view is about one.
    pub scale: Option<Arc<ScaleRun>>,
    /// Why the last attempt to create the run named by `status.rolloutID` was refused, until one succeeds.
    pub create_error: Option<String>,
    /// Names of the other Rollouts of the namespace, and of what stands in for one: a workload that one of them owns is not ours to take.
    pub other_rollouts: std::collections::BTreeSet<String>,
    /// The member clusters, by name.
    pub members: BTreeMap<String, MemberView>,
    /// The last answer of a hook since this view was begun.
    pub hook_answer: Option<HookAnswer>,
}
