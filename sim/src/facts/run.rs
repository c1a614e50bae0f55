//! What a RolloutRun asks for and shows.

use serde_json::Value;

use super::{Change, HookRule, TrafficFacts, Verb, Who, WorkloadId, int, new_command, requests, text};
use crate::scenario::HUB;

const SCALE_RUNS: &str = "scaleruns";

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What its canary wants of whom.
    pub canary: Vec<TargetFacts>,
    /// What its canary says of traffic.
    pub canary_traffic: Option<TrafficFacts>,
    /// `status.canaryStatus.state`.
    pub canary_state: String,
    /// Whether the copies of its canary are to take over.
    pub blue_green: bool,
    /// How far they are with that.
    pub switch: Switch,
    /// Its batches.
    pub batches: Vec<BatchFacts>,
    /// Whether it starts over when a template changes.
    pub starts_over: bool,
    /// The clusters it goes on without, and those that are back and catch up.
    pub skipped: std::collections::BTreeMap<String, bool>,
    /// The failed pods of one workload that it passes over.
    pub tolerated: Option<Quantity>,
    /// `status.phase`.
    pub phase: String,
    /// `status.batchStatus.currentBatchIndex`.
    pub index: usize,
    /// `status.batchStatus.currentBatchState`.
    pub state: String,
    /// `status.error` as (code, reason, message).
    pub error: Option<(String, String, String)>,
    /// Conditions: type to (status, reason, message).
    pub conditions: std::collections::BTreeMap<String, (String, String, String)>,
    /// Annotations that ask for something.
    pub requests: Vec<String>,
    /// The batch that was undone first, counted from 0, once the run is on its way back.
    pub back_from: Option<usize>,
    /// How often it turned round or started over: its batches are steps anew then.
    pub laps: usize,
    /// Its hooks.
    pub hooks: Vec<HookRule>,
    /// Moments of the run as a whole whose hooks were given up, as its status says.
    pub given_up: Vec<String>,
    /// How often a user had something skipped.
    pub skips: usize,
    /// How often a user had something tried again.
    pub retries: usize,
    /// Whether it is gone.
    pub gone: bool,
}

/// Where a run comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// A Rollout made it.
    #[default]
    Rollout,
    /// A user made it.
    ByHand,
    /// It is a ScaleRun. Its batches move no pods to a new revision.
    ScaleRun,
}

impl Origin {
    fn of(change: &Change<'_>) -> Self {
        let owned = change.new["metadata"]["ownerReferences"].is_array();
        match change.plural {
            SCALE_RUNS => Self::ScaleRun,
            _ if owned => Self::Rollout,
            _ => Self::ByHand,
        }
    }
}

/// One batch of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchFacts {
    /// What it wants of whom.
    pub targets: Vec<TargetFacts>,
    /// What it says of traffic.
    pub traffic: Option<TrafficFacts>,
    /// The sizes that a ScaleRun gives, in words.
    pub sizes: String,
    /// Whether it stops before it begins.
    pub breakpoint: bool,
    /// The state of its record.
    pub state: String,
    /// Whether it was ever seen to begin moving pods: from then on its counts are authorised.
    pub begun: bool,
    /// Whether a user gave `continue` while the run stood at this batch.
    pub continued: bool,
}

/// What a batch wants of one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFacts {
    /// The cluster; empty for any.
    pub cluster: String,
    /// The name.
    pub name: String,
    /// Updated pods in all.
    pub replicas: Quantity,
    /// The sliding window.
    pub window: Option<Quantity>,
}

impl TargetFacts {
    /// Whether a workload is meant.
    pub fn is(&self, id: &WorkloadId) -> bool {
        self.name == id.name && (self.cluster.is_empty() || self.cluster == id.cluster)
    }
}

/// A count or a percentage, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// So many.
    Count(i32),
    /// So many percent.
    Percent(i32),
}

