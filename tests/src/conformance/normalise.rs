//! Makes answers of two API servers comparable: what differs from run to run becomes a placeholder.
//!
//! Placeholders for uids and resource versions are numbered by first appearance, so that which of them are equal is still
//! compared.

mod quoted;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::{Map, Value};

/// The characters of the API server's random name suffixes, and their number.
const SUFFIX: (&str, usize) = ("bcdfghjklmnpqrstvwxz2456789", 5);

/// Node ports below this one are asked for, those from here on are given out in an order of the server's own.
const FIRST_GIVEN_NODE_PORT: u64 = 30_086;

/// Remembers what it replaced, from step to step.
#[derive(Debug, Default)]
pub(super) struct Normaliser {
    uids: BTreeMap<String, usize>,
    versions: BTreeMap<String, usize>,
    names: BTreeMap<String, String>,
    given: BTreeMap<&'static str, BTreeMap<String, usize>>,
}

impl Normaliser {
    pub(super) fn normalise(&mut self, body: &Value) -> Value {
        match body {
            Value::Object(fields) => self.object(fields),
            Value::Array(items) => items.iter().map(|item| self.normalise(item)).collect(),
            Value::String(text) => Value::from(self.text(text)),
            other => other.clone(),
        }
    }

    /// Fields are sorted: the placeholders' numbers must not depend on an order that JSON does not give a meaning.
    fn object(&mut self, fields: &Map<String, Value>) -> Value {
        self.learn_generated_name(fields);
        let fleeting = is_fleeting(fields);
        let mut sorted: Vec<_> = fields.iter().collect();
        sorted.sort_by_key(|(name, _)| *name);
        let mut result = Map::new();
        for (name, value) in sorted {
            let value = match (name.as_str(), value) {
                ("resourceVersion", Value::String(version)) => self.version(version),
                ("continue", Value::String(token)) if !token.is_empty() => Value::from("<continue>"),
                ("metadata", _) if fleeting => self.without_version(value),
                ("managedFields", Value::Array(entries)) => self.managed_fields(entries),
                ("endpoints", Value::Array(items)) if fields.contains_key("addressType") => self.sorted(items, pod_of),
                ("items", Value::Array(items)) if items.iter().any(has_random_name) => {
                    self.sorted(items, generated_key)
                }
                ("nodePort" | "healthCheckNodePort", Value::Number(port)) if is_given(port) => {
                    Value::from(self.given("nodePort", &port.to_string()))
                }
                _ => self.normalise(value),
            };
            result.insert(self.text(name), value);
        }
        match result.get("kind").and_then(Value::as_str) {
            Some("Table") => hide_ages(&mut result),
            Some("Status") => sort_causes(&mut result),
            _ => {}
        }
        Value::Object(result)
    }

    /// The version of a list or of a bookmark moves with writes of others, so nothing can be said about it.
    fn without_version(&mut self, metadata: &Value) -> Value {
        let mut metadata = metadata.clone();
        if let Some(version) = metadata.get_mut("resourceVersion") {
            *version = Value::Null;
        }
        let mut metadata = self.normalise(&metadata);
        if let Some(version) = metadata.get_mut("resourceVersion") {
            *version = Value::from("<resourceVersion>");
        }
        metadata
    }

    /// Entries of one manager are ordered by time, in seconds, so their order says nothing.
    fn managed_fields(&mut self, entries: &[Value]) -> Value {
        let mut entries = entries.to_vec();
        entries.sort_by_key(|entry| {
            ["manager", "operation", "subresource", "apiVersion"].map(|name| entry[name].to_string())
        });
        self.normalise(&Value::Array(entries))
    }

    /// Items in an order that has a meaning, where the server's has none.
    fn sorted(&mut self, items: &[Value], key: impl Fn(&Value) -> String) -> Value {
        let mut items = items.to_vec();
        items.sort_by_cached_key(key);
        items.iter().map(|item| self.normalise(item)).collect()
    }

    /// What a server gave out.
    fn given(&mut self, what: &'static str, text: &str) -> String {
        let known = self.given.entry(what).or_default();
        let next = known.len() + 1;
        format!("<{what} {}>", known.entry(text.to_owned()).or_insert(next))
    }

    fn version(&mut self, version: &str) -> Value {
        if version.is_empty() || version == "0" {
            return Value::from(version);
        }
        let next = self.versions.len() + 1;
        Value::from(format!("<resourceVersion {}>", self.versions.entry(version.to_owned()).or_insert(next)))
    }

    fn text(&mut self, text: &str) -> String {
        if is_time(text) {
            return "<time>".to_owned();
        }
        if let Some(name) = self.names.get(text) {
            return name.clone();
        }
        if let Some(what) = given_address(text) {
            return self.given(what, text);
        }
        quoted::hide(hide_current_version(&self.replace_uids(text)))
    }

