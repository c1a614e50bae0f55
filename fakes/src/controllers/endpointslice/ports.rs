//! The ports of an endpoint, in the controller's order.

use serde_json::{Map, Value, json};

use crate::controllers::object;

const FNV_128_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_128_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// The Service's ports as this pod serves them. A port that the pod does not name is left out. A headless Service may have
/// none at all.
pub(super) fn of_pod(service: &Value, pod: &Value) -> Vec<Value> {
    let ports = object::list(&service["spec"]["ports"]).iter();
    let mut found: Vec<Value> = ports.filter_map(|port| of_port(port, pod)).collect();
    found.sort_by_cached_key(digest);
    found
}

fn of_port(port: &Value, pod: &Value) -> Option<Value> {
    let number = match &port["targetPort"] {
        Value::String(name) => named(pod, name, &port["protocol"])?,
        number => number.as_i64()?,
    };
    let mut found = Map::new();
    found.insert("name".to_owned(), port["name"].as_str().unwrap_or_default().into());
    found.insert("protocol".to_owned(), port["protocol"].clone());
    found.insert("port".to_owned(), number.into());
    if port["appProtocol"].is_string() {
        found.insert("appProtocol".to_owned(), port["appProtocol"].clone());
    }
    Some(Value::Object(found))
}

/// The number of a container's port; init containers count when they stay.
fn named(pod: &Value, name: &str, protocol: &Value) -> Option<i64> {
    let stays = |container: &&Value| container["restartPolicy"] == "Always";
    let sidecars = object::list(&pod["spec"]["initContainers"]).iter().filter(stays);
    let mut ports = object::list(&pod["spec"]["containers"])
        .iter()
        .chain(sidecars)
        .flat_map(|container| object::list(&container["ports"]));
    ports.find(|port| port["name"] == name && port["protocol"] == *protocol)?["containerPort"].as_i64()
}

/// The real controller orders ports by a hash of how Go prints them.
fn digest(port: &Value) -> u128 {
    let text = |field: &str| port[field].as_str().unwrap_or("<nil>").to_owned();
    let printed = format!(
        "(v1.EndpointPort){{Name:(*string){} Protocol:(*v1.Protocol){} Port:(*int32){} AppProtocol:(*string){}}}",
        text("name"),
        text("protocol"),
        port["port"],
        text("appProtocol"),
    );
    fnv_128a(printed.as_bytes())
}

fn fnv_128a(bytes: &[u8]) -> u128 {
    bytes.iter().fold(FNV_128_OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(FNV_128_PRIME))
}

/// A list of ports in a form that can be compared and stored: absent when there are none.
pub(super) fn value(ports: &[Value]) -> Value {
    if ports.is_empty() { Value::Null } else { json!(ports) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_real_controller() {
        let named = json!({"name": "http", "protocol": "TCP", "port": 8080});
        let unnamed = json!({"name": "", "protocol": "TCP", "port": 8080, "appProtocol": "h2c"});
        assert_eq!(format!("{:032x}", digest(&named)), "0e874d5677090ee5c32afa85f637c347");
        assert_eq!(format!("{:032x}", digest(&unnamed)), "bc301218571286061bccb0839807c87f");
    }
}
