//! The timeline of a run as text: who did what, when, in words.

use std::{fmt::Write, time::Duration};

use crate::{
    facts::{
        BatchFacts, Change, Delta, DeploymentFacts, Facts, PodFacts, Quantity, RunFacts, Switch, Verb, Who,
        WorkloadFacts, WorkloadId,
    },
    invariants::Verdict,
};

mod traffic;

pub(crate) use self::traffic::clients;

/// A timeline under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    text: String,
}

impl Story {
    /// Adds a line.
    pub(crate) fn line(&mut self, at: Duration, actor: &str, text: &str) {
        let tenths = at.as_millis() / 100;
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{:>6}.{}s  {actor:<8}  {text}", tenths / 10, tenths % 10);
    }

    /// Adds what a write meant, as far as a reader wants to know.
    pub(crate) fn tell(&mut self, facts: &Facts, delta: &Delta, change: &Change<'_>) {
        let who = change.who.to_string();
        for text in sentences(facts, delta, change) {
            self.line(change.at, &who, &text);
        }
    }

    /// The lines so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

fn sentences(facts: &Facts, delta: &Delta, change: &Change<'_>) -> Vec<String> {
    match delta {
        Delta::Workload { id, before } => workload(id, before.as_deref(), facts.workloads.get(id)),
        Delta::Pod { id, pod, before, .. } => {
            let Some(workload) = facts.workloads.get(id) else { return Vec::new() };
            self::pod(id, pod, workload, before.as_ref(), change)
        }
        Delta::Run { index, before } => {
            facts.runs.get(*index).map_or_else(Vec::new, |run| self::run(before.as_deref(), run))
        }
        Delta::Rollout { name, before } => {
            let Some(rollout) = facts.rollouts.get(name) else { return Vec::new() };
            self::rollout(before.as_ref(), rollout)
        }
        Delta::Route { id, before } => {
            facts.routes.get(id).map_or_else(Vec::new, |after| traffic::route(id, before.as_deref(), after))
        }
        Delta::Fork { id, there, says } => vec![traffic::fork(id, *there, says)],
        Delta::Other => Vec::new(),
    }
}

fn workload(id: &WorkloadId, before: Option<&WorkloadFacts>, after: Option<&WorkloadFacts>) -> Vec<String> {
    let Some(after) = after else { return vec![format!("{id}: deleted")] };
    let Some(before) = before else { return vec![format!("{id}: created, {} pods of {}", after.desired, after.image)] };
    let mut told = Vec::new();
    if before.image != after.image {
        told.push(format!("{id}: image {} → {}", before.image, after.image));
    }
    if before.desired != after.desired {
        told.push(format!("{id}: replicas {} → {}", before.desired, after.desired));
    }
    match (&before.deployment, &after.deployment) {
        (Some(was), Some(is)) => told.extend(deployment(id, (before, was), (after, is))),
        _ if before.partition != after.partition => {
            told.push(format!("{id}: partition {} → {}", partition(before), partition(after)));
        }
        _ => {}
    }
    if before.stable != after.stable && !before.stable.is_empty() && !after.pending() {
        told.push(format!("{id}: all pods are on {}", after.image));
    }
    told
}

fn deployment(
    id: &WorkloadId,
    (before, was): (&WorkloadFacts, &DeploymentFacts),
    (after, is): (&WorkloadFacts, &DeploymentFacts),
) -> Vec<String> {
    let mut told = Vec::new();
    if was.way() != is.way() {
        told.push(format!("{id}: {}", is.way()));
    }
    let (were, (new, old)) = (was.sizes(&after.updated), is.sizes(&after.updated));
    if before.updated == after.updated && were != (new, old) && were.1 + old > 0 {
        told.push(format!("{id}: sized to {new} on {} and {old} others", after.image));
    }
    told
}

fn partition(workload: &WorkloadFacts) -> String {
    if workload.deployment.is_some() && !workload.parked() {
        return "none".into();
    }
    if workload.partition == i32::MAX { "parked".into() } else { workload.partition.to_string() }
}

fn pod(
    id: &WorkloadId,
    name: &str,
    workload: &WorkloadFacts,
    before: Option<&PodFacts>,
    change: &Change<'_>,
) -> Vec<String> {
    let Some(pod) = workload.pods.get(name) else { return Vec::new() };
    let before = before.filter(|before| before.uid == pod.uid);
    let mut told = Vec::new();
    let was_ready = before.is_some_and(PodFacts::ready);
    if pod.ready() && !was_ready && workload.pending() && pod.revision == workload.updated {
        told.push(format!("{id}: pod {name} is ready on {}{}", pod.image, by_whom(pod)));
    }
    if was_ready && !pod.ready() && !pod.terminating {
        told.push(format!("{id}: pod {name} lost its readiness"));
    }
    if pod.terminating && before.is_some_and(|before| !before.terminating) && change.who != Who::Cluster {
        told.push(format!("{id}: pod {name} is deleted"));
    }
    if let Some(trouble) = &pod.trouble
        && before.is_none_or(|before| before.trouble.is_none())
    {
        told.push(format!("{id}: pod {name} cannot start {}: {trouble}", pod.image));
    }
    told
}

fn by_whom(pod: &PodFacts) -> &'static str {
    if pod.foreign { ", put there by a foreign write" } else { "" }
}

