//! Where the traffic of a Service comes from and goes to.

use serde_json::{Value, json};

use super::kind;
use crate::{
    object::same,
    schema::Cause,
    validation::{given, items, one_of, or_zero, text, words},
};

const DISTRIBUTIONS: [&str; 3] = ["PreferClose", "PreferSameZone", "PreferSameNode"];

pub(super) fn check(spec: &Value, causes: &mut Vec<Cause>) {
    let is_balancer = kind(spec) == "LoadBalancer";
    let mut only_balancers = |field: &str, path: &str| {
        if given(spec, field).is_some_and(|value| !same(Some(value), None)) && !is_balancer {
            causes.push(Cause::forbidden(&format!("spec.{path}"), "may only be used when `type` is 'LoadBalancer'"));
        }
    };
    only_balancers("loadBalancerSourceRanges", "LoadBalancerSourceRanges");
    only_balancers("allocateLoadBalancerNodePorts", "allocateLoadBalancerNodePorts");
    only_balancers("loadBalancerClass", "loadBalancerClass");
    external(spec, causes);
    health_check(spec, causes);
    one_of(spec, "internalTrafficPolicy", "spec", &["Cluster", "Local"], causes);
    one_of(spec, "trafficDistribution", "spec", &DISTRIBUTIONS, causes);
}

fn external(spec: &Value, causes: &mut Vec<Cause>) {
    const PATH: &str = "spec.externalTrafficPolicy";
    let is_reachable = matches!(kind(spec), "LoadBalancer" | "NodePort")
        || (kind(spec) == "ClusterIP" && !items(spec, "externalIPs").is_empty());
    match (is_reachable, text(spec, "externalTrafficPolicy")) {
        (false, "") => {}
        (false, policy) => {
            causes.push(Cause::invalid(PATH, &json!(policy), "may only be set for externally-accessible services"));
        }
        (true, "") => causes.push(Cause::required(PATH, "")),
        (true, _) => one_of(spec, "externalTrafficPolicy", "spec", &["Cluster", "Local"], causes),
    }
}

fn needs_health_check(spec: &Value) -> bool {
    kind(spec) == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
}

fn health_check(spec: &Value, causes: &mut Vec<Cause>) {
    const PATH: &str = "spec.healthCheckNodePort";
    let port = or_zero(spec, "healthCheckNodePort");
    match (needs_health_check(spec), port == 0) {
        (true, true) => causes.push(Cause::required(PATH, "")),
        (true, false) => words::port_number(&port, PATH, causes),
        (false, false) => {
            let rule = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            causes.push(Cause::invalid(PATH, &port, rule));
        }
        (false, true) => {}
    }
}

/// What a change may not do.
pub(super) fn changed(spec: &Value, before: &Value, causes: &mut Vec<Cause>) {
    let differs = |field: &str| !same(before.get(field), spec.get(field));
    if [spec, before].into_iter().all(|it| kind(it) == "LoadBalancer") && differs("loadBalancerClass") {
        let class = spec.get("loadBalancerClass").cloned().unwrap_or_default();
        causes.push(Cause::invalid("spec.loadBalancerClass", &class, "may not change once set"));
    }
    if [spec, before].into_iter().all(needs_health_check) && differs("healthCheckNodePort") {
        causes.push(Cause::forbidden("spec.healthCheckNodePort", "field is immutable"));
    }
}

/// Checks the status of the balancer of a Service.
pub(in crate::validation) fn balancer(object: &Value, old: &Value, causes: &mut Vec<Cause>) {
    const PATH: &str = "status.loadBalancer.ingress";
    let list = |object: &Value| object.pointer("/status/loadBalancer/ingress").and_then(Value::as_array).cloned();
    let ingress = list(object).unwrap_or_default();
    if kind(object.get("spec").unwrap_or(&Value::Null)) != "LoadBalancer" {
        if !ingress.is_empty() {
            causes.push(Cause::forbidden(PATH, "may only be used when `spec.type` is 'LoadBalancer'"));
        }
        return;
    }
    let before = list(old).unwrap_or_default();
    let known: Vec<&str> = before.iter().map(|it| text(it, "ip")).filter(|ip| !ip.is_empty()).collect();
    for (index, point) in ingress.iter().enumerate() {
        entry(point, &known, &format!("{PATH}[{index}]"), causes);
    }
}

fn entry(point: &Value, known: &[&str], path: &str, causes: &mut Vec<Cause>) {
    let (ip, name) = (text(point, "ip"), text(point, "hostname"));
    let mode_at = format!("{path}.ipMode");
    if !ip.is_empty() {
        words::ip(ip, &format!("{path}.ip"), known, causes);
    }
    match (given(point, "ipMode").is_some(), ip.is_empty()) {
        (false, false) => causes.push(Cause::required(&mode_at, "must be specified when `ip` is set")),
        (true, true) => causes.push(Cause::forbidden(&mode_at, "may not be specified when `ip` is not set")),
        (true, false) => one_of(point, "ipMode", path, &["Proxy", "VIP"], causes),
        (false, true) => {}
    }
    words::subdomain(name, &format!("{path}.hostname"), causes);
    if words::parse_ip(name).is_some() {
        let rule = "must be a DNS name, not an IP address";
        causes.push(Cause::invalid(&format!("{path}.hostname"), &json!(name), rule));
    }
}
