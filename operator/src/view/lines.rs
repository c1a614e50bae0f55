//! The plain renderer: one line per change, for pipes, logs and the tail of the live tree.

use super::{Batch, Run, State, View, Wait, Workload, clock_face};

/// What changed from one view to the next, as lines without a line end.
pub(crate) fn changes(before: Option<&View>, after: &View) -> Vec<String> {
    let mut lines = Vec::new();
    if before.is_none() {
        lines.push(introduction(after));
    }
    run_changes(before.and_then(|it| it.run.as_ref()), after, &mut lines);
    workload_changes(before, after, &mut lines);
    for wait in &after.waits {
        if wait.unblock.is_some() && !before.is_some_and(|it| it.waits.contains(wait)) {
            lines.push(waiting(wait));
        }
    }
    ending(before.and_then(|it| it.run.as_ref()), after, &mut lines);
    lines.into_iter().map(|line| format!("{:>6}  {line}", clock_face(after.elapsed))).collect()
}

fn introduction(view: &View) -> String {
    let workloads: usize = view.clusters.iter().map(|it| it.workloads.len()).sum();
    format!(
        "rollout {}/{}: {} in {}",
        view.namespace,
        view.name,
        counted(workloads, "workload"),
        counted(view.clusters.len(), "cluster")
    )
}

fn run_changes(before: Option<&Run>, after: &View, lines: &mut Vec<String>) {
    let Some(run) = &after.run else { return };
    let before = before.filter(|it| it.name == run.name);
    if before.is_none() {
        lines.push(format!("run {} begins: {}", run.name, counted(run.batches.len(), "batch")));
    }
    if let Some(canary) = &run.canary {
        let state = before.and_then(|it| it.canary.as_ref()).map_or(State::Pending, |it| it.state);
        if state != canary.state {
            lines.push(format!("canary {}", batch_change(canary)));
        }
    }
    let told = |hook| before.is_some_and(|it| it.hooks.contains(hook));
    lines.extend(
        run.hooks.iter().filter(|hook| !told(*hook)).map(|hook| format!("hook {} {}", hook.title, hook.word())),
    );
    if run.rolling_back && before.is_none_or(|it| !it.rolling_back) {
        lines.push(format!("run {} turns back: every workload returns to its stable revision", run.name));
    }
    for (index, batch) in run.batches.iter().enumerate() {
        let state = before.and_then(|it| it.batches.get(index)).map_or(State::Pending, |it| it.state);
        if state != batch.state {
            lines.push(format!("batch {}/{} {}", index + 1, run.batches.len(), batch_change(batch)));
        }
    }
    let error = before.and_then(|it| it.error.as_ref());
    if let Some(message) = run.error.as_ref().filter(|it| Some(*it) != error) {
        lines.push(format!("error: {message}"));
    }
}

fn batch_change(batch: &Batch) -> String {
    let word = batch.state.word();
    match batch.state {
        State::Running => format!("{word}: {}", plan(batch)),
        State::Paused if batch.breakpoint => format!("{word} at its breakpoint: {}", plan(batch)),
        State::Done => format!("{word} after {}", clock_face(batch.took.unwrap_or_default())),
        _ => word.to_owned(),
    }
}

fn workload_changes(before: Option<&View>, after: &View, lines: &mut Vec<String>) {
    let all = || after.clusters.iter().flat_map(|cluster| cluster.workloads.iter().map(move |it| (cluster, it)));
    let width = |text: fn(&(&super::Cluster, &Workload)) -> usize| all().map(|it| text(&it)).max().unwrap_or_default();
    let (cluster_width, name_width) = (width(|it| it.0.title().len()), width(|it| it.1.name.len()));
    for (cluster, workload) in all() {
        let earlier = before.and_then(|it| it.workload(&cluster.name, &workload.name));
        if earlier.map(counts) == Some(counts(workload)) {
            continue;
        }
        lines.push(format!(
            "{:cluster_width$}  {:name_width$}  {}",
            cluster.title(),
            workload.name,
            counts_line(workload)
        ));
    }
}

fn counts(workload: &Workload) -> (i32, i32, i32) {
    (workload.desired, workload.updated, workload.available)
}

/// `2/5 updated, 4 available`
pub(super) fn counts_line(workload: &Workload) -> String {
    format!("{}/{} updated, {} available", workload.updated, workload.desired, workload.available)
}

fn waiting(wait: &Wait) -> String {
    match &wait.unblock {
        Some(command) => format!("waiting: {}; to go on: {command}", wait.what),
        None => format!("waiting: {}", wait.what),
    }
}

fn ending(before: Option<&Run>, after: &View, lines: &mut Vec<String>) {
    let Some(run) = after.run.as_ref().filter(|it| it.is_over()) else { return };
    if !before.is_some_and(|it| it.name == run.name && it.is_over()) {
        let word = match run.standing() {
            "Succeeded" => "succeeded",
            "Rolled back" => "was rolled back",
            _ => "was canceled",
        };
        lines.push(format!("run {} {word} after {}", run.name, clock_face(run.took)));
    }
}

/// `to 3 pods each, window 1`
pub(crate) fn plan(batch: &Batch) -> String {
    let window = batch.window.as_ref().map(|it| format!(", window {it}")).unwrap_or_default();
    format!("to {} each{window}", batch.goal)
}

/// `1 batch`, `3 batches`
pub(crate) fn counted(count: usize, noun: &str) -> String {
    match (count, noun.ends_with("ch")) {
        (1, _) => format!("1 {noun}"),
        (_, true) => format!("{count} {noun}es"),
        (_, false) => format!("{count} {noun}s"),
    }
}

impl View {
    /// The workload of that name in that cluster.
    pub(crate) fn workload(&self, cluster: &str, name: &str) -> Option<&Workload> {
        let cluster = self.clusters.iter().find(|it| it.name == cluster)?;
        cluster.workloads.iter().find(|it| it.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::samples, *};

    #[test]
    fn a_rollout_reads_as_a_story() {
        let mut before = None;
        let mut story = String::new();
        for view in samples::story() {
            for line in changes(before.as_ref(), &view) {
                story.push_str(&line);
                story.push('\n');
            }
            before = Some(view);
        }
        insta::assert_snapshot!(story);
    }

    #[test]
    fn nothing_is_said_twice() {
        for view in samples::story() {
            assert_eq!(changes(Some(&view), &view), Vec::<String>::new());
        }
    }
}
