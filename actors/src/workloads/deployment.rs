//! apps/v1 Deployment: it has no partition. Parked means paused, and `decide::deployment` moves it by surge and
//! unavailability. A paused Deployment has no ReplicaSet of its newest template yet, so its revisions are our own hashes of
//! templates.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Kind, Reading, Resource,
    fields::{self, Spec, Status},
    template_hash,
};
use crate::decide::PARKED;

/// `spec.minReadySeconds` while a step is under way: no new pod ever counts as available for the Deployment's controller,
/// so that it takes no old pod away and makes no room for a new one unless its numbers are changed.
pub(crate) const HIDDEN: i32 = i32::MAX - 1;
/// `spec.progressDeadlineSeconds` meanwhile. It has to be longer, and this length means none.
pub(crate) const NO_DEADLINE: i32 = i32::MAX;

pub(super) struct Deployment;

/// What stands on a Deployment under the control of a Rollout (the annotation of the recorded strategy).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Record {
    /// `spec.paused` as the user had it.
    pub(crate) paused: Value,
    /// The template that all pods had when it was last parked, by its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stable: Option<String>,
    /// What the user had, while other values are in their place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) users: Option<Users>,
    /// What was written in their place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ours: Option<Ours>,
}

/// The fields that a step needs and gives back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Users {
    pub(crate) strategy: Value,
    pub(crate) min_ready_seconds: Value,
    pub(crate) progress_deadline_seconds: Value,
}

/// The numbers of the move that was begun last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Ours {
    pub(crate) surge: i32,
    pub(crate) unavailable: i32,
    /// New pods when it is over.
    pub(crate) goal: i32,
    /// `spec.replicas` that it was counted for.
    pub(crate) replicas: i32,
    /// The template that it is about, by its hash.
    pub(crate) template: String,
}

impl Record {
    /// Reads the annotation. What nobody can read counts as absent, and is written anew.
    pub(crate) fn read(text: Option<&str>) -> Option<Self> {
        serde_json::from_str(text?).ok()
    }
}

/// The fields of `spec` that say how a Deployment updates.
pub(super) fn update_fields(spec: &Value) -> Value {
    let fields = ["paused", "strategy", "minReadySeconds", "progressDeadlineSeconds"];
    fields.into_iter().map(|field| (field.to_owned(), spec[field].clone())).collect()
}

impl Kind for Deployment {
    fn resource(&self) -> Resource {
        Resource { group: "apps", version: "v1", kind: "Deployment", plural: "deployments" }
    }

    fn read(&self, spec: &Value, status: &Value, recorded: Option<&str>) -> Result<Reading, serde_json::Error> {
        let (common, state): (Spec, Status) = (fields::parse(spec)?, fields::parse(status)?);
        let record = Record::read(recorded).unwrap_or_default();
        let is_hidden = spec["minReadySeconds"] == json!(HIDDEN);
        let is_paused = common.paused == Some(true);
        let reading = fields::reading(common, state, 1);
        let min_ready = record.users.map_or_else(|| spec["minReadySeconds"].clone(), |users| users.min_ready_seconds);
        let updated = template_hash(&spec["template"]);
        let is_seen = reading.observed_generation > 0 && reading.updated_replicas >= reading.replicas;
        Ok(Reading {
            partition: if is_paused && !is_hidden { PARKED } else { 0 },
            min_ready_seconds: min_ready.as_i64().and_then(|seconds| seconds.try_into().ok()).unwrap_or(0),
            // Which revision is stable no status says. Where every pod has the template there is, it is that.
            stable_revision: if is_seen {
                updated.clone()
            } else {
                record.stable.unwrap_or_else(|| "unknown".to_owned())
            },
            updated_revision: updated,
            current_replicas: (reading.replicas - reading.updated_replicas).max(0),
            halted: (spec["strategy"]["type"] == "Recreate")
                .then_some("spec.strategy.type is Recreate: set it to RollingUpdate"),
            ..reading
        })
    }
}
