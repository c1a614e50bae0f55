//! Objects that hold data, and quotas.

use serde_json::Value;

use super::row::Row;
use super::{AGE, Column, text};

pub(super) const SECRETS: &[Column] =
    &[text("Type", |row| row.text("/type").into()), text("Data", |row| row.count("/data").into()), AGE];

pub(super) const CONFIG_MAPS: &[Column] =
    &[text("Data", |row| (row.count("/data") + row.count("/binaryData")).into()), AGE];

pub(super) const QUOTAS: &[Column] =
    &[text("Request", |row| quota(row, false)), text("Limit", |row| quota(row, true)), AGE];

pub(super) const LEASES: &[Column] = &[text("Holder", |row| row.text("/spec/holderIdentity").into()), AGE];

/// What a quota allows and what is used of it: limits, or the rest.
fn quota(row: &Row<'_>, limits: bool) -> Value {
    let mut resources: Vec<&str> =
        row.map("/status/hard").into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    resources.retain(|name| name.starts_with("limits.") == limits);
    resources.sort_unstable();
    let amount = |of: &str, name: &str| row.at("/status")[of][name].as_str().unwrap_or("0").to_owned();
    let shown = resources.iter().map(|name| format!("{name}: {}/{}", amount("used", name), amount("hard", name)));
    shown.collect::<Vec<_>>().join(", ").into()
}
