//! What a gateway answers to a route: `status.parents`.

use serde_json::{Value, json};

use super::backend::{BackendId, Reference};
use crate::controllers::object::{self, list};

/// The gateway's name in the status of routes.
pub const CONTROLLER_NAME: &str = "slipway.example/gateway";

/// The parents of a route that are Gateways that there are.
pub(super) fn parents(route: &Value, is_gateway: impl Fn(&str, &str) -> bool) -> Vec<Value> {
    let named = list(&route["spec"]["parentRefs"]).iter().filter(|parent| {
        let text = |key: &str, default: &'static str| parent[key].as_str().unwrap_or(default).to_owned();
        let is_kind = text("group", "gateway.networking.k8s.io") == "gateway.networking.k8s.io"
            && text("kind", "Gateway") == "Gateway";
        let namespace = parent["namespace"].as_str().unwrap_or_else(|| object::namespace(route));
        is_kind && is_gateway(namespace, &text("name", ""))
    });
    named.cloned().collect()
}

/// The status of a route with these parents. What other controllers say of it stays, and so does the time of what was said
/// before. `exists` tells which backends there are.
pub(super) fn status(route: &Value, parents: &[Value], exists: impl Fn(&BackendId) -> bool, now: &str) -> Value {
    let known = list(&route["status"]["parents"]);
    let mut all: Vec<Value> = known.iter().filter(|it| it["controllerName"] != CONTROLLER_NAME).cloned().collect();
    let resolved = resolved(route, exists);
    for parent in parents {
        let before = known.iter().find(|it| it["controllerName"] == CONTROLLER_NAME && it["parentRef"] == *parent);
        let conditions = before.map(|it| list(&it["conditions"])).unwrap_or_default();
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            let same = conditions.iter().find(|it| it["type"] == kind && it["status"] == status);
            let since = same.map_or_else(|| now.into(), |same| same["lastTransitionTime"].clone());
            json!({
                "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
                "observedGeneration": object::generation(route),
            })
        };
        let references = match &resolved {
            Ok(()) => condition("ResolvedRefs", "True", "ResolvedRefs", "all references are resolved"),
            Err((reason, message)) => condition("ResolvedRefs", "False", reason, message),
        };
        all.push(json!({
            "parentRef": parent,
            "controllerName": CONTROLLER_NAME,
            "conditions": [condition("Accepted", "True", "Accepted", "the route is accepted"), references],
        }));
    }
    json!({ "parents": all })
}

/// Whether every reference of a route leads somewhere; the reason and the message if not.
fn resolved(route: &Value, exists: impl Fn(&BackendId) -> bool) -> Result<(), (&'static str, String)> {
    for reference in references(route) {
        if let Some(fault) = reference.fault {
            return Err((fault, format!("{} cannot be referred to", reference.to)));
        }
        if !exists(&reference.to) {
            return Err(("BackendNotFound", format!("{} not found", reference.to)));
        }
    }
    Ok(())
}

/// All references of a route to backends, those of mirrors included.
pub(super) fn references(route: &Value) -> Vec<Reference> {
    let namespace = object::namespace(route);
    let mut all = Vec::new();
    let mirrors = |filters: &Value| {
        let mirrors = list(filters).iter().map(|filter| &filter["requestMirror"]["backendRef"]);
        mirrors.filter(|it| it.is_object()).map(|it| Reference::read(it, namespace)).collect::<Vec<_>>()
    };
    for rule in list(&route["spec"]["rules"]) {
        all.extend(mirrors(&rule["filters"]));
        for reference in list(&rule["backendRefs"]) {
            all.push(Reference::read(reference, namespace));
            all.extend(mirrors(&reference["filters"]));
        }
    }
    all
}