fn run(before: Option<&RunFacts>, run: &RunFacts) -> Vec<String> {
    let name = &run.name;
    let Some(before) = before else { return vec![format!("run {name} created: {}", plan(run))] };
    if run.gone {
        return vec![format!("run {name} is gone")];
    }
    let mut told = Vec::new();
    if before.canary_state != run.canary_state {
        told.extend(canary(run));
    }
    for (index, (was, is)) in before.batches.iter().zip(&run.batches).enumerate() {
        told.extend(batch(index, run, was, is));
    }
    if let (None, Some(from)) = (before.back_from, run.back_from.filter(|_| !run.scales())) {
        told.push(format!("run {name} turns back at batch {}", from + 1));
    }
    if run.scales() && before.back_from.is_none() && run.back_from.is_some() {
        told.push(format!("run {name} turns back"));
        return told;
    }
    for (cluster, back) in &run.skipped {
        told.extend(match (before.skipped.get(cluster), back) {
            (Some(false), true) => Some(format!("run {name} catches up with {cluster}, which is back")),
            (None | Some(true), false) => Some(format!("run {name} goes on without {cluster}")),
            _ => None,
        });
    }
    if run.starts_over && run.is_fresh() && !before.is_fresh() {
        told.push(format!("run {name} starts over"));
    }
    if before.error != run.error {
        told.push(match &run.error {
            Some((code, reason, message)) => format!("run {name} stops: {code}, {reason}: {message}"),
            None => format!("run {name}: the error is cleared"),
        });
    }
    if before.phase != run.phase {
        told.extend(phase(run, &before.phase));
    }
    told
}

fn plan(run: &RunFacts) -> String {
    let batches = run.batches.iter().enumerate().map(|(index, batch)| {
        let targets: Vec<_> = batch
            .targets
            .iter()
            .map(|target| {
                let window = target.window.map(|w| format!(", {} at a time", quantity(w))).unwrap_or_default();
                let cluster = if target.cluster.is_empty() { crate::scenario::HUB } else { &target.cluster };
                format!("{cluster}/{} to {}{window}", target.name, quantity(target.replicas))
            })
            .collect();
        let pause = if batch.breakpoint { " after a breakpoint" } else { "" };
        let targets = if run.scales() { batch.sizes.clone() } else { targets.join("; ") };
        format!("batch {}{pause}: {targets}", index + 1)
    });
    batches.collect::<Vec<_>>().join(" | ")
}

fn quantity(quantity: Quantity) -> String {
    match quantity {
        Quantity::Count(count) => count.to_string(),
        Quantity::Percent(percent) => format!("{percent}%"),
    }
}

fn canary(run: &RunFacts) -> Option<String> {
    match run.canary_state.as_str() {
        "Running" => Some("the canary begins".to_owned()),
        "PostCanaryStepHook" => Some("the canary is up".to_owned()),
        "Switched" => Some("its copies have all requests".to_owned()),
        "Succeeded" if run.switch == Switch::Done => Some("the workloads follow the copies".to_owned()),
        "Succeeded" => Some("the canary is gone".to_owned()),
        _ => None,
    }
}

