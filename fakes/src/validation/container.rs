//! The containers of a pod.

use serde_json::{Value, json};

use super::{NOT_NEGATIVE, given, items, one_of, pod, text, words};
use crate::{schema::Cause, types::Quantity};

pub(super) fn check_all<'a>(
    spec: &'a Value,
    list: &str,
    path: &str,
    volumes: &[&str],
    names: &mut Vec<&'a str>,
    causes: &mut Vec<Cause>,
) {
    for (index, container) in items(spec, list).iter().enumerate() {
        let path = format!("{path}.{list}[{index}]");
        let name = text(container, "name");
        if name.is_empty() {
            causes.push(Cause::required(&format!("{path}.name"), ""));
        } else {
            words::label(name, &format!("{path}.name"), causes);
        }
        if text(container, "image").is_empty() {
            causes.push(Cause::required(&format!("{path}.image"), ""));
        }
        one_of(container, "imagePullPolicy", &path, &["Always", "IfNotPresent", "Never"], causes);
        one_of(container, "terminationMessagePolicy", &path, &["File", "FallbackToLogsOnError"], causes);
        ports(container, &path, causes);
        environment(container, &path, causes);
        mounts(container, &path, volumes, causes);
        resources(container, &path, causes);
        if names.contains(&name) {
            causes.push(Cause::duplicate(&format!("{path}.name"), &json!(name)));
        }
        names.push(name);
        probes(container, &path, causes);
    }
}

/// The image of a pod's container has no blanks around it; that of a template's may.
pub(super) fn image(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let image = text(container, "image");
    if image != image.trim() {
        let rule = "must not have leading or trailing whitespace";
        causes.push(Cause::invalid(&format!("{path}.image"), &json!(image), rule));
    }
}

fn ports(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut names = Vec::new();
    for (index, port) in items(container, "ports").iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            let before = causes.len();
            words::port_name(name, &format!("{path}.name"), causes);
            if causes.len() == before && names.contains(&name) {
                causes.push(Cause::duplicate(&format!("{path}.name"), &json!(name)));
            }
            names.push(name);
        }
        match port.get("containerPort").and_then(Value::as_i64).unwrap_or_default() {
            0 => causes.push(Cause::required(&format!("{path}.containerPort"), "")),
            number => words::port_number(&json!(number), &format!("{path}.containerPort"), causes),
        }
        if let Some(host) = given(port, "hostPort").filter(|host| **host != 0) {
            words::port_number(host, &format!("{path}.hostPort"), causes);
        }
        one_of(port, "protocol", &path, &["SCTP", "TCP", "UDP"], causes);
    }
}

fn environment(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (index, variable) in items(container, "env").iter().enumerate() {
        let path = format!("{path}.env[{index}]");
        let name = text(variable, "name");
        if name.is_empty() {
            causes.push(Cause::required(&format!("{path}.name"), ""));
        } else if !name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=') {
            let rule =
                "a valid environment variable name must consist only of printable ASCII characters other than '='";
            causes.push(Cause::invalid(&format!("{path}.name"), &json!(name), rule));
        }
        if let Some(source) = given(variable, "valueFrom") {
            value_source(source, text(variable, "value"), &format!("{path}.valueFrom"), causes);
        }
    }
}

fn value_source(source: &Value, value: &str, path: &str, causes: &mut Vec<Cause>) {
    let count = source.as_object().map_or(0, |source| source.values().filter(|value| !value.is_null()).count());
    let empty = json!("");
    if count == 0 {
        let rule =
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
        causes.push(Cause::invalid(path, &empty, rule));
    } else if !value.is_empty() {
        causes.push(Cause::invalid(path, &empty, "may not be specified when `value` is not empty"));
    } else if count > 1 {
        causes.push(Cause::invalid(path, &empty, "may not have more than one field specified at a time"));
    }
    for reference in ["configMapKeyRef", "secretKeyRef"] {
        if given(source, reference).is_some_and(|reference| text(reference, "key").is_empty()) {
            causes.push(Cause::required(&format!("{path}.{reference}.key"), ""));
        }
    }
    if let Some(reference) = given(source, "fieldRef") {
        field_reference(text(reference, "fieldPath"), &format!("{path}.fieldRef.fieldPath"), causes);
    }
}

