//! What the stand-in reports: its node, and pods whose containers run unless their image is bad.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, Pod, PodCondition};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// The status of a node that takes pods.
pub(super) fn of_node(now: &str) -> Value {
    json!({
        "capacity": { "cpu": "4", "memory": "8Gi", "pods": "110" },
        "allocatable": { "cpu": "4", "memory": "8Gi", "pods": "110" },
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        }],
    })
}

/// Whether the status already says what this pod's containers do.
pub(super) fn is_reported(pod: &Pod, bad: &BTreeSet<String>) -> bool {
    let reported = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let containers = containers(pod).iter().all(|container| {
        reported.iter().any(|it| {
            it.name == container.name
                && Some(&it.image) == container.image.as_ref()
                && it.ready != is_bad(container, bad)
        })
    });
    containers && condition(pod, "Ready").is_some_and(|it| it.status == word(is_ready(pod, bad)))
}

/// The status of a pod. Times of conditions that stay as they are stay, too.
pub(super) fn of_pod(pod: &Pod, bad: &BTreeSet<String>, address: &str, now: &str) -> Value {
    let running = is_running(pod, bad);
    let conditions =
        [("PodScheduled", true), ("Initialized", true), ("ContainersReady", running), ("Ready", is_ready(pod, bad))];
    let conditions = conditions.map(|(kind, holds)| {
        let old = condition(pod, kind).filter(|old| old.status == word(holds));
        let since = old.and_then(|old| Some(json!(old.last_transition_time.as_ref()?)));
        json!({ "type": kind, "status": word(holds), "lastTransitionTime": since.unwrap_or_else(|| now.into()) })
    });
    json!({
        "phase": if running { "Running" } else { "Pending" },
        "observedGeneration": pod.metadata.generation,
        "podIP": address,
        "podIPs": [{ "ip": address }],
        "startTime": now,
        "conditions": conditions,
        "containerStatuses": containers(pod).iter().map(|it| container_status(it, bad, now)).collect::<Vec<_>>(),
    })
}

fn container_status(container: &Container, bad: &BTreeSet<String>, now: &str) -> Value {
    let ready = !is_bad(container, bad);
    let state = if ready {
        json!({ "running": { "startedAt": now } })
    } else {
        json!({ "waiting": { "reason": "ImagePullBackOff", "message": "back-off pulling image" } })
    };
    json!({
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": state,
    })
}

fn is_running(pod: &Pod, bad: &BTreeSet<String>) -> bool {
    !containers(pod).iter().any(|container| is_bad(container, bad))
}

/// Containers run, and every readiness gate is open.
fn is_ready(pod: &Pod, bad: &BTreeSet<String>) -> bool {
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or_default();
    is_running(pod, bad)
        && gates.iter().all(|gate| condition(pod, &gate.condition_type).is_some_and(|it| it.status == "True"))
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

const fn word(holds: bool) -> &'static str {
    if holds { "True" } else { "False" }
}

fn containers(pod: &Pod) -> &[Container] {
    pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default()
}

fn is_bad(container: &Container, bad: &BTreeSet<String>) -> bool {
    container.image.as_ref().is_some_and(|image| bad.contains(image))
}

/// A real control plane lives in wall time, and so does what stands in for its nodes.
#[expect(clippy::disallowed_methods, reason = "the stand-in runs beside real servers only")]
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