impl Quantity {
    pub(super) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Number(_) => Some(Self::Count(int(value))),
            Value::String(text) => text.strip_suffix('%')?.parse().ok().map(Self::Percent),
            _ => None,
        }
    }

    /// How many that is of `total`; never more than all.
    pub fn of(self, total: i32) -> i32 {
        let count = match self {
            Self::Count(count) => i64::from(count),
            Self::Percent(percent) => (i64::from(percent) * i64::from(total) + 99) / 100,
        };
        i32::try_from(count.clamp(0, i64::from(total.max(0)))).unwrap_or(total)
    }
}

/// Whether a batch in this state may have moved pods.
pub fn has_begun(state: &str) -> bool {
    matches!(state, "Running" | "PostBatchStepHook" | "ResourceRecycling" | "Succeeded")
}

/// How far the copies of a canary have taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// They have not.
    #[default]
    Not,
    /// They have been told to.
    Begun,
    /// They have all requests.
    Done,
    /// They had, and have been told to give them back.
    Undone,
}

impl RunFacts {
    pub(super) fn new(change: &Change<'_>) -> Self {
        let mut run = Self { name: change.name.to_owned(), origin: Origin::of(change), ..Self::default() };
        run.update(change);
        run
    }

    pub(super) fn update(&mut self, change: &Change<'_>) {
        let (spec, status) = (&change.new["spec"], &change.new["status"]);
        let (fresh, onward) = (self.is_fresh(), self.back_from.is_none());
        self.gone = change.verb == Verb::Delete;
        if change.old.is_none_or(|old| old["spec"] != *spec) {
            self.read_batches(spec);
            self.hooks = list(&spec["webhooks"]).iter().map(HookRule::read).collect();
        }
        self.phase = text(&status["phase"]);
        let turned = self.scales() && status["rollback"].is_object() && self.back_from.is_none();
        let progress = if self.scales() { scale_progress(status) } else { &status["batchStatus"] };
        self.index = usize::try_from(int(&progress["currentBatchIndex"])).unwrap_or_default();
        self.state = text(&progress["currentBatchState"]);
        self.canary_state = text(&status["canaryStatus"]["state"]);
        self.switch = match (self.switch, &*self.canary_state) {
            _ if status["canaryStatus"]["switchTime"].is_string() => Switch::Done,
            (Switch::Not, "Switching") if self.phase == "Progressing" => Switch::Begun,
            (Switch::Begun | Switch::Done, "ResourceRecycling" | "Succeeded") => Switch::Undone,
            (known, _) => known,
        };
        let given_up = list(&status["webhooks"]).iter().filter(|entry| entry["state"] == "Skipped");
        self.given_up = given_up.map(|entry| text(&entry["hookType"])).collect();
        self.requests = requests(change.new);
        let back = &status["rollback"];
        self.back_from = back.is_object().then(|| usize::try_from(int(&back["fromBatchIndex"])).unwrap_or_default());
        if turned {
            // The way back has batches of its own.
            self.batches = vec![BatchFacts::default(); list(&progress["records"]).len()];
        }
        self.error = status["error"].is_object().then(|| {
            let of = |key: &str| text(&status["error"][key]);
            (of("code"), of("reason"), of("message"))
        });
        let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        self.conditions = conditions
            .iter()
            .map(|c| (text(&c["type"]), (text(&c["status"]), text(&c["reason"]), text(&c["message"]))))
            .collect();
        let skipped = status["skippedClusters"].as_array().map(Vec::as_slice).unwrap_or_default();
        self.skipped = skipped.iter().map(|c| (text(&c["name"]), c["returned"].is_string())).collect();
        let over = self.starts_over && self.is_fresh() && !fresh;
        self.laps += usize::from(over || onward && self.back_from.is_some());
        if self.starts_over && self.is_fresh() {
            // What was passed on the way before has to be passed again.
            self.batches.iter_mut().for_each(|batch| (batch.begun, batch.continued) = (false, false));
        }
        for (index, batch) in self.batches.iter_mut().enumerate() {
            batch.state = text(&progress["records"][index]["state"]);
            let current = index == self.index && has_begun(&self.state);
            batch.begun |= current || has_begun(&batch.state);
        }
        if change.who == Who::User
            && let Some(command) = new_command(change)
        {
            self.commanded(&command);
        }
    }

