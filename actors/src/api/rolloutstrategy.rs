//! `RolloutStrategy`: the shape of a rollout, independent of the workloads.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IntOrString;
use super::kind::root;
use super::policy::Policies;
use super::shared::rules;
use super::shared::{MetadataPatch, ResourceMatch, RolloutWebhook, TolerationStrategy, TrafficStrategy};

/// How workloads move to a new revision. The fields stand at the top level: this kind has no `spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(
    transform = declare_spec,
    extend("x-kubernetes-validations" = [
        {
            "rule": "!(has(self.batch) && has(self.batchV2))",
            "message": "stands beside batch: keep one and remove the other",
            "fieldPath": ".batchV2",
            "reason": "FieldValueForbidden",
        },
        {
            "rule": "!(has(self.canary) && has(self.canaryV2))",
            "message": "stands beside canary: keep one and remove the other",
            "fieldPath": ".canaryV2",
            "reason": "FieldValueForbidden",
        },
        {
            // An object with `spec` is refused for that alone.
            "rule": "has(self.spec) || (has(self.batch) && has(self.batch.batches) && size(self.batch.batches) > 0) || \
                (has(self.batchV2) && has(self.batchV2.batches) && size(self.batchV2.batches) > 0) || \
                (has(self.blueGreen) && !has(self.batch) && !has(self.batchV2))",
            "message": "has no batch, so there is nothing to run: write batch.batches with at least one, for example [{replicas: 100%}]",
            "fieldPath": ".batch",
            "reason": "FieldValueRequired",
        },
        {
            "rule": "!has(self.blueGreen) || !(has(self.canary) || has(self.canaryV2))",
            "message": "stands beside a canary, and is one itself: keep one and remove the other",
            "fieldPath": ".blueGreen",
            "reason": "FieldValueForbidden",
        },
    ])
)]
pub struct RolloutStrategy {
    /// Standard metadata.
    #[serde(default)]
    #[schemars(skip)]
    pub metadata: ObjectMeta,
    /// The batches; every batch takes the workloads that match.
    pub batch: Option<BatchStrategy>,
    /// A canary before the first batch.
    pub canary: Option<CanaryStrategy>,
    /// The batches; every batch has targets of its own sizes.
    #[serde(rename = "batchV2")]
    pub batch_v2: Option<BatchStrategyV2>,
    /// A canary before the first batch, with targets of its own sizes.
    #[serde(rename = "canaryV2")]
    pub canary_v2: Option<CanaryStrategyV2>,
    /// A whole copy on the new version, which takes over all requests before the workloads follow (Slipway's addition).
    pub blue_green: Option<BlueGreenStrategy>,
    /// Hooks around the steps.
    #[serde(default)]
    pub webhooks: Vec<RolloutWebhook>,
    /// What happens when things do not go as planned (Slipway's addition).
    pub policies: Option<Policies>,
}
root!(
    RolloutStrategy,
    "rolloutstrategies",
    skip_default: [webhooks],
    skip_none: [
        batch = "batch", canary = "canary", batch_v2 = "batchV2", canary_v2 = "canaryV2", blue_green = "blueGreen",
        policies = "policies"
    ]
);

/// Declares `spec` only to refuse it: undeclared, it would be pruned, and an empty strategy be left without a word.
fn declare_spec(schema: &mut schemars::Schema) {
    let Some(fields) = schema.get_mut("properties").and_then(|fields| fields.as_object_mut()) else { return };
    let spec = serde_json::json!({
        "description": "Refused: this kind has no spec, its fields stand at the top level.",
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-validations": [{
            "rule": "false",
            "reason": "FieldValueForbidden",
            "message": "a RolloutStrategy has no spec: move what stands under spec to the top level, \
                beside metadata (batch:, batchV2:, canary:, canaryV2:, blueGreen:, webhooks:)",
        }],
    });
    fields.insert("spec".to_owned(), spec);
}

/// The batches of a strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchStrategy {
    /// The batches, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<RolloutStep>,
    /// How much failure is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toleration: Option<TolerationStrategy>,
}

/// One batch of a strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStep {
    /// Pods of each workload that are on the new revision after the batch, as a number or as a share of all.
    pub replicas: IntOrString,
    /// Pods of each workload that may be under way at a time; absent means the whole batch at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_sliding_window: Option<IntOrString>,
    /// Workloads that move in this batch; absent means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_targets: Option<ResourceMatch>,
    /// Pause before this batch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub breakpoint: bool,
    /// Traffic during the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficStrategy>,
    /// Handed to hooks as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

/// The canary of a strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStrategy {
    /// Pods of each canary, as a number or as a share of the workload's.
    pub replicas: IntOrString,
    /// Workloads that get a canary; absent means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_targets: Option<ResourceMatch>,
    /// Traffic during the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficStrategy>,
    /// Handed to hooks as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Labels and annotations for the canary's pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_metadata_patch: Option<MetadataPatch>,
}

/// The batches of a strategy, with targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchStrategyV2 {
    /// The batches, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<RolloutStepV2>,
}

/// One batch of a strategy, with targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutStepV2 {
    /// What moves in this batch, and how far.
    #[schemars(extend("x-kubernetes-validations" = [rules::some_target()]))]
    pub targets: Vec<RolloutStepTarget>,
    /// Pause before this batch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub breakpoint: bool,
    /// Traffic during the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficStrategy>,
    /// Handed to hooks as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

/// The canary of a strategy, with targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStrategyV2 {
    /// What gets a canary, and how many pods.
    #[schemars(extend("x-kubernetes-validations" = [rules::some_target()]))]
    pub targets: Vec<RolloutStepTarget>,
    /// Traffic during the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficStrategy>,
    /// Handed to hooks as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Labels and annotations for the canary's pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_metadata_patch: Option<MetadataPatch>,
}

/// A copy of each workload on the new version, beside the old one. It is tried with a preview of the requests, takes over
/// all of them at once when told to continue, and goes when the workload has followed. Without batches the workloads follow
/// in one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreenStrategy {
    /// What gets a copy, and how many pods; 100% for one that can serve all requests.
    #[schemars(extend("x-kubernetes-validations" = [rules::some_target()]))]
    pub targets: Vec<RolloutStepTarget>,
    /// Which requests the copies get before they take over: those that match, or copies of some. Absent means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<TrafficStrategy>,
    /// For how many seconds the old version is kept as it is after the copies have taken over, so that all requests can
    /// return to it at once; 30 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_seconds: Option<i32>,
    /// Handed to hooks as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Labels and annotations for the copies' pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_metadata_patch: Option<MetadataPatch>,
}

/// Workloads of a step that move equally far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStepTarget {
    /// Which workloads; absent means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_targets: Option<ResourceMatch>,
    /// Pods of each workload that are on the new revision after the step, as a number or as a share of all.
    pub replicas: IntOrString,
    /// Pods of each workload that may be under way at a time; absent means the whole step at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_sliding_window: Option<IntOrString>,
}
