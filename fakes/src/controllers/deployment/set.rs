//! A Deployment's ReplicaSets: what the controller reads of them, and how it makes one.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::spec::Spec;
use super::{DESIRED_REPLICAS, HASH_LABEL, MAX_REPLICAS};
use crate::controllers::object::{self, int};
use crate::controllers::replicaset::ReplicaSetStatus;

/// A ReplicaSet of the Deployment.
#[derive(Debug, Clone)]
pub(super) struct Set<'a> {
    pub(super) object: Cow<'a, Value>,
    /// `spec.replicas`.
    pub(super) replicas: i32,
    pub(super) status: ReplicaSetStatus,
}

impl<'a> Set<'a> {
    pub(super) fn read(object: Cow<'a, Value>) -> Self {
        let replicas = int(&object["spec"]["replicas"]).unwrap_or(1);
        let status = ReplicaSetStatus::read(&object);
        Self { object, replicas, status }
    }

    pub(super) fn name(&self) -> &str {
        object::name(&self.object)
    }

    /// What sets are sorted by, from old to new.
    pub(super) fn age(&self) -> (&str, &str) {
        (self.object["metadata"]["creationTimestamp"].as_str().unwrap_or_default(), self.name())
    }

    /// Its number among the Deployment's templates: zero without one, none when it is no number.
    pub(super) fn revision(&self) -> Option<i64> {
        object::annotation(&self.object, super::REVISION).map_or(Some(0), |revision| revision.parse().ok())
    }

    /// The Deployment's replicas, as the set was last told.
    pub(super) fn desired(&self) -> Option<i32> {
        self.count(DESIRED_REPLICAS)
    }

    /// The Deployment's replicas and surge, as the set was last told.
    pub(super) fn max_replicas(&self) -> Option<i32> {
        self.count(MAX_REPLICAS)
    }

    fn count(&self, annotation: &str) -> Option<i32> {
        object::annotation(&self.object, annotation)?.parse().ok().filter(|count| *count >= 0)
    }

    /// The set with another number of pods, and with what it has to know of the Deployment.
    pub(super) fn resized(&self, spec: &Spec<'_>, replicas: i32) -> Value {
        let mut set = Value::clone(&self.object);
        set["spec"]["replicas"] = replicas.into();
        note_replicas(&mut set, spec);
        set
    }

    /// True when the set knows how many pods the Deployment wants.
    pub(super) fn is_told(&self, spec: &Spec<'_>) -> bool {
        let says =
            |annotation, count: i32| object::annotation(&self.object, annotation) == Some(count.to_string().as_str());
        says(DESIRED_REPLICAS, spec.replicas) && says(MAX_REPLICAS, spec.max_replicas())
    }
}

/// Writes on a set how many pods its Deployment wants.
pub(super) fn note_replicas(set: &mut Value, spec: &Spec<'_>) {
    set["metadata"]["annotations"][DESIRED_REPLICAS] = spec.replicas.to_string().into();
    set["metadata"]["annotations"][MAX_REPLICAS] = spec.max_replicas().to_string().into();
}

/// A new set for the Deployment's template; its size is still to be said.
pub(super) fn new_set(spec: &Spec<'_>, name: &str, hash: &str) -> Value {
    let wanted = &spec.deployment["spec"];
    let mut template = wanted["template"].clone();
    template["metadata"]["labels"][HASH_LABEL] = hash.into();
    let mut selector = wanted["selector"].clone();
    selector["matchLabels"][HASH_LABEL] = hash.into();

    let mut set = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": object::namespace(spec.deployment),
            "labels": template["metadata"]["labels"],
            "annotations": {},
            "ownerReferences": [object::controller_reference(spec.deployment)],
        },
        "spec": {"selector": selector, "template": template},
    });
    object::set(&mut set["spec"], "minReadySeconds", spec.min_ready_seconds);
    set
}

/// True when two templates ask for the same pods, whatever their hash labels say.
pub(super) fn same_template(one: &Value, other: &Value) -> bool {
    let labels = |template: &'_ Value| -> Map<String, Value> {
        let labels = template["metadata"]["labels"].as_object().into_iter().flatten();
        labels.filter(|(key, _)| *key != HASH_LABEL).map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let rest = |template: &Value| {
        let fields = template["metadata"].as_object().into_iter().flatten();
        let says = |value: &Value| !value.is_null() && value.as_object().is_none_or(|fields| !fields.is_empty());
        let fields = fields.filter(|(field, value)| *field != "labels" && says(value));
        fields.map(|(field, value)| (field.clone(), value.clone())).collect::<Map<_, _>>()
    };
    one["spec"] == other["spec"] && labels(one) == labels(other) && rest(one) == rest(other)
}