    fn replace_uids(&mut self, text: &str) -> String {
        let mut result = String::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let length = match rest.get(..36) {
                Some(uid) if is_uid(uid) => {
                    let next = self.uids.len() + 1;
                    let number = self.uids.entry(uid.to_owned()).or_insert(next);
                    result.extend(["<uid ", &number.to_string(), ">"]);
                    36
                }
                _ => {
                    result.push(character);
                    character.len_utf8()
                }
            };
            rest = &rest[length..];
        }
        result
    }

    fn learn_generated_name(&mut self, metadata: &Map<String, Value>) {
        let text = |name: &str| metadata.get(name).and_then(Value::as_str);
        let (Some(prefix), Some(name)) = (text("generateName"), text("name")) else { return };
        let Some(suffix) = name.strip_prefix(prefix) else { return };
        if is_random_suffix(suffix) {
            let next = self.names.len() + 1;
            self.names.entry(name.to_owned()).or_insert(format!("{prefix}<generated {next}>"));
        }
    }
}

/// Lists, tables and bookmarks carry the version of the whole collection.
fn is_fleeting(object: &Map<String, Value>) -> bool {
    let annotations = object.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let is_initial_end = annotations.is_some_and(|it| it.get("k8s.io/initial-events-end").is_some());
    let is_bookmark = object.get("metadata").and_then(Value::as_object).is_some_and(|metadata| {
        metadata.contains_key("resourceVersion") && !metadata.contains_key("uid") && !metadata.contains_key("name")
    });
    object.contains_key("items") || object.contains_key("rows") || is_initial_end || is_bookmark
}

/// The controller of `EndpointSlices` takes pods in no order.
fn pod_of(endpoint: &Value) -> String {
    endpoint["targetRef"]["name"].to_string()
}

/// A list is ordered by name, which says nothing where names end at random.
fn generated_key(item: &Value) -> String {
    let metadata = &item["metadata"];
    let name = if has_random_name(item) { &metadata["generateName"] } else { &metadata["name"] };
    let count = item["endpoints"].as_array().map_or(0, Vec::len);
    format!("{name} {} {} {} {count}", metadata["labels"], item["addressType"], item["ports"])
}

fn has_random_name(item: &Value) -> bool {
    let text = |field: &str| item["metadata"][field].as_str().unwrap_or_default();
    let prefix = text("generateName");
    !prefix.is_empty() && text("name").strip_prefix(prefix).is_some_and(is_random_suffix)
}

fn is_random_suffix(suffix: &str) -> bool {
    suffix.len() == SUFFIX.1 && suffix.chars().all(|it| SUFFIX.0.contains(it))
}

fn is_given(port: &serde_json::Number) -> bool {
    port.as_u64().is_some_and(|port| port >= FIRST_GIVEN_NODE_PORT)
}

/// Addresses of pods, and those of Services that nobody asked for.
fn given_address(text: &str) -> Option<&'static str> {
    match text.parse::<Ipv4Addr>().ok()?.octets() {
        [10, 0, 1..=255, _] => Some("clusterIP"),
        [10, 244, ..] => Some("podIP"),
        _ => None,
    }
}

/// `2026-01-31T12:00:00Z`, with or without a fraction.
fn is_time(text: &str) -> bool {
    let shape = |pattern: &str, text: &str| {
        text.len() == pattern.len()
            && text
                .chars()
                .zip(pattern.chars())
                .all(|(it, wanted)| it == wanted || (wanted == '0' && it.is_ascii_digit()))
    };
    let Some(start) = text.get(..19) else { return false };
    let rest = text[19..].trim_start_matches('.').trim_start_matches(|it: char| it.is_ascii_digit());
    shape("0000-00-00T00:00:00", start) && rest == "Z"
}

fn is_uid(text: &str) -> bool {
    text.char_indices().all(|(index, it)| match index {
        8 | 13 | 18 | 23 => it == '-',
        _ => it.is_ascii_hexdigit() && !it.is_ascii_uppercase(),
    })
}

/// Messages about versions name the server's own: `too old resource version: 1 (4711)`.
fn hide_current_version(text: &str) -> String {
    let about = ["too old resource version: ", "does not match the ResourceVersion in record "];
    let Some(start) = about.iter().find_map(|about| Some(text.find(about)? + about.len())) else {
        return text.to_owned();
    };
    let (before, rest) = text.split_at(start);
    let Some((asked, after)) = rest.split_once('(') else { return text.to_owned() };
    let after = after.trim_start_matches(|it: char| it.is_ascii_digit());
    format!("{before}{asked}(<resourceVersion>{after}")
}

/// The API server walks fields in random order, so several faults come in random order, twice: listed, and in the message.
fn sort_causes(status: &mut Map<String, Value>) {
    let Some(causes) = status.get_mut("details").and_then(|it| it.get_mut("causes")).and_then(Value::as_array_mut)
    else {
        return;
    };
    let texts: Vec<String> =
        causes.iter().map(|it| format!("{}: {}", text_of(it, "field"), text_of(it, "message"))).collect();
    causes.sort_by_key(ToString::to_string);
    let Some(Value::String(message)) = status.get_mut("message") else { return };
    *message = message.replace(&format!("[{}]", texts.join(", ")), "[<the causes>]");
}

