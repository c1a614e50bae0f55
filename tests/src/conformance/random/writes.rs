//! Requests that write.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::options::{client, keep, of_apply, of_delete, of_write, reference, step, version, with_query};
use super::spoil::spoil;
use super::world::World;
use super::{bodies, changes};

/// A new object of a kind.
fn object(world: &mut World, kind: &Kind, name: &str) -> Value {
    let mut object = json!({ "apiVersion": kind.api_version, "kind": kind.word });
    object["metadata"] = bodies::metadata(&mut world.dice.bodies, &kind.name(name));
    if let (Some(fields), Value::Object(body)) = (object.as_object_mut(), (kind.body)(&mut world.dice.bodies)) {
        fields.extend(body);
    }
    object
}

/// Spoils a body now and then, and says so.
fn perhaps_spoil(world: &mut World, body: &mut Value) -> Option<&'static str> {
    world.dice.faults.chance(1, 4).then(|| spoil(&mut world.dice.faults, body))
}

fn item(kind: &Kind, name: &str) -> String {
    format!("{}/{}", kind.path(), kind.name(name))
}

pub(super) fn create(world: &mut World) {
    let kind = world.kind();
    let name = world.name(kind, false);
    let valid = object(world, kind, &name);
    let mut body = valid.clone();
    let spoilt = perhaps_spoil(world, &mut body);
    let (query, dry) = of_write(&mut world.dice.options);
    let words = format!("create {} {name} {}", kind.word, spoilt.unwrap_or_default());
    let mut step = step(&words, format!("POST {}", with_query(&kind.path(), &query)), Some(body));
    client(&mut world.dice.options, &mut step);
    if !dry {
        keep(&mut step, kind, &name, true);
    }
    world.push(step);
    if spoilt.is_none() && !dry && world.object(kind, &name).is_none() {
        world.learn(kind, &name, valid);
    }
}

/// What is known of an object, or what it might have been.
fn known(world: &mut World, kind: &Kind, name: &str) -> Value {
    world.object(kind, name).unwrap_or_else(|| object(world, kind, name))
}

pub(super) fn update(world: &mut World) {
    let kind = world.kind();
    let name = world.name(kind, true);
    let mut valid = known(world, kind, &name);
    let other = object(world, kind, &name);
    changes::exchange(&mut world.dice.bodies, &mut valid, &other);
    let mut body = valid.clone();
    let (about, sent) = version(&mut world.dice.options, kind, &name);
    if let Some(sent) = sent {
        body["metadata"]["resourceVersion"] = sent;
    }
    if world.dice.options.chance(1, 8) {
        body["metadata"]["uid"] = reference(kind, &name, "uid").into();
    }
    let spoilt = perhaps_spoil(world, &mut body);
    let (query, dry) = of_write(&mut world.dice.options);
    let words = format!("update {} {name} with {about} {}", kind.word, spoilt.unwrap_or_default());
    let mut step = step(&words, format!("PUT {}", with_query(&item(kind, &name), &query)), Some(body));
    client(&mut world.dice.options, &mut step);
    if !dry {
        keep(&mut step, kind, &name, false);
    }
    world.push(step);
    if spoilt.is_none() && !dry && world.object(kind, &name).is_some() {
        world.learn(kind, &name, valid);
    }
}

/// A patch of an object, made of what is known of it and of another one.
fn patch(world: &mut World, verb: &str, what: &str, make: impl FnOnce(&mut World, &Value, &Value) -> Value) {
    let kind = world.kind();
    let name = world.name(kind, true);
    let (current, other) = (known(world, kind, &name), object(world, kind, &name));
    let mut body = make(world, &current, &other);
    if body.is_object()
        && world.dice.options.chance(1, 6)
        && let (_, Some(sent)) = version(&mut world.dice.options, kind, &name)
    {
        body["metadata"]["resourceVersion"] = sent;
    }
    let (query, dry) = of_write(&mut world.dice.options);
    let words = format!("{what} {} {name}", kind.word);
    let request = format!("{verb} {}", with_query(&item(kind, &name), &query));
    let mut step = step(&words, request, Some(body));
    client(&mut world.dice.options, &mut step);
    if !dry {
        keep(&mut step, kind, &name, false);
    }
    world.push(step);
}

pub(super) fn merge_patch(world: &mut World) {
    patch(world, "MERGE-PATCH", "merge into", |world, current, other| {
        let mut patch = changes::merge(&mut world.dice.bodies, current, other);
        perhaps_spoil(world, &mut patch);
        patch
    });
}

pub(super) fn strategic_patch(world: &mut World) {
    patch(world, "STRATEGIC-PATCH", "merge strategically into", |world, current, other| {
        let mut patch = changes::strategic(&mut world.dice.bodies, current, other);
        perhaps_spoil(world, &mut patch);
        patch
    });
}

pub(super) fn json_patch(world: &mut World) {
    patch(world, "JSON-PATCH", "patch", |world, current, other| {
        changes::json_patch(&mut world.dice.bodies, current, other)
    });
}

