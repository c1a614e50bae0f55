//! apps.kusionstack.io/v1alpha1 CollaSet: a partition counts pods, and those updated before come first.

use serde::Deserialize;
use serde_json::Value;

use super::{
    Kind, Reading, Resource,
    fields::{self, Spec, Status},
};

pub(super) struct CollaSet;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Strategy {
    rolling_update: Option<RollingUpdate>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RollingUpdate {
    by_partition: Option<ByPartition>,
    by_label: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ByPartition {
    partition: Option<i32>,
}

impl Kind for CollaSet {
    fn resource(&self) -> Resource {
        Resource { group: "apps.kusionstack.io", version: "v1alpha1", kind: "CollaSet", plural: "collasets" }
    }

    fn partition_path(&self) -> Option<&'static [&'static str]> {
        Some(&["rollingUpdate", "byPartition", "partition"])
    }

    fn read(&self, spec: &Value, status: &Value, _: Option<&str>) -> Result<Reading, serde_json::Error> {
        let strategy: Strategy = fields::parse(&spec["updateStrategy"])?;
        let rolling = strategy.rolling_update.unwrap_or_default();
        let (spec, status): (Spec, Status) = (fields::parse(spec)?, fields::parse(status)?);
        let by_label = rolling.by_label.is_some();
        let paused = spec.paused == Some(true);
        // Available means that the pod serves again, which its conditions alone do not show.
        let told = (status.updated_ready_replicas.unwrap_or(0), status.updated_available_replicas.unwrap_or(0));
        let reading = fields::reading(spec, status, 0).with_told(told.0, told.1);
        Ok(Reading {
            partition: rolling.by_partition.and_then(|by| by.partition).unwrap_or(0),
            unpartitioned: by_label.then_some("spec.updateStrategy.rollingUpdate.byLabel is set: remove it"),
            halted: paused.then_some("spec.paused is true: set it to false"),
            ..reading
        })
    }
}
