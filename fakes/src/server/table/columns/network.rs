//! Services, what is behind them, and what leads to them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::row::{NONE, Row, UNSET, first_few, or};
use super::{AGE, Column, text, wide};
use crate::object::{self, strings};

pub(super) const SERVICES: &[Column] = &[
    text("Type", |row| row.text("/spec/type").into()),
    text("Cluster-IP", |row| row.text_or("/spec/clusterIPs/0", NONE)),
    text("External-IP", external_address),
    text("Port(s)", ports),
    AGE,
    wide("Selector", |row| row.labels("/spec/selector")),
];

pub(super) const ENDPOINTS: &[Column] = &[text("Endpoints", endpoints), AGE];

pub(super) const INGRESSES: &[Column] = &[
    text("Class", |row| row.text_or("/spec/ingressClassName", NONE)),
    text("Hosts", hosts),
    text("Address", balancer),
    text("Ports", ingress_ports),
    AGE,
];

pub(super) const INGRESS_CLASSES: &[Column] =
    &[text("Controller", |row| row.text("/spec/controller").into()), text("Parameters", parameters), AGE];

pub(super) const POLICIES: &[Column] = &[text("Pod-Selector", |row| or(&row.selector("/spec/podSelector"), NONE)), AGE];

pub(super) const RANGES: &[Column] =
    &[text("CIDRs", |row| object::strings(row.object.pointer("/spec/cidrs")).join(",").into()), AGE];

pub(super) const ADDRESSES: &[Column] = &[text("ParentRef", parent)];

pub(super) const SLICES: &[Column] = &[
    text("AddressType", |row| row.text("/addressType").into()),
    text("Ports", slice_ports),
    text("Endpoints", slice_endpoints),
    AGE,
];

fn external_address(row: &Row<'_>) -> Value {
    let own = strings(row.object.pointer("/spec/externalIPs"));
    match row.text("/spec/type") {
        "ClusterIP" | "NodePort" => or(&own.join(","), NONE),
        "LoadBalancer" => {
            let balancers = balancers(row);
            let all: Vec<&str> = balancers.iter().copied().chain(own).collect();
            or(&all.join(","), "<pending>")
        }
        "ExternalName" => row.text("/spec/externalName").into(),
        _ => "<unknown>".into(),
    }
}

/// Where load balancers are reached, in order.
fn balancers<'a>(row: &Row<'a>) -> BTreeSet<&'a str> {
    let ingress = row.list("/status/loadBalancer/ingress").iter();
    let shown = ingress.map(|it| ["ip", "hostname"].map(|field| object::text(it, &[field])));
    shown.filter_map(|places| places.into_iter().find(|place| !place.is_empty())).collect()
}

fn balancer(row: &Row<'_>) -> Value {
    balancers(row).into_iter().collect::<Vec<_>>().join(",").into()
}

fn ports(row: &Row<'_>) -> Value {
    let ports = row.list("/spec/ports").iter().map(|port| {
        let number = port["port"].as_i64().unwrap_or_default();
        let protocol = object::text(port, &["protocol"]);
        match port["nodePort"].as_i64() {
            Some(node @ 1..) => format!("{number}:{node}/{protocol}"),
            _ => format!("{number}/{protocol}"),
        }
    });
    or(&ports.collect::<Vec<_>>().join(","), NONE)
}

fn hosts(row: &Row<'_>) -> Value {
    let rules = row.each("/spec/rules", "host");
    let named: Vec<&str> = rules.iter().copied().filter(|host| !host.is_empty()).collect();
    match named.as_slice() {
        [] => "*".into(),
        [first @ .., _] if first.len() >= 3 => {
            format!("{} + {} more...", named[..3].join(","), rules.len().saturating_sub(3)).into()
        }
        all => all.join(",").into(),
    }
}

fn ingress_ports(row: &Row<'_>) -> Value {
    if row.list("/spec/tls").is_empty() { "80".into() } else { "80, 443".into() }
}

/// What an ingress class takes its settings from.
fn parameters(row: &Row<'_>) -> Value {
    if !row.has("/spec/parameters") {
        return NONE.into();
    }
    let [kind, name] = ["kind", "name"].map(|field| row.text(&format!("/spec/parameters/{field}")));
    match row.at("/spec/parameters/apiGroup").as_str() {
        Some(group) => format!("{kind}.{group}/{name}").into(),
        None => format!("{kind}/{name}").into(),
    }
}

fn endpoints(row: &Row<'_>) -> Value {
    let mut all = Vec::new();
    for subset in row.list("/subsets") {
        let addresses: Vec<&str> = list(subset, "addresses").iter().map(|it| object::text(it, &["ip"])).collect();
        let ports = list(subset, "ports");
        if ports.is_empty() {
            all.extend(addresses.iter().map(|&address| address.to_owned()));
        }
        for port in ports {
            let port = port["port"].as_i64().unwrap_or_default();
            all.extend(addresses.iter().map(|&address| join(address, port)));
        }
    }
    or(&first_few(&all, 3, ","), NONE)
}

fn join(address: &str, port: i64) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn slice_ports(row: &Row<'_>) -> Value {
    let ports = row.list("/ports").iter().map(|port| match (port["port"].as_i64(), port["name"].as_str()) {
        (Some(number), _) => number.to_string(),
        (None, Some(name)) => name.to_owned(),
        (None, None) => "*".to_owned(),
    });
    or(&first_few(&ports.collect::<Vec<_>>(), 3, ","), UNSET)
}

fn slice_endpoints(row: &Row<'_>) -> Value {
    let all: Vec<&str> = row.list("/endpoints").iter().flat_map(|it| strings(it.get("addresses"))).collect();
    or(&first_few(&all, 3, ","), UNSET)
}

/// What an address belongs to.
fn parent(row: &Row<'_>) -> Value {
    if !row.has("/spec/parentRef") {
        return NONE.into();
    }
    let [group, resource, namespace, name] =
        ["group", "resource", "namespace", "name"].map(|field| row.text(&format!("/spec/parentRef/{field}")));
    let dot = if group.is_empty() { "" } else { "." };
    let resource = format!("{resource}{dot}{group}").to_lowercase();
    let parts = [resource.as_str(), namespace, name];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/").into()
}
