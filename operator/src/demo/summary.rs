//! What the demo counted, and the table at its end.

use std::{collections::BTreeMap, fmt::Write};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{
    application::{self, Play},
    clusters::Clusters,
    observe::Observer,
};
use crate::view::{Requests, Run, build, clock_face, lines};

/// Cluster and name of a workload.
type Key = (String, String);

/// Counts what only a watch over time can tell.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    began: Option<Timestamp>,
    most_unavailable: BTreeMap<Key, i32>,
}

/// The summary.
pub(crate) struct Summary {
    /// The text.
    pub text: String,
    /// What is wrong with the end, if anything is.
    pub shortfall: Option<String>,
}

/// Pods of a workload by version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pods {
    v1: i32,
    v2: i32,
    available: i32,
}

impl Tally {
    /// The new version is on its way from now on.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.began = Some(now);
    }

    /// Takes in what there is to see.
    pub(crate) fn see(&mut self, observer: &Observer) {
        if self.began.is_none() {
            return;
        }
        for (key, pods) in pods(observer.pods.iter()) {
            let unavailable = application::REPLICAS - pods.available;
            let most = self.most_unavailable.entry(key).or_default();
            *most = unavailable.max(*most);
        }
    }

    /// The summary of all that was seen.
    pub(crate) fn summary(&self, observer: &Observer, clusters: &Clusters, play: Play, speed: u32) -> Summary {
        let pods = pods(observer.pods.iter());
        let now = clusters.clock.now();
        let view = build::view(&observer.observed, self.began.unwrap_or(now), now).unwrap_or_default();
        let run = view.run.unwrap_or_default();
        let requests = &observer.observed.requests;
        let shortfall = shortfall(play, &run, &pods).or_else(|| failed_requests(requests));
        let mut text = String::from("\n");
        text.push_str(&workload_table(&pods, &self.most_unavailable));
        text.push_str(&batch_table(&run));
        text.push_str(&request_table(requests));
        let _ = writeln!(text, "{}", requests_line(requests));
        let _ = writeln!(text, "{}", writes_line(clusters.writes()));
        let _ = writeln!(text, "{}", verdict(&run, &pods, shortfall.as_deref(), speed));
        Summary { text, shortfall }
    }
}

/// The application's pods by workload. Those on their way out count for nothing.
fn pods<'a>(all: impl Iterator<Item = (&'a Key, &'a Pod)>) -> BTreeMap<Key, Pods> {
    let mut counts: BTreeMap<Key, Pods> = BTreeMap::new();
    for ((cluster, _), pod) in all {
        let Some(owner) = pod.owner_references().iter().find(|it| it.controller == Some(true)) else { continue };
        let count = counts.entry((cluster.clone(), owner.name.clone())).or_default();
        if pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let image = pod.spec.as_ref().and_then(|it| it.containers.first()?.image.as_deref()).unwrap_or_default();
        let version = if image.ends_with(":v2") { &mut count.v2 } else { &mut count.v1 };
        *version += 1;
        count.available += i32::from(is_ready(pod));
    }
    counts
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|it| it.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
}

fn shortfall(play: Play, run: &Run, pods: &BTreeMap<Key, Pods>) -> Option<String> {
    let (end, version) = if play == Play::Rollback { ("Rolled back", "v1") } else { ("Succeeded", "v2") };
    if run.standing() != end {
        return Some(format!("rolloutrun {}: ended as {}, not {end}", run.name, run.standing()));
    }
    let on = |pods: &Pods| if play == Play::Rollback { (pods.v1, pods.v2) } else { (pods.v2, pods.v1) };
    let (key, left) = pods.iter().find(|(_, it)| on(it) != (application::REPLICAS, 0))?;
    let expected = application::REPLICAS;
    Some(format!("{} statefulset/{}: {} pods on {version}, expected {expected}", key.0, key.1, on(left).0))
}

fn failed_requests(requests: &BTreeMap<String, Requests>) -> Option<String> {
    let (cluster, failed) = requests.iter().find(|(_, it)| it.errors > 0)?;
    let answered: u64 = failed.answered.values().sum();
    Some(format!("{cluster}: {} of {} requests failed, expected none", failed.errors, answered + failed.errors))
}

fn workload_table(pods: &BTreeMap<Key, Pods>, most_unavailable: &BTreeMap<Key, i32>) -> String {
    let mut rows = vec![["CLUSTER", "WORKLOAD", "PODS ON V1", "PODS ON V2", "MOST UNAVAILABLE"].map(str::to_owned)];
    rows.extend(pods.iter().map(|(key, it)| {
        let unavailable = most_unavailable.get(key).copied().unwrap_or_default();
        [key.0.clone(), key.1.clone(), it.v1.to_string(), it.v2.to_string(), unavailable.to_string()]
    }));
    table(&rows)
}

fn batch_table(run: &Run) -> String {
    let mut rows = vec![["BATCH", "PLAN", "STATE", "TIME"].map(str::to_owned)];
    rows.extend(run.batches.iter().enumerate().map(|(index, batch)| {
        let breakpoint = if batch.breakpoint { ", breakpoint" } else { "" };
        [
            format!("{}/{}", index + 1, run.batches.len()),
            format!("{}{breakpoint}", lines::plan(batch)),
            batch.state.word().to_owned(),
            batch.took.map(clock_face).unwrap_or_default(),
        ]
    }));
    table(&rows)
}

