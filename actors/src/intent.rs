//! What a decision wants done, and what it waits for.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::{MetadataPatch, RolloutWebhookStatus, intorpercent::IntOrPercent, keys::ProgressingInfo},
    routes,
    view::{ObjectKey, RouteId, WorkloadId},
    world::HttpCall,
};

/// The kinds of the hub that decisions write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HubKind {
    /// `rollouts`.
    Rollout,
    /// `rolloutruns`.
    RolloutRun,
    /// `scaleruns`.
    ScaleRun,
    /// `traffictopologies`.
    TrafficTopology,
    /// `backendroutings`.
    BackendRouting,
}

impl HubKind {
    /// The kind, as an object names it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Rollout => "Rollout",
            Self::RolloutRun => "RolloutRun",
            Self::ScaleRun => "ScaleRun",
            Self::TrafficTopology => "TrafficTopology",
            Self::BackendRouting => "BackendRouting",
        }
    }
}

/// One write to the hub. At most one per object is in flight, and each carries the version it was decided on, so that
/// a write decided on old data fails rather than lands.
#[derive(Clone, Debug, PartialEq)]
pub enum HubWrite {
    /// A JSON merge patch of the object itself; `metadata.resourceVersion` is in it.
    Patch {
        /// The object's kind.
        kind: HubKind,
        /// The object.
        key: ObjectKey,
        /// The merge patch.
        patch: Value,
    },
    /// A JSON merge patch of the status subresource; `metadata.resourceVersion` is in it.
    PatchStatus {
        /// The object's kind.
        kind: HubKind,
        /// The object.
        key: ObjectKey,
        /// The merge patch.
        patch: Value,
    },
    /// Creates an object. Its name is deterministic: one that exists already and has the same controller is this one.
    Create {
        /// The object's kind.
        kind: HubKind,
        /// The name to create.
        key: ObjectKey,
        /// The whole object.
        object: Value,
    },
    /// Deletes an object, if it is still this one.
    Delete {
        /// The object's kind.
        kind: HubKind,
        /// The object.
        key: ObjectKey,
        /// Its uid, as precondition.
        uid: String,
        /// Its version, as precondition.
        resource_version: String,
    },
}

impl HubWrite {
    /// The object written.
    pub fn target(&self) -> (HubKind, &ObjectKey) {
        match self {
            Self::Patch { kind, key, .. }
            | Self::PatchStatus { kind, key, .. }
            | Self::Create { kind, key, .. }
            | Self::Delete { kind, key, .. } => (*kind, key),
        }
    }
}

/// How far a workload may be updated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// Not at all beyond what is: partition at the maximum, so that a new template changes no pod.
    Parked,
    /// Up to `replicas` updated pods, and no step onward: what was released stays, nothing more follows.
    Held {
        /// The most pods that may be on the updated revision.
        replicas: IntOrPercent,
    },
    /// Towards `replicas` updated pods, at most `window` of them unavailable on the way.
    Step {
        /// The updated pods wanted.
        replicas: IntOrPercent,
        /// The sliding window; without one the whole step at once.
        window: Option<IntOrPercent>,
        /// The failed pods that the window passes over; none when absent.
        tolerance: Option<Tolerance>,
    },
    /// Back to an earlier revision, until at most `remaining` pods are on any other.
    Back {
        /// The revision to return to.
        revision: String,
        /// Whether the template is to be put back, if it is another.
        restore: bool,
        /// The most pods that may stay on another revision.
        remaining: i32,
        /// The sliding window; without one the whole step at once.
        window: Option<IntOrPercent>,
        /// Whether pods are to move now; otherwise what is so far is kept.
        moving: bool,
    },
}

/// The failed pods of one workload that a step passes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// From when on a pod in trouble counts as failed.
    pub since: Timestamp,
    /// How many at most.
    pub most: i32,
}

/// What a workload actor is to bring about and keep so.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkloadGoal {
    /// Under the control of a Rollout.
    Controlled {
        /// The Rollout's name.
        rollout: String,
        /// How far it may be updated.
        release: Release,
        /// The annotation that says which batch moves it; `None` removes it.
        progressing: Option<ProgressingInfo>,
        /// The copy to keep beside it, if one is wanted.
        canary: Option<CanaryGoal>,
        /// Whether its pods must be counted.
        watch_pods: bool,
    },
    /// Scaled by a ScaleRun, which leaves everything else of it alone.
    Scaled {
        /// The ScaleRun's name.
        run: String,
        /// From how many pods to how many, as long as that is still to be written.
        scale: Option<(i32, i32)>,
        /// The annotation that says which batch scales it; `None` removes it.
        progressing: Option<ProgressingInfo>,
        /// Whether its pods must be counted.
        watch_pods: bool,
    },
    /// Put back as it was before the Rollout took it, as far as that rolls nothing.
    Released,
    /// A copy that nobody needs any more: gone.
    Discarded,
}

impl WorkloadGoal {
    /// Whether the workload's pods must be counted.
    pub fn watches_pods(&self) -> bool {
        matches!(self, Self::Controlled { watch_pods: true, .. } | Self::Scaled { watch_pods: true, .. })
    }
}

