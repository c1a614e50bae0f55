//! Events: what happened to which object, who says so, and how often.

use serde_json::Value;

use super::row::{Row, or};
use super::{Column, text, wide};

pub(super) const EVENTS: &[Column] = &[
    text("Last Seen", last_seen),
    text("Type", |row| row.text("/type").into()),
    text("Reason", |row| row.text("/reason").into()),
    text("Object", object),
    wide("Subobject", |row| row.text("/involvedObject/fieldPath").into()),
    wide("Source", source),
    text("Message", |row| row.text("/message").trim().into()),
    wide("First Seen", first_seen),
    wide("Count", count),
    wide("Name", |row| row.text("/metadata/name").into()),
];

fn last_seen(row: &Row<'_>) -> Value {
    if row.has("/series") {
        row.ago("/series/lastObservedTime")
    } else if row.has("/lastTimestamp") {
        row.ago("/lastTimestamp")
    } else {
        first_seen(row)
    }
}

fn first_seen(row: &Row<'_>) -> Value {
    row.ago(if row.has("/firstTimestamp") { "/firstTimestamp" } else { "/eventTime" })
}

fn object(row: &Row<'_>) -> Value {
    let (kind, name) = (row.text("/involvedObject/kind").to_lowercase(), row.text("/involvedObject/name"));
    if name.is_empty() { kind.into() } else { format!("{kind}/{name}").into() }
}

fn source(row: &Row<'_>) -> Value {
    let component = or(row.text("/source/component"), row.text("/reportingComponent"));
    let component = component.as_str().unwrap_or_default();
    let host = or(row.text("/source/host"), row.text("/reportingInstance"));
    match host.as_str() {
        Some("") | None => component.into(),
        Some(host) => format!("{component}, {host}").into(),
    }
}

fn count(row: &Row<'_>) -> Value {
    match row.at("/series/count").as_i64() {
        Some(count) => count.into(),
        None => row.int("/count").max(1).into(),
    }
}
