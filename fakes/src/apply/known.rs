//! What there is to know about the lists and maps of built-in kinds.
//!
//! Whatever is not listed here is plain: lists are owned as one value, objects by field.

use serde_json::{Value, json};

use super::types::Items;
use super::types::Keys;

/// How a value of a built-in type is owned.
#[derive(Debug)]
pub(super) enum Shape {
    /// An object, owned by field: what is special about its fields, and which of them are always there.
    Fields(&'static [(&'static str, &'static Shape)], &'static [&'static str]),
    /// An object that is owned as one value.
    Atomic,
    /// A list of scalars, each owned on its own.
    Set,
    /// A list of objects, told apart by these keys.
    Keyed(&'static [&'static str], &'static Shape),
}

impl Shape {
    pub(super) fn field(&self, name: &str) -> Option<&'static Self> {
        let Self::Fields(fields, _) = self else { return None };
        fields.iter().find(|(field, _)| *field == name).map(|(_, shape)| *shape)
    }

    pub(super) fn always(&self) -> &'static [&'static str] {
        match self {
            Self::Fields(_, always) => always,
            _ => &[],
        }
    }

    pub(super) fn is_atomic(&self) -> bool {
        matches!(self, Self::Atomic)
    }

    pub(super) fn items(&self) -> Items<'static> {
        match self {
            Self::Set => Items::Set,
            Self::Keyed(keys, _) => Items::Keyed(Keys::Known(keys)),
            Self::Fields(..) | Self::Atomic => Items::Atomic,
        }
    }

    pub(super) fn item(&self) -> Option<&'static Self> {
        match self {
            Self::Keyed(_, item) => Some(item),
            _ => None,
        }
    }
}

/// The default of a key that an item may leave out.
pub(super) fn default_of_key(name: &str) -> Option<Value> {
    (name == "protocol").then(|| json!("TCP"))
}

/// The shape of a kind, and whether its status is a subresource.
pub(super) fn kind(kind: &str) -> (&'static Shape, bool) {
    match kind {
        "Pod" => (&POD, true),
        "Deployment" => (&DEPLOYMENT, true),
        "StatefulSet" => (&STATEFUL_SET, true),
        "DaemonSet" => (&DAEMON_SET, true),
        "EndpointSlice" => (&ENDPOINT_SLICE, false),
        "ReplicaSet" => (&REPLICA_SET, true),
        "Service" => (&SERVICE, true),
        "Node" => (&NODE, true),
        "Namespace" | "PodDisruptionBudget" | "CustomResourceDefinition" | "HorizontalPodAutoscaler" => {
            (&WITH_CONDITIONS, true)
        }
        "PersistentVolumeClaim" => (&CLAIM, true),
        "Event" => (&EVENT, false),
        "Lease" => (&LEASE, false),
        "ControllerRevision" => (&CONTROLLER_REVISION, false),
        "ServiceAccount" => (&SERVICE_ACCOUNT, false),
        _ => (&PLAIN, false),
    }
}

pub(super) static OBJECT_META: Shape =
    Shape::Fields(&[("finalizers", &Shape::Set), ("ownerReferences", &Shape::Keyed(&["uid"], &ATOMIC))], &[]);

static ATOMIC: Shape = Shape::Atomic;
static NOTHING: Shape = Shape::Fields(&[], &[]);
static CONDITIONS: Shape = Shape::Keyed(&["type"], &NOTHING);
static STATUS: Shape = Shape::Fields(&[("conditions", &CONDITIONS)], &[]);
static COUNTING_STATUS: Shape = Shape::Fields(&[("conditions", &CONDITIONS)], &["replicas", "availableReplicas"]);
static REPLICA_SET_STATUS: Shape = Shape::Fields(&[("conditions", &CONDITIONS)], &["replicas"]);
static SELECTING: Shape = Shape::Fields(&[("selector", &ATOMIC)], &[]);

static PLAIN: Shape = Shape::Fields(&[("metadata", &OBJECT_META)], &["metadata"]);
static WITH_CONDITIONS: Shape = Shape::Fields(
    &[("metadata", &OBJECT_META), ("spec", &SELECTING), ("status", &STATUS)],
    &["metadata", "spec", "status"],
);
static LEASE: Shape = Shape::Fields(&[("metadata", &OBJECT_META)], &["metadata", "spec"]);
static CONTROLLER_REVISION: Shape =
    Shape::Fields(&[("metadata", &OBJECT_META), ("data", &ATOMIC)], &["metadata", "revision"]);
static SERVICE_ACCOUNT: Shape =
    Shape::Fields(&[("metadata", &OBJECT_META), ("secrets", &Shape::Keyed(&["name"], &ATOMIC))], &["metadata"]);
static EVENT: Shape = Shape::Fields(
    &[("metadata", &OBJECT_META), ("involvedObject", &ATOMIC), ("related", &ATOMIC)],
    &[
        "metadata",
        "involvedObject",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "eventTime",
        "reportingComponent",
        "reportingInstance",
    ],
);
static CLAIM: Shape = Shape::Fields(
    &[("metadata", &OBJECT_META), ("spec", &CLAIM_SPEC), ("status", &STATUS)],
    &["metadata", "spec", "status"],
);
static CLAIM_SPEC: Shape = Shape::Fields(&[("selector", &ATOMIC), ("dataSource", &ATOMIC)], &["resources"]);

static DEPLOYMENT: Shape = Shape::Fields(
    &[("metadata", &OBJECT_META), ("spec", &DEPLOYMENT_SPEC), ("status", &STATUS)],
    &["metadata", "spec", "status"],
);
static DEPLOYMENT_SPEC: Shape =
    Shape::Fields(&[("selector", &ATOMIC), ("template", &POD_TEMPLATE)], &["template", "strategy"]);
