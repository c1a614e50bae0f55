//! Nodes, and the classes that pods name to run on them.

use serde_json::Value;

use super::row::{NONE, Row, or};
use super::{AGE, Column, flag, integer, text, wide};
use crate::object;

pub(super) const PRIORITIES: &[Column] = &[
    integer("Value", |row| row.int("/value").into()),
    flag("Global-Default", |row| row.flag("/globalDefault").into()),
    AGE,
    text("PreemptionPolicy", |row| row.text("/preemptionPolicy").into()),
];

pub(super) const RUNTIMES: &[Column] = &[text("Handler", |row| row.text("/handler").into()), AGE];

pub(super) const NODES: &[Column] = &[
    text("Status", status),
    text("Roles", roles),
    AGE,
    text("Version", |row| row.text("/status/nodeInfo/kubeletVersion").into()),
    wide("Internal-IP", |row| address(row, "InternalIP")),
    wide("External-IP", |row| address(row, "ExternalIP")),
    wide("OS-Image", |row| row.text_or("/status/nodeInfo/osImage", "<unknown>")),
    wide("Kernel-Version", kernel),
    wide("Container-Runtime", |row| row.text_or("/status/nodeInfo/containerRuntimeVersion", "<unknown>")),
];

/// What keeps a node from taking pods.
fn status(row: &Row<'_>) -> Value {
    let ready = row.list("/status/conditions").iter().find(|condition| condition["type"] == "Ready");
    let status = match ready.map(|condition| condition["status"] == "True") {
        Some(true) => "Ready",
        Some(false) => "NotReady",
        None => "Unknown",
    };
    if row.flag("/spec/unschedulable") { format!("{status},SchedulingDisabled").into() } else { status.into() }
}

fn roles(row: &Row<'_>) -> Value {
    let labels = row.map("/metadata/labels").into_iter().flatten();
    let mut roles: Vec<&str> = labels
        .filter_map(|(key, value)| match key.as_str() {
            "kubernetes.io/role" => value.as_str(),
            key => key.strip_prefix("node-role.kubernetes.io/"),
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    or(&roles.join(","), NONE)
}

fn address(row: &Row<'_>, kind: &str) -> Value {
    let found = row.list("/status/addresses").iter().find(|address| address["type"] == kind);
    found.map_or_else(|| NONE.into(), |address| object::text(address, &["address"]).into())
}

fn kernel(row: &Row<'_>) -> Value {
    let (kernel, machine) = (row.text("/status/nodeInfo/kernelVersion"), row.text("/status/nodeInfo/architecture"));
    let kernel = if kernel.is_empty() { "<unknown>" } else { kernel };
    if machine.is_empty() { kernel.into() } else { format!("{kernel} ({machine})").into() }
}
