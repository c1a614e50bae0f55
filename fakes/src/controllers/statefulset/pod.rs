//! Pods of a StatefulSet: their names, how they are made, and what the controller reads of them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::claims::claim_name;
use super::spec::Spec;
use super::{POD_INDEX_LABEL, POD_NAME_LABEL, REVISION_LABEL};
use crate::controllers::{object, pod, revision};

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
}

impl<'a> Pod<'a> {
    pub(super) fn read(object: &'a Value, now: Timestamp, min_ready_seconds: i32) -> Self {
        let name = object::name(object);
        Self {
            object,
            name,
            ordinal: split_name(name).map(|(_, ordinal)| ordinal),
            phase: object["status"]["phase"].as_str().unwrap_or_default(),
            revision: object::label(object, REVISION_LABEL).unwrap_or_default(),
            terminating: object::is_deleting(object),
            available: pod::is_available(object, min_ready_seconds, now),
            ready: pod::is_ready(object),
        }
    }

    /// True when the API server has the pod.
    pub(super) fn exists(&self) -> bool {
        !self.phase.is_empty()
    }

    pub(super) fn is_running_and_ready(&self) -> bool {
        self.phase == "Running" && self.ready
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
    let name = format!("{}-{ordinal}", spec.name);
    let mut pod = pod::from_template(&revision::template(revision), spec.set);
    let metadata = &mut pod["metadata"];
    metadata["name"] = name.as_str().into();
    metadata["labels"][POD_NAME_LABEL] = name.as_str().into();
    metadata["labels"][POD_INDEX_LABEL] = ordinal.to_string().into();
    metadata["labels"][REVISION_LABEL] = object::name(revision).into();

    let mut pod_spec = pod["spec"].take();
    pod_spec["hostname"] = name.as_str().into();
    if let Some(service) = spec.set["spec"]["serviceName"].as_str().filter(|service| !service.is_empty()) {
        pod_spec["subdomain"] = service.into();
    }
    let volumes = volumes(spec, &pod_spec, ordinal);
    if !volumes.is_empty() {
        pod_spec["volumes"] = volumes.into();
    }
    pod["spec"] = pod_spec;
    pod
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
