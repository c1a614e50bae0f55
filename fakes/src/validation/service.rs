//! Services.

use serde_json::{Value, json};

use super::{items, one_of, required_text, text, words};
use crate::{names::wrong_key, schema::Cause};

pub(super) fn check(object: &Value, causes: &mut Vec<Cause>) {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let is_headless = text(spec, "clusterIP") == "None";
    let is_external = text(spec, "type") == "ExternalName";
    if items(spec, "ports").is_empty() && !is_headless && !is_external {
        causes.push(Cause::required("spec.ports", ""));
    }
    if is_external {
        required_text(spec, "externalName", "spec", causes);
    }
    ports(spec, is_headless, causes);
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    one_of(spec, "type", "spec", &types, causes);
    one_of(spec, "sessionAffinity", "spec", &["ClientIP", "None"], causes);
    for (key, _) in spec.get("selector").and_then(Value::as_object).into_iter().flatten() {
        if let Some(why) = wrong_key(key) {
            causes.push(Cause::invalid("spec.selector", &json!(key), &why));
        }
    }
}

fn ports(spec: &Value, is_headless: bool, causes: &mut Vec<Cause>) {
    let ports = items(spec, "ports");
    let mut names = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let name = text(port, "name");
        if name.is_empty() {
            if ports.len() > 1 {
                causes.push(Cause::required(&format!("{path}.name"), ""));
            }
        } else {
            let before = causes.len();
            words::label(name, &format!("{path}.name"), causes);
            if causes.len() == before && names.contains(&name) {
                causes.push(Cause::duplicate(&format!("{path}.name"), &json!(name)));
            }
            names.push(name);
        }
        words::port_number(port.get("port").unwrap_or(&json!(0)), &format!("{path}.port"), causes);
        one_of(port, "protocol", &path, &["SCTP", "TCP", "UDP"], causes);
        if let Some(target) = port.get("targetPort").filter(|_| !is_headless) {
            words::port(target, &format!("{path}.targetPort"), causes);
        }
        let same = |other: &Value| ["port", "protocol"].iter().all(|field| other.get(field) == port.get(field));
        if ports.iter().take(index).any(same) {
            causes.push(Cause {
                field: path,
                reason: "FieldValueDuplicate",
                // The server shows its own struct.
                message: format!(
                    "Duplicate value: {{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{},\
                     \"TargetPort\":0,\"NodePort\":0}}",
                    port.get("protocol").unwrap_or(&Value::Null),
                    port.get("port").unwrap_or(&Value::Null)
                ),
            });
        }
    }
}
