//! Forked backends: two copies of a user's Service or InferencePool, of which one selects the pods of the old revision and
//! the other those of the new one.
//!
//! A fork is made of its origin as that is now, and kept in step with it as `kubectl apply` would: what was copied is
//! recorded on the fork, so that a field the origin has lost is told from one that the API server or somebody else added.

mod step;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::api::backendrouting::ForkedBackend;
use crate::api::keys;

pub use self::step::{has_to_be_replaced, patch};

/// Annotation on a fork (Slipway's addition): the labels, annotations and spec that were copied last, as JSON.
pub const ANNOTATION_FORKED: &str = "slipway.rollout.kusionstack.io/forked";

/// Annotations that are about the origin alone: what `kubectl apply` keeps there, and what we do.
const NOT_COPIED: [&str; 2] = ["kubectl.kubernetes.io/last-applied-configuration", "slipway.rollout.kusionstack.io/"];

/// What of a Service's spec is copied as it is. The rest is given to one Service alone (its addresses and node ports) or is
/// about reaching it from outside, which nobody does with a fork.
const OF_A_SERVICE: [&str; 7] = [
    "sessionAffinity",
    "sessionAffinityConfig",
    "publishNotReadyAddresses",
    "internalTrafficPolicy",
    "trafficDistribution",
    "ipFamilyPolicy",
    "ipFamilies",
];

/// Labels that tell pods of one revision from those of another, so that their lane is not needed for it.
const OF_A_REVISION: [&str; 2] = [keys::LABEL_CONTROLLER_REVISION_HASH, keys::LABEL_POD_TEMPLATE_HASH];

/// A Service's name is a DNS label.
const SERVICE_NAME: usize = 63;

/// Which of the two forks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that selects pods of the old revision.
    Stable,
    /// The one that selects pods of the new one.
    Canary,
}

impl Role {
    /// The traffic lane of the pods that the fork selects.
    pub fn lane(self) -> &'static str {
        match self {
            Self::Stable => keys::LANE_STABLE,
            Self::Canary => keys::LANE_CANARY,
        }
    }
}

/// Why a backend cannot be forked. `origin` is its kind and name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody knows what selects its pods.
    #[error("{origin}: kind is neither Service nor InferencePool: correct the backend of the TrafficTopology")]
    Kind {
        /// The backend.
        origin: String,
    },
    /// It is a name for something else.
    #[error(
        "{origin}: spec.type is ExternalName, and a fork needs a Service that selects pods: name such a Service in the TrafficTopology"
    )]
    ExternalName {
        /// The backend.
        origin: String,
    },
    /// Somebody else says which its endpoints are.
    #[error(
        "{origin}: spec.selector is empty, and a fork needs one to tell the pods of one revision from those of another: give it the labels of the pods, or take it out of the TrafficTopology"
    )]
    Selectorless {
        /// The backend.
        origin: String,
    },
    /// No pod could have both values.
    #[error(
        "{origin}: spec.selector[{key}] is {found}, and its fork {fork} asks for {wanted}, so that it would select other pods: take {key} out of the selector or of extraLabelSelector"
    )]
    Contradiction {
        /// The backend.
        origin: String,
        /// Name of the fork.
        fork: String,
        /// The label.
        key: String,
        /// Its value in the origin's selector.
        found: String,
        /// Its value in the fork's.
        wanted: String,
    },
    /// The API server would not take the name.
    #[error(
        "{origin}: metadata.name of its fork {fork} would have {found} characters, and a Service's has at most 63: give the Service a shorter name"
    )]
    Name {
        /// The backend.
        origin: String,
        /// Name of the fork.
        fork: String,
        /// The characters of the fork's name.
        found: usize,
    },
}

/// The fork of a backend, as it is to be created in the origin's namespace. It is the origin's in the sense of the garbage
/// collector, so that it goes with it.
pub fn fork(origin: &Value, fork: &ForkedBackend, role: Role) -> Result<Value, Refusal> {
    let selector = selector(origin, fork, role)?;
    let spec = match origin["kind"].as_str() {
        Some("Service") => service(origin, &fork.name)?,
        Some("InferencePool") => map(&origin["spec"]),
        _ => return Err(Refusal::Kind { origin: told(origin) }),
    };
    let mut spec = Value::Object(spec);
    if has_match_labels(origin) {
        spec["selector"]["matchLabels"] = Value::Object(selector);
    } else {
        spec["selector"] = Value::Object(selector);
    }

    let mut labels = map(&origin["metadata"]["labels"]);
    labels.extend(extra(fork));
    labels.insert(keys::LABEL_TRAFFIC_LANE.to_owned(), json!(role.lane()));
    labels.insert(keys::LABEL_CANARY_RESOURCE.to_owned(), json!("true"));
    let mut annotations = map(&origin["metadata"]["annotations"]);
    annotations.retain(|key, _| !NOT_COPIED.iter().any(|start| key.starts_with(start)));
    let mut copied = json!({ "labels": labels, "annotations": annotations, "spec": spec });
    // The same however it was read.
    copied.sort_all_objects();
    annotations.insert(ANNOTATION_FORKED.to_owned(), json!(copied.to_string()));

    Ok(json!({
        "apiVersion": origin["apiVersion"],
        "kind": origin["kind"],
        "metadata": {
            "name": fork.name,
            "namespace": origin["metadata"]["namespace"],
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": origin["apiVersion"],
                "kind": origin["kind"],
                "name": origin["metadata"]["name"],
                "uid": origin["metadata"]["uid"],
            }],
        },
        "spec": spec,
    }))
}