fn text_of<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Cells like `5m12s`. They are known by their shape, because only a watch's first table says which column is which.
fn hide_ages(table: &mut Map<String, Value>) {
    let rows = table.get_mut("rows").and_then(Value::as_array_mut);
    let cells = rows.into_iter().flatten().filter_map(|row| row.get_mut("cells")?.as_array_mut()).flatten();
    for cell in cells.filter(|cell| cell.as_str().is_some_and(is_age)) {
        *cell = Value::from("<age>");
    }
}

fn is_age(cell: &str) -> bool {
    cell.starts_with(|it: char| it.is_ascii_digit())
        && cell.ends_with(['s', 'm', 'h', 'd', 'y'])
        && cell.chars().all(|it| it.is_ascii_digit() || "smhdy".contains(it))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const UID: &str = "0f0e0d0c-0b0a-4908-8706-050403020100";

    #[expect(clippy::needless_pass_by_value, reason = "so that the cases below read well")]
    fn check(body: Value, expected: Value) {
        assert_eq!(Normaliser::default().normalise(&body), expected, "{body}");
    }

    #[test]
    fn what_differs_from_run_to_run_is_replaced() {
        check(json!({ "uid": UID, "at": format!("k:{UID}!") }), json!({ "at": "k:<uid 1>!", "uid": "<uid 1>" }));
        check(
            json!(["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000001Z", "2026-01-31"]),
            json!(["<time>", "<time>", "2026-01-31"]),
        );
        check(
            json!([{ "resourceVersion": "7" }, { "resourceVersion": "3" }, { "resourceVersion": "7" }, { "resourceVersion": "0" }]),
            json!([
                { "resourceVersion": "<resourceVersion 1>" },
                { "resourceVersion": "<resourceVersion 2>" },
                { "resourceVersion": "<resourceVersion 1>" },
                { "resourceVersion": "0" },
            ]),
        );
        check(
            json!({ "items": [], "metadata": { "resourceVersion": "7", "continue": "abc" } }),
            json!({ "items": [], "metadata": { "continue": "<continue>", "resourceVersion": "<resourceVersion>" } }),
        );
        check(
            json!({ "generateName": "made-", "name": "made-bcdfg" }),
            json!({ "generateName": "made-", "name": "made-<generated 1>" }),
        );
        check(json!({ "generateName": "web-", "name": "web-0" }), json!({ "generateName": "web-", "name": "web-0" }));
        check(json!("too old resource version: 1 (4711)"), json!("too old resource version: 1 (<resourceVersion>)"));
        check(
            json!({ "kind": "Table", "rows": [{ "cells": ["5m12s", "0", "ready", 3] }] }),
            json!({ "kind": "Table", "rows": [{ "cells": ["<age>", "0", "ready", 3] }] }),
        );
    }

    #[test]
    fn what_servers_give_out_is_numbered() {
        check(
            json!([{ "clusterIP": "10.0.9.9", "clusterIPs": ["10.0.9.9", "10.0.0.9"] }, { "podIP": "10.244.0.7" }]),
            json!([
                { "clusterIP": "<clusterIP 1>", "clusterIPs": ["<clusterIP 1>", "10.0.0.9"] },
                { "podIP": "<podIP 1>" },
            ]),
        );
        check(
            json!([{ "nodePort": 31000 }, { "nodePort": 30001 }, { "nodePort": 31000 }]),
            json!([{ "nodePort": "<nodePort 1>" }, { "nodePort": 30001 }, { "nodePort": "<nodePort 1>" }]),
        );
        let endpoint = |pod: &str| json!({ "targetRef": { "name": pod } });
        check(
            json!({ "addressType": "IPv4", "endpoints": [endpoint("b"), endpoint("a")] }),
            json!({ "addressType": "IPv4", "endpoints": [endpoint("a"), endpoint("b")] }),
        );
        let item = |name: &str, app: &str| json!({ "metadata": { "generateName": "x-", "name": name, "labels": { "app": app } } });
        check(
            json!({ "items": [item("x-bbbbb", "b"), item("x-ccccc", "a")] }),
            json!({ "items": [item("x-<generated 1>", "a"), item("x-<generated 2>", "b")] }),
        );
    }

    #[test]
    fn faults_are_compared_in_any_order() {
        let status = |first: &str, second: &str| {
            let cause = |field: &str| json!({ "field": field, "message": "wrong" });
            json!({
                "kind": "Status",
                "message": format!("it is invalid: [{first}: wrong, {second}: wrong]"),
                "details": { "causes": [cause(first), cause(second)] },
            })
        };
        let normalise = |status: Value| Normaliser::default().normalise(&status);
        assert_eq!(normalise(status("a", "b")), normalise(status("b", "a")));
        assert_ne!(normalise(status("a", "b")), normalise(status("a", "c")));
    }
}
