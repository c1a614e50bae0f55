//! The status of a CloneSet: counted from its pods, never remembered.

use serde_json::{Value, json};

use super::{Pod, Spec};
use crate::controllers::custom::count;
use crate::controllers::object;
use crate::controllers::revision::History;
use crate::selector;

pub(super) fn status(set: &Value, spec: &Spec, history: &History<'_>, pods: &[Pod<'_>]) -> Value {
    let (replicas, updated) = (count(pods), count(pods.iter().filter(|pod| pod.updated)));
    // The current revision moves as soon as all pods have the update revision, ready or not.
    let current = if updated == replicas && replicas == spec.replicas { &history.update } else { &history.current };
    json!({
        "observedGeneration": object::generation(set),
        "replicas": replicas,
        "readyReplicas": count(pods.iter().filter(|pod| pod.ready)),
        "availableReplicas": count(pods.iter().filter(|pod| pod.available)),
        "updatedReplicas": updated,
        "updatedReadyReplicas": count(pods.iter().filter(|pod| pod.updated && pod.ready)),
        "updatedAvailableReplicas": count(pods.iter().filter(|pod| pod.updated && pod.available)),
        "expectedUpdatedReplicas": spec.replicas - spec.partition,
        "currentRevision": object::name(current),
        "updateRevision": object::name(&history.update),
        "collisionCount": history.collision_count,
        "labelSelector": selector::text(&set["spec"]["selector"]),
    })
}
