//! The ports of a Service.

use serde_json::{Value, json};

use super::kind;
use crate::{
    schema::Cause,
    validation::{items, one_of, or_zero, text, words},
};

pub(super) fn check(spec: &Value, causes: &mut Vec<Cause>) {
    let ports = items(spec, "ports");
    let mut names = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            words::label(name, &format!("{path}.name"), causes);
            if names.contains(&name) {
                causes.push(Cause::duplicate(&format!("{path}.name"), &json!(name)));
            }
            names.push(name);
        } else if ports.len() > 1 {
            causes.push(Cause::required(&format!("{path}.name"), ""));
        }
        words::port_number(&or_zero(port, "port"), &format!("{path}.port"), causes);
        one_of(port, "protocol", &path, &["SCTP", "TCP", "UDP"], causes);
        if let Some(target) = port.get("targetPort") {
            words::port(target, &format!("{path}.targetPort"), causes);
        }
        if kind(spec) == "ClusterIP" && or_zero(port, "nodePort") != 0 {
            let rule = "may not be used when `type` is 'ClusterIP'";
            causes.push(Cause::forbidden(&format!("{path}.nodePort"), rule));
        }
        twice(port, ports.get(..index).unwrap_or_default(), &path, causes);
    }
}

/// No other port has the same number and protocol, and none the same on the nodes.
fn twice(port: &Value, before: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let number = or_zero(port, "port");
    let node = or_zero(port, "nodePort");
    let other = |field: &str| {
        let same = |other: &Value| {
            text(other, "protocol") == text(port, "protocol") && or_zero(other, field) == or_zero(port, field)
        };
        before.iter().any(same)
    };
    if node != 0 && other("nodePort") {
        causes.push(Cause::duplicate(&format!("{path}.nodePort"), &node));
    }
    if other("port") {
        let shown = json!({
            "Name": "", "Protocol": text(port, "protocol"), "AppProtocol": null, "Port": number, "TargetPort": 0, "NodePort": 0
        });
        causes.push(Cause::struct_duplicate(path, &shown));
    }
}
