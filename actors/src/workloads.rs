//! The kinds of workload, and everything in which they differ. Pure.
//!
//! One file per kind says what its resource is called, where its partition stands, and what of its spec and status
//! means what. They are the same to the decisions: a [`Workload`] whose partition keeps pods on the old revision. Only a
//! Deployment has none, and is moved otherwise.

mod advanced_statefulset;
pub(crate) mod canary;
mod cloneset;
mod collaset;
pub(crate) mod deployment;
mod fields;
mod poddecoration;
mod statefulset;
#[cfg(test)]
mod tests;

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ManagedFieldsEntry, ObjectMeta};
use kube::{
    ResourceExt,
    api::{ApiResource, DynamicObject},
    core::{ParseExpressionError, Selector},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    api::{ObjectTypeRef, WorkloadRef, keys},
    view::{ObjectKey, Pod, PodCounts, Workload},
};

/// The kinds of workload that can be rolled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// Kubernetes' StatefulSet.
    StatefulSet,
    /// KusionStack's CollaSet.
    CollaSet,
    /// KusionStack's PodDecoration.
    PodDecoration,
    /// OpenKruise's CloneSet.
    CloneSet,
    /// OpenKruise's Advanced StatefulSet.
    AdvancedStatefulSet,
    /// Kubernetes' Deployment.
    Deployment,
}

/// What a kind's resource is called.
struct Resource {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
}

/// What one kind is like.
trait Kind: Sync {
    fn resource(&self) -> Resource;

