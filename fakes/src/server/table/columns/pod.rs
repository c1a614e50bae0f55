//! What a pod does, and its containers.

use jiff::Timestamp;
use serde_json::Value;

use super::row::{NONE, Row, or};
use super::{AGE, Column, text, wide};
use crate::{object, server::table::age};

pub(super) const PODS: &[Column] = &[
    text("Ready", ready),
    text("Status", status),
    text("Restarts", restarts),
    AGE,
    wide("IP", address),
    wide("Node", |row| row.text_or("/spec/nodeName", NONE)),
    wide("Nominated Node", |row| row.text_or("/status/nominatedNodeName", NONE)),
    wide("Readiness Gates", gates),
];

/// What the containers of a pod come to.
struct Summary {
    ready: i64,
    total: usize,
    reason: String,
    restarts: i64,
    restarted: Option<Timestamp>,
}

fn ready(row: &Row<'_>) -> Value {
    let summary = summarise(row);
    format!("{}/{}", summary.ready, summary.total).into()
}

fn status(row: &Row<'_>) -> Value {
    let ended = matches!(row.text("/status/phase"), "Succeeded" | "Failed");
    if row.is_deleting() && row.text("/status/reason") == "NodeLost" {
        return "Unknown".into();
    }
    if row.is_deleting() && !ended { "Terminating".into() } else { summarise(row).reason.into() }
}

fn restarts(row: &Row<'_>) -> Value {
    let Summary { restarts, restarted, .. } = summarise(row);
    match restarted.filter(|_| restarts != 0) {
        Some(then) => format!("{restarts} ({} ago)", age::age(row.now, then)).into(),
        None => restarts.to_string().into(),
    }
}

fn address(row: &Row<'_>) -> Value {
    or(row.text("/status/podIPs/0/ip"), NONE)
}

fn gates(row: &Row<'_>) -> Value {
    let gates = row.each("/spec/readinessGates", "conditionType");
    let open = gates.iter().filter(|gate| row.holds(gate)).count();
    if gates.is_empty() { NONE.into() } else { format!("{open}/{}", gates.len()).into() }
}

fn summarise(row: &Row<'_>) -> Summary {
    let stays = |name: &Value| {
        row.list("/spec/initContainers").iter().any(|it| it["name"] == *name && it["restartPolicy"] == "Always")
    };
    let sidecars = row.list("/spec/initContainers").iter().filter(|it| stays(&it["name"])).count();
    let mut summary = Summary {
        ready: 0,
        total: row.list("/spec/containers").len() + sidecars,
        reason: first_reason(row),
        restarts: 0,
        restarted: None,
    };
    let mut of_sidecars = (0, None);
    let mut initialising = false;
    for (index, status) in row.list("/status/initContainerStatuses").iter().enumerate() {
        summary.count_restarts(status);
        let stays = stays(&status["name"]);
        if stays {
            of_sidecars = (of_sidecars.0 + restart_count(status), of_sidecars.1.max(ended_at(status)));
        }
        if status["state"]["terminated"].is_object() && exit_code(status) == 0 {
            continue;
        }
        if stays && status["started"] == true {
            summary.ready += i64::from(status["ready"] == true);
            continue;
        }
        let step = format!("{index}/{}", row.list("/spec/initContainers").len());
        summary.reason = format!("Init:{}", why_uninitialised(status).unwrap_or(step));
        initialising = true;
        break;
    }
    if !initialising || row.holds("Initialized") {
        (summary.restarts, summary.restarted) = of_sidecars;
        summary.add_containers(row);
    }
    summary
}

/// Before its containers are looked at.
fn first_reason(row: &Row<'_>) -> String {
    let gated = row
        .list("/status/conditions")
        .iter()
        .any(|it| it["type"] == "PodScheduled" && it["reason"] == "SchedulingGated");
    let reasons = [if gated { "SchedulingGated" } else { "" }, row.text("/status/reason"), row.text("/status/phase")];
    reasons.into_iter().find(|reason| !reason.is_empty()).unwrap_or_default().to_owned()
}

