//! An Ingress and its canary: two objects, each with a write of its own, of which one at a time brings both to their goal.
//!
//! What sends requests to the canary fork comes last and goes first.

use std::sync::Arc;

use serde_json::{Value, json};

use super::refers;
use crate::{
    intent::{BackendWrite, RouteGoal, RouteWrite},
    routes::{Backend, Forwarding, Refusal, ingress},
    view::{ObjectKey, Route},
    workloads::template_hash,
};

/// The next write.
pub(super) fn write(route: &Route, canaries: &[Arc<Route>], goal: &RouteGoal) -> Result<Option<RouteWrite>, Refusal> {
    let (users, backend) = (object(route), &goal.backend);
    let canary = canary(route, canaries);
    let Some(part) = &goal.part else {
        return Ok(discard(canary, backend)?.or_else(|| ingress::subtract(&users, backend).map(RouteWrite::Patch)));
    };
    let wanted = match wanted(route, canaries, backend, part) {
        Ok(wanted) => wanted,
        // A canary that cannot be kept in step takes requests that nobody meant: it goes before anything is refused.
        Err(refusal) => return discard(canary, backend)?.map(Some).ok_or(refusal),
    };
    let rest = ingress::lay(&users, backend, part.rest)?.map(RouteWrite::Patch);
    let Some(wanted) = wanted else { return Ok(discard(canary, backend)?.or(rest)) };
    if rest.is_some() {
        return Ok(rest);
    }
    let key = ObjectKey { namespace: route.key.namespace.clone(), name: ingress::canary_name(&users) };
    Ok(match canary {
        None => Some(RouteWrite::Canary(BackendWrite::Create { key, object: wanted })),
        Some(canary) => ingress::canary_patch(&object(canary), &wanted, backend)?
            .map(|patch| RouteWrite::Canary(BackendWrite::Patch { key, patch })),
    })
}

/// The canary Ingress as it is to be, if one is. Refused is also what would be in the way of one later: what cannot be
/// written whole is not begun.
pub(super) fn wanted(
    route: &Route,
    canaries: &[Arc<Route>],
    backend: &Backend,
    part: &Forwarding,
) -> Result<Option<Value>, Refusal> {
    let users = object(route);
    let wanted = ingress::canary(&users, backend, part)?;
    let canaries: Vec<_> = canaries.iter().map(|canary| object(canary)).collect();
    ingress::is_free(&users, backend, &canaries)?;
    Ok(wanted)
}

/// What has the name of a route's canary Ingress.
pub fn canary<'a>(route: &Route, canaries: &'a [Arc<Route>]) -> Option<&'a Route> {
    let name = ingress::canary_name(&object(route));
    canaries.iter().find(|canary| canary.key.name == name).map(|canary| &**canary)
}

/// Whether the canary of an Ingress leaves nothing to it.
pub(super) fn takes_all(canary: &Route) -> bool {
    ingress::takes_all(&object(canary))
}

/// Whether a route may be the canary of an Ingress, or take the place of that one.
pub fn may_be_canary(route: &Route, of: &str) -> bool {
    ingress::may_be_canary(&object(route), of)
}

/// What the canary Ingress of a route says of the requests that it takes for a fork of that kind and name, in short: it
/// changes when that does, which no generation tells.
pub fn said(route: &Route, canaries: &[Arc<Route>], kind: &str, fork: &str) -> Option<String> {
    let canary = canary(route, canaries).filter(|canary| refers(&canary.rules, kind, fork))?;
    Some(template_hash(&json!([canary.uid, ingress::said(&object(canary))])))
}

/// Has our canary Ingress deleted, if there is one.
fn discard(canary: Option<&Route>, backend: &Backend) -> Result<Option<RouteWrite>, Refusal> {
    let Some(canary) = canary else { return Ok(None) };
    if !ingress::is_canary_of(&object(canary), backend) {
        // Somebody took our label from it, and requests go to the fork by it still.
        let is_in_the_way = refers(&canary.rules, &backend.kind, &backend.canary);
        return if is_in_the_way { Err(Refusal::Taken { name: canary.key.name.clone() }) } else { Ok(None) };
    }
    Ok((!canary.deleting).then(|| {
        RouteWrite::Canary(BackendWrite::Delete {
            key: canary.key.clone(),
            uid: canary.uid.clone(),
            resource_version: canary.resource_version.clone(),
        })
    }))
}

/// An Ingress as an object.
pub(super) fn object(route: &Route) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "namespace": route.key.namespace, "name": route.key.name, "uid": route.uid,
            "resourceVersion": route.resource_version,
            "labels": route.marks["labels"], "annotations": route.marks["annotations"],
        },
        "spec": route.rules,
    })
}
