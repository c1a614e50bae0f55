//! apps/v1 StatefulSet: a partition counts ordinals, from 0 up.

use serde::Deserialize;
use serde_json::Value;

use super::{Kind, Reading, Resource, fields};

pub(super) struct StatefulSet;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Strategy {
    r#type: Option<String>,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RollingUpdate {
    partition: Option<i32>,
}

/// Under any other type pods are replaced only as somebody deletes them.
pub(super) fn unpartitioned(kind: Option<&str>) -> Option<&'static str> {
    let other = kind.is_some_and(|kind| kind != "RollingUpdate");
    other.then_some("spec.updateStrategy.type is not RollingUpdate: set it to RollingUpdate")
}

impl Kind for StatefulSet {
    fn resource(&self) -> Resource {
        Resource { group: "apps", version: "v1", kind: "StatefulSet", plural: "statefulsets" }
    }

    fn has_ordinals(&self) -> bool {
        true
    }

    fn partition_path(&self) -> Option<&'static [&'static str]> {
        Some(&["rollingUpdate", "partition"])
    }

    fn read(&self, spec: &Value, status: &Value, _: Option<&str>) -> Result<Reading, serde_json::Error> {
        let strategy: Strategy = fields::parse(&spec["updateStrategy"])?;
        // An object that the API server has defaulted always has replicas; one that it has not means 1.
        let reading = fields::reading(fields::parse(spec)?, fields::parse(status)?, 1);
        Ok(Reading {
            partition: strategy.rolling_update.and_then(|rolling| rolling.partition).unwrap_or(0),
            unpartitioned: unpartitioned(strategy.r#type.as_deref()),
            ..reading
        })
    }
}
