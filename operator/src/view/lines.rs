//! The plain renderer: one line per change, for pipes, logs and the tail of the live tree.

use super::{Batch, Requests, Run, State, View, Wait, Workload, clock_face};

/// What changed from one view to the next, as lines without a line end.
pub(crate) fn changes(before: Option<&View>, after: &View) -> Vec<String> {
    let mut lines = Vec::new();
    if before.is_none() {
        lines.push(introduction(after));
    }
    run_changes(before.and_then(|it| it.run.as_ref()), after, &mut lines);
    workload_changes(before, after, &mut lines);
    request_changes(before, after, &mut lines);
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
            lines.push(format!("{} {}", run.canary_title(), batch_change(canary)));
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

/// Counts grow all the time: a change is where requests go, and the first that fails.
fn request_changes(before: Option<&View>, after: &View, lines: &mut Vec<String>) {
    let width = after.clusters.iter().map(|it| it.title().len()).max().unwrap_or_default();
    let what = |requests: &Requests| (requests.shares.clone(), requests.errors > 0);
    for cluster in &after.clusters {
        let Some(requests) = &cluster.requests else { continue };
        let earlier = before.and_then(|it| it.clusters.iter().find(|earlier| earlier.name == cluster.name));
        if earlier.and_then(|it| it.requests.as_ref()).map(what) != Some(what(requests)) {
            lines.push(format!("{:width$}  {}", cluster.title(), requests_line(requests)));
        }
    }
}

/// `requests  v1 80%  v2 20%  · 1,234 answered, 0 errors`
pub(super) fn requests_line(requests: &Requests) -> String {
    format!("requests  {}  · {}", shares(requests), answers(requests))
}

/// `v1 80%  v2 20%`
pub(super) fn shares(requests: &Requests) -> String {
    let shares: Vec<String> =
        requests.shares.iter().map(|(version, percent)| format!("{version} {percent}%")).collect();
    if shares.is_empty() { "nobody answers".to_owned() } else { shares.join("  ") }
}

/// `1,234 answered, 0 errors`
pub(super) fn answers(requests: &Requests) -> String {
    let errors = usize::try_from(requests.errors).unwrap_or(usize::MAX);
    format!("{} answered, {}", grouped(requests.answered.values().sum()), counted(errors, "error"))
}

/// `1,234,567`
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let places = (1..=digits.len()).rev();
    digits.chars().zip(places).fold(String::new(), |mut text, (digit, place)| {
        if place % 3 == 0 && !text.is_empty() {
            text.push(',');
        }
        text.push(digit);
        text
    })
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

/// `to 3 pods each, window 1, traffic 50%`
pub(crate) fn plan(batch: &Batch) -> String {
    let window = batch.window.as_ref().map(|it| format!(", window {it}")).unwrap_or_default();
    let traffic = batch.traffic.as_ref().map(|it| format!(", traffic {it}")).unwrap_or_default();
    format!("to {} each{window}{traffic}", batch.goal)
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
    fn numbers_are_grouped_by_threes() {
        let texts = [0, 12, 999, 1_000, 12_345, 123_456, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "12", "999", "1,000", "12,345", "123,456", "1,234,567"]);
    }

    #[test]
    fn requests_are_told_when_they_go_elsewhere_or_fail() {
        let view = samples::running();
        let told = |change: fn(&mut Requests)| {
            let mut after = view.clone();
            after.clusters.iter_mut().filter_map(|it| it.requests.as_mut()).take(1).for_each(change);
            changes(Some(&view), &after)
        };
        let more = told(|it| *it.answered.entry("v1".into()).or_default() += 1);
        assert_eq!(more, Vec::<String>::new(), "only more of them");
        let failing = told(|it| it.errors = 1);
        assert_eq!(failing, ["  0:12  east   requests  v1 90%  v2 10%  · 400 answered, 1 error"]);
        let nobody = told(|it| it.shares.clear());
        assert_eq!(nobody, ["  0:12  east   requests  nobody answers  · 400 answered, 0 errors"]);
    }

    #[test]
    fn nothing_is_said_twice() {
        for view in samples::story() {
            assert_eq!(changes(Some(&view), &view), Vec::<String>::new());
        }
    }
}
