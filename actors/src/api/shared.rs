//! Types that several kinds use.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{HttpMirror, HttpRouteFilter, HttpRouteMatch, HttpRouteRule};
use super::{IntOrString, LabelSelector, Time};

/// An object of a known kind, by name, in one cluster or in any.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CrossClusterObjectNameReference {
    /// Name of the cluster; empty means any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Name of the object.
    pub name: String,
}

impl CrossClusterObjectNameReference {
    /// A reference to `name` in `cluster`.
    pub fn new(cluster: impl Into<String>, name: impl Into<String>) -> Self {
        Self { cluster: cluster.into(), name: name.into() }
    }

    /// Whether the reference means the object `name` in `cluster`; an empty cluster on either side means any.
    pub fn matches(&self, cluster: &str, name: &str) -> bool {
        self.name == name && (self.cluster.is_empty() || cluster.is_empty() || self.cluster == cluster)
    }
}

impl fmt::Display for CrossClusterObjectNameReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cluster.is_empty() {
            write!(f, "name={}", self.name)
        } else {
            write!(f, "cluster={},name={}", self.cluster, self.name)
        }
    }
}

/// A kind of object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectTypeRef {
    /// Group and version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind.
    pub kind: String,
}

/// An object of any kind, by name, in one cluster or in any.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossClusterObjectReference {
    /// Group and version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name of the cluster; empty means any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Name of the object.
    pub name: String,
}

/// Which objects are meant: by labels, or by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceMatch {
    /// Match by labels. If present it alone decides; an empty selector matches everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub selector: Option<LabelSelector>,
    /// Match by cluster and name; one that fits is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<CrossClusterObjectNameReference>,
}

/// Which workloads are meant: all of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadRef {
    /// Group and version of the workloads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind of the workloads.
    pub kind: String,
    /// Which of them.
    #[serde(rename = "match")]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "has(self.selector) || (has(self.names) && size(self.names) > 0)",
        "message": "selects nothing: write a selector, or names with at least one entry",
        "reason": "FieldValueRequired",
    }]))]
    pub match_: ResourceMatch,
}

/// One aspect of an object's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which aspect.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When anything in the condition changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Time>,
    /// When `status` changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// Why, in one word for machines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why, in a sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A code, a reason and a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CodeReasonMessage {
    /// Code for machines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// Why, in one word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Labels and annotations to lay over a template's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetadataPatch {
    /// Labels to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// How traffic is split during a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficStrategy {
    /// For HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpTrafficStrategy>,
}

/// Which HTTP requests go to the new version: a share, or those that match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.weight) || !has(self.matches) || size(self.matches) == 0",
        "message": "stands beside weight: keep one and remove the other",
        "fieldPath": ".matches",
        "reason": "FieldValueForbidden",
    },
    {
        "rule": "!has(self.weight) || !has(self.stableTraffic)",
        "message": "stands beside weight: keep one and remove the other",
        "fieldPath": ".stableTraffic",
        "reason": "FieldValueForbidden",
    },
]))]
pub struct HttpTrafficStrategy {
    /// Share of requests that go to the new version, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub weight: Option<i32>,
    /// Requests that match any of these go to the new version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub matches: Vec<HttpRouteMatch>,
    /// What is done to a request that goes to the new version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub filters: Vec<HttpRouteFilter>,
    /// Copies of requests for the new version, whose answers nobody gets (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<HttpMirror>,
    /// Which requests go to the old version, and what is done to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_traffic: Option<HttpRouteRule>,
}

/// A moment at which hooks are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookType {
    /// Before the first step of a run (Slipway's addition).
    PreRollout,
    /// Before the canary is created.
    PreCanaryStepHook,
    /// Once the canary is available.
    PostCanaryStepHook,
    /// Before a batch updates pods.
    PreBatchStepHook,
    /// Once the pods of a batch are available.
    PostBatchStepHook,
    /// After the last step of a run (Slipway's addition).
    PostRollout,
}

impl HookType {
    /// All of them, in the order in which a run comes to them.
    pub const ALL: [Self; 6] = [
        Self::PreRollout,
        Self::PreCanaryStepHook,
        Self::PostCanaryStepHook,
        Self::PreBatchStepHook,
        Self::PostBatchStepHook,
        Self::PostRollout,
    ];