static STATEFUL_SET: Shape = Shape::Fields(
    &[("metadata", &OBJECT_META), ("spec", &STATEFUL_SET_SPEC), ("status", &COUNTING_STATUS)],
    &["metadata", "spec", "status"],
);
static STATEFUL_SET_SPEC: Shape = Shape::Fields(
    &[("selector", &ATOMIC), ("template", &POD_TEMPLATE)],
    &["template", "updateStrategy", "serviceName"],
);
static DAEMON_SET: Shape = Shape::Fields(
    &[("metadata", &OBJECT_META), ("spec", &STATEFUL_SET_SPEC), ("status", &STATUS)],
    &["metadata", "spec", "status"],
);
static ENDPOINT_SLICE: Shape =
    Shape::Fields(&[("metadata", &OBJECT_META)], &["metadata", "endpoints", "ports", "addressType"]);
static REPLICA_SET: Shape = Shape::Fields(
    &[("metadata", &OBJECT_META), ("spec", &REPLICA_SET_SPEC), ("status", &REPLICA_SET_STATUS)],
    &["metadata", "spec", "status"],
);
static REPLICA_SET_SPEC: Shape = Shape::Fields(&[("selector", &ATOMIC), ("template", &POD_TEMPLATE)], &["template"]);

static SERVICE: Shape = Shape::Fields(
    &[("metadata", &OBJECT_META), ("spec", &SERVICE_SPEC), ("status", &SERVICE_STATUS)],
    &["metadata", "spec", "status"],
);
static SERVICE_SPEC: Shape =
    Shape::Fields(&[("ports", &Shape::Keyed(&["port", "protocol"], &NOTHING)), ("selector", &ATOMIC)], &[]);
static SERVICE_STATUS: Shape = Shape::Fields(&[("conditions", &CONDITIONS)], &["loadBalancer"]);

static NODE: Shape = Shape::Fields(
    &[("metadata", &OBJECT_META), ("spec", &NODE_SPEC), ("status", &NODE_STATUS)],
    &["metadata", "spec", "status"],
);
static NODE_SPEC: Shape = Shape::Fields(&[("podCIDRs", &Shape::Set)], &[]);
static NODE_STATUS: Shape =
    Shape::Fields(&[("addresses", &CONDITIONS), ("conditions", &CONDITIONS)], &["daemonEndpoints", "nodeInfo"]);

static POD: Shape = Shape::Fields(
    &[("metadata", &OBJECT_META), ("spec", &POD_SPEC), ("status", &POD_STATUS)],
    &["metadata", "spec", "status"],
);
static POD_STATUS: Shape = Shape::Fields(
    &[
        ("conditions", &CONDITIONS),
        ("podIPs", &Shape::Keyed(&["ip"], &NOTHING)),
        ("resourceClaimStatuses", &Shape::Keyed(&["name"], &NOTHING)),
    ],
    &[],
);
static POD_TEMPLATE: Shape = Shape::Fields(&[("metadata", &OBJECT_META), ("spec", &POD_SPEC)], &["metadata", "spec"]);
static POD_SPEC: Shape = Shape::Fields(
    &[
        ("containers", &CONTAINERS),
        ("ephemeralContainers", &CONTAINERS),
        ("hostAliases", &Shape::Keyed(&["ip"], &NOTHING)),
        ("imagePullSecrets", &Shape::Keyed(&["name"], &ATOMIC)),
        ("initContainers", &CONTAINERS),
        ("nodeSelector", &ATOMIC),
        ("affinity", &AFFINITY),
        ("resourceClaims", &Shape::Keyed(&["name"], &NOTHING)),
        ("schedulingGates", &Shape::Keyed(&["name"], &NOTHING)),
        ("topologySpreadConstraints", &Shape::Keyed(&["topologyKey", "whenUnsatisfiable"], &SPREAD)),
        ("volumes", &Shape::Keyed(&["name"], &NOTHING)),
    ],
    &["containers"],
);
static SPREAD: Shape = Shape::Fields(&[("labelSelector", &ATOMIC)], &[]);
static AFFINITY: Shape = Shape::Fields(&[("nodeAffinity", &NODE_AFFINITY)], &[]);
static NODE_AFFINITY: Shape = Shape::Fields(&[("requiredDuringSchedulingIgnoredDuringExecution", &ATOMIC)], &[]);
static CONTAINERS: Shape = Shape::Keyed(&["name"], &CONTAINER);
static CONTAINER: Shape = Shape::Fields(
    &[
        ("env", &Shape::Keyed(&["name"], &ENV_VAR)),
        ("ports", &Shape::Keyed(&["containerPort", "protocol"], &NOTHING)),
        ("resources", &RESOURCES),
        ("volumeDevices", &Shape::Keyed(&["devicePath"], &NOTHING)),
        ("volumeMounts", &Shape::Keyed(&["mountPath"], &NOTHING)),
    ],
    &["resources"],
);
static RESOURCES: Shape = Shape::Fields(&[("claims", &Shape::Keyed(&["name"], &NOTHING))], &[]);
static ENV_VAR: Shape = Shape::Fields(&[("valueFrom", &ENV_VAR_SOURCE)], &[]);
static ENV_VAR_SOURCE: Shape = Shape::Fields(
    &[
        ("configMapKeyRef", &ATOMIC),
        ("fieldRef", &ATOMIC),
        ("fileKeyRef", &ATOMIC),
        ("resourceFieldRef", &ATOMIC),
        ("secretKeyRef", &ATOMIC),
    ],
    &[],
);