fn batch(index: usize, run: &RunFacts, before: &BatchFacts, after: &BatchFacts) -> Option<String> {
    let number = format!("batch {} of {}", index + 1, run.batches.len());
    // The batches of a ScaleRun that lead back undo nothing by themselves: they are batches like others.
    let back = run.back_from.is_some() && !run.scales();
    if before.state == after.state {
        return (!back && after.begun && !before.begun).then(|| format!("{number} begins"));
    }
    match after.state.as_str() {
        "Running" if back => Some(format!("{number} is being undone")),
        "Succeeded" if back => Some(format!("{number} is undone")),
        "Running" => Some(format!("{number} begins")),
        "Succeeded" => Some(format!("{number} is done")),
        "Skipped" => Some(format!("{number} is skipped")),
        _ => None,
    }
}

fn phase(run: &RunFacts, before: &str) -> Option<String> {
    let (name, number) = (&run.name, format!("batch {} of {}", run.index + 1, run.batches.len()));
    match run.phase.as_str() {
        "Paused" if run.at_breakpoint() => Some(format!("{number} is paused at its breakpoint")),
        "Paused" if run.canary_state == "ResourceRecycling" => Some(format!("run {name} is paused with its canary")),
        "Paused" => Some(format!("run {name} is paused in {number}")),
        "Progressing" if before == "Paused" && run.canary_state == "ResourceRecycling" => {
            Some(format!("run {name} goes on, without its canary"))
        }
        "Progressing" if before == "Paused" => Some(format!("run {name} goes on with {number}")),
        "Canceling" if run.back_from.is_some() => Some(format!("run {name} is at its start again")),
        "Canceled" if run.condition_reason("Progressing") == "RolledBack" => Some(format!("run {name} is rolled back")),
        "Canceling" => Some(format!("run {name} is being canceled")),
        "Succeeded" => Some(format!("run {name} succeeded")),
        "Canceled" => Some(format!("run {name} is canceled")),
        _ => None,
    }
}

fn rollout(before: Option<&crate::facts::RolloutFacts>, after: &crate::facts::RolloutFacts) -> Vec<String> {
    let name = &after.name;
    if after.gone {
        return vec![format!("rollout {name} is gone")];
    }
    let Some(before) = before else { return vec![format!("rollout {name} created")] };
    let mut told = Vec::new();
    if !before.deleting && after.deleting {
        told.push(format!("rollout {name} is deleted"));
    }
    for (kind, (status, reason, message)) in &after.conditions {
        let known = before.conditions.get(kind).map(|(status, reason, _)| (status, reason));
        let telling = matches!(kind.as_str(), "Trigger" | "Available") && (kind == "Trigger" || status == "False");
        if telling && status == "False" && known != Some((status, reason)) {
            told.push(format!("rollout {name}: {kind} is {status} ({reason}): {message}"));
        }
    }
    told
}

/// What a user's write was, when the facts say nothing of it.
pub(crate) fn object_line(verb: Verb, cluster: &str, plural: &str, name: &str) -> String {
    let verb = match verb {
        Verb::Create => "created",
        Verb::Update => "changed",
        Verb::Delete => "deleted",
    };
    format!("{cluster}: {plural}/{name} {verb}")
}

/// The workloads as they stand, as a table.
pub(crate) fn table(facts: &Facts) -> String {
    let head = ["WORKLOAD", "IMAGE", "REPLICAS", "ON IT", "READY", "PARTITION"].map(str::to_owned);
    let rows = facts.workloads.iter().map(|(id, workload)| {
        let on_image = workload.pods.values().filter(|pod| pod.image == workload.image).count();
        let ready = workload.pods.values().filter(|pod| pod.ready()).count();
        [
            id.to_string(),
            workload.image.clone(),
            workload.desired.to_string(),
            on_image.to_string(),
            ready.to_string(),
            partition(workload),
        ]
    });
    aligned(std::iter::once(head).chain(rows))
}

/// Rows with their cells in columns.
fn aligned<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = rows.collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

/// The verdicts, one per line.
pub(crate) fn verdicts(verdicts: &[Verdict]) -> String {
    verdicts.iter().fold(String::new(), |text, verdict| format!("{text}{verdict}\n"))
}
