//! Filters of ours beside the user's, under the Gateway API's own rules: no header modifier, redirect or rewrite comes
//! twice, and a redirect does not stand beside a rewrite.

use serde_json::{Value, json};

use crate::api::http::HttpRouteFilter;

/// Adds filters to those of a rule or of a reference.
pub(super) fn merge(object: &mut Value, added: &[HttpRouteFilter]) {
    if added.is_empty() {
        return;
    }
    let mut filters = object["filters"].as_array().cloned().unwrap_or_default();
    for filter in added.iter().map(|filter| json!(filter)) {
        let kind = filter["type"].as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "RequestHeaderModifier" | "ResponseHeaderModifier" => {
                match filters.iter_mut().find(|known| known["type"] == kind) {
                    Some(known) => modify(known, &filter, &kind),
                    None => filters.push(filter),
                }
            }
            "RequestRedirect" | "URLRewrite" => {
                filters.retain(|known| known["type"] != "RequestRedirect" && known["type"] != "URLRewrite");
                filters.push(filter);
            }
            _ => filters.push(filter),
        }
    }
    object["filters"] = Value::Array(filters);
}

/// Makes one header modifier of two. Of one header only the later is said.
fn modify(known: &mut Value, added: &Value, kind: &str) {
    let field = if kind == "RequestHeaderModifier" { "requestHeaderModifier" } else { "responseHeaderModifier" };
    let added = &added[field];
    let names: Vec<String> = ["set", "add", "remove"]
        .into_iter()
        .flat_map(|what| added[what].as_array().into_iter().flatten())
        .filter_map(|header| Some(name(header)?.to_ascii_lowercase()))
        .collect();
    for what in ["set", "add", "remove"] {
        let mut headers = known[field][what].as_array().cloned().unwrap_or_default();
        headers.retain(|header| name(header).is_some_and(|name| !names.contains(&name.to_ascii_lowercase())));
        headers.extend(added[what].as_array().into_iter().flatten().cloned());
        match known[field].as_object_mut() {
            Some(fields) if headers.is_empty() => drop(fields.remove(what)),
            _ => known[field][what] = Value::Array(headers),
        }
    }
}

/// The name of a header that is set or added, or that is removed.
fn name(header: &Value) -> Option<&str> {
    header.as_str().or_else(|| header["name"].as_str())
}
