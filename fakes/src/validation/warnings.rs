//! What the server lets through in objects of the built-in kinds, and warns of.

use std::net::IpAddr;

use serde_json::Value;

use super::{given, items, or_zero, text, words};
use crate::{
    names,
    object::{self, at, strings},
};

/// What is unwise in an object; `old` is what an update replaced.
pub(crate) fn warnings(plural: &str, object: &Value, old: Option<&Value>) -> Vec<String> {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let mut found = Vec::new();
    match plural {
        "pods" if old.is_none() => {
            name(object, "the Pod's hostname", &mut found);
            pod(spec, "", &mut found);
        }
        "deployments" | "replicasets" | "statefulsets" | "daemonsets" => {
            if old.is_none() && matches!(plural, "deployments" | "replicasets") {
                name(object, "Pod names and hostnames", &mut found);
            }
            // A change that asks for nothing else brings nothing new.
            if old.is_none_or(|old| object::generation(old) != object::generation(object)) {
                pod(at(spec, &["template", "spec"]).unwrap_or(&Value::Null), "spec.template.", &mut found);
            }
            if plural == "statefulsets" && or_zero(spec, "revisionHistoryLimit").as_i64().is_some_and(|it| it < 0) {
                found.push(
                    "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is \
                     recommended"
                        .to_owned(),
                );
            }
        }
        "services" => service(spec, &mut found),
        _ => {}
    }
    found
}

fn name(object: &Value, place: &str, found: &mut Vec<String>) {
    let faults = names::label_faults(object::name(object));
    if !faults.is_empty() {
        found.push(format!(
            "metadata.name: this is used in {place}, which can result in surprising behavior; a DNS label is recommended: \
             [{}]",
            faults.join(" ")
        ));
    }
}

/// The containers of a pod with their paths.
fn containers<'a>(spec: &'a Value, path: &str) -> impl Iterator<Item = (String, &'a Value)> {
    let list = |field: &'static str| {
        let path = format!("{path}spec.{field}");
        items(spec, field).iter().enumerate().map(move |(index, container)| (format!("{path}[{index}]"), container))
    };
    list("initContainers").chain(list("containers")).chain(list("ephemeralContainers"))
}

fn pod(spec: &Value, path: &str, found: &mut Vec<String>) {
    for (path, container) in containers(spec, path) {
        fractions(container, &path, found);
        environment(container, &path, found);
    }
    let ports: Vec<(String, &Value)> = containers(spec, path)
        .flat_map(|(path, container)| {
            let ports = items(container, "ports").iter().enumerate();
            ports.map(move |(index, port)| (format!("{path}.ports[{index}]"), port))
        })
        .collect();
    for (index, (path, port)) in ports.iter().enumerate() {
        for (other_path, other) in ports.iter().take(index) {
            if let Some(how) = overlap(port, other) {
                found.push(format!("{path}: {how} port definition with {other_path}"));
            }
        }
    }
    for (index, (path, port)) in ports.iter().enumerate() {
        let name = text(port, "name");
        let first = ports.iter().take(index).find(|(_, other)| !name.is_empty() && text(other, "name") == name);
        if let Some((first, _)) = first {
            found.push(format!(
                "{path}: duplicate port name {name:?} with {first}, services and probes that select ports by name will \
                 use {first}"
            ));
        }
    }
    if or_zero(spec, "terminationGracePeriodSeconds").as_i64().is_some_and(|seconds| seconds < 0) {
        found.push(format!(
            "{path}spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
}

/// How two ports are in each other's way.
fn overlap(port: &Value, other: &Value) -> Option<&'static str> {
    let same = |field: &str| or_zero(port, field) == or_zero(other, field);
    if !same("containerPort") || text(port, "protocol") != text(other, "protocol") {
        return None;
    }
    let (ip, other_ip) = (text(port, "hostIP"), text(other, "hostIP"));
    if ip == other_ip && same("hostPort") {
        Some("duplicate")
    } else if or_zero(port, "hostPort") == 0 || or_zero(other, "hostPort") == 0 {
        Some("overlapping")
    } else if same("hostPort") && ip.is_empty() != other_ip.is_empty() {
        Some("dangerously ambiguous")
    } else {
        None
    }
}

/// Memory comes in whole bytes.
fn fractions(container: &Value, path: &str, found: &mut Vec<String>) {
    for (resource, part) in [
        ("memory", "limits"),
        ("memory", "requests"),
        ("ephemeral-storage", "limits"),
        ("ephemeral-storage", "requests"),
    ] {
        let amount = at(container, &["resources", part, resource]).and_then(Value::as_str).unwrap_or_default();
        if amount.ends_with(['m', 'u', 'n']) {
            found.push(format!(
                "{path}.resources.{part}[{resource}]: fractional byte value {amount:?} is invalid, must be an integer"
            ));
        }
    }
}

/// A variable that comes again and does not build on what it was.
fn environment(container: &Value, path: &str, found: &mut Vec<String>) {
    let variables = items(container, "env");
    for (index, variable) in variables.iter().enumerate() {
        let name = text(variable, "name");
        let (value, itself) = (text(variable, "value"), format!("$({name})"));
        let is_known = variables.iter().take(index).any(|other| text(other, "name") == name);
        let builds_on = given(variable, "valueFrom").is_none() && value != itself && value.contains(&itself);
        if is_known && !builds_on {
            found.push(format!(
                "{path}.env[{index}]: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
}

fn service(spec: &Value, found: &mut Vec<String>) {
    let is_external = text(spec, "type") == "ExternalName";
    let is_headless = text(spec, "type") == "ClusterIP" && text(spec, "clusterIP") == "None";
    let external = strings(spec.get("externalIPs"));
    if is_headless {
        for field in ["loadBalancerIP", "externalIPs"] {
            if given(spec, field).is_some_and(|value| !object::same(Some(value), None) && value != "") {
                found.push(format!("spec.{field} is ignored for headless services"));
            }
        }
        if text(spec, "sessionAffinity") != "None" {
            found.push("spec.SessionAffinity is ignored for headless services".to_owned());
        }
    }
    for (index, ip) in external.iter().enumerate() {
        address(ip, &format!("spec.externalIPs[{index}]"), found);
    }
    if !external.is_empty() && !is_headless && !is_external {
        found.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned());
    }
    if is_external && !external.is_empty() {
        found.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if !is_external && !text(spec, "externalName").is_empty() {
        found.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if text(spec, "trafficDistribution") == "PreferClose" {
        found.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned());
    }
}

/// An address that could be written more plainly.
fn address(ip: &str, path: &str, found: &mut Vec<String>) {
    let Some(parsed) = words::parse_ip(ip) else { return };
    let plain = match parsed {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(parsed, IpAddr::V4),
        IpAddr::V4(_) => parsed,
    };
    let text = plain.to_string();
    if plain.is_ipv4() && text != ip {
        found.push(format!("{path}: non-standard IP address {ip:?} is invalid: use {text:?}"));
    } else if text != ip {
        found.push(format!("{path}: IPv6 address {ip:?} should be in RFC 5952 canonical format ({text:?})"));
    }
}
