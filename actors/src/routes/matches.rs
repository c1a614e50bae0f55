//! Matches of ours and the user's that have to fit both.

use serde_json::{Value, json};

use super::Kind;
use crate::api::http::HttpRouteMatch;

/// What a request has to match that matches one of the user's and one of ours.
///
/// One of ours that has a path stands alone, as upstream has it; all others narrow each of the user's. Where the two ask for
/// different values of one header or parameter no request fits.
pub(super) fn merge(kind: Kind, users: &[Value], ours: &[HttpRouteMatch]) -> Vec<Value> {
    let mut merged = Vec::new();
    for wanted in ours {
        let wanted = json!(wanted);
        if wanted["path"].is_object() || users.is_empty() {
            merged.push(wanted);
        } else {
            merged.extend(users.iter().filter_map(|users| both(kind, users, &wanted)));
        }
    }
    merged
}

/// What has to match that matches the user's and ours; none where nothing can.
pub(super) fn both(kind: Kind, users: &Value, ours: &Value) -> Option<Value> {
    let mut both = users.clone();
    // The names of headers are the same in any case, those of parameters are not.
    let parts: &[_] = match kind {
        Kind::Http => &[("headers", true), ("queryParams", false)],
        Kind::Grpc => &[("headers", true)],
    };
    for &(key, ignores_case) in parts {
        let mut all = users[key].as_array().cloned().unwrap_or_default();
        for wanted in ours[key].as_array().into_iter().flatten() {
            match all.iter().find(|known| is_same_name(known, wanted, ignores_case)) {
                None => all.push(wanted.clone()),
                Some(known) if demands(known) == demands(wanted) => {}
                Some(_) => return None,
            }
        }
        if !all.is_empty() {
            both[key] = Value::Array(all);
        }
    }
    Some(both)
}

fn is_same_name(known: &Value, wanted: &Value, ignores_case: bool) -> bool {
    let (Some(known), Some(wanted)) = (known["name"].as_str(), wanted["name"].as_str()) else { return false };
    if ignores_case { known.eq_ignore_ascii_case(wanted) } else { known == wanted }
}

fn demands(part: &Value) -> (&str, &Value) {
    (part["type"].as_str().unwrap_or("Exact"), &part["value"])
}