pub(super) fn apply(world: &mut World) {
    let kind = world.kind();
    let name = world.name(kind, true);
    let full = object(world, kind, &name);
    let exists = world.object(kind, &name).is_some();
    let mut body = full.clone();
    if exists && world.dice.bodies.chance(1, 2) {
        body = changes::part(&mut world.dice.bodies, &full);
        for field in ["apiVersion", "kind"] {
            body[field] = full[field].clone();
        }
        body["metadata"]["name"] = kind.name(&name).into();
    }
    if world.dice.options.chance(1, 12)
        && let (_, Some(sent)) = version(&mut world.dice.options, kind, &name)
    {
        body["metadata"]["resourceVersion"] = sent;
    }
    let spoilt = perhaps_spoil(world, &mut body);
    let (query, dry) = of_apply(&mut world.dice.options);
    let words = format!("apply {} {name} {}", kind.word, spoilt.unwrap_or_default());
    let request = format!("APPLY {}", with_query(&item(kind, &name), &query));
    let mut step = step(&words, request, Some(body));
    if !dry {
        keep(&mut step, kind, &name, !exists);
    }
    world.push(step);
    if spoilt.is_none() && !dry && !exists {
        world.learn(kind, &name, full);
    }
}

pub(super) fn status(world: &mut World) {
    let kind = world.kind();
    let Some(make) = kind.status else { return };
    let name = world.name(kind, true);
    let status = make(&mut world.dice.bodies);
    let mut body =
        json!({ "apiVersion": kind.api_version, "kind": kind.word, "metadata": { "name": kind.name(&name) } });
    let verb = world.dice.plan.pick(&["PUT", "MERGE-PATCH", "STRATEGIC-PATCH", "APPLY"]);
    let options = &mut world.dice.options;
    let (query, dry) = if verb == "APPLY" { of_apply(options) } else { of_write(options) };
    if verb == "PUT" {
        body = known(world, kind, &name);
        if let (_, Some(sent)) = version(&mut world.dice.options, kind, &name) {
            body["metadata"]["resourceVersion"] = sent;
        }
    }
    body["status"] = status;
    let spoilt = perhaps_spoil(world, &mut body);
    let words = format!("{} the status of {} {name} {}", verb.to_lowercase(), kind.word, spoilt.unwrap_or_default());
    let request = format!("{verb} {}", with_query(&format!("{}/status", item(kind, &name)), &query));
    let mut step = step(&words, request, Some(body));
    if !dry {
        keep(&mut step, kind, &name, false);
    }
    world.push(step);
}

pub(super) fn scale(world: &mut World) {
    let kind = world.kind();
    if !kind.scale {
        return;
    }
    let name = world.name(kind, true);
    let path = format!("{}/scale", item(kind, &name));
    let verb = world.dice.plan.pick(&["GET", "PUT", "MERGE-PATCH", "APPLY", "PUT"]);
    if verb == "GET" {
        world.push(step(&format!("get the scale of {} {name}", kind.word), format!("GET {path}"), None));
        return;
    }
    let options = &mut world.dice.options;
    let (query, dry) = if verb == "APPLY" { of_apply(options) } else { of_write(options) };
    let replicas =
        world.dice.bodies.pick(&[json!(0), json!(1), json!(2), json!(3), json!(-1), json!(null), json!("x")]);
    let mut body = json!({ "apiVersion": "autoscaling/v1", "kind": "Scale" });
    body["metadata"] = json!({ "name": name, "namespace": "${ns}" });
    if let (_, Some(sent)) = version(&mut world.dice.options, kind, &name) {
        body["metadata"]["resourceVersion"] = sent;
    }
    body["spec"] = json!({ "replicas": replicas });
    let spoilt = perhaps_spoil(world, &mut body);
    let words = format!("{} the scale of {} {name} {}", verb.to_lowercase(), kind.word, spoilt.unwrap_or_default());
    let mut step = step(&words, format!("{verb} {}", with_query(&path, &query)), Some(body));
    if !dry {
        keep(&mut step, kind, &name, false);
    }
    world.push(step);
}

pub(super) fn delete(world: &mut World) {
    let kind = world.kind();
    let name = world.name(kind, true);
    let (query, body) = of_delete(&mut world.dice.options, kind, &name);
    let plain = query.is_empty() && body.is_none();
    let words = format!("delete {} {name}", kind.word);
    let mut step = step(&words, format!("DELETE {}", with_query(&item(kind, &name), &query)), body);
    keep(&mut step, kind, &name, false);
    world.push(step);
    if plain {
        world.forget(kind, &name);
    }
}

pub(super) fn delete_collection(world: &mut World) {
    let kind = world.kind();
    if !kind.namespaced() {
        return;
    }
    let (mut query, body) = of_delete(&mut world.dice.options, kind, "a");
    let all = world.dice.options.chance(1, 3);
    if !all {
        query.push(format!("labelSelector=app%3D{}", world.dice.options.pick(&bodies::VALUES)));
    }
    let words = format!("delete {} {}", if all { "all" } else { "some" }, kind.plural);
    world.push(step(&words, format!("DELETE {}", with_query(&kind.path(), &query)), body));
    if all {
        world.forget_all(kind);
    }
}
