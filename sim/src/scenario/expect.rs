//! What must be true in the end.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What must be true in the end, all of it. The end is when it is, and the timeline is through.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Expect {
    /// The newest run.
    pub run: Option<ExpectRun>,
    /// How many runs were created in all.
    pub runs: Option<usize>,
    /// The Rollout's phase.
    pub rollout: Option<String>,
    /// The Rollout is gone.
    pub rollout_gone: bool,
    /// Conditions of the Rollout: type to status, or to `status/reason`.
    pub conditions: BTreeMap<String, String>,
    /// Workloads, as `cluster/name`.
    pub workloads: BTreeMap<String, ExpectWorkload>,
    /// What clients were answered, by their names.
    pub clients: BTreeMap<String, ExpectClient>,
    /// Situations that must have been reached on the way, by their names in the coverage.
    pub reached: Vec<String>,
}

/// What must be true of the newest run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ExpectRun {
    /// Its phase.
    pub phase: Option<String>,
    /// The states of its batches, in order.
    pub batches: Option<Vec<String>>,
    /// The current batch, counted from 1.
    pub batch: Option<usize>,
    /// `status.error.code`; empty for no error.
    pub error: Option<String>,
}

/// What a client must have been answered.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ExpectClient {
    /// How many errors: statuses of 400 and above.
    pub errors: Option<u64>,
    /// The images of the pods that answered it.
    pub images: Option<Vec<String>>,
}

/// What must be true of a workload.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ExpectWorkload {
    /// Pods by image: all of them must be accounted for.
    pub images: Option<BTreeMap<String, usize>>,
    /// Ready pods.
    pub ready: Option<usize>,
    /// Whether it is parked: no pod follows a new template.
    pub parked: Option<bool>,
    /// `spec.replicas`.
    pub replicas: Option<i32>,
}
