//! What happens when.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Crds, Strike, Time};

/// One step of the timeline. Steps are taken in order: each waits for its own time and condition once the one before
/// was taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// Not before this time since the start.
    pub at: Option<Time>,
    /// Not before this is true.
    pub when: Option<Condition>,
    /// So long after the step before, or after the condition.
    pub after: Option<Time>,
    /// What is done.
    #[serde(rename = "do")]
    pub action: Action,
}

/// Something that becomes true in the clusters. All that is given must be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Condition {
    /// The phase of the newest run.
    pub phase: Option<String>,
    /// Its current batch, counted from 1.
    pub batch: Option<usize>,
    /// The state of the current batch.
    pub state: Option<String>,
    /// The state of its canary.
    pub canary: Option<String>,
    /// How many runs were created so far, at least.
    pub runs: Option<usize>,
    /// Whether the newest run shows an error.
    pub error: Option<bool>,
    /// A workload, as `cluster/name`, for what follows.
    pub workload: Option<String>,
    /// Its pods on the update revision, at least.
    pub updated: Option<i32>,
    /// Its ready pods on the update revision, at least.
    pub updated_ready: Option<i32>,
    /// Its `spec.replicas`.
    pub replicas: Option<i32>,
    /// Whether it is parked: no pod follows a new template. Without `workload`, whether all are.
    pub parked: Option<bool>,
    /// Its Rollout is gone.
    pub rollout_gone: Option<bool>,
}

/// What is done: by a user, to the operator, or to the network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Action {
    /// A user changes the image of workloads.
    SetImage(SetImage),
    /// A user scales a workload through its scale subresource.
    Scale(Scale),
    /// A user gives a command to the newest run, or through the Rollout.
    Command(CommandOn),
    /// A user sets the trigger annotation of the Rollout.
    Trigger(String),
    /// A user sets annotations; null removes one.
    Annotate(Annotate),
    /// A user applies a JSON merge patch.
    Patch(Patch),
    /// A user installs the definitions of further workloads in a cluster.
    InstallCrds(Install),
    /// A user creates an object.
    Create(super::Object),
    /// A user deletes an object.
    Delete(ObjectRef),
    /// Pods of this image do not become ready any more.
    MarkBadImage(ImageIn),
    /// Pods of this image become ready again.
    MarkGoodImage(ImageIn),
    /// A hook answers otherwise from now on.
    SetHook(super::SetHook),
    /// A gateway is as late as this from now on; what is not said is as the fake has it.
    SetGateway(SetGateway),
    /// A fault strikes.
    Fault(Strike),
    /// The operator crashes, now or around a write.
    CrashOperator(Crash),
    /// The operator is stopped in good order and started again.
    RestartOperator(Restart),
    /// An actor is hurt.
    InjureActor(Injure),
}

/// An image, everywhere or in one cluster's registry.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum ImageIn {
    /// Everywhere.
    Everywhere(String),
    /// In one cluster.
    Cluster {
        /// The image.
        image: String,
        /// The cluster.
        cluster: String,
    },
}

/// New images.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SetImage {
    /// The new image of the first container.
    pub image: String,
    /// The workloads as `cluster/name`; all of the application when absent.
    #[serde(default)]
    pub workloads: Vec<String>,
}

/// A new size.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scale {
    /// The workload, as `cluster/name`.
    pub workload: String,
    /// Pods wanted.
    pub replicas: u32,
}

/// How late a gateway is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SetGateway {
    /// The cluster; the hub when absent.
    pub cluster: Option<String>,
    /// How late.
    pub gateway: super::Gateway,
}

/// Definitions of workloads for a cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Install {
    /// The cluster; the hub when absent.
    pub cluster: Option<String>,
    /// Whose.
    pub of: Crds,
}

/// A manual command.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum CommandOn {
    /// On the newest run.
    Run(Command),
    /// Where stated.
    Stated {
        /// What to do.
        give: Command,
        /// `run` or `rollout`.
        on: Carrier,
    },
}

/// The object that carries a command.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// The newest run.
    Run,
    /// The Rollout, which forwards it.
    Rollout,
}

/// The values of the annotation `rollout.kusionstack.io/manual-command`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// `pause`
    Pause,
    /// `continue`
    Continue,
    /// `resume`, the old word for `continue`
    Resume,
    /// `retry`
    Retry,
    /// `skip`
    Skip,
    /// `force-skip-current-batch`
    ForceSkipCurrentBatch,
    /// `cancel`
    Cancel,
    /// `rollback`
    Rollback,
}

impl Command {
    /// The annotation's value.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Continue => "continue",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::ForceSkipCurrentBatch => "force-skip-current-batch",
            Self::Cancel => "cancel",
            Self::Rollback => "rollback",
        }
    }
}

/// Annotations for an object.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Annotate {
    /// The cluster; the hub when absent.
    pub cluster: Option<String>,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// What to set; null removes.
    pub annotations: BTreeMap<String, Option<String>>,
}

/// A merge patch for an object.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Patch {
    /// The cluster; the hub when absent.
    pub cluster: Option<String>,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The merge patch.
    pub patch: Value,
    /// The field manager that writes it; the client's default when absent.
    pub manager: Option<String>,
}

/// An object by kind and name, in the namespace `default`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ObjectRef {
    /// The cluster; the hub when absent.
    pub cluster: Option<String>,
    /// The kind.
    pub kind: String,
    /// The name. For a RolloutRun, `newest` is the newest one.
    pub name: String,
}

/// How the operator crashes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Crash {
    /// At its so manieth write from now on, counted from 1; at once when absent.
    pub at_write: Option<u32>,
    /// Whether that write still lands.
    pub landed: bool,
    /// How long it stays away; drawn when absent.
    pub restart_after: Option<Time>,
}

/// How the operator is restarted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Restart {
    /// How long it stays away.
    pub after: Option<Time>,
}

/// An actor and what is done to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Injure {
    /// `coordinator`, `cluster/EAST`, `rollout/NAME`, `workload/ROLLOUT/EAST/NAME`.
    pub actor: String,
    /// `panic` or `stop`.
    pub injury: String,
}