/// The copy of a workload that a canary is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryGoal {
    /// Its pods.
    pub replicas: i32,
    /// Labels and annotations laid over its pods'.
    pub patch: MetadataPatch,
    /// Whether the copy stays as it is for now, because requests go to it.
    pub hold: bool,
}

/// Our part of a route, as it is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteGoal {
    /// The backend and its forks.
    pub backend: routes::Backend,
    /// What our part does; nothing of ours stays on the route without one.
    pub part: Option<routes::Forwarding>,
    /// Whether the route is left as it is for now: what the goal depends on is out of sight, or somebody else has changed
    /// our part and is not to be overruled.
    pub hold: bool,
    /// The only generation of the route over which the part may be laid; any if there is none. Another one may be
    /// somebody else's change of our part, which is looked at first.
    pub only_over: Option<i64>,
}

/// A write that brings a route nearer to its goal.
#[derive(Clone, Debug, PartialEq)]
pub enum RouteWrite {
    /// A JSON Patch of the route, with tests of what was read.
    Patch(Value),
    /// To the canary Ingress beside an Ingress, which is ours as a fork is.
    Canary(BackendWrite),
}

/// A write to a backend in its cluster, or to another object there that is ours.
#[derive(Clone, Debug, PartialEq)]
pub enum BackendWrite {
    /// Creates a fork.
    Create {
        /// The name to create.
        key: ObjectKey,
        /// The whole object.
        object: Value,
    },
    /// A JSON merge patch of a fork; `metadata.resourceVersion` is in it.
    Patch {
        /// The fork.
        key: ObjectKey,
        /// The merge patch.
        patch: Value,
    },
    /// Deletes a fork, if it is still this one.
    Delete {
        /// The fork.
        key: ObjectKey,
        /// Its uid, as precondition.
        uid: String,
        /// Its version, as precondition.
        resource_version: String,
    },
}

impl BackendWrite {
    /// The backend written.
    pub fn key(&self) -> &ObjectKey {
        match self {
            Self::Create { key, .. } | Self::Patch { key, .. } | Self::Delete { key, .. } => key,
        }
    }
}

/// A write to a fork, or to its ServiceExport, in one of several clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberWrite {
    /// The cluster.
    pub cluster: String,
    /// Whether it is the ServiceExport.
    pub export: bool,
    /// The write.
    pub write: BackendWrite,
}

/// What is to happen now to a BackendRouting and what it is about.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct RoutingDecision {
    /// The write to the BackendRouting, if it needs one.
    pub write: Option<HubWrite>,
    /// Writes to the forks of its backend, at most one for each.
    pub backends: Vec<BackendWrite>,
    /// The same where its forks are in several clusters.
    pub members: Vec<MemberWrite>,
    /// Goals. A route not named keeps no actor.
    pub routes: BTreeMap<RouteId, RouteGoal>,
    /// Events.
    pub notices: Vec<Notice>,
    /// When to decide again though nothing changed, and why.
    pub wake: Option<(Timestamp, &'static str)>,
}

/// What is to happen now to a TrafficTopology and the BackendRoutings it leads to.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct TopologyDecision {
    /// Writes to the hub, at most one per object.
    pub writes: Vec<HubWrite>,
}

/// A hook to be asked now. One call of a run is in flight at a time; its answer comes back in the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCall {
    /// The idempotency key, which is also in the headers: the same for every call about one hook of one step, however
    /// often the operator was started anew meanwhile.
    pub key: String,
    /// The stored entry that authorises the call. An answer counts only as long as the entry is this one, so that none
    /// is taken in twice.
    pub entry: RolloutWebhookStatus,
    /// The call.
    pub call: HttpCall,
    /// How long the answer may take.
    pub timeout: Duration,
}

/// A Kubernetes event about one of our objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The kind of the object it is about.
    pub kind: HubKind,
    /// The object it is about.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// Whether the event is of type Warning.
    pub warning: bool,
    /// CamelCase reason.
    pub reason: String,
    /// The sentence.
    pub message: String,
}

/// What a step waits for: the one value behind status, conditions, the tree and the trace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    /// The cluster; empty for the hub.
    pub cluster: String,
    /// The object, as `statefulset/web`.
    pub object: String,
    /// The condition that is not met yet.
    pub condition: String,
    /// The command that would unblock it, if one would.
    pub unblock: Option<String>,
}

/// What is to happen now, decided from what the API shows now.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Decision {
    /// Writes to the hub, at most one per object.
    pub writes: Vec<HubWrite>,
    /// Goals. A workload not named keeps no actor.
    pub goals: BTreeMap<WorkloadId, WorkloadGoal>,
    /// The hook to be asked now, if one is. A call that is in flight and no longer wanted may come to its end; its answer
    /// then counts for nothing.
    pub hook: Option<HookCall>,
    /// Events to record once the writes of this decision have landed.
    pub notices: Vec<Notice>,
    /// What the active run waits for.
    pub waits: Vec<Wait>,
    /// When to decide again though nothing changed, and why.
    pub wake: Option<(Timestamp, &'static str)>,
}
