//! The question: a RolloutWebhookReview, byte for byte as upstream's Go client writes it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Moment;
use crate::{
    api::{ObjectTypeRef, RolloutWebhook},
    world::HttpCall,
};

/// The header that carries the idempotency key (Slipway's addition).
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The call that asks `hook`.
pub(super) fn call(moment: &Moment<'_>, hook: &RolloutWebhook, key: &str) -> HttpCall {
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", "kusionstack-rollout-http-prober"),
        (IDEMPOTENCY_KEY, key),
    ];
    let ca_bundle = hook.client_config.ca_bundle.as_ref().filter(|bundle| !bundle.0.is_empty());
    HttpCall {
        url: hook.client_config.url.clone(),
        headers: headers.map(|(name, value)| (name, value.to_owned())).to_vec(),
        body: document(moment, hook),
        ca_bundle: ca_bundle.map(|bundle| Bytes::from(bundle.0.clone())),
    }
}

/// The fields in Go's order, with Go's ideas of what is empty.
#[derive(Serialize)]
struct Review<'a> {
    metadata: Metadata<'a>,
    spec: Spec<'a>,
    status: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    creation_timestamp: Option<()>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    rollout_name: &'a str,
    #[serde(rename = "rolloutID", skip_serializing_if = "str::is_empty")]
    rollout_id: &'a str,
    hook_type: &'a str,
    target_type: ObjectTypeRef,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    properties: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    subject: Map<String, Value>,
}

fn document(moment: &Moment<'_>, hook: &RolloutWebhook) -> Bytes {
    let owners = moment.run.owner_references.iter().flatten();
    let owner = owners.into_iter().find(|owner| owner.controller == Some(true));
    let review = Review {
        metadata: Metadata {
            name: &hook.name,
            namespace: moment.run.namespace.as_deref().unwrap_or_default(),
            creation_timestamp: None,
        },
        spec: Spec {
            kind: owner.map_or("", |owner| &owner.kind),
            rollout_name: owner.map_or("", |owner| &owner.name),
            rollout_id: moment.run.name.as_deref().unwrap_or_default(),
            hook_type: moment.hook_type.as_str(),
            target_type: moment.target_type.cloned().unwrap_or_default(),
            properties: &hook.properties,
            subject: moment.subject.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        },
        status: Map::new(),
    };
    // A map with text keys always becomes JSON.
    Bytes::from(as_go_writes(&serde_json::to_string(&review).unwrap_or_default()))
}

/// Go escapes in every string what could end a script or a line of one; outside strings JSON has none of it.
fn as_go_writes(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '<' => text.push_str(r"\u003c"),
            '>' => text.push_str(r"\u003e"),
            '&' => text.push_str(r"\u0026"),
            '\u{2028}' => text.push_str(r"\u2028"),
            '\u{2029}' => text.push_str(r"\u2029"),
            _ => text.push(char),
        }
    }
    text
}
