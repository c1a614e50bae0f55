//! The built-in resources, as a table.

use super::{ResourceType, Scale, Traits, Version};
use crate::store::GroupResource;

struct Row {
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    /// Letters: `n`amespaced, `s`tatus, sc`a`le, `g`eneration, `r`eturns what it deletes, `c`reates on update,
    /// `i`n the category `all`, update `m`ust carry a resourceVersion.
    marks: &'static str,
    selectable: &'static [&'static str],
}

const fn row(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    marks: &'static str,
) -> Row {
    Row { group, plural, kind, short, marks, selectable: &[] }
}

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
];

const ROWS: &[Row] = &[
    row("", "configmaps", "ConfigMap", &["cm"], "n"),
    row("", "endpoints", "Endpoints", &["ep"], "n"),
    Row { selectable: EVENT_FIELDS, ..row("", "events", "Event", &["ev"], "nc") },
    Row { selectable: &["status.phase"], ..row("", "namespaces", "Namespace", &["ns"], "sr") },
    Row { selectable: &["spec.unschedulable"], ..row("", "nodes", "Node", &["no"], "s") },
    row("", "persistentvolumeclaims", "PersistentVolumeClaim", &["pvc"], "nsr"),
    Row { selectable: POD_FIELDS, ..row("", "pods", "Pod", &["po"], "nsgri") },
    Row { selectable: &["type"], ..row("", "secrets", "Secret", &[], "n") },
    row("", "serviceaccounts", "ServiceAccount", &["sa"], "nr"),
    row("", "services", "Service", &["svc"], "nsri"),
    row("apps", "controllerrevisions", "ControllerRevision", &[], "n"),
    row("apps", "deployments", "Deployment", &["deploy"], "nsagi"),
    row("apps", "replicasets", "ReplicaSet", &["rs"], "nsagi"),
    row("apps", "statefulsets", "StatefulSet", &["sts"], "nsagi"),
    row("events.k8s.io", "events", "Event", &["ev"], "nc"),
    row("coordination.k8s.io", "leases", "Lease", &[], "ncm"),
    row("discovery.k8s.io", "endpointslices", "EndpointSlice", &[], "ng"),
    row("policy", "poddisruptionbudgets", "PodDisruptionBudget", &["pdb"], "nsgm"),
    row("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition", &["crd", "crds"], "sgm"),
];

pub(super) fn resources() -> impl Iterator<Item = ResourceType> {
    ROWS.iter().map(resource)
}

fn resource(row: &Row) -> ResourceType {
    let has = |mark: char| row.marks.contains(mark);
    let scale = has('a').then(|| Scale {
        spec_replicas: "spec.replicas".to_owned(),
        status_replicas: "status.replicas".to_owned(),
        selector: None,
    });
    let resource = GroupResource::new(row.group, row.plural);
    let stored_as = if row.group == "events.k8s.io" { GroupResource::new("", "events") } else { resource.clone() };
    let version = Version {
        name: "v1".to_owned(),
        served: true,
        storage: true,
        status: has('s'),
        scale,
        selectable: row.selectable.iter().map(|&field| field.to_owned()).collect(),
        ..Version::default()
    };
    ResourceType {
        resource,
        stored_as,
        kind: row.kind.to_owned(),
        list_kind: format!("{}List", row.kind),
        singular: row.kind.to_lowercase(),
        short_names: row.short.iter().map(|&name| name.to_owned()).collect(),
        categories: if has('i') { vec!["all".to_owned()] } else { Vec::new() },
        namespaced: has('n'),
        custom: false,
        versions: vec![version],
        traits: Traits {
            generation: has('g'),
            unconditional_update: !has('m'),
            create_on_update: has('c'),
            returns_deleted: has('r'),
        },
    }
}
