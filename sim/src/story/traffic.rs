//! Routes, forks and clients in words.

use std::collections::BTreeMap;

use slipway_fakes::gateway;

use super::aligned;
use crate::facts::{ObjectId, RouteFacts};

/// What happened to a route.
pub(super) fn route(id: &ObjectId, before: Option<&RouteFacts>, after: &RouteFacts) -> Vec<String> {
    let rules = after.words.join(" | ");
    let Some(before) = before.filter(|before| !before.gone) else {
        return vec![format!("{id}: {} created: {rules}", after.kind)];
    };
    if after.gone {
        return vec![format!("{id}: {} deleted", after.kind)];
    }
    let mut told = Vec::new();
    if before.words != after.words {
        told.push(format!("{id}: {rules}"));
    }
    if before.answers != after.answers {
        told.push(format!("{id}: {}", after.answers.join(", ")));
    }
    told
}

/// What happened to a fork, or to a canary Ingress, which says something.
pub(super) fn fork(id: &ObjectId, there: bool, says: &str) -> String {
    match there {
        true if id.kind == "ServiceExport" => format!("{id}: {} made", id.kind),
        true if says.is_empty() => format!("{id}: {} forked", id.kind),
        true => format!("{id}: {says}"),
        false => format!("{id}: {} deleted", id.kind),
    }
}

/// What became of clients' requests, as a table; nothing where there are no clients.
pub(crate) fn clients(clients: &[(String, gateway::Client)]) -> String {
    if clients.is_empty() {
        return String::new();
    }
    let head = ["CLIENT", "REQUESTS", "ANSWERED BY", "COPIES TO", "ERRORS"].map(str::to_owned);
    let rows = clients.iter().map(|(name, client)| {
        let counts = client.counts();
        let errors = counts.statuses.range(400..).map(|(status, count)| (status.to_string(), *count)).collect();
        let copies = counts.mirrored_by_image();
        [name.clone(), counts.requests().to_string(), sums(&counts.by_image()), sums(&copies), sums(&errors)]
    });
    format!("{}\n", aligned(std::iter::once(head).chain(rows)))
}

fn sums(sums: &BTreeMap<String, u64>) -> String {
    let sums: Vec<_> = sums.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if sums.is_empty() { "-".to_owned() } else { sums.join(", ") }
}