/// Why an init container holds the pod up, unless it just runs.
fn why_uninitialised(status: &Value) -> Option<String> {
    if status["state"]["terminated"].is_object() {
        return Some(why_ended(status));
    }
    let waits = object::text(status, &["state", "waiting", "reason"]);
    (!waits.is_empty() && waits != "PodInitializing").then(|| waits.to_owned())
}

impl Summary {
    fn count_restarts(&mut self, status: &Value) {
        self.restarts += restart_count(status);
        self.restarted = self.restarted.max(ended_at(status));
    }

    fn add_containers(&mut self, row: &Row<'_>) {
        let mut running = false;
        let mut error = String::new();
        for status in row.list("/status/containerStatuses").iter().rev() {
            self.count_restarts(status);
            let waits = object::text(status, &["state", "waiting", "reason"]);
            if !waits.is_empty() {
                waits.clone_into(&mut self.reason);
            } else if status["state"]["terminated"].is_object() {
                self.reason = why_ended(status);
                if exit_code(status) != 0 {
                    self.reason.clone_into(&mut error);
                }
            } else if status["ready"] == true && status["state"]["running"].is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason != "Completed" {
            return;
        }
        // One that ended does not hide those that run.
        match (running, row.holds("Ready")) {
            (true, true) => "Running".clone_into(&mut self.reason),
            _ if !error.is_empty() => self.reason = error,
            (true, false) => "NotReady".clone_into(&mut self.reason),
            _ => {}
        }
    }
}

fn restart_count(status: &Value) -> i64 {
    status["restartCount"].as_i64().unwrap_or_default()
}

fn exit_code(status: &Value) -> i64 {
    status["state"]["terminated"]["exitCode"].as_i64().unwrap_or_default()
}

fn ended_at(status: &Value) -> Option<Timestamp> {
    object::text(status, &["lastState", "terminated", "finishedAt"]).parse().ok()
}

fn why_ended(status: &Value) -> String {
    let ended = &status["state"]["terminated"];
    match (ended["reason"].as_str().unwrap_or_default(), ended["signal"].as_i64().unwrap_or_default()) {
        ("", 0) => format!("ExitCode:{}", exit_code(status)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(pod: &Value) -> [String; 3] {
        let row = Row { object: pod, now: "2026-01-01T00:00:05Z".parse().unwrap() };
        [ready, status, restarts].map(|cell| cell(&row).as_str().unwrap().to_owned())
    }

    #[test]
    fn a_pod_shows_what_keeps_it() {
        let mut pod = json!({
            "metadata": { "name": "p" },
            "spec": { "containers": [{}, {}] },
            "status": { "phase": "Running", "containerStatuses": [
                { "ready": true, "restartCount": 1, "state": { "running": {} } },
                { "ready": false, "restartCount": 2, "state": { "waiting": { "reason": "CrashLoopBackOff" } },
                  "lastState": { "terminated": { "finishedAt": "2026-01-01T00:00:00Z" } } }
            ] }
        });
        assert_eq!(shown(&pod), ["1/2", "CrashLoopBackOff", "3 (5s ago)"]);
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:30Z");
        assert_eq!(shown(&pod)[1], "Terminating");
    }

    #[test]
    fn a_pod_that_is_initialised_shows_how_far_it_is() {
        let pod = json!({
            "spec": { "initContainers": [{ "name": "a" }, { "name": "b" }], "containers": [{}] },
            "status": { "phase": "Pending", "initContainerStatuses": [
                { "name": "a", "state": { "terminated": { "exitCode": 0 } } },
                { "name": "b", "state": { "running": {} } }
            ] }
        });
        assert_eq!(shown(&pod), ["0/1", "Init:1/2", "0"]);
    }

    #[test]
    fn a_container_that_ended_does_not_hide_one_that_runs() {
        let pod = |conditions: Value| {
            json!({
                "spec": { "containers": [{}, {}] },
                "status": { "phase": "Running", "conditions": conditions, "containerStatuses": [
                    { "state": { "terminated": { "exitCode": 0, "reason": "Completed" } } },
                    { "ready": true, "state": { "running": {} } }
                ] }
            })
        };
        assert_eq!(shown(&pod(json!([])))[1], "NotReady");
        assert_eq!(shown(&pod(json!([{ "type": "Ready", "status": "True" }])))[1], "Running");
    }
}
