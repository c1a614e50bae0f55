//! apps.kusionstack.io/v1alpha1 PodDecoration: it has no pods, it changes those of CollaSets. Its status counts them, and
//! its size is the number of pods it matches. A partition counts the pods left undecorated or on the old revision,
//! whatever the comment in its API says.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::Value;

use super::{Kind, Reading, Resource, fields};

pub(super) struct PodDecoration;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    selector: LabelSelector,
    update_strategy: Strategy,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Strategy {
    rolling_update: Option<RollingUpdate>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RollingUpdate {
    partition: Option<i32>,
    selector: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    observed_generation: i64,
    current_revision: String,
    updated_revision: String,
    matched_pods: i32,
    updated_pods: i32,
    updated_ready_pods: i32,
    updated_available_pods: i32,
}

impl Kind for PodDecoration {
    fn resource(&self) -> Resource {
        Resource { group: "apps.kusionstack.io", version: "v1alpha1", kind: "PodDecoration", plural: "poddecorations" }
    }

    fn partition_path(&self) -> Option<&'static [&'static str]> {
        Some(&["rollingUpdate", "partition"])
    }

    fn owns_pods(&self) -> bool {
        false
    }

    fn read(&self, spec: &Value, status: &Value, _: Option<&str>) -> Result<Reading, serde_json::Error> {
        let (spec, status): (Spec, Status) = (fields::parse(spec)?, fields::parse(status)?);
        let rolling = spec.update_strategy.rolling_update.unwrap_or_default();
        let reading = Reading {
            observed_generation: status.observed_generation,
            partition: rolling.partition.unwrap_or(0),
            desired: status.matched_pods,
            selector: spec.selector,
            stable_revision: status.current_revision,
            updated_revision: status.updated_revision,
            replicas: status.matched_pods,
            updated_replicas: status.updated_pods,
            unpartitioned: rolling.selector.map(|_| "spec.updateStrategy.rollingUpdate.selector is set: remove it"),
            ..Reading::default()
        };
        Ok(reading.with_told(status.updated_ready_pods, status.updated_available_pods))
    }
}