/// The ServiceExport of a fork that is there. It goes with the fork, as that goes with its origin.
pub fn export(fork: &Value) -> Value {
    json!({
        "apiVersion": keys::MULTICLUSTER_API,
        "kind": "ServiceExport",
        "metadata": {
            "name": fork["metadata"]["name"],
            "namespace": fork["metadata"]["namespace"],
            "labels": {
                keys::LABEL_TRAFFIC_LANE: fork["metadata"]["labels"][keys::LABEL_TRAFFIC_LANE],
                keys::LABEL_CANARY_RESOURCE: "true",
            },
            "ownerReferences": [{
                "apiVersion": fork["apiVersion"],
                "kind": fork["kind"],
                "name": fork["metadata"]["name"],
                "uid": fork["metadata"]["uid"],
            }],
        },
    })
}

/// Whether an object is a fork, ours or of an earlier release, rather than somebody's own that happens to have its name.
pub fn is_fork(object: &Value) -> bool {
    object["metadata"]["labels"][keys::LABEL_CANARY_RESOURCE] == "true" && role(object).is_some()
}

/// Which fork an object is, if it is one.
pub fn role(object: &Value) -> Option<Role> {
    let lane = &object["metadata"]["labels"][keys::LABEL_TRAFFIC_LANE];
    [Role::Stable, Role::Canary].into_iter().find(|role| lane == role.lane())
}

/// Whether a backend is an InferencePool of v1, which has its labels one level deeper than all others.
fn has_match_labels(backend: &Value) -> bool {
    backend["spec"]["selector"]["matchLabels"].is_object()
}

/// The labels that a backend selects its pods by.
fn labels(backend: &Value) -> &Value {
    let selector = &backend["spec"]["selector"];
    if has_match_labels(backend) { &selector["matchLabels"] } else { selector }
}

/// What a backend selects its pods by, as a label selector; none where it selects none.
pub fn pod_selector(backend: &Value) -> Option<String> {
    let labels = map(labels(backend));
    let terms: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
    (!terms.is_empty()).then(|| terms.join(","))
}

/// Labels of the pods that a fork selects: those of its origin, of one revision.
fn selector(origin: &Value, fork: &ForkedBackend, role: Role) -> Result<Map<String, Value>, Refusal> {
    if origin["spec"]["type"] == "ExternalName" {
        return Err(Refusal::ExternalName { origin: told(origin) });
    }
    let mut selector = map(labels(origin));
    if selector.is_empty() {
        return Err(Refusal::Selectorless { origin: told(origin) });
    }
    let mut added = extra(fork);
    if !OF_A_REVISION.iter().any(|label| added.contains_key(*label)) {
        added.entry(keys::LABEL_TRAFFIC_LANE).or_insert(json!(role.lane()));
    }
    for (key, wanted) in added {
        match selector.get(&key) {
            Some(found) if *found != wanted => {
                let (found, wanted) = (text(found), text(&wanted));
                return Err(Refusal::Contradiction {
                    origin: told(origin),
                    fork: fork.name.clone(),
                    key,
                    found,
                    wanted,
                });
            }
            _ => drop(selector.insert(key, wanted)),
        }
    }
    Ok(selector)
}

/// The spec of a Service's fork, without its selector.
fn service(origin: &Value, fork: &str) -> Result<Map<String, Value>, Refusal> {
    if fork.len() > SERVICE_NAME {
        return Err(Refusal::Name { origin: told(origin), fork: fork.to_owned(), found: fork.len() });
    }
    let origin = &origin["spec"];
    let ports = origin["ports"].as_array().into_iter().flatten().map(|port| {
        let mut port = map(port);
        port.remove("nodePort");
        Value::Object(port)
    });
    let mut spec = Map::new();
    spec.insert("type".to_owned(), json!("ClusterIP"));
    if origin["clusterIP"] == "None" {
        spec.insert("clusterIP".to_owned(), json!("None"));
    }
    let ports = ports.collect::<Vec<_>>();
    if !ports.is_empty() {
        // A headless Service may do without.
        spec.insert("ports".to_owned(), Value::Array(ports));
    }
    let copied = OF_A_SERVICE.iter().filter_map(|field| Some(((*field).to_owned(), origin.get(*field)?.clone())));
    spec.extend(copied);
    Ok(spec)
}

fn extra(fork: &ForkedBackend) -> Map<String, Value> {
    fork.extra_label_selector.iter().map(|(key, value)| (key.clone(), json!(value))).collect()
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Kind and name.
fn told(origin: &Value) -> String {
    format!("{} {}", text(&origin["kind"]), text(&origin["metadata"]["name"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