fn field_reference(field: &str, path: &str, causes: &mut Vec<Cause>) {
    const KNOWN: [&str; 9] = [
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    ];
    let subscripted = ["metadata.labels['", "metadata.annotations['"].iter().any(|known| field.starts_with(known));
    if field.is_empty() {
        causes.push(Cause::required(path, ""));
    } else if !KNOWN.contains(&field) && !subscripted {
        let rule = format!("error converting fieldPath: field label not supported: {field}");
        causes.push(Cause::invalid(path, &json!(field), &rule));
    }
}

fn mounts(container: &Value, path: &str, volumes: &[&str], causes: &mut Vec<Cause>) {
    let mut paths = Vec::new();
    for (index, mount) in items(container, "volumeMounts").iter().enumerate() {
        let path = format!("{path}.volumeMounts[{index}]");
        let (name, place) = (text(mount, "name"), text(mount, "mountPath"));
        if name.is_empty() {
            causes.push(Cause::required(&format!("{path}.name"), ""));
        }
        if !volumes.contains(&name) {
            causes.push(Cause::not_found(&format!("{path}.name"), &json!(name)));
        }
        if place.is_empty() {
            causes.push(Cause::required(&format!("{path}.mountPath"), ""));
        } else if paths.contains(&place) {
            causes.push(Cause::invalid(&format!("{path}.mountPath"), &json!(place), "must be unique"));
        }
        paths.push(place);
    }
}

fn resources(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(resources) = given(container, "resources") else { return };
    let amounts = |part: &'static str| resources.get(part).and_then(Value::as_object).into_iter().flatten();
    let amount = |value: &Value| value.as_str().and_then(|text| Quantity::parse(text).ok());
    for part in ["limits", "requests"] {
        for (name, value) in amounts(part) {
            let path = format!("{path}.resources.{part}[{name}]");
            standard(name, &path, causes);
            if amount(value).is_some_and(Quantity::is_negative) {
                causes.push(Cause::invalid(&path, value, NOT_NEGATIVE));
            }
        }
    }
    for (name, request) in amounts("requests") {
        let limit = resources.get("limits").and_then(|limits| limits.get(name));
        if let Some((limit, Some(most))) = limit.map(|limit| (limit, amount(limit)))
            && amount(request).is_some_and(|request| request > most)
        {
            let rule = format!("must be less than or equal to {name} limit of {}", limit.as_str().unwrap_or_default());
            causes.push(Cause::invalid(&format!("{path}.resources.requests"), request, &rule));
        }
    }
}

/// Resources are those that Kubernetes knows, or have a domain.
fn standard(name: &str, path: &str, causes: &mut Vec<Cause>) {
    let is_known = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if !is_known && !name.contains('/') {
        for rule in
            ["must be a standard resource type or fully qualified", "must be a standard resource for containers"]
        {
            causes.push(Cause::invalid(path, &json!(name), rule));
        }
    }
}

fn probes(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = given(container, kind) else { continue };
        let path = format!("{path}.{kind}");
        handler(probe, &path, causes);
        pod::delays(probe, &path, causes);
        let threshold = probe.get("successThreshold").and_then(Value::as_i64).unwrap_or(1);
        if kind != "readinessProbe" && threshold > 1 {
            causes.push(Cause::invalid(&format!("{path}.successThreshold"), &json!(threshold), "must be 1"));
        }
    }
}

fn handler(probe: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut handlers = ["exec", "httpGet", "tcpSocket", "grpc"].into_iter().filter(|kind| given(probe, kind).is_some());
    let Some(first) = handlers.next() else {
        causes.push(Cause::required(path, "must specify a handler type"));
        return;
    };
    if matches!(first, "httpGet" | "tcpSocket") {
        let port = probe.get(first).and_then(|handler| handler.get("port")).unwrap_or(&Value::Null);
        words::port(port, &format!("{path}.{first}.port"), causes);
    }
    for other in handlers {
        causes.push(Cause::forbidden(&format!("{path}.{other}"), "may not specify more than 1 handler type"));
    }
}
