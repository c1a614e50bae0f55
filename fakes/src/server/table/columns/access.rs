//! Who may do what.

use serde_json::Value;

use super::row::{NONE, Row};
use super::{AGE, Column, text, wide};
use crate::{object, server::table::age};

pub(super) const BINDINGS: &[Column] = &[
    text("Role", role),
    AGE,
    wide("Users", |row| subjects(row, "User")),
    wide("Groups", |row| subjects(row, "Group")),
    wide("ServiceAccounts", |row| subjects(row, "ServiceAccount")),
];

pub(super) const REQUESTS: &[Column] = &[
    AGE,
    text("SignerName", |row| row.text_or("/spec/signerName", NONE)),
    text("Requestor", |row| row.text("/spec/username").into()),
    text("RequestedDuration", requested_duration),
    text("Condition", request_condition),
];

fn role(row: &Row<'_>) -> Value {
    format!("{}/{}", row.text("/roleRef/kind"), row.text("/roleRef/name")).into()
}

/// The subjects of one kind.
fn subjects(row: &Row<'_>, kind: &str) -> Value {
    let subjects = row.list("/subjects").iter().filter(|subject| subject["kind"] == kind);
    let names = subjects.map(|subject| {
        let [namespace, name] = ["namespace", "name"].map(|field| object::text(subject, &[field]));
        if kind == "ServiceAccount" { format!("{namespace}/{name}") } else { name.to_owned() }
    });
    names.collect::<Vec<_>>().join(", ").into()
}

fn requested_duration(row: &Row<'_>) -> Value {
    row.at("/spec/expirationSeconds").as_i64().map_or_else(|| NONE.to_owned(), age::spell).into()
}

/// What became of a request for a certificate.
fn request_condition(row: &Row<'_>) -> Value {
    let has = |kind: &str| row.list("/status/conditions").iter().any(|condition| condition["type"] == kind);
    let mut states = vec![match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (false, true) => "Approved",
        (false, false) => "Pending",
    }];
    states.extend(has("Failed").then_some("Failed"));
    states.extend((!row.text("/status/certificate").is_empty()).then_some("Issued"));
    states.join(",").into()
}
