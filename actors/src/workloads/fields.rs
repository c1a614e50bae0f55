//! The fields that several kinds have in common. Whatever else stands in an object is not looked at, so that no newer
//! field makes it unreadable.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::Reading;
use crate::view::PodCounts;

/// What `spec` has in common.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) replicas: Option<i32>,
    pub(super) paused: Option<bool>,
    min_ready_seconds: Option<i32>,
    selector: LabelSelector,
}

/// What `status` has in common.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    observed_generation: Option<i64>,
    current_revision: Option<String>,
    #[serde(alias = "updatedRevision")]
    update_revision: Option<String>,
    replicas: Option<i32>,
    ready_replicas: Option<i32>,
    available_replicas: Option<i32>,
    current_replicas: Option<i32>,
    updated_replicas: Option<i32>,
    pub(super) updated_ready_replicas: Option<i32>,
    pub(super) updated_available_replicas: Option<i32>,
}

/// Reads what stands at `value`; nothing means that every field is absent.
pub(super) fn parse<T: DeserializeOwned + Default>(value: &Value) -> Result<T, serde_json::Error> {
    if value.is_null() { Ok(T::default()) } else { T::deserialize(value) }
}

/// What `spec` and `status` say where they are as most kinds have them.
pub(super) fn reading(spec: Spec, status: Status, default_replicas: i32) -> Reading {
    Reading {
        observed_generation: status.observed_generation.unwrap_or_default(),
        desired: spec.replicas.unwrap_or(default_replicas),
        min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
        selector: spec.selector,
        stable_revision: status.current_revision.unwrap_or_default(),
        updated_revision: status.update_revision.unwrap_or_default(),
        replicas: status.replicas.unwrap_or(0),
        ready: status.ready_replicas.unwrap_or(0),
        available: status.available_replicas.unwrap_or(0),
        current_replicas: status.current_replicas.unwrap_or(0),
        updated_replicas: status.updated_replicas.unwrap_or(0),
        ..Reading::default()
    }
}

impl Reading {
    /// What the status says of updated pods, for kinds whose status knows more of a pod than its own conditions show.
    pub(super) fn with_told(self, ready: i32, available: i32) -> Self {
        let told = PodCounts {
            updated: self.updated_replicas,
            updated_ready: ready,
            updated_available: available,
            available: self.available,
            terminating: 0,
            tolerated: 0,
        };
        Self { told: Some(told), ..self }
    }
}
