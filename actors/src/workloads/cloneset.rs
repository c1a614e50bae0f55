//! apps.kruise.io/v1alpha1 CloneSet: a partition counts pods, as a number or a share, and those updated before come
//! first.

use serde::Deserialize;
use serde_json::Value;

use super::{
    Kind, Reading, Resource,
    fields::{self, Spec, Status},
};
use crate::api::{
    IntOrString,
    intorpercent::{self, IntOrPercent},
};

pub(super) struct CloneSet;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Strategy {
    partition: Option<IntOrString>,
    paused: Option<bool>,
}

/// How many pods a partition keeps, as the CloneSet's controller counts: a share is rounded up, but one below 100 % lets
/// at least one of several pods go.
fn kept(partition: &IntOrString, replicas: i32) -> i32 {
    match intorpercent::parse(partition) {
        Ok(IntOrPercent::Int(count)) => count,
        Ok(share @ IntOrPercent::Percent(percent)) => {
            let kept = share.scaled(replicas);
            if percent < 100 && kept == replicas && replicas > 1 { replicas - 1 } else { kept }
        }
        // The API server lets nothing else in; where it does, nothing is known to be kept.
        Err(_) => 0,
    }
}

impl Kind for CloneSet {
    fn resource(&self) -> Resource {
        Resource { group: "apps.kruise.io", version: "v1alpha1", kind: "CloneSet", plural: "clonesets" }
    }

    fn partition_path(&self) -> Option<&'static [&'static str]> {
        Some(&["partition"])
    }

    /// Pods carry the revision's name or, as a feature gate says, the hash at its end alone.
    fn is_revision(&self, label: &str, revision: &str) -> bool {
        let hash = revision.rsplit_once('-').map(|(_, hash)| hash);
        !label.is_empty() && (label == revision || hash == Some(label))
    }

    fn read(&self, spec: &Value, status: &Value, _: Option<&str>) -> Result<Reading, serde_json::Error> {
        let strategy: Strategy = fields::parse(&spec["updateStrategy"])?;
        let (spec, status): (Spec, Status) = (fields::parse(spec)?, fields::parse(status)?);
        let paused = strategy.paused == Some(true);
        // A pod that is updated in place is ready before its new containers run: only the controller knows better. What
        // it says of available pods is newer than the rest, and absent when it is nothing.
        let ready = status.updated_ready_replicas.unwrap_or(0);
        let reading = fields::reading(spec, status, 1).with_told(ready, ready);
        Ok(Reading {
            partition: strategy.partition.map_or(0, |partition| kept(&partition, reading.desired)),
            halted: paused.then_some("spec.updateStrategy.paused is true: set it to false"),
            ..reading
        })
    }
}
