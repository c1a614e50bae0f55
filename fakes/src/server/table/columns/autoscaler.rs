//! What an autoscaler goes by.

use serde_json::Value;

use super::row::{NONE, Row, UNSET, first_few};
use super::{AGE, Column, text};
use crate::object;

const UNKNOWN: &str = "<unknown>";

pub(super) const AUTOSCALERS: &[Column] = &[
    text("Reference", reference),
    text("Targets", targets),
    text("MinPods", min_pods),
    text("MaxPods", |row| row.int("/spec/maxReplicas").into()),
    text("Replicas", |row| row.int("/status/currentReplicas").into()),
    AGE,
];

fn reference(row: &Row<'_>) -> Value {
    format!("{}/{}", row.text("/spec/scaleTargetRef/kind"), row.text("/spec/scaleTargetRef/name")).into()
}

fn min_pods(row: &Row<'_>) -> Value {
    row.at("/spec/minReplicas").as_i64().map_or(UNSET.to_owned(), |number| number.to_string()).into()
}

/// Each metric as it is and as it ought to be.
fn targets(row: &Row<'_>) -> Value {
    let current = row.list("/status/currentMetrics");
    let specs = row.list("/spec/metrics").iter().enumerate();
    let shown: Vec<String> = specs.map(|(index, spec)| target(spec, current.get(index))).collect();
    if shown.is_empty() { NONE.into() } else { first_few(&shown, 2, ", ").into() }
}

fn target(spec: &Value, status: Option<&Value>) -> String {
    let kind = object::text(spec, &["type"]);
    let source = match kind {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let target = &spec[source]["target"];
    let current = status.map_or(&Value::Null, |status| &status[source]["current"]);
    let text = |value: &Value, field: &str| value[field].as_str().map(str::to_owned);
    let pair = |field: &str| {
        let is = text(current, field).unwrap_or_else(|| UNKNOWN.to_owned());
        format!("{is}/{}", text(target, field).unwrap_or_else(|| "<nil>".to_owned()))
    };
    let average = target["averageValue"].is_string();
    if matches!(kind, "Resource" | "ContainerResource") {
        let shown = if average { pair("averageValue") } else { utilisation(current, target) };
        return format!("{}: {shown}", object::text(spec, &[source, "name"]));
    }
    match (kind, average) {
        ("Pods", _) => pair("averageValue"),
        (_, true) => format!("{} (avg)", pair("averageValue")),
        (_, false) => pair("value"),
    }
}

fn utilisation(current: &Value, target: &Value) -> String {
    let percent = |value: &Value, none: &str| {
        value["averageUtilization"].as_i64().map_or_else(|| none.to_owned(), |number| format!("{number}%"))
    };
    format!("{}/{}", percent(current, UNKNOWN), percent(target, "<auto>"))
}
