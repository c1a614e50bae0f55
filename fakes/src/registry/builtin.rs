//! The built-in resources: what discovery says of them, and what it does not say.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use super::{ResourceType, Scale, Traits, Version};
use crate::{
    store::GroupResource,
    types::{self, Resource},
};

/// What discovery does not tell about a resource.
struct Facts {
    group: &'static str,
    plural: &'static str,
    /// Letters: counts `g`enerations, `r`eturns what it deletes, `c`reates on update, update `m`ust carry a
    /// resourceVersion.
    marks: &'static str,
    /// What field selectors may name beside name and namespace.
    selectable: &'static [&'static str],
}

const fn facts(
    group: &'static str,
    plural: &'static str,
    marks: &'static str,
    selectable: &'static [&'static str],
) -> Facts {
    Facts { group, plural, marks, selectable }
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
    "status.podIPs",
    "status.nominatedNodeName",
];

/// Resources that are not listed count no generations, answer deletions with a Status, are not created by updates, and
/// take updates without a resourceVersion.
const FACTS: &[Facts] = &[
    facts("", "endpoints", "c", &[]),
    facts("", "events", "c", EVENT_FIELDS),
    facts("", "limitranges", "c", &[]),
    facts("", "namespaces", "r", &["status.phase"]),
    facts("", "nodes", "", &["spec.unschedulable"]),
    facts("", "persistentvolumeclaims", "r", &[]),
    facts("", "persistentvolumes", "r", &[]),
    facts("", "pods", "gr", POD_FIELDS),
    facts("", "podtemplates", "gr", &[]),
    facts("", "replicationcontrollers", "g", &["status.replicas"]),
    facts("", "resourcequotas", "r", &[]),
    facts("", "secrets", "", &["type"]),
    facts("", "serviceaccounts", "r", &[]),
    facts("", "services", "cr", &["spec.clusterIP", "spec.type"]),
    facts("admissionregistration.k8s.io", "mutatingadmissionpolicies", "gm", &[]),
    facts("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "gm", &[]),
    facts("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "gm", &[]),
    facts("admissionregistration.k8s.io", "validatingadmissionpolicies", "gm", &[]),
    facts("admissionregistration.k8s.io", "validatingadmissionpolicybindings", "gm", &[]),
    facts("admissionregistration.k8s.io", "validatingwebhookconfigurations", "gm", &[]),
    facts("apiextensions.k8s.io", "customresourcedefinitions", "gm", &[]),
    facts("apiregistration.k8s.io", "apiservices", "m", &[]),
    facts("apps", "daemonsets", "g", &[]),
    facts("apps", "deployments", "g", &[]),
    facts("apps", "replicasets", "g", &[]),
    facts("apps", "statefulsets", "g", &[]),
    facts("batch", "cronjobs", "g", &[]),
    facts("batch", "jobs", "g", &["status.successful"]),
    facts("certificates.k8s.io", "certificatesigningrequests", "", &["spec.signerName"]),
    facts("coordination.k8s.io", "leases", "cm", &[]),
    facts("discovery.k8s.io", "endpointslices", "g", &[]),
    facts("events.k8s.io", "events", "c", EVENT_FIELDS),
    facts("flowcontrol.apiserver.k8s.io", "flowschemas", "g", &[]),
    facts("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "g", &[]),
    facts("networking.k8s.io", "ingressclasses", "g", &[]),
    facts("networking.k8s.io", "ingresses", "g", &[]),
    facts("networking.k8s.io", "networkpolicies", "g", &[]),
    facts("node.k8s.io", "runtimeclasses", "cm", &[]),
    facts("policy", "poddisruptionbudgets", "gm", &[]),
    facts("rbac.authorization.k8s.io", "clusterrolebindings", "c", &[]),
    facts("rbac.authorization.k8s.io", "clusterroles", "c", &[]),
    facts("rbac.authorization.k8s.io", "rolebindings", "c", &[]),
    facts("rbac.authorization.k8s.io", "roles", "c", &[]),
    facts("resource.k8s.io", "deviceclasses", "gr", &[]),
    facts("resource.k8s.io", "resourceclaims", "r", &[]),
    facts("resource.k8s.io", "resourceclaimtemplates", "r", &[]),
    facts("resource.k8s.io", "resourceslices", "gr", &["spec.nodeName", "spec.driver"]),
    facts("scheduling.k8s.io", "priorityclasses", "g", &[]),
    facts("storage.k8s.io", "csidrivers", "rm", &[]),
    facts("storage.k8s.io", "csinodes", "rm", &[]),
    facts("storage.k8s.io", "csistoragecapacities", "m", &[]),
    facts("storage.k8s.io", "storageclasses", "r", &[]),
    facts("storage.k8s.io", "volumeattachments", "rm", &[]),
    facts("storage.k8s.io", "volumeattributesclasses", "r", &[]),
];

/// The groups by name, in each the resources by plural. One for all clusters of the process.
pub(super) type Groups = BTreeMap<&'static str, BTreeMap<&'static str, Arc<ResourceType>>>;

pub(super) fn groups() -> &'static Groups {
    static GROUPS: LazyLock<Groups> = LazyLock::new(|| {
        let mut groups = Groups::new();
        for resource in types::resources() {
            let known = groups.entry(resource.group).or_default();
            match known.get_mut(resource.plural).and_then(Arc::get_mut) {
                // The first version is the preferred one, and the one that objects are stored in.
                Some(known) => known.versions.push(version(resource, false)),
                None => {
                    known.insert(resource.plural, Arc::new(resource_type(resource)));
                }
            }
        }
        groups
    });
    &GROUPS
}

/// The groups in the order of discovery.
pub(super) fn order() -> impl Iterator<Item = &'static str> {
    let groups = types::resources().iter().map(|resource| resource.group);
    groups.scan(None, |last, group| Some((last.replace(group) != Some(group)).then_some(group))).flatten()
}

fn facts_of(resource: &Resource) -> Facts {
    let known = FACTS.iter().find(|facts| facts.group == resource.group && facts.plural == resource.plural);
    known.map_or(facts("", "", "", &[]), |known| Facts { ..*known })
}

fn resource_type(resource: &'static Resource) -> ResourceType {
    let name = GroupResource::new(resource.group, resource.plural);
    let stored_as = if resource.group == "events.k8s.io" { GroupResource::new("", "events") } else { name.clone() };
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let has = |mark| facts_of(resource).marks.contains(mark);
    ResourceType {
        resource: name,
        stored_as,
        kind: resource.kind.to_owned(),
        list_kind: format!("{}List", resource.kind),
        singular: resource.singular.to_owned(),
        short_names: owned(&resource.short_names),
        categories: owned(&resource.categories),
        namespaced: resource.namespaced,
        custom: false,
        versions: vec![version(resource, true)],
        traits: Traits {
            generation: has('g'),
            unconditional_update: !has('m'),
            create_on_update: has('c'),
            returns_deleted: has('r'),
            settled: false,
            reworked: false,
        },
    }
}

fn version(resource: &'static Resource, storage: bool) -> Version {
    let scale = resource.has("scale").then(|| Scale {
        spec_replicas: "spec.replicas".to_owned(),
        status_replicas: "status.replicas".to_owned(),
        selector: None,
    });
    Version {
        name: resource.version.to_owned(),
        served: true,
        storage,
        status: resource.has("status"),
        scale,
        selectable: facts_of(resource).selectable.iter().map(|&field| field.to_owned()).collect(),
        builtin: Some(resource),
        ty: types::kind(&api_version(resource), resource.kind),
        deprecation: deprecation(resource),
        ..Version::default()
    }
}

/// What requests for a kind that is going away are warned with.
fn deprecation(resource: &Resource) -> Option<String> {
    let warning = match resource.plural {
        "componentstatuses" => "v1 ComponentStatus is deprecated in v1.19+",
        "endpoints" => "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        _ => return None,
    };
    Some(warning.to_owned())
}

fn api_version(resource: &Resource) -> String {
    if resource.group.is_empty() {
        resource.version.to_owned()
    } else {
        format!("{}/{}", resource.group, resource.version)
    }
}
