//! The columns of the built-in kinds after their names.

use serde_json::Value;

use super::{
    AGE, Column, access, admission, autoscaler, batch, column, data, event, network, node, pod, row::Row, storage,
    workload,
};
use crate::{
    object,
    server::{Subresource, Target},
};

/// Kinds that nobody drew a table for.
const UNKNOWN: &[Column] = &[column("date", "Created At", |row| row.text("/metadata/creationTimestamp").into())];
const AGE_ONLY: &[Column] = &[AGE];

pub(super) fn columns(target: &Target) -> &'static [Column] {
    if target.subresource == Subresource::Scale {
        return workload::SCALES;
    }
    match &*target.resource.resource.plural {
        "certificatesigningrequests" => access::REQUESTS,
        "configmaps" => data::CONFIG_MAPS,
        "controllerrevisions" => workload::REVISIONS,
        "cronjobs" => batch::CRON_JOBS,
        "csidrivers" => storage::DRIVERS,
        "csinodes" => storage::DRIVERS_OF_NODES,
        "daemonsets" => workload::DAEMON_SETS,
        "deployments" => workload::DEPLOYMENTS,
        "deviceclasses" | "resourceclaimtemplates" => AGE_ONLY,
        "endpoints" => network::ENDPOINTS,
        "endpointslices" => network::SLICES,
        "events" => event::EVENTS,
        "flowschemas" => admission::FLOWS,
        "horizontalpodautoscalers" => autoscaler::AUTOSCALERS,
        "ingressclasses" => network::INGRESS_CLASSES,
        "ingresses" => network::INGRESSES,
        "ipaddresses" => network::ADDRESSES,
        "jobs" => batch::JOBS,
        "leases" => data::LEASES,
        "mutatingadmissionpolicies" => admission::MUTATIONS,
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => admission::WEBHOOKS,
        "namespaces" => workload::NAMESPACES,
        "networkpolicies" => network::POLICIES,
        "nodes" => node::NODES,
        "persistentvolumeclaims" => storage::CLAIMS,
        "persistentvolumes" => storage::VOLUMES,
        "poddisruptionbudgets" => workload::BUDGETS,
        "pods" => pod::PODS,
        "podtemplates" => workload::POD_TEMPLATES,
        "priorityclasses" => node::PRIORITIES,
        "prioritylevelconfigurations" => admission::LEVELS,
        "replicasets" => workload::REPLICA_SETS,
        "replicationcontrollers" => workload::REPLICATION_CONTROLLERS,
        "resourceclaims" => storage::DEVICE_CLAIMS,
        "resourcequotas" => data::QUOTAS,
        "resourceslices" => storage::DEVICES,
        "rolebindings" | "clusterrolebindings" => access::BINDINGS,
        "runtimeclasses" => node::RUNTIMES,
        "secrets" => data::SECRETS,
        "serviceaccounts" => AGE_ONLY,
        "servicecidrs" => network::RANGES,
        "services" => network::SERVICES,
        "statefulsets" => workload::STATEFUL_SETS,
        "storageclasses" => storage::CLASSES,
        "validatingadmissionpolicies" => admission::VALIDATIONS,
        "validatingadmissionpolicybindings" | "mutatingadmissionpolicybindings" => admission::BINDINGS,
        "volumeattachments" => storage::ATTACHMENTS,
        "volumeattributesclasses" => storage::ATTRIBUTES,
        _ => UNKNOWN,
    }
}

/// Whether the name is one of the columns.
pub(super) fn is_named(columns: &[Column]) -> bool {
    columns.iter().any(|column| column.name == "Name")
}

/// How a column is to be shown.
pub(super) fn format(column: &Column) -> &'static str {
    if matches!(column.name, "Name" | "Attacher") { "name" } else { "" }
}

/// The name of an object; of some kinds one is the default.
pub(super) fn name(target: &Target, row: &Row<'_>) -> Value {
    let marks: &[&str] = match &*target.resource.resource.plural {
        "ingressclasses" => &["ingressclass.kubernetes.io/is-default-class"],
        "storageclasses" => {
            &["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
        }
        _ => &[],
    };
    let name = object::name(row.object);
    let annotations = row.at("/metadata/annotations");
    if marks.iter().any(|mark| annotations[*mark] == "true") { format!("{name} (default)").into() } else { name.into() }
}
