//! A pod as an endpoint.

use serde_json::{Value, json};

use crate::controllers::object;

/// True for a pod that can have an endpoint: it has an address and has not ended.
pub(super) fn belongs(pod: &Value) -> bool {
    let status = &pod["status"];
    let has_address = !object::list(&status["podIPs"]).is_empty() || status["podIP"].is_string();
    has_address && !matches!(status["phase"].as_str(), Some("Failed" | "Succeeded"))
}

/// The pod's endpoint; none when it has no address of this type.
pub(super) fn of_pod(pod: &Value, node: Option<&Value>, service: &Value, address_type: &str) -> Option<Value> {
    let addresses: Vec<&str> = object::list(&pod["status"]["podIPs"])
        .iter()
        .filter_map(|it| it["ip"].as_str())
        .filter(|ip| ip.contains(':') == (address_type == "IPv6"))
        .collect();
    if addresses.is_empty() {
        return None;
    }
    let serving = object::condition(pod, "Ready").is_some_and(|condition| condition["status"] == "True");
    let terminating = object::is_deleting(pod);
    let ready = service["spec"]["publishNotReadyAddresses"] == true || (serving && !terminating);
    let mut endpoint = json!({
        "addresses": addresses,
        "conditions": { "ready": ready, "serving": serving, "terminating": terminating },
    });
    let hostname = pod["spec"]["hostname"].as_str().filter(|hostname| !hostname.is_empty());
    if let Some(hostname) = hostname.filter(|_| pod["spec"]["subdomain"] == object::name(service)) {
        endpoint["hostname"] = hostname.into();
    }
    if let Some(name) = pod["spec"]["nodeName"].as_str().filter(|name| !name.is_empty()) {
        endpoint["nodeName"] = name.into();
    }
    endpoint["targetRef"] = json!({
        "kind": "Pod", "name": object::name(pod), "namespace": object::namespace(pod), "uid": object::uid(pod),
    });
    let zone = node.and_then(|node| object::label(node, "topology.kubernetes.io/zone"));
    if let Some(zone) = zone.filter(|zone| !zone.is_empty()) {
        endpoint["zone"] = zone.into();
    }
    Some(endpoint)
}

/// True for two states of one endpoint: what is left is updated in place.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    let pod = |endpoint: &Value| ["namespace", "name"].map(|field| endpoint["targetRef"][field].clone());
    one["addresses"] == other["addresses"] && one["hostname"] == other["hostname"] && pod(one) == pod(other)
}

/// True when the two states say the same.
pub(super) fn unchanged(one: &Value, other: &Value) -> bool {
    let target = |endpoint: &Value| {
        ["kind", "namespace", "name", "uid", "apiVersion", "fieldPath"].map(|it| endpoint["targetRef"][it].clone())
    };
    ["nodeName", "zone", "conditions"].iter().all(|field| one[field] == other[field]) && target(one) == target(other)
}
