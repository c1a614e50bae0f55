//! The status of a pod, as its kubelet reports it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::KubeletOptions;
use crate::clock::stamp;
use crate::controllers::object;

/// A node that takes pods.
pub(super) fn node(name: &str, now: Timestamp) -> Value {
    let resources = json!({ "cpu": "4", "memory": "8Gi", "pods": "110" });
    let now = stamp(now);
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } },
        "spec": {},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady",
                "message": "kubelet is posting ready status", "lastHeartbeatTime": now, "lastTransitionTime": now,
            }],
        },
    })
}

/// What goes on in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Running,
    /// Its image cannot be pulled.
    Waiting,
    /// It ended and will be started again.
    Crashing,
}

/// What the status says once the pod's containers are as the options have them. Times and addresses that are reported
/// already stay. `held` makes the pod unready although its containers run.
pub(super) fn wanted(pod: &Value, options: &KubeletOptions, held: bool, address: &str, now: Timestamp) -> Value {
    let old = &pod["status"];
    let now = stamp(now);
    let containers = object::list(&pod["spec"]["containers"]);
    let found: Vec<Container> = containers.iter().map(|container| state(container, old, options)).collect();
    let running = found.iter().all(|state| *state == Container::Running) && !held;
    let ready = running && gates_open(pod);

    let mut status = old.clone();
    let keep = |field: &str, value: Value| if old[field].is_null() { value } else { old[field].clone() };
    let pending = found.contains(&Container::Waiting);
    status["phase"] = if pending { "Pending" } else { "Running" }.into();
    if let Some(generation) = pod["metadata"]["generation"].as_i64() {
        status["observedGeneration"] = generation.into();
    }
    status["podIP"] = keep("podIP", address.into());
    status["podIPs"] = keep("podIPs", json!([{"ip": address}]));
    status["startTime"] = keep("startTime", now.as_str().into());
    let conditions = [("PodScheduled", true), ("Initialized", true), ("ContainersReady", running), ("Ready", ready)];
    status["conditions"] = conditions_of(pod, &conditions, &now);
    let statuses = containers.iter().zip(found);
    status["containerStatuses"] =
        statuses.map(|(container, state)| container_status(container, state, held, old, &now)).collect();
    status
}

/// True when containers have to start for the wanted status, false when it only reports what is so.
pub(super) fn starts(pod: &Value, wanted: &Value) -> bool {
    let reported = object::list(&pod["status"]["containerStatuses"]);
    object::list(&wanted["containerStatuses"]).iter().any(|new| {
        let old = reported.iter().find(|old| old["name"] == new["name"]);
        old.is_none_or(|old| old["image"] != new["image"] || !same_state(&old["state"], &new["state"]))
    })
}

fn state(container: &Value, old: &Value, options: &KubeletOptions) -> Container {
    let image = container["image"].as_str().unwrap_or_default();
    let reported = reported(container, old);
    let runs = reported.is_some_and(|it| it["image"] == image && it["state"]["running"].is_object());
    if options.crashing_images.contains(image) {
        Container::Crashing
    } else if options.bad_images.contains(image) && !runs {
        Container::Waiting
    } else {
        Container::Running
    }
}

fn reported<'a>(container: &Value, old: &'a Value) -> Option<&'a Value> {
    object::list(&old["containerStatuses"]).iter().find(|it| it["name"] == container["name"])
}

fn gates_open(pod: &Value) -> bool {
    let mut gates = object::list(&pod["spec"]["readinessGates"]).iter();
    gates.all(|gate| {
        let gate = gate["conditionType"].as_str().unwrap_or_default();
        object::condition(pod, gate).is_some_and(|condition| condition["status"] == "True")
    })
}

/// The kubelet's own conditions, with their old times where nothing changed, then those of others.
fn conditions_of(pod: &Value, conditions: &[(&str, bool)], now: &str) -> Value {
    let own = conditions.iter().map(|(kind, holds)| {
        let status = if *holds { "True" } else { "False" };
        match object::condition(pod, kind).filter(|old| old["status"] == status) {
            Some(old) => old.clone(),
            None => json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": now}),
        }
    });
    let others = object::list(&pod["status"]["conditions"]).iter();
    let others = others.filter(|old| !conditions.iter().any(|(kind, _)| old["type"] == *kind));
    own.chain(others.cloned()).collect()
}

fn container_status(container: &Value, state: Container, held: bool, old: &Value, now: &str) -> Value {
    let reported = reported(container, old);
    let mut new = match state {
        Container::Running => json!({"running": {"startedAt": now}}),
        Container::Waiting => {
            json!({"waiting": {"reason": "ImagePullBackOff", "message": "back-off pulling image"}})
        }
        Container::Crashing => {
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}})
        }
    };
    let mut restarts = reported.and_then(|it| it["restartCount"].as_i64()).unwrap_or_default();
    match reported.filter(|it| it["image"] == container["image"]) {
        Some(it) if same_state(&it["state"], &new) => new = it["state"].clone(),
        Some(it) if it["state"]["running"].is_object() => restarts += 1,
        Some(_) => {}
        None => restarts += i64::from(reported.is_some()),
    }
    let running = state == Container::Running;
    json!({
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": running && !held,
        "started": running,
        "restartCount": restarts,
        "state": new,
    })
}

/// Equal but for the time a container started.
fn same_state(old: &Value, new: &Value) -> bool {
    old["running"].is_object() && new["running"].is_object() || old == new
}