    /// The value as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreRollout => "PreRollout",
            Self::PreCanaryStepHook => "PreCanaryStepHook",
            Self::PostCanaryStepHook => "PostCanaryStepHook",
            Self::PreBatchStepHook => "PreBatchStepHook",
            Self::PostBatchStepHook => "PostBatchStepHook",
            Self::PostRollout => "PostRollout",
        }
    }
}

impl fmt::Display for HookType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A hook: an HTTP endpoint that is asked before or after a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.hookTypes) && size(self.hookTypes) > 0",
        "message": "is empty, so the hook would never be asked: write at least one, such as PreBatchStepHook",
        "fieldPath": ".hookTypes",
        "reason": "FieldValueRequired",
    },
    {
        "rule": "!has(self.provider) || size(self.provider) == 0",
        "message": "no provider is built in: write clientConfig.url instead",
        "fieldPath": ".provider",
    },
]))]
pub struct RolloutWebhook {
    /// Name, unique among the hooks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// When the hook is asked: `PreCanaryStepHook`, `PostCanaryStepHook`, `PreBatchStepHook`, `PostBatchStepHook`, and
    /// beyond upstream `PreRollout` and `PostRollout`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hook_types: Vec<String>,
    /// How the hook is reached.
    #[serde(default)]
    pub client_config: WebhookClientConfig,
    /// How many failures in a row count as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("x-default" = 3))]
    pub failure_threshold: Option<i32>,
    /// What a failed hook means: `Fail` stops the run, `Ignore` does not. Empty acts as `Fail`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "size(self) == 0 || self == 'Fail' || self == 'Ignore'",
        "message": "must be Fail or Ignore",
    }]))]
    pub failure_policy: String,
    /// Handed to the hook as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Which built-in provider answers; empty means the endpoint does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// Time within which the hook has to come to an end; one that is still processing then counts as failed. Absent
    /// means that it is waited for without end (Slipway's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub deadline_seconds: Option<i32>,
}

/// How a hook is reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookClientConfig {
    /// Address of the endpoint.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Certificates, in PEM, that the endpoint's certificate is verified with. Absent means the system's roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bytes", default)]
    pub ca_bundle: Option<ByteString>,
    /// Time within which an answer is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = 10))]
    pub timeout_seconds: Option<i32>,
    /// Time between two questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("x-default" = 10))]
    pub period_seconds: Option<i32>,
}

/// What came of a hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutWebhookStatus {
    /// `Running`, `OnHold` or `Completed`; `Skipped` for one of the whole run that a command gave up.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// For which moment the hook was asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hook_type: String,
    /// Name of the hook.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The hook's last code.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// The hook's last reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The hook's last message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Failures in a row.
    #[serde(default)]
    pub failure_count: i32,
    /// When the hook was first asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the hook was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_time: Option<Time>,
}

/// How far one workload is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutWorkloadStatus {
    /// Name of the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Name of the workload.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The workload's generation.
    #[serde(default)]
    pub generation: i64,
    /// The generation that its controller has acted on.
    #[serde(default)]
    pub observed_generation: i64,
    /// Revision that pods had before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stable_revision: String,
    /// Revision that the template asks for now.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub updated_revision: String,
    /// Pods desired.
    #[serde(default)]
    pub replicas: i32,
    /// Pods available, on any revision.
    #[serde(default)]
    pub available_replicas: i32,
    /// Pods on the updated revision.
    #[serde(default)]
    pub updated_replicas: i32,
    /// Pods on the updated revision that are ready.
    #[serde(default)]
    pub updated_ready_replicas: i32,
    /// Pods on the updated revision that are available.
    #[serde(default)]
    pub updated_available_replicas: i32,
}

/// How much failure a run accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TolerationStrategy {
    /// Pods of one workload, over all steps, that may fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_total_failure_threshold: Option<IntOrString>,
    /// Pods of one step that may fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_failure_threshold: Option<IntOrString>,
    /// Time to wait before pods are judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_delay_seconds: Option<i32>,
}

/// A cluster that a run goes on without (Slipway's addition).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkippedCluster {
    /// Name of the cluster.
    pub name: String,
    /// Why the run goes on without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When it was back. From then on the current step waits for it and brings it to where the others are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<Time>,
}

