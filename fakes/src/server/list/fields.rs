//! Which fields of the built-in kinds select, beside name and namespace, and where objects keep them.

use crate::server::Target;

const EVENT: &[(&str, &str)] = &[
    ("involvedObject.kind", ""),
    ("involvedObject.namespace", ""),
    ("involvedObject.name", ""),
    ("involvedObject.uid", ""),
    ("involvedObject.apiVersion", ""),
    ("involvedObject.resourceVersion", ""),
    ("involvedObject.fieldPath", ""),
    ("reason", ""),
    ("reportingComponent", ""),
    ("source", "source.component"),
    ("type", ""),
];

const NEW_EVENT: &[(&str, &str)] = &[
    ("regarding.kind", "involvedObject.kind"),
    ("regarding.namespace", "involvedObject.namespace"),
    ("regarding.name", "involvedObject.name"),
    ("regarding.uid", "involvedObject.uid"),
    ("regarding.apiVersion", "involvedObject.apiVersion"),
    ("regarding.resourceVersion", "involvedObject.resourceVersion"),
    ("regarding.fieldPath", "involvedObject.fieldPath"),
    ("reason", ""),
    ("reportingController", "reportingComponent"),
    ("type", ""),
];

const POD: &[(&str, &str)] = &[
    ("spec.nodeName", ""),
    ("spec.host", "spec.nodeName"),
    ("spec.restartPolicy", ""),
    ("spec.schedulerName", ""),
    ("spec.serviceAccountName", ""),
    ("spec.hostNetwork", ""),
    ("status.phase", ""),
    ("status.podIP", ""),
    ("status.podIPs", "status.podIP"),
    ("status.nominatedNodeName", ""),
];

/// The fields of a kind with where they are kept, empty where that is the same. None for kinds without fields of their own.
fn of(target: &Target) -> Option<&'static [(&'static str, &'static str)]> {
    if target.resource.custom {
        return None;
    }
    Some(match (&*target.resource.resource.group, &*target.resource.resource.plural) {
        ("", "events") => EVENT,
        ("events.k8s.io", "events") => NEW_EVENT,
        ("", "pods") => POD,
        ("", "services") => &[("spec.clusterIP", ""), ("spec.type", "")],
        ("", "secrets") => &[("type", "")],
        ("", "namespaces") => &[("status.phase", "")],
        ("", "nodes") => &[("spec.unschedulable", "")],
        ("", "replicationcontrollers") => &[("status.replicas", "")],
        ("batch", "jobs") => &[("status.successful", "status.succeeded")],
        ("certificates.k8s.io", "certificatesigningrequests") => &[("spec.signerName", "")],
        _ => return None,
    })
}

/// Where an object keeps a field that may select, or what is said of one that may not.
pub(super) fn find<'a>(target: &Target, field: &'a str) -> Result<&'a str, String> {
    let own = of(target);
    let named = field == "metadata.name";
    let placed = field == "metadata.namespace";
    let custom = target.resource.custom;
    if named || (placed && (target.resource.namespaced || (own.is_none() && !custom))) {
        return Ok(field);
    }
    if target.version().selectable.iter().any(|selectable| custom && selectable == field) {
        return Ok(field);
    }
    match own.and_then(|own| own.iter().find(|(name, _)| *name == field)) {
        Some((_, "")) => Ok(field),
        Some((_, kept)) => Ok(kept),
        None if own.is_some() || custom => Err(format!("field label not supported: {field}")),
        None => Err(format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")),
    }
}