fn request_table(requests: &BTreeMap<String, Requests>) -> String {
    let mut rows = vec![["CLUSTER", "ANSWERED BY V1", "ANSWERED BY V2", "ERRORS"].map(str::to_owned)];
    rows.extend(requests.iter().map(|(cluster, it)| {
        [
            cluster.clone(),
            lines::grouped(answered_by(it, "v1")),
            lines::grouped(answered_by(it, "v2")),
            it.errors.to_string(),
        ]
    }));
    table(&rows)
}

fn answered_by(requests: &Requests, version: &str) -> u64 {
    requests.answered.get(version).copied().unwrap_or_default()
}

fn requests_line(requests: &BTreeMap<String, Requests>) -> String {
    let by = |version| lines::grouped(requests.values().map(|it| answered_by(it, version)).sum());
    let failed = match requests.values().map(|it| it.errors).sum() {
        0 => "none".to_owned(),
        errors => lines::grouped(errors),
    };
    format!("Requests: {} answered by v1, {} by v2, {failed} failed", by("v1"), by("v2"))
}

fn writes_line<'a>(writes: impl Iterator<Item = (&'a str, u64)>) -> String {
    let writes: Vec<(&str, u64)> = writes.collect();
    let total: u64 = writes.iter().map(|it| it.1).sum();
    let each: Vec<String> = writes.iter().map(|(name, count)| format!("{name} {count}")).collect();
    format!("{total} writes by Slipway: {}", each.join(", "))
}

fn verdict(run: &Run, pods: &BTreeMap<Key, Pods>, shortfall: Option<&str>, speed: u32) -> String {
    let total: i32 = pods.values().map(|it| it.v1 + it.v2).sum();
    let new: i32 = pods.values().map(|it| it.v2).sum();
    let took =
        format!("{} of the clusters' time, {} of yours", clock_face(run.took), clock_face(run.took / i64::from(speed)));
    match shortfall {
        None if run.rolling_back => format!("All {total} pods are on v1 again, after {took}."),
        None => format!("All {total} pods are on v2, after {took}."),
        Some(_) => format!("{new} of {total} pods are on v2, after {took}."),
    }
}

/// Columns two spaces apart, an empty line below.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: Vec<usize> =
        (0..N).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::view::samples;

    fn pod(workload: &str, ordinal: i32, version: &str, ready: &str) -> (Key, Pod) {
        let pod = json!({
            "metadata": {
                "name": format!("{workload}-{ordinal}"),
                "ownerReferences": [
                    { "apiVersion": "apps/v1", "kind": "StatefulSet", "name": workload, "uid": "u", "controller": true },
                ],
            },
            "spec": { "containers": [{ "name": "it", "image": format!("registry.example.com/it:{version}") }] },
            "status": { "conditions": [{ "type": "Ready", "status": ready }] },
        });
        (("east".to_owned(), format!("{workload}-{ordinal}")), serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn pods_are_counted_by_version() {
        let mut gone = pod("web", 3, "v2", "True");
        gone.1.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let all = [pod("web", 0, "v1", "True"), pod("web", 1, "v2", "False"), pod("web", 2, "v2", "True"), gone];
        let counts = pods(all.iter().map(|(key, pod)| (key, pod)));
        assert_eq!(
            counts.into_iter().collect::<Vec<_>>(),
            [(("east".to_owned(), "web".to_owned()), Pods { v1: 1, v2: 2, available: 2 })]
        );
    }

    #[test]
    fn the_summary_says_what_is_missing() {
        let run = samples::over().run.unwrap();
        let mut pods = BTreeMap::from([(("east".to_owned(), "web".to_owned()), Pods { v1: 0, v2: 5, available: 5 })]);
        assert_eq!(shortfall(Play::Batches, &run, &pods), None);
        pods.insert(("west".to_owned(), "web".to_owned()), Pods { v1: 1, v2: 4, available: 5 });
        let missing = shortfall(Play::Batches, &run, &pods).unwrap();
        let answered = BTreeMap::from([("v1".to_owned(), 1_234), ("v2".to_owned(), 567)]);
        let requests = |errors| Requests { answered: answered.clone(), errors, ..Requests::default() };
        let requests = BTreeMap::from([("east".to_owned(), requests(0)), ("west".to_owned(), requests(2))]);
        let text = format!(
            "{}{}{}{}\n{}\n{}\n{}\n{}\n",
            workload_table(&pods, &BTreeMap::from([(("east".to_owned(), "web".to_owned()), 2)])),
            batch_table(&run),
            request_table(&requests),
            requests_line(&requests),
            writes_line([("hub", 12), ("east", 7)].into_iter()),
            verdict(&run, &pods, Some(&missing), 3),
            missing,
            failed_requests(&requests).unwrap()
        );
        insta::assert_snapshot!(text);
    }
}
