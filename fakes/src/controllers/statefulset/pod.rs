//! Pods of a StatefulSet: their names, how they are made, and what the controller reads of them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::spec::Spec;
use super::{POD_INDEX_LABEL, POD_NAME_LABEL, REVISION_LABEL};
use crate::controllers::{object, revision};

/// What the controller reads of a pod.
#[derive(Debug, Clone)]
pub(super) struct Pod<'a> {
    pub(super) object: &'a Value,
    pub(super) name: &'a str,
    pub(super) ordinal: Option<i32>,
    pub(super) phase: &'a str,
    pub(super) revision: &'a str,
    pub(super) terminating: bool,
    /// Ready for at least `minReadySeconds` now, whatever the phase.
    pub(super) available: bool,
    ready: bool,
    ready_since: Option<Timestamp>,
}

impl<'a> Pod<'a> {
    pub(super) fn read(pod: &'a Value, now: Timestamp, min_ready_seconds: i32) -> Self {
        let condition = object::condition(pod, "Ready");
        let ready = condition.is_some_and(|condition| condition["status"] == "True");
        let ready_since = condition.and_then(|condition| object::timestamp(&condition["lastTransitionTime"]));
        let name = object::name(pod);
        let mut read = Self {
            object: pod,
            name,
            ordinal: split_name(name).map(|(_, ordinal)| ordinal),
            phase: pod["status"]["phase"].as_str().unwrap_or_default(),
            revision: object::label(pod, REVISION_LABEL).unwrap_or_default(),
            terminating: object::is_deleting(pod),
            available: false,
            ready,
            ready_since,
        };
        read.available = ready
            && (min_ready_seconds == 0 || read.available_at(min_ready_seconds).is_some_and(|instant| instant <= now));
        read
    }

    /// True when the API server has the pod.
    pub(super) fn exists(&self) -> bool {
        !self.phase.is_empty()
    }

    pub(super) fn is_running_and_ready(&self) -> bool {
        self.phase == "Running" && self.ready
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(self.phase, "Failed" | "Succeeded")
    }

    /// When a ready pod becomes available.
    pub(super) fn available_at(&self, min_ready_seconds: i32) -> Option<Timestamp> {
        let since = self.ready_since.filter(|_| self.ready)?;
        since.checked_add(SignedDuration::from_secs(min_ready_seconds.into())).ok()
    }

    /// The pod with the labels of its identity, when they are not as they must be.
    pub(super) fn relabelled(&self) -> Option<Value> {
        let ordinal = self.ordinal?;
        if object::label(self.object, POD_NAME_LABEL) == Some(self.name) {
            return None;
        }
        let mut pod = self.object.clone();
        let labels = &mut pod["metadata"]["labels"];
        labels[POD_NAME_LABEL] = self.name.into();
        labels[POD_INDEX_LABEL] = ordinal.to_string().into();
        Some(pod)
    }
}

/// The set's name in a pod's name.
pub(super) fn parent(pod_name: &str) -> Option<&str> {
    split_name(pod_name).map(|(parent, _)| parent)
}

fn split_name(pod_name: &str) -> Option<(&str, i32)> {
    let (parent, digits) = pod_name.rsplit_once('-')?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((parent, digits.parse().ok().filter(|_| all_digits)?))
}

/// A new pod of a set, from a revision's template.
pub(super) fn new_pod(spec: &Spec<'_>, revision: &Value, ordinal: i32) -> Value {
    let mut template = revision::template(revision);
    let name = format!("{}-{ordinal}", spec.name);
    let mut metadata = json!({
        "name": name,
        "generateName": format!("{}-", spec.name),
        "namespace": object::namespace(spec.set),
    });
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            metadata[field] = template["metadata"][field].take();
        }
    }
    metadata["labels"][POD_NAME_LABEL] = name.as_str().into();
    metadata["labels"][POD_INDEX_LABEL] = ordinal.to_string().into();
    metadata["labels"][REVISION_LABEL] = object::name(revision).into();
    metadata["ownerReferences"] = json!([object::controller_reference(spec.set, "apps/v1", "StatefulSet")]);

    let mut pod_spec = template["spec"].take();
    pod_spec["hostname"] = name.as_str().into();
    if let Some(service) = spec.set["spec"]["serviceName"].as_str().filter(|service| !service.is_empty()) {
        pod_spec["subdomain"] = service.into();
    }
    let volumes = volumes(spec, &pod_spec, ordinal);
    if !volumes.is_empty() {
        pod_spec["volumes"] = volumes.into();
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec})
}

/// The claims of one pod. They stay when the pod goes: the retention policy is always `Retain` here.
pub(super) fn claims(spec: &Spec<'_>, ordinal: i32) -> impl Iterator<Item = Value> {
    let labels = spec.set["spec"]["selector"]["matchLabels"].as_object();
    object::list(&spec.set["spec"]["volumeClaimTemplates"]).iter().map(move |template| {
        let mut claim = template.clone();
        claim["apiVersion"] = "v1".into();
        claim["kind"] = "PersistentVolumeClaim".into();
        claim["metadata"]["name"] = claim_name(spec, template, ordinal).into();
        claim["metadata"]["namespace"] = object::namespace(spec.set).into();
        for (key, value) in labels.into_iter().flatten() {
            claim["metadata"]["labels"][key] = value.clone();
        }
        claim
    })
}

fn claim_name(spec: &Spec<'_>, template: &Value, ordinal: i32) -> String {
    format!("{}-{}-{ordinal}", object::name(template), spec.name)
}

/// The template's volumes, those of claim templates first and in the place of volumes of their name.
fn volumes(spec: &Spec<'_>, pod_spec: &Value, ordinal: i32) -> Vec<Value> {
    let templates = object::list(&spec.set["spec"]["volumeClaimTemplates"]);
    let claims = templates.iter().map(|template| {
        let claim = json!({"claimName": claim_name(spec, template, ordinal)});
        json!({"name": object::name(template), "persistentVolumeClaim": claim})
    });
    let own = object::list(&pod_spec["volumes"]).iter();
    let own = own.filter(|volume| !templates.iter().any(|claim| volume["name"] == object::name(claim)));
    claims.chain(own.cloned()).collect()
}