    /// Whether a write is one of this run.
    pub(super) fn is(&self, change: &Change<'_>) -> bool {
        self.name == change.name && self.scales() == (change.plural == SCALE_RUNS)
    }

    /// Whether it is a ScaleRun.
    pub fn scales(&self) -> bool {
        self.origin == Origin::ScaleRun
    }

    /// Its kind.
    pub fn kind(&self) -> &'static str {
        if self.scales() { "ScaleRun" } else { "RolloutRun" }
    }

    pub(super) fn commanded(&mut self, command: &str) {
        self.retries += usize::from(command == "retry");
        self.skips += usize::from(matches!(command, "skip" | "force-skip-current-batch"));
        if matches!(command, "continue" | "resume")
            && let Some(batch) = self.batches.get_mut(self.index)
        {
            batch.continued = true;
        }
    }

    fn read_batches(&mut self, spec: &Value) {
        let canary = spec["canary"]["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        self.canary = canary.iter().filter_map(target).collect();
        self.canary_traffic = TrafficFacts::read(&spec["canary"]);
        self.blue_green = spec["canary"]["blueGreen"].is_object();
        let batches = spec["batch"]["batches"].as_array().map(Vec::as_slice).unwrap_or_default();
        self.starts_over = spec["policies"]["templateChangePolicy"] == "Restart";
        self.tolerated = Quantity::read(&spec["batch"]["toleration"]["workloadTotalFailureThreshold"]);
        self.batches.resize(batches.len(), BatchFacts::default());
        let scales = self.scales();
        for (facts, batch) in self.batches.iter_mut().zip(batches) {
            facts.breakpoint = batch["breakpoint"] == true;
            let targets = list(&batch["targets"]);
            if scales {
                let size = |target: &Value| {
                    format!("{}/{} to {}", text(&target["cluster"]), text(&target["name"]), target["replicas"])
                };
                facts.sizes = targets.iter().map(size).collect::<Vec<_>>().join("; ");
                continue;
            }
            facts.targets = targets.iter().filter_map(target).collect();
            facts.traffic = TrafficFacts::read(batch);
        }
    }

    /// What the run wants of a workload, batch by batch.
    pub fn targets_of<'a>(&'a self, id: &'a WorkloadId) -> impl Iterator<Item = (&'a BatchFacts, &'a TargetFacts)> {
        self.batches.iter().flat_map(move |batch| batch.targets.iter().filter(|t| t.is(id)).map(move |t| (batch, t)))
    }

    /// How many pods the canary of a workload of `desired` pods may have now.
    pub fn canary_of(&self, id: &WorkloadId, desired: i32) -> i32 {
        let in_step = ["Running", "PostCanaryStepHook", "Switching", "Switched", "ResourceRecycling"];
        let there = in_step.contains(&self.canary_state.as_str()) || self.switch == Switch::Done;
        let target = self.canary.iter().find(|target| target.is(id)).filter(|_| there && !self.ended());
        target.map_or(0, |target| target.replicas.of(desired))
    }

    /// The counts the run has authorised for a workload so far.
    pub fn authorised(&self, id: &WorkloadId) -> Vec<Quantity> {
        self.targets_of(id).filter(|(batch, _)| batch.begun).map(|(_, target)| target.replicas).collect()
    }

    /// Whether it stands before its first batch.
    pub fn is_fresh(&self) -> bool {
        self.index == 0 && matches!(self.state.as_str(), "" | "Pending")
    }

    /// The moments for hooks that it went past in good order: what it skipped or canceled is none.
    pub fn moments_passed(&self) -> Vec<(&'static str, Option<usize>)> {
        let mut passed = Vec::new();
        let begun = self.index > 0 || !self.state.is_empty() || !self.canary_state.is_empty();
        // On the way back hooks are asked around batches alone.
        let begun = begun && self.back_from.is_none();
        let whole = |moment: &str| self.skips == 0 || !self.given_up.iter().any(|given_up| given_up == moment);
        passed.extend((begun && whole("PreRollout")).then_some(("PreRollout", None)));
        let canceled = matches!(&*self.phase, "Canceling" | "Canceled");
        let whole_canary = !canceled && self.skips == 0 && self.back_from.is_none();
        let behind = ["ResourceRecycling", "Switching", "Switched", "Succeeded"];
        let recycled = whole_canary && behind.contains(&&*self.canary_state);
        let canary = recycled || matches!(&*self.canary_state, "Running" | "PostCanaryStepHook");
        passed.extend(canary.then_some(("PreCanaryStepHook", None)));
        passed.extend(recycled.then_some(("PostCanaryStepHook", None)));
        for (index, batch) in self.batches.iter().enumerate() {
            let done = matches!(&*batch.state, "ResourceRecycling" | "Succeeded");
            // The way back of a ScaleRun has batches of its own, and goes through them in their order.
            let back = self.back_from.filter(|_| !self.scales());
            let (begun, left) = match back {
                None => (batch.begun, index < self.index),
                // What was passed on the way there says nothing of the way back.
                Some(from) if index > from || index < self.index => (false, false),
                Some(_) if index == self.index => (has_begun(&self.state), false),
                Some(_) => (batch.state != "Skipped", true),
            };
            let left = left && batch.state != "Skipped" || done && (back.is_none() || begun);
            passed.extend(begun.then_some(("PreBatchStepHook", Some(index))));
            passed.extend(left.then_some(("PostBatchStepHook", Some(index))));
        }
        passed.extend((self.phase == "Succeeded" && whole("PostRollout")).then_some(("PostRollout", None)));
        passed
    }

    /// Whether it has come to its end.
    pub fn ended(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Canceled")
    }

    /// The reason of a condition; empty without one.
    pub fn condition_reason(&self, kind: &str) -> &str {
        self.conditions.get(kind).map_or("", |(_, reason, _)| reason)
    }

    /// Whether whoever asked for a rollback has let a batch pass: it is the first to be undone.
    pub fn asked_to_undo(&self, index: usize) -> bool {
        self.back_from.is_some_and(|from| from == index)
    }

    /// Whether it stands at the breakpoint of its current batch.
    pub fn at_breakpoint(&self) -> bool {
        self.phase == "Paused"
            && self.batches.get(self.index).is_some_and(|batch| batch.breakpoint && !batch.begun && !batch.continued)
    }
}

/// How far a ScaleRun has got on the way that it is on.
fn scale_progress(status: &Value) -> &Value {
    if status["rollback"].is_object() { &status["rollback"] } else { &status["batches"] }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn target(value: &Value) -> Option<TargetFacts> {
    let cluster = text(&value["cluster"]);
    Some(TargetFacts {
        cluster: if cluster == HUB { String::new() } else { cluster },
        name: text(&value["name"]),
        replicas: Quantity::read(&value["replicas"])?,
        window: Quantity::read(&value["replicaSlidingWindow"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_round_up_and_never_exceed_the_total() {
        for (quantity, total, count) in [
            (Quantity::Count(3), 5, 3),
            (Quantity::Count(9), 5, 5),
            (Quantity::Count(-1), 5, 0),
            (Quantity::Percent(50), 5, 3),
            (Quantity::Percent(1), 100, 1),
            (Quantity::Percent(100), 5, 5),
            (Quantity::Percent(250), 5, 5),
            (Quantity::Percent(50), 0, 0),
        ] {
            assert_eq!(quantity.of(total), count, "{quantity:?} of {total}");
        }
    }
}
