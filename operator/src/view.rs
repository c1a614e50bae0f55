//! What there is to see of one rollout at one moment: rollout, batches, clusters, workloads.
//!
//! Pure data, built from API objects and, where there are gateways to ask, from what these have in force ([`build`]), and
//! shown by two renderers: plain lines, one per change ([`lines`]), and a tree for a terminal ([`tree`]).

pub(crate) mod build;
pub(crate) mod lines;
pub(crate) mod tree;

use std::collections::BTreeMap;

/// How far a batch or a workload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its turn has not come.
    Pending,
    /// It is being worked on.
    Running,
    /// It is its turn, and the run stands still.
    Paused,
    /// It has reached what it was to reach.
    Done,
    /// An error stops it.
    Failed,
    /// A command passed over it.
    Skipped,
    /// The run was canceled before it was done.
    Canceled,
    /// What it did is being taken back.
    Undoing,
    /// What it did was taken back.
    Undone,
}

impl State {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Canceled => "canceled",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
        }
    }
}

/// One rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its phase.
    pub phase: String,
    /// Seconds since the first look.
    pub elapsed: i64,
    /// The current or last run.
    pub run: Option<Run>,
    /// Its workloads, by cluster.
    pub clusters: Vec<Cluster>,
    /// What keeps it from going on.
    pub waits: Vec<Wait>,
}

/// A run of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Its name.
    pub name: String,
    /// Its phase.
    pub phase: String,
    /// The copies that come before its batches.
    pub canary: Option<Batch>,
    /// Whether those take over all requests.
    pub blue_green: bool,
    /// Whether it is on its way back, or was.
    pub rolling_back: bool,
    /// Its steps.
    pub batches: Vec<Batch>,
    /// The hooks asked so far, in order of the steps.
    pub hooks: Vec<Hook>,
    /// Index of the batch whose turn it is.
    pub current: usize,
    /// Seconds it has taken so far, or altogether.
    pub took: i64,
    /// The error that stops it.
    pub error: Option<String>,
}

impl Run {
    /// Whether nothing more will come of it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Canceled")
    }

    /// What its copies are called.
    pub(crate) fn canary_title(&self) -> &'static str {
        if self.blue_green { "blue/green" } else { "canary" }
    }

    /// Where it stands, in a word or two.
    pub(crate) fn standing(&self) -> &str {
        match self.phase.as_str() {
            "Progressing" if self.rolling_back => "Rolling back",
            "Canceled" if self.rolling_back => "Rolled back",
            phase => phase,
        }
    }
}

/// A hook that is asked, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    /// Its name, and what it is asked for, such as `smoke-test (PostCanaryStepHook)`.
    pub title: String,
    /// `Running`, `OnHold` or `Completed`.
    pub state: String,
}

impl Hook {
    /// What became of it, in words.
    pub(crate) fn word(&self) -> &'static str {
        match self.state.as_str() {
            "Completed" => "is done",
            "OnHold" => "failed",
            _ => "is asked",
        }
    }
}

/// A batch of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// How far it is.
    pub state: State,
    /// What it brings its workloads to, such as `1 pod` or `100%`.
    pub goal: String,
    /// Its sliding window, when it has one.
    pub window: Option<String>,
    /// The share of requests that the new version gets with it, when it says so.
    pub traffic: Option<String>,
    /// Whether the run stops before it.
    pub breakpoint: bool,
    /// Seconds it has taken, once begun.
    pub took: Option<i64>,
}

/// A cluster with the rollout's workloads in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// Its name; empty for a hub that is its own member.
    pub name: String,
    /// The workloads, by name.
    pub workloads: Vec<Workload>,
    /// What becomes of requests, where there is a gateway to ask.
    pub requests: Option<Requests>,
}

impl Cluster {
    /// What to call it.
    pub(crate) fn title(&self) -> &str {
        if self.name.is_empty() { "this cluster" } else { &self.name }
    }

    /// The state of its least advanced workload.
    pub(crate) fn state(&self) -> State {
        let order = [
            State::Failed,
            State::Paused,
            State::Running,
            State::Undoing,
            State::Pending,
            State::Canceled,
            State::Skipped,
        ];
        order.into_iter().find(|state| self.workloads.iter().any(|it| it.state == *state)).unwrap_or(State::Done)
    }
}

/// What becomes of the requests to one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    /// What each version gets by the weights in force, in percent. None where nobody serves.
    pub shares: BTreeMap<String, u64>,
    /// How many each version has answered.
    pub answered: BTreeMap<String, u64>,
    /// How many were answered with an error.
    pub errors: u64,
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    /// Its name.
    pub name: String,
    /// How far it is in the current batch.
    pub state: State,
    /// Pods wanted.
    pub desired: i32,
    /// Pods on the new revision.
    pub updated: i32,
    /// Of these, available.
    pub updated_available: i32,
    /// Pods available, whatever their revision.
    pub available: i32,
    /// Pods the current batch wants on the new revision.
    pub goal: Option<i32>,
}

/// Something that has to happen before the rollout goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The sentence.
    pub what: String,
    /// The command that would unblock it, if one would.
    pub unblock: Option<String>,
}

/// Seconds as people read them: `0:07`, `12:34`, `1:02:03`.
pub(crate) fn clock_face(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
pub(crate) mod samples;