    /// The fields under `spec.updateStrategy` that lead to the partition, if there is one.
    fn partition_path(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// What an object of the kind says of itself; `recorded` is the annotation of the user's update strategy.
    fn read(&self, spec: &Value, status: &Value, recorded: Option<&str>) -> Result<Reading, serde_json::Error>;

    /// Whether its pods are its own, so that they can be counted one by one. Otherwise its status alone tells.
    fn owns_pods(&self) -> bool {
        true
    }

    /// Whether a partition counts ordinals, from 0 up. Otherwise pods on the updated revision come first, whichever they
    /// are.
    fn has_ordinals(&self) -> bool {
        false
    }

    /// Whether the revision that a pod's label names is the one that the status calls `revision`.
    fn is_revision(&self, label: &str, revision: &str) -> bool {
        label == revision
    }
}

/// What an object says of itself, in the words of [`Workload`].
#[derive(Debug, Default)]
struct Reading {
    observed_generation: i64,
    partition: i32,
    desired: i32,
    min_ready_seconds: i32,
    selector: LabelSelector,
    stable_revision: String,
    updated_revision: String,
    replicas: i32,
    ready: i32,
    available: i32,
    current_replicas: i32,
    updated_replicas: i32,
    told: Option<PodCounts>,
    unpartitioned: Option<&'static str>,
    halted: Option<&'static str>,
}

/// Why a workload cannot be read. The rest of its kind still can.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("it does not parse as {kind}: {source}; correct the field, or update the CRD that let it in")]
    Parse { kind: WorkloadKind, source: serde_json::Error },
    #[error("spec.selector is not a valid label selector: {0}")]
    Selector(#[from] ParseExpressionError),
}

impl WorkloadKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::StatefulSet,
        Self::CollaSet,
        Self::PodDecoration,
        Self::CloneSet,
        Self::AdvancedStatefulSet,
        Self::Deployment,
    ];

    /// The kind that a Rollout names, if it is one of these.
    pub fn of(reference: &WorkloadRef) -> Option<Self> {
        Self::named(&reference.api_version, &reference.kind)
    }

    /// The kind that a run's targets are of, if it is one of these.
    pub fn of_target(reference: &ObjectTypeRef) -> Option<Self> {
        Self::named(&reference.api_version, &reference.kind)
    }

    /// The kind of that group, version and name.
    pub fn named(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.api_version() == api_version && known.name() == kind)
    }

    /// All kinds, as an error lists what it expects.
    pub fn expected() -> String {
        let names: Vec<_> = Self::ALL.iter().map(ToString::to_string).collect();
        names.join(", ")
    }

    /// Group and version, for example `apps/v1`.
    pub fn api_version(self) -> String {
        let Resource { group, version, .. } = self.rules().resource();
        format!("{group}/{version}")
    }

    /// The kind alone, for example `StatefulSet`: two groups may have the same.
    pub fn name(self) -> &'static str {
        self.rules().resource().kind
    }

    /// What kubectl and messages call it, for example `statefulset` or `statefulset.apps.kruise.io`.
    pub fn noun(self) -> String {
        let Resource { group, kind, .. } = self.rules().resource();
        let noun = kind.to_lowercase();
        // Only where the short word means another kind first.
        if self == Self::AdvancedStatefulSet { format!("{noun}.{group}") } else { noun }
    }

    /// Group, version, kind and plural.
    pub(crate) fn resource(self) -> ApiResource {
        let Resource { group, version, kind, plural } = self.rules().resource();
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: self.api_version(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }

    /// Whether its pods can be counted one by one; otherwise its status alone tells.
    pub fn owns_pods(self) -> bool {
        self.rules().owns_pods()
    }

    /// Whether a partition counts ordinals, from 0 up, rather than any pods.
    pub fn has_ordinals(self) -> bool {
        self.rules().has_ordinals()
    }

    /// Whether a canary can be made by copying the workload: what has no pods of its own has no copies either.
    pub fn can_be_copied(self) -> bool {
        self.owns_pods()
    }

    /// Whether `pod` is on the revision that the status of a workload of this kind calls `revision`.
    pub fn is_on(self, pod: &Pod, revision: &str) -> bool {
        self.rules().is_revision(&pod.revision, revision)
    }

    /// The change of `spec` that sets the partition, as a merge patch.
    pub fn partition_patch(self, partition: &Value) -> Value {
        let path = self.rules().partition_path().unwrap_or_default().iter().rev();
        let strategy = path.fold(partition.clone(), |inner, field| json!({ *field: inner }));
        json!({ "updateStrategy": strategy })
    }

    /// The partition that stands in an update strategy, as it is written there. Without one every pod is updated.
    pub fn partition_in(self, strategy: &Value) -> Value {
        let path = self.rules().partition_path().unwrap_or_default().iter();
        let found = path.fold(strategy, |value, field| &value[*field]);
        if found.is_null() { json!(0) } else { found.clone() }
    }

    /// Reads an object of this kind that `cluster` has shown.
    pub(crate) fn read(self, cluster: &str, object: &DynamicObject) -> Result<Workload, ReadError> {
        let (meta, spec) = (&object.metadata, &object.data["spec"]);
        let recorded = object.annotations().get(keys::ANNOTATION_RECORDED_STRATEGY);
        let reading = self.rules().read(spec, &object.data["status"], recorded.map(String::as_str));
        let reading = reading.map_err(|source| ReadError::Parse { kind: self, source })?;
        let progressing = object.annotations().get(keys::ANNOTATION_PROGRESSING_INFO);
        Ok(Workload {
            kind: self,
            cluster: cluster.to_owned(),
            key: ObjectKey {
                namespace: meta.namespace.clone().unwrap_or_default(),
                name: meta.name.clone().unwrap_or_default(),
            },
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            generation: meta.generation.unwrap_or_default(),
            observed_generation: reading.observed_generation,
            deleting: meta.deletion_timestamp.is_some(),
            is_protected: meta.finalizers.iter().flatten().any(|finalizer| finalizer == keys::FINALIZER_CANARY_RELEASE),
            labels: object.labels().clone(),
            rollout: object.annotations().get(keys::ANNOTATION_NAME).cloned(),
            progressing: progressing.map(|text| serde_json::from_str(text).map_err(|_| text.clone())),
            recorded_strategy: recorded.cloned(),
            update_strategy: match self {
                Self::Deployment => deployment::update_fields(spec),
                _ => spec["updateStrategy"].clone(),
            },
            strategy_manager: manager(meta, &["/f:spec/f:updateStrategy", "/f:spec/f:strategy", "/f:spec/f:paused"]),
            template_manager: manager(meta, &["/f:spec/f:template"]),
            lane: spec["template"]["metadata"]["labels"][keys::LABEL_TRAFFIC_LANE].as_str().map(str::to_owned),
            copied_template: object.annotations().get(keys::ANNOTATION_CANARY_TEMPLATE).cloned(),
            template_hash: template_hash(&spec["template"]),
            partition: reading.partition,
            desired: reading.desired,
            min_ready_seconds: reading.min_ready_seconds,
            pod_selector: Selector::try_from(reading.selector)?.to_string(),
            stable_revision: reading.stable_revision,
            updated_revision: reading.updated_revision,
            replicas: reading.replicas,
            ready: reading.ready,
            available: reading.available,
            current_replicas: reading.current_replicas,
            updated_replicas: reading.updated_replicas,
            told: reading.told,
            unpartitioned: reading.unpartitioned,
            halted: reading.halted,
        })
    }

    fn rules(self) -> &'static dyn Kind {
        match self {
            Self::StatefulSet => &statefulset::StatefulSet,
            Self::CollaSet => &collaset::CollaSet,
            Self::PodDecoration => &poddecoration::PodDecoration,
            Self::CloneSet => &cloneset::CloneSet,
            Self::AdvancedStatefulSet => &advanced_statefulset::AdvancedStatefulSet,
            Self::Deployment => &deployment::Deployment,
        }
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.api_version(), self.name()))
    }
}

/// The manager of the newest entry that owns something below one of the fields.
pub(crate) fn manager(meta: &ObjectMeta, fields: &[&str]) -> Option<String> {
    let owns = |entry: &&ManagedFieldsEntry| {
        let owned = entry.fields_v1.as_ref().map(|fields| &fields.0);
        owned.is_some_and(|owned| fields.iter().any(|field| owned.pointer(field).is_some()))
    };
    let entries = meta.managed_fields.iter().flatten().filter(owns);
    entries.max_by_key(|entry| entry.time.as_ref().map(|time| time.0)).and_then(|entry| entry.manager.clone())
}

/// Sixteen hexadecimal digits that differ where templates differ, whatever the order of their fields.
pub fn template_hash(template: &Value) -> String {
    let mut canonical = template.clone();
    canonical.sort_all_objects();
    let hash = Sha256::digest(canonical.to_string().as_bytes());
    hash.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
