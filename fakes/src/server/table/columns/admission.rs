//! What decides about requests: admission, and the queues that they wait in.

use serde_json::Value;

use super::row::{NONE, Row, UNSET};
use super::{AGE, Column, integer, text};

pub(super) const WEBHOOKS: &[Column] = &[integer("Webhooks", |row| row.count("/webhooks").into()), AGE];

pub(super) const VALIDATIONS: &[Column] =
    &[integer("Validations", |row| row.count("/spec/validations").into()), text("ParamKind", param_kind), AGE];

pub(super) const MUTATIONS: &[Column] =
    &[integer("Mutations", |row| row.count("/spec/mutations").into()), text("ParamKind", param_kind), AGE];

pub(super) const BINDINGS: &[Column] =
    &[text("PolicyName", |row| row.text("/spec/policyName").into()), text("ParamRef", param), AGE];

pub(super) const FLOWS: &[Column] = &[
    text("PriorityLevel", |row| row.text("/spec/priorityLevelConfiguration/name").into()),
    text("MatchingPrecedence", |row| row.int("/spec/matchingPrecedence").into()),
    text("DistinguisherMethod", distinguisher),
    AGE,
    text("MissingPL", dangling),
];

pub(super) const LEVELS: &[Column] = &[
    text("Type", |row| row.text("/spec/type").into()),
    text("NominalConcurrencyShares", |row| limit(row, "nominalConcurrencyShares")),
    text("Queues", |row| limit(row, "limitResponse/queuing/queues")),
    text("HandSize", |row| limit(row, "limitResponse/queuing/handSize")),
    text("QueueLengthLimit", |row| limit(row, "limitResponse/queuing/queueLengthLimit")),
    AGE,
];

fn param_kind(row: &Row<'_>) -> Value {
    if !row.has("/spec/paramKind") {
        return UNSET.into();
    }
    format!("{}/{}", row.text("/spec/paramKind/apiVersion"), row.text("/spec/paramKind/kind")).into()
}

/// One without a namespace may be of any.
fn param(row: &Row<'_>) -> Value {
    match (row.text("/spec/paramRef/name"), row.text("/spec/paramRef/namespace")) {
        ("", _) => UNSET.into(),
        (name, "") => format!("*/{name}").into(),
        (name, namespace) => format!("{namespace}/{name}").into(),
    }
}

fn distinguisher(row: &Row<'_>) -> Value {
    row.text_or("/spec/distinguisherMethod/type", NONE)
}

/// Whether the level that a flow schema names is missing.
fn dangling(row: &Row<'_>) -> Value {
    let found = row.list("/status/conditions").iter().find(|condition| condition["type"] == "Dangling");
    found.and_then(|condition| condition["status"].as_str()).unwrap_or("?").into()
}

/// A setting that only limited levels have.
fn limit(row: &Row<'_>, field: &str) -> Value {
    let found = row.at(&format!("/spec/limited/{field}"));
    if found.is_null() { NONE.into() } else { found.clone() }
}
