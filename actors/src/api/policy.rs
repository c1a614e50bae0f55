//! What a run does when things do not go as planned (Slipway's addition to the API).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IntOrString;
use super::kind::open_enum;

/// What a run does when things do not go as planned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policies {
    /// Seconds within which a step that moves pods must make progress; absent means it may take for ever. Time spent
    /// paused, in hooks or stopped with an error does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub progress_deadline_seconds: Option<i32>,
    /// What a step that exceeds the deadline leads to: `Pause` (stop with an error, the default) or `Rollback`.
    #[serde(default, skip_serializing_if = "ProgressDeadlinePolicy::is_default")]
    pub progress_deadline_policy: ProgressDeadlinePolicy,
    /// What a template that changes in mid-run leads to: `Absorb` (the current step goes on with it, the default) or
    /// `Restart` (the run starts over from its first batch).
    #[serde(default, skip_serializing_if = "TemplateChangePolicy::is_default")]
    pub template_change_policy: TemplateChangePolicy,
    /// What a member cluster that does not answer, or is none any more, leads to; absent means that the step holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_failure_policy: Option<ClusterFailurePolicy>,
    /// What somebody else's change of our part of a route leads to: `Repair` (it is laid over the route again, the
    /// default), `Pause` (the route stays as it is, and the run stops with an error until `retry`) or `Cancel` (our part
    /// is taken off that route, and the run is canceled).
    #[serde(default, skip_serializing_if = "RouteDriftPolicy::is_default")]
    pub route_drift_policy: RouteDriftPolicy,
}

/// What a member cluster that does not answer leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterFailurePolicy {
    /// `Hold` (the step waits for it, the default) or `Skip` (the step goes on without it, and it is caught up when it
    /// returns).
    #[serde(default, rename = "type", skip_serializing_if = "ClusterFailureType::is_default")]
    pub type_: ClusterFailureType,
    /// How many of the run's clusters may be skipped at a time, as a number or as a share of all; absent means one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_clusters: Option<IntOrString>,
    /// For how many seconds a cluster must not have answered before it is skipped; absent means 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub grace_period_seconds: Option<i32>,
}

open_enum!(
    /// What a step that exceeds its progress deadline leads to.
    ProgressDeadlinePolicy {
        /// The run stops with an error.
        Pause = "Pause",
        /// The run goes back to the stable revision.
        Rollback = "Rollback",
    }
);

open_enum!(
    /// What a template that changes in mid-run leads to.
    TemplateChangePolicy {
        /// The current step goes on with it.
        Absorb = "Absorb",
        /// The run starts over from its first batch.
        Restart = "Restart",
    }
);

open_enum!(
    /// What somebody else's change of our part of a route leads to.
    RouteDriftPolicy {
        /// Our part is laid over the route again.
        Repair = "Repair",
        /// The route stays as it is, and the run stops with an error.
        Pause = "Pause",
        /// Our part is taken off the route, and the run is canceled.
        Cancel = "Cancel",
    }
);

open_enum!(
    /// What a member cluster that does not answer leads to.
    ClusterFailureType {
        /// The step waits for it.
        Hold = "Hold",
        /// The step goes on without it.
        Skip = "Skip",
    }
);
