//! The `EndpointSlice` controller: which slices a Service's pods ask for, as Kubernetes 1.36 decides it.
//!
//! [`sync`] is a pure function; the `controller` around it carries its plan out. Hints for topology are left out: there is
//! one zone here.

pub(crate) mod controller;
mod endpoint;
mod ports;
mod slices;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use self::slices::Group;
use super::object;

/// Names the Service that a slice belongs to.
pub const SERVICE_LABEL: &str = "kubernetes.io/service-name";
/// Names who manages a slice.
pub const MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
/// This controller's name in [`MANAGED_BY_LABEL`].
pub const MANAGER: &str = "endpointslice-controller.k8s.io";
/// Marks the slices of a headless Service.
pub const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";
/// When the change happened that a slice was written for.
pub const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// Everything one sync looks at.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The Service.
    pub service: &'a Value,
    /// The pods that its selector matches, by name.
    pub pods: Vec<&'a Value>,
    /// The nodes of those pods.
    pub nodes: Vec<&'a Value>,
    /// The slices this controller made for the Service, but for those being deleted.
    pub slices: Vec<&'a Value>,
}

/// What one sync asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Slices to create.
    pub create: Vec<Value>,
    /// Slices to write.
    pub update: Vec<Value>,
    /// Names of slices to delete.
    pub delete: Vec<String>,
    /// Pods whose node does not exist: they are left out, and looked at again.
    pub strays: Vec<String>,
}

/// Decides which slices a Service needs.
pub fn sync(observed: &Observed<'_>) -> Plan {
    let mut plan = Plan::default();
    let types = address_types(observed.service);
    for address_type in &types {
        plan_by_type(observed, address_type, &mut plan);
    }
    let unsupported = observed.slices.iter().filter(|slice| !types.iter().any(|it| slice["addressType"] == *it));
    plan.delete.extend(unsupported.map(|slice| object::name(slice).to_owned()));
    plan
}

/// One address type's slices.
fn plan_by_type(observed: &Observed<'_>, address_type: &str, plan: &mut Plan) {
    let service = observed.service;
    let of_type = observed.slices.iter().filter(|slice| slice["addressType"] == address_type);
    let (existing, strangers): (Vec<&Value>, Vec<&Value>) = of_type.partition(|slice| owned_by(slice, service));
    let mut groups = Group::of_existing(&existing);
    for pod in &observed.pods {
        if !endpoint::belongs(pod) {
            continue;
        }
        let ports = ports::of_pod(service, pod);
        let group = Group::with_ports(&mut groups, ports);
        group.desired = true;
        let node = observed.nodes.iter().find(|node| pod["spec"]["nodeName"] == object::name(node));
        if node.is_none() && service["spec"]["publishNotReadyAddresses"] != true {
            plan.strays.push(object::name(pod).to_owned());
            continue;
        }
        group.endpoints.extend(endpoint::of_pod(pod, node.copied(), service, address_type));
    }

    let mut found =
        Plan { delete: strangers.iter().map(|it| object::name(it).to_owned()).collect(), ..Plan::default() };
    for group in groups {
        group.plan(service, address_type, &mut found);
    }
    keep_one(service, address_type, &existing, strangers.len(), &mut found);
    reuse(&existing, &mut found);
    plan.create.append(&mut found.create);
    plan.update.append(&mut found.update);
    plan.delete.append(&mut found.delete);
    if object::is_deleting(service) {
        plan.create.clear();
    }
}

/// A Service that nothing is behind keeps a slice without endpoints.
fn keep_one(service: &Value, address_type: &str, existing: &[&Value], strangers: usize, plan: &mut Plan) {
    if existing.len() + strangers != plan.delete.len() || !plan.create.is_empty() {
        return;
    }
    let placeholder = new_slice(service, address_type, &Value::Null);
    if let [only] = existing
        && strangers == 0
        && is_placeholder(only, &placeholder)
    {
        plan.delete.clear();
    } else {
        plan.create.push(placeholder);
    }
}

fn is_placeholder(slice: &Value, placeholder: &Value) -> bool {
    let labels = |slice: &Value| slice["metadata"]["labels"].clone();
    object::list(&slice["endpoints"]).is_empty()
        && object::list(&slice["ports"]).is_empty()
        && labels(slice) == labels(placeholder)
}

/// A slice that would be deleted is written instead of creating another.
fn reuse(existing: &[&Value], plan: &mut Plan) {
    plan.delete.retain(|name| {
        let Some(old) = existing.iter().find(|slice| object::name(slice) == name) else { return true };
        let Some(mut slice) = plan.create.pop() else { return true };
        slice["metadata"]["name"] = object::name(old).into();
        slice["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        plan.update.push(slice);
        false
    });
}

/// Address types by the Service's families.
fn address_types(service: &Value) -> Vec<&'static str> {
    let families = object::list(&service["spec"]["ipFamilies"]);
    let listed: Vec<_> = ["IPv4", "IPv6"].into_iter().filter(|family| families.iter().any(|it| it == family)).collect();
    if listed.is_empty() { vec!["IPv4"] } else { listed }
}

fn owned_by(slice: &Value, service: &Value) -> bool {
    let mut owners = object::owners(slice).iter();
    owners.any(|it| it["uid"] == object::uid(service) && it["kind"] == "Service" && it["apiVersion"] == "v1")
}

fn new_slice(service: &Value, address_type: &str, ports: &Value) -> Value {
    let name = object::name(service);
    // A trailing dash would make a name of this length invalid.
    let prefix = if name.len() < 253 { format!("{name}-") } else { name.to_owned() };
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": prefix,
            "namespace": object::namespace(service),
            "labels": labels(service),
            "ownerReferences": [object::controller_reference(service)],
        },
        "addressType": address_type,
        "endpoints": null,
        "ports": ports,
    })
}

/// The Service's labels, and those that only this controller sets.
fn labels(service: &Value) -> Map<String, Value> {
    let mut labels = without_reserved(service);
    let address = service["spec"]["clusterIP"].as_str().unwrap_or_default();
    if matches!(address, "" | "None") {
        labels.insert(HEADLESS_LABEL.to_owned(), "".into());
    }
    labels.insert(SERVICE_LABEL.to_owned(), object::name(service).into());
    labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGER.into());
    labels
}

fn without_reserved(object: &Value) -> Map<String, Value> {
    let mut labels = object["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.retain(|key, _| ![SERVICE_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL].contains(&key.as_str()));
    labels
}
