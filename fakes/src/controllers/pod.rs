//! What controllers read of pods, and how they make them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::object;

/// The longest name of an object.
const LONGEST_NAME: usize = 253;

/// True when the pod's containers serve.
pub(crate) fn is_ready(pod: &Value) -> bool {
    object::condition(pod, "Ready").is_some_and(|condition| condition["status"] == "True")
}

/// Since when the pod is ready.
pub(crate) fn ready_since(pod: &Value) -> Option<Timestamp> {
    let condition = object::condition(pod, "Ready").filter(|condition| condition["status"] == "True")?;
    object::timestamp(&condition["lastTransitionTime"])
}

/// When a ready pod has been ready long enough.
pub(crate) fn available_at(pod: &Value, min_ready_seconds: i32) -> Option<Timestamp> {
    ready_since(pod)?.checked_add(SignedDuration::from_secs(min_ready_seconds.into())).ok()
}

/// True when the pod has been ready long enough.
pub(crate) fn is_available(pod: &Value, min_ready_seconds: i32, now: Timestamp) -> bool {
    is_ready(pod)
        && (min_ready_seconds == 0 || available_at(pod, min_ready_seconds).is_some_and(|instant| instant <= now))
}

/// The shortest wait for a pod: what is due within a tick of the clock is looked at at once, and under paused time the pod
/// would not be available then, for ever.
const SHORTEST_WAIT: Duration = Duration::from_millis(2);

/// How long until the next of these pods becomes available; as long as any of them takes when that cannot be told.
pub(crate) fn next_available<'a>(
    pods: impl IntoIterator<Item = &'a Value>,
    min_ready_seconds: i32,
    now: Timestamp,
) -> Duration {
    let instants = pods.into_iter().filter_map(|pod| available_at(pod, min_ready_seconds));
    let wait = instants.filter(|&instant| instant > now).min();
    let wait = wait.and_then(|instant| Duration::try_from(instant.duration_since(now)).ok());
    wait.map_or(Duration::from_secs(min_ready_seconds.unsigned_abs().into()), |wait| wait.max(SHORTEST_WAIT))
}

/// True when the pod's containers ended and will not start again.
pub(crate) fn is_finished(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"))
}

/// True when the pod counts as one that runs or will run.
pub(crate) fn is_active(pod: &Value) -> bool {
    !is_finished(pod) && !object::is_deleting(pod)
}

/// A new pod from a template, which its owner controls. The API server completes its name.
pub(crate) fn from_template(template: &Value, owner: &Value) -> Value {
    let name = object::name(owner);
    let prefix = if name.len() < LONGEST_NAME { format!("{name}-") } else { name.to_owned() };
    let mut metadata = json!({"generateName": prefix, "namespace": object::namespace(owner)});
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    metadata["ownerReferences"] = json!([object::controller_reference(owner)]);
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"].clone()})
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nobody_waits_less_than_the_clock_can_sleep() {
        let ready = json!({ "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let pod = json!({ "status": { "conditions": [ready] } });
        let after = |now: &str| next_available([&pod], 20, now.parse().unwrap());
        assert_eq!(after("2026-01-01T00:00:19Z"), Duration::from_secs(1));
        assert_eq!(after("2026-01-01T00:00:19.9996Z"), SHORTEST_WAIT);
    }
}
