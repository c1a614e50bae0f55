//! The statuses of built-in objects.

use serde_json::{Value, json};

use super::{IMMUTABLE, given, items, not_negative, or_zero, service, text, words};
use crate::{names, object, schema::Cause};

const MAX_REASON: usize = 1024;
const MAX_MESSAGE: usize = 32_768;

/// What is wrong with the status of an object of a built-in resource; `old` is what an update would replace.
pub(crate) fn status(plural: &str, object: &Value, old: &Value, causes: &mut Vec<Cause>) {
    match plural {
        "deployments" => counts(object, &["updatedReplicas", "readyReplicas", "availableReplicas"], "", causes),
        "replicasets" => counts(object, &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"], "", causes),
        "statefulsets" => {
            let parts = ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"];
            counts(object, &parts, "status.", causes);
        }
        "poddisruptionbudgets" => budget(object, causes),
        "pods" => pod(object, old, causes),
        "namespaces" => namespace(object, causes),
        "services" => service::balancer(object, old, causes),
        _ => {}
    }
}

/// No part is more than the whole.
fn counts(object: &Value, parts: &[&str], prefix: &str, causes: &mut Vec<Cause>) {
    let others = ["replicas", "unavailableReplicas", "terminatingReplicas", "observedGeneration", "collisionCount"];
    for field in parts.iter().chain(&others) {
        not_negative(object, &format!("status.{field}"), causes);
    }
    let status = object.get("status").unwrap_or(&Value::Null);
    let number = |field: &str| or_zero(status, field).as_i64().unwrap_or_default();
    let mut refuse = |field: &str, than: &str| {
        let rule = format!("cannot be greater than {than}");
        causes.push(Cause::invalid(&format!("status.{field}"), &json!(number(field)), &rule));
    };
    for field in parts.iter().filter(|field| number(field) > number("replicas")) {
        refuse(field, "status.replicas");
    }
    if number("availableReplicas") > number("readyReplicas") {
        refuse("availableReplicas", &format!("{prefix}readyReplicas"));
    }
}

fn budget(object: &Value, causes: &mut Vec<Cause>) {
    let status = object.get("status").unwrap_or(&Value::Null);
    let conditions = items(status, "conditions");
    for (index, condition) in conditions.iter().enumerate() {
        let path = format!("status.conditions[{index}]");
        let kind = text(condition, "type");
        if conditions.iter().take(index).any(|other| text(other, "type") == kind) {
            causes.push(Cause::duplicate(&format!("{path}.type"), &json!(kind)));
        }
        self::condition(condition, &path, causes);
    }
    for field in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
        not_negative(object, &format!("status.{field}"), causes);
    }
}

fn condition(condition: &Value, path: &str, causes: &mut Vec<Cause>) {
    const REASON_RULE: &str = "a condition reason must start with alphabetic character, optionally followed by a string \
        of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or \
        'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is \
        '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";
    names::check_key(text(condition, "type"), &format!("{path}.type"), causes);
    let state = text(condition, "status");
    if !matches!(state, "True" | "False" | "Unknown") {
        let choices = ["False", "True", "Unknown"].map(str::to_owned);
        causes.push(Cause::not_supported(&format!("{path}.status"), &json!(state), &choices));
    }
    if or_zero(condition, "observedGeneration").as_i64().is_some_and(|generation| generation < 0) {
        let shown = or_zero(condition, "observedGeneration");
        let rule = "must be greater than or equal to zero";
        causes.push(Cause::invalid(&format!("{path}.observedGeneration"), &shown, rule));
    }
    if given(condition, "lastTransitionTime").is_none() {
        causes.push(Cause::required(&format!("{path}.lastTransitionTime"), ""));
    }
    let reason = text(condition, "reason");
    let reason_at = format!("{path}.reason");
    if reason.is_empty() {
        causes.push(Cause::required(&reason_at, ""));
    } else if !is_reason(reason) {
        causes.push(Cause::invalid(&reason_at, &json!(reason), REASON_RULE));
    }
    for (field, limit) in [("reason", MAX_REASON), ("message", MAX_MESSAGE)] {
        if text(condition, field).len() > limit {
            causes.push(Cause::too_long(&format!("{path}.{field}"), limit as u64));
        }
    }
}

fn is_reason(reason: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    reason.starts_with(|c: char| c.is_ascii_alphabetic())
        && reason.ends_with(word)
        && reason.chars().all(|c| word(c) || matches!(c, ',' | ':'))
}

fn pod(object: &Value, old: &Value, causes: &mut Vec<Cause>) {
    const SYSTEM: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];
    let [status, before] = [object, old].map(|pod| pod.get("status").unwrap_or(&Value::Null));
    for (index, condition) in items(status, "conditions").iter().enumerate() {
        let kind = text(condition, "type");
        if !SYSTEM.contains(&kind) {
            names::check_key(kind, &format!("status.conditions[{index}].Type"), causes);
        }
    }
    let class = text(status, "qosClass");
    if class != text(before, "qosClass") {
        causes.push(Cause::invalid("status.qosClass", &json!(class), IMMUTABLE));
    }
    let hosts = items(status, "hostIPs");
    if let Some(first) = hosts.first().map(|first| text(first, "ip")).filter(|ip| *ip != text(status, "hostIP")) {
        causes.push(Cause::invalid("status.hostIPs[0].ip", &json!(first), "must be equal to `hostIP`"));
    }
    for field in ["podIPs", "hostIPs"] {
        addresses(status, before, field, causes);
    }
}

fn addresses(status: &Value, before: &Value, field: &str, causes: &mut Vec<Cause>) {
    let path = format!("status.{field}");
    let ips = |status: &Value| -> Vec<String> {
        items(status, field).iter().map(|entry| text(entry, "ip").to_owned()).collect()
    };
    let (all, known) = (ips(status), ips(before));
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    for (index, ip) in all.iter().enumerate() {
        words::ip(ip, &format!("{path}[{index}]"), &known, causes);
    }
    let parsed: Vec<_> = all.iter().map(|ip| words::parse_ip(ip)).collect();
    if let Some(index) = parsed.iter().position(Option::is_none).filter(|_| all.len() > 1) {
        let ip = all.get(index).map_or("", String::as_str);
        let why = format!("failed to check for dual stack with error:invalid IP[{index}]: {ip}");
        causes.push(Cause::internal(&path, &why));
    }
    let sixes = parsed.iter().flatten().filter(|ip| ip.is_ipv6()).count();
    let is_pair = all.len() == 2 && sixes == 1 && parsed.iter().all(Option::is_some);
    if all.len() > 1 && !is_pair {
        let shown = all.iter().map(|ip| json!({ "IP": ip })).collect();
        causes.push(Cause::invalid_struct(&path, &shown, "may specify no more than one IP for each IP family"));
    }
}

fn namespace(object: &Value, causes: &mut Vec<Cause>) {
    let phase = object::text(object, &["status", "phase"]);
    let (wanted, rule) = if object::is_deleting(object) {
        ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty")
    } else {
        ("Active", "may only be 'Active' if `deletionTimestamp` is empty")
    };
    if phase != wanted {
        causes.push(Cause::invalid("status.Phase", &json!(phase), rule));
    }
}
