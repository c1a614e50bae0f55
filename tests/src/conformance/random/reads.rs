//! Requests that read, and requests that go nowhere.

use serde_json::json;

use super::kinds::Kind;
use super::options::{keep, reference, step, variable, with_query};
use super::world::World;
use crate::conformance::Step;

/// Selectors of labels, as URLs carry them.
const LABELS: [&str; 11] = [
    "app%3Dx",
    "app%3D%3Dy",
    "app%21%3Dx",
    "app%2Ctier",
    "%21tier",
    "app%20in%20%28x%2Cy%29",
    "app%20notin%20%28x%29%2Ctier%3Dy",
    "app%20in%20%28%29",
    "a%20b",
    "app%3D",
    "app%3E1",
];

/// How long a watch may take that finds fewer events than it waits for.
const WATCH_SECONDS: u32 = 1;

/// In all namespaces there are objects of others, so only namespaces are listed so, and with a selector.
fn collection(world: &mut World, kind: &Kind, query: &mut Vec<String>) {
    if !kind.namespaced() {
        let name = world.dice.options.pick(&["a", "b", "none"]);
        query.push(format!("fieldSelector=metadata.name%3D{}", kind.name(name)));
        return;
    }
    if world.dice.options.chance(1, 3) {
        query.push(format!("labelSelector={}", world.dice.options.pick(&LABELS)));
    }
    if world.dice.options.chance(1, 6) {
        let fields: &[&str] = match kind.word {
            "Pod" => &["status.phase%3DPending", "spec.nodeName%3Dnode-1", "spec.nodeName%21%3Dnode-1"],
            "Secret" => &["type%3DOpaque"],
            "Gadget" => &["spec.colour%3Dred", "spec.colour%21%3Dred"],
            _ => &["status.phase%3DPending"],
        };
        let common =
            ["metadata.name%3Da", "metadata.name%21%3Da", "metadata.namespace%3D${ns}", "spec.none%3Dx", "%3D", "a"];
        let choices: Vec<&str> = fields.iter().copied().chain(common).collect();
        query.push(format!("fieldSelector={}", world.dice.options.pick(&choices)));
    }
}

/// Some readers want another form.
fn form(world: &mut World, step: &mut Step, list: bool) {
    let kind = if list { "PartialObjectMetadataList" } else { "PartialObjectMetadata" };
    if world.dice.options.chance(1, 10) {
        step.headers.insert("accept".to_owned(), format!("application/json;as={kind};g=meta.k8s.io;v=v1"));
    }
}

pub(super) fn get(world: &mut World) {
    let kind = world.kind();
    let name = world.name(kind, true);
    let request = format!("GET {}/{}", kind.path(), kind.name(&name));
    let mut step = step(&format!("get {} {name}", kind.word), request, None);
    form(world, &mut step, false);
    keep(&mut step, kind, &name, false);
    world.push(step);
}

pub(super) fn list(world: &mut World) {
    let kind = world.kind();
    let mut query = Vec::new();
    collection(world, kind, &mut query);
    let options = &mut world.dice.options;
    if options.chance(1, 3) {
        query.push(format!("limit={}", options.weighted(&[(5, "1"), (3, "2"), (1, "0"), (1, "-1"), (1, "x")])));
    }
    if options.chance(1, 5) {
        query.push(format!("continue={}", reference(kind, "list", "continue")));
    }
    if options.chance(1, 12) {
        query.push(format!("resourceVersion={}", options.pick(&["x", "999999999999", "-1"])));
    }
    if options.chance(1, 12) {
        query.push(format!("resourceVersionMatch={}", options.pick(&["Exact", "NotOlderThan", "Sometimes"])));
    }
    let words = format!("list {}", kind.plural);
    let mut step = step(&words, format!("GET {}", with_query(&kind.path(), &query)), None);
    form(world, &mut step, true);
    step.keep.insert(variable(kind, "list", "rv"), "metadata.resourceVersion".to_owned());
    step.keep.insert(variable(kind, "list", "continue"), "metadata.continue".to_owned());
    world.push(step);
}

pub(super) fn watch(world: &mut World) {
    let kind = world.kind();
    let name = world.name(kind, true);
    let mut query = Vec::new();
    collection(world, kind, &mut query);
    let from = world.dice.options.weighted(&[
        (5, Some(reference(kind, &name, "old"))),
        (3, Some(reference(kind, &name, "rv"))),
        (3, Some(reference(kind, "list", "rv"))),
        (2, None),
        (1, Some("x".to_owned())),
    ]);
    query.extend(from.map(|version| format!("resourceVersion={version}")));
    query.push(format!("timeoutSeconds={WATCH_SECONDS}"));
    let events = 1 + world.dice.options.below(4);
    let words = format!("watch {}", kind.plural);
    let step = step(&words, format!("WATCH {}", with_query(&kind.path(), &query)), None);
    world.push(Step { events: Some(events), ..step });
}

/// A request that no handler takes, or that is none.
pub(super) fn lost(world: &mut World) {
    let kind = world.kind();
    let (path, item) = (kind.path(), format!("{}/{}", kind.path(), kind.name("a")));
    let (request, body) = world.dice.plan.pick(&[
        (format!("POST {item}"), Some(json!({}))),
        (format!("PUT {path}"), Some(json!({}))),
        (format!("MERGE-PATCH {path}"), Some(json!({}))),
        (format!("GET {item}/status"), None),
        (format!("GET {item}/scale"), None),
        (format!("GET {item}/none"), None),
        (format!("DELETE {item}/status"), None),
        (format!("GET {path}none"), None),
        (format!("POST {path}"), None),
        (format!("PUT {item}"), None),
        (format!("GET {item}?resourceVersion=x"), None),
        (format!("GET {item}?resourceVersion=999999999999"), None),
        (format!("GET {path}/A_b"), None),
        (format!("DELETE {path}/a%20b"), None),
        (format!("DELETE {item}?gracePeriodSeconds=x"), None),
        (format!("MERGE-PATCH {item}"), Some(json!([]))),
        (format!("JSON-PATCH {item}"), Some(json!([]))),
        (format!("STRATEGIC-PATCH {item}"), Some(json!("x"))),
        (format!("APPLY {item}?fieldManager=one"), Some(json!([]))),
    ]);
    let what = request.split(' ').next().unwrap_or_default().to_lowercase();
    world.push(step(&format!("lost: {what} {}", kind.plural), request, body));
}
