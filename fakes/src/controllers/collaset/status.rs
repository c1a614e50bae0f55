//! The status of a CollaSet: counted from its pods that are not being deleted.

use serde_json::{Value, json};

use super::{Pod, Spec};
use crate::controllers::custom::count;
use crate::controllers::object;
use crate::controllers::revision::History;

pub(super) fn status(set: &Value, spec: &Spec, history: &History<'_>, pods: &[Pod<'_>]) -> Value {
    let update = object::name(&history.update);
    let number = |counts: &dyn Fn(&&Pod<'_>) -> bool| count(pods.iter().filter(counts));
    let updated_ready = number(&|pod| pod.ready && pod.revision == update);
    // The current revision moves when enough pods of the updated one are ready; a set without pods has always done.
    let current = if updated_ready >= spec.replicas { update } else { object::name(&history.current) };
    let mut status = json!({
        "observedGeneration": object::generation(set),
        "currentRevision": current,
        "updatedRevision": update,
        "collisionCount": history.collision_count,
    });
    for (field, count) in [
        ("replicas", count(pods)),
        ("scheduledReplicas", number(&|pod| pod.object["spec"]["nodeName"].is_string())),
        ("readyReplicas", number(&|pod| pod.ready)),
        ("availableReplicas", number(&|pod| pod.ready)),
        ("updatedReplicas", number(&|pod| pod.revision == update)),
        ("updatedReadyReplicas", updated_ready),
        ("updatedAvailableReplicas", updated_ready),
    ] {
        object::set(&mut status, field, count);
    }
    status
}
