//! apps.kruise.io/v1beta1 StatefulSet, called Advanced: a partition counts ordinals from 0 up, or with `unorderedUpdate`
//! pods, of which those updated before come first.

use serde::Deserialize;
use serde_json::Value;

use super::{Kind, Reading, Resource, fields, statefulset::unpartitioned};

pub(super) struct AdvancedStatefulSet;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Strategy {
    r#type: Option<String>,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RollingUpdate {
    partition: Option<i32>,
    paused: Option<bool>,
    min_ready_seconds: Option<i32>,
}

impl Kind for AdvancedStatefulSet {
    fn resource(&self) -> Resource {
        Resource { group: "apps.kruise.io", version: "v1beta1", kind: "StatefulSet", plural: "statefulsets" }
    }

    fn has_ordinals(&self) -> bool {
        true
    }

    fn partition_path(&self) -> Option<&'static [&'static str]> {
        Some(&["rollingUpdate", "partition"])
    }

    fn read(&self, spec: &Value, status: &Value, _: Option<&str>) -> Result<Reading, serde_json::Error> {
        let strategy: Strategy = fields::parse(&spec["updateStrategy"])?;
        let rolling = strategy.rolling_update.unwrap_or_default();
        let paused = rolling.paused == Some(true);
        let reading = fields::reading(fields::parse(spec)?, fields::parse(status)?, 1);
        Ok(Reading {
            partition: rolling.partition.unwrap_or(0),
            min_ready_seconds: rolling.min_ready_seconds.unwrap_or(0),
            unpartitioned: unpartitioned(strategy.r#type.as_deref()),
            halted: paused.then_some("spec.updateStrategy.rollingUpdate.paused is true: set it to false"),
            ..reading
        })
    }
}
