//! The status of a PodDecoration: counted from the pods it is for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{collaset_of, revision_on};
use crate::controllers::custom::{Observed, count};
use crate::controllers::object::{self, int};
use crate::controllers::pod;
use crate::controllers::revision::History;

pub(super) fn status(seen: &Observed<'_>, history: &History<'_>, pods: &[&Value]) -> Value {
    let (decoration, update) = (seen.object, object::name(&history.update));
    let on = |pod: &Value| revision_on(pod, object::name(decoration)).map(str::to_owned);
    let is_updated = |pod: &Value| on(pod).as_deref() == Some(update);
    let updated = count(pods.iter().filter(|pod| is_updated(pod)));
    let updated_ready = count(pods.iter().filter(|pod| is_updated(pod) && pod::is_ready(pod)));

    // Before the first time that all pods have it, a decoration has no current revision.
    let written = decoration["status"]["currentRevision"].as_str().unwrap_or_default();
    let done = updated == count(pods) && pods.iter().all(|pod| is_complete(seen, pod));
    let current = if done { update } else { written };
    let mut status = json!({"observedGeneration": object::generation(decoration), "updatedRevision": update});
    if !current.is_empty() {
        status["currentRevision"] = current.into();
    }
    for (field, count) in [
        ("collisionCount", history.collision_count),
        ("matchedPods", count(pods)),
        ("injectedPods", count(pods.iter().filter(|pod| on(pod).is_some()))),
        ("updatedPods", updated),
        ("updatedReadyPods", updated_ready),
        ("updatedAvailablePods", updated_ready),
    ] {
        object::set(&mut status, field, count);
    }
    let details = details(pods, decoration["spec"]["disablePodDetail"] != true, &on);
    if !details.is_empty() {
        status["details"] = details.into();
    }
    status
}

/// True when the CollaSet of a pod has all its pods.
fn is_complete(seen: &Observed<'_>, pod: &Value) -> bool {
    let name = collaset_of(pod);
    let set = seen.related.iter().find(|set| Some(object::name(set)) == name);
    set.is_none_or(|set| int(&set["status"]["replicas"]).unwrap_or(0) == int(&set["spec"]["replicas"]).unwrap_or(0))
}

/// What there is to say of each CollaSet, and of each of its pods.
fn details(pods: &[&Value], with_pods: bool, on: &dyn Fn(&Value) -> Option<String>) -> Vec<Value> {
    let mut by_set: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for pod in pods {
        by_set.entry(collaset_of(pod).unwrap_or_default()).or_default().push(pod);
    }
    let of_pod = |pod: &&Value| match on(pod) {
        Some(revision) => json!({"name": object::name(pod), "revision": revision}),
        None => json!({"name": object::name(pod), "escaped": true}),
    };
    let of_set = |(set, pods): (&str, Vec<&Value>)| {
        let mut detail = json!({"collaSet": set, "affectedReplicas": count(&pods)});
        if with_pods {
            detail["pods"] = pods.iter().map(of_pod).collect();
        }
        detail
    };
    by_set.into_iter().map(of_set).collect()
}