/// The last command that was taken in, and what it did (Slipway's addition).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandStatus {
    /// Id of the command; one id takes effect once.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The command as it was given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Field manager that gave it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// When it was taken in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// What it did, in one word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub effect: String,
    /// What it did, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// One thing that the current step waits for (Slipway's addition).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct WaitStatus {
    /// Cluster of the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Object, as kind and name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// What must become true of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The command that would end the wait.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unblock: String,
}

/// A revision of one workload (Slipway's addition).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadRevision {
    /// Cluster of the workload.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Name of the workload.
    pub name: String,
    /// Its revision.
    pub revision: String,
}

pub(crate) mod rules {
    //! CEL rules that several kinds have.

    use serde_json::{Value, json};

    /// A step moves something.
    pub(crate) fn some_target() -> Value {
        json!({
            "rule": "size(self) > 0",
            "message": "has no target: write at least one",
            "reason": "FieldValueRequired",
        })
    }

    /// Traffic is split in each cluster, or over all.
    pub(crate) fn traffic_type() -> Value {
        json!({ "rule": "self in ['InCluster', 'MultiCluster']", "message": "must be InCluster or MultiCluster" })
    }

    /// A kind that can be a backend.
    pub(crate) fn backend_kind() -> Value {
        json!({
            "rule": "has(self.apiVersion) && (self.apiVersion == 'v1' && self.kind == 'Service' || \
                self.apiVersion in ['inference.networking.k8s.io/v1', 'inference.networking.x-k8s.io/v1alpha2'] && \
                self.kind == 'InferencePool' || \
                self.apiVersion == 'multicluster.x-k8s.io/v1alpha1' && self.kind == 'ServiceImport')",
            "message": "must be a v1 Service, an inference.networking.k8s.io/v1 or inference.networking.x-k8s.io/v1alpha2 InferencePool, or a multicluster.x-k8s.io/v1alpha1 ServiceImport",
        })
    }

    /// A kind that can be a route.
    pub(crate) fn route_kind() -> Value {
        json!({
            "rule": "has(self.apiVersion) && (self.apiVersion == 'gateway.networking.k8s.io/v1' && self.kind in ['HTTPRoute', 'GRPCRoute'] || \
                self.apiVersion == 'networking.k8s.io/v1' && self.kind == 'Ingress')",
            "message": "must be a gateway.networking.k8s.io/v1 HTTPRoute or GRPCRoute, or a networking.k8s.io/v1 Ingress",
        })
    }
}

pub(crate) mod schema {
    //! Schemas of foreign types, which lack markers that the API needs or carry sentences that are not ours.

    use schemars::{Schema, SchemaGenerator, json_schema};

    pub(crate) fn bytes(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "byte" })
    }

    pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "x-kubernetes-map-type": "atomic",
            "properties": {
                "matchLabels": {
                    "description": "Labels that must be present with these values.",
                    "type": "object",
                    "additionalProperties": { "type": "string" },
                },
                "matchExpressions": {
                    "description": "Requirements that must all hold.",
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["key", "operator"],
                        "properties": {
                            "key": { "description": "Label that the requirement is about.", "type": "string" },
                            "operator": {
                                "description": "In, NotIn, Exists or DoesNotExist.",
                                "type": "string",
                            },
                            "values": {
                                "description": "Values for In and NotIn.",
                                "type": "array",
                                "items": { "type": "string" },
                            },
                        },
                    },
                },
            },
        })
    }

    pub(crate) fn meta_condition(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "description": "Which aspect.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": CONDITION_TYPE,
                },
                "status": { "description": "State of the aspect.", "type": "string", "enum": ["True", "False", "Unknown"] },
                "observedGeneration": {
                    "description": "Generation that the condition is about.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
                "lastTransitionTime": {
                    "description": "When status changed last.",
                    "type": "string",
                    "format": "date-time",
                },
                "reason": {
                    "description": "Why, in one word.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": CONDITION_REASON,
                },
                "message": { "description": "Why, in a sentence.", "type": "string", "maxLength": 32768 },
            },
        })
    }

    pub(crate) fn meta_conditions(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": meta_condition(generator) })
    }

    const CONDITION_TYPE: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";
    const CONDITION_REASON: &str = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";
}
