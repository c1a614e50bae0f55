//! Workloads: how many pods there are, and of which template.

use serde_json::Value;

use super::row::{NONE, Row, or};
use super::{AGE, Column, integer, text, wide};
use crate::object;

pub(super) const CONTAINERS: Column = wide("Containers", containers);
pub(super) const IMAGES: Column = wide("Images", images);
pub(super) const SELECTOR: Column = wide("Selector", selector);

pub(super) const POD_TEMPLATES: &[Column] = &[
    text("Containers", |row| row.each("/template/spec/containers", "name").join(",").into()),
    text("Images", |row| row.each("/template/spec/containers", "image").join(",").into()),
    text("Pod Labels", |row| row.labels("/template/metadata/labels")),
];

pub(super) const REPLICATION_CONTROLLERS: &[Column] = &[
    integer("Desired", |row| row.int("/spec/replicas").into()),
    integer("Current", |row| row.int("/status/replicas").into()),
    integer("Ready", |row| row.int("/status/readyReplicas").into()),
    AGE,
    CONTAINERS,
    IMAGES,
    wide("Selector", |row| row.labels("/spec/selector")),
];

pub(super) const NAMESPACES: &[Column] = &[text("Status", |row| row.text("/status/phase").into()), AGE];

pub(super) const DEPLOYMENTS: &[Column] = &[
    text("Ready", ready),
    text("Up-to-date", |row| row.int("/status/updatedReplicas").into()),
    text("Available", |row| row.int("/status/availableReplicas").into()),
    AGE,
    CONTAINERS,
    IMAGES,
    // Without a word for none.
    wide("Selector", |row| row.selector("/spec/selector").into()),
];

pub(super) const SCALES: &[Column] = &[
    integer("Desired", |row| row.int("/spec/replicas").into()),
    integer("Available", |row| row.int("/status/replicas").into()),
    AGE,
];

pub(super) const STATEFUL_SETS: &[Column] = &[text("Ready", ready), AGE, CONTAINERS, IMAGES];

pub(super) const REPLICA_SETS: &[Column] = &[
    integer("Desired", |row| row.int("/spec/replicas").into()),
    integer("Current", |row| row.int("/status/replicas").into()),
    integer("Ready", |row| row.int("/status/readyReplicas").into()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) const REVISIONS: &[Column] =
    &[text("Controller", controller), text("Revision", |row| row.int("/revision").into()), AGE];

pub(super) const BUDGETS: &[Column] = &[
    text("Min Available", |row| int_or_string(row.at("/spec/minAvailable"))),
    text("Max Unavailable", |row| int_or_string(row.at("/spec/maxUnavailable"))),
    integer("Allowed Disruptions", |row| row.int("/status/disruptionsAllowed").into()),
    AGE,
];

pub(super) const DAEMON_SETS: &[Column] = &[
    integer("Desired", |row| row.int("/status/desiredNumberScheduled").into()),
    integer("Current", |row| row.int("/status/currentNumberScheduled").into()),
    integer("Ready", |row| row.int("/status/numberReady").into()),
    integer("Up-to-date", |row| row.int("/status/updatedNumberScheduled").into()),
    integer("Available", |row| row.int("/status/numberAvailable").into()),
    text("Node Selector", |row| row.labels("/spec/template/spec/nodeSelector")),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

fn ready(row: &Row<'_>) -> Value {
    format!("{}/{}", row.int("/status/readyReplicas"), row.int("/spec/replicas")).into()
}

fn containers(row: &Row<'_>) -> Value {
    row.each("/spec/template/spec/containers", "name").join(",").into()
}

fn images(row: &Row<'_>) -> Value {
    row.each("/spec/template/spec/containers", "image").join(",").into()
}

fn selector(row: &Row<'_>) -> Value {
    or(&row.selector("/spec/selector"), NONE)
}

/// Who controls a revision.
fn controller(row: &Row<'_>) -> Value {
    let Some(owner) = row.list("/metadata/ownerReferences").iter().find(|owner| owner["controller"] == true) else {
        return NONE.into();
    };
    let [version, kind, name] = ["apiVersion", "kind", "name"].map(|field| object::text(owner, &[field]));
    let kind = match version.split_once('/') {
        Some((group, _)) => format!("{kind}.{group}"),
        None => kind.to_owned(),
    };
    format!("{}/{name}", kind.to_lowercase()).into()
}

fn int_or_string(value: &Value) -> Value {
    match value {
        Value::Null => "N/A".into(),
        Value::String(text) => text.as_str().into(),
        number => number.to_string().into(),
    }
}
