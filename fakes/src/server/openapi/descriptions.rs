//! What the fields of the built-in types are for, in the words that k8s-openapi carries.

use std::sync::LazyLock;

use k8s_openapi::{
    api::{
        admissionregistration::v1 as admission, apps::v1 as apps, autoscaling::v1 as autoscaling_v1,
        autoscaling::v2 as autoscaling, batch::v1 as batch, certificates::v1 as certificates,
        coordination::v1 as coordination, core::v1 as core, discovery::v1 as discovery, events::v1 as events,
        flowcontrol::v1 as flowcontrol, networking::v1 as networking, node::v1 as node, policy::v1 as policy,
        rbac::v1 as rbac, resource::v1 as resource, scheduling::v1 as scheduling, storage::v1 as storage,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions,
    kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration,
};
use schemars::SchemaGenerator;
use serde_json::{Map, Value};

/// The schema of a type, with its descriptions.
pub(super) fn of(model: &str) -> Option<&'static Value> {
    static SCHEMAS: LazyLock<Map<String, Value>> = LazyLock::new(schemas);
    SCHEMAS.get(model)
}

fn schemas() -> Map<String, Value> {
    let mut generator = SchemaGenerator::default();
    macro_rules! add {
        ($($module:ident: $($kind:ident),+;)+) => {
            $($(let _ = generator.subschema_for::<$module::$kind>();)+)+
        };
    }
    add! {
        admission: MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
            ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration;
        apiextensions: CustomResourceDefinition;
        apiregistration: APIService;
        apps: ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet;
        autoscaling: HorizontalPodAutoscaler;
        autoscaling_v1: HorizontalPodAutoscaler, Scale;
        batch: CronJob, Job;
        certificates: CertificateSigningRequest;
        coordination: Lease;
        core: Binding, ComponentStatus, ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume,
            PersistentVolumeClaim, Pod, PodTemplate, ReplicationController, ResourceQuota, Secret, Service,
            ServiceAccount;
        discovery: EndpointSlice;
        events: Event;
        flowcontrol: FlowSchema, PriorityLevelConfiguration;
        networking: IPAddress, Ingress, IngressClass, NetworkPolicy, ServiceCIDR;
        node: RuntimeClass;
        policy: Eviction, PodDisruptionBudget;
        rbac: ClusterRole, ClusterRoleBinding, Role, RoleBinding;
        resource: DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice;
        scheduling: PriorityClass;
        storage: CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment, VolumeAttributesClass;
    }
    generator.take_definitions(true)
}
