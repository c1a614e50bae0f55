//! Routes, backends and endpoints. Read from the JSON: a typed binding would refuse a whole route for one filter it does
//! not know, and lose what it does not know of a Service.

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{ResourceExt, api::DynamicObject, core::ApiResource};
use serde_json::{Value, json};

use super::key;
use crate::{
    api::keys,
    view::{Backend, Endpoints, Route, RouteKind},
    workloads::manager,
};

/// The label that names an EndpointSlice's Service.
const LABEL_SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What says who changed a route, by managed fields; of an Ingress also what makes it the canary of another.
const ROUTE_FIELDS: [&str; 1] = ["/f:spec/f:rules"];
const INGRESS_FIELDS: [&str; 4] = [
    "/f:spec",
    "/f:metadata/f:annotations/f:nginx.ingress.kubernetes.io~1canary",
    "/f:metadata/f:annotations/f:nginx.ingress.kubernetes.io~1canary-weight",
    "/f:metadata/f:annotations/f:nginx.ingress.kubernetes.io~1canary-by-header",
];

pub(super) fn route(kind: RouteKind, route: &DynamicObject) -> Route {
    let generation = route.metadata.generation.unwrap_or_default();
    let is_ingress = kind == RouteKind::Ingress;
    let spec = &route.data["spec"];
    let marks = || json!({ "labels": route.metadata.labels, "annotations": route.metadata.annotations });
    Route {
        kind,
        key: key(&route.metadata),
        uid: route.uid().unwrap_or_default(),
        resource_version: route.resource_version().unwrap_or_default(),
        generation,
        rules: if is_ingress { spec.clone() } else { spec["rules"].clone() },
        rules_manager: manager(&route.metadata, if is_ingress { &INGRESS_FIELDS } else { &ROUTE_FIELDS }),
        deleting: route.metadata.deletion_timestamp.is_some(),
        marks: if is_ingress { marks() } else { Value::Null },
        // An Ingress has no parents that answer: what the API shows of it is taken to be in force some time later.
        unaccepted: if is_ingress { None } else { unaccepted(&route.data["status"], generation) },
        extension: route.annotations().get(keys::ANNOTATION_CONDITION_EXTENSION).cloned(),
    }
}

/// Why the route's parents do not all show that they have taken in this generation as it is meant.
fn unaccepted(status: &Value, generation: i64) -> Option<String> {
    let parents = status["parents"].as_array().map(Vec::as_slice).unwrap_or_default();
    if parents.is_empty() {
        return Some("no gateway answers for it: its status has no parents".to_owned());
    }
    parents.iter().find_map(|parent| {
        let name = parent["parentRef"]["name"].as_str().unwrap_or_default();
        let conditions = parent["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        ["Accepted", "ResolvedRefs"].into_iter().find_map(|wanted| {
            let Some(condition) = conditions.iter().find(|condition| condition["type"] == wanted) else {
                // Only one of them is told by every implementation.
                return (wanted == "Accepted").then(|| format!("gateway {name} has not accepted it yet"));
            };
            if condition["observedGeneration"].as_i64().is_some_and(|observed| observed < generation) {
                return Some(format!("gateway {name} has not seen generation {generation} yet"));
            }
            let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
            (condition["status"] != "True")
                .then(|| format!("gateway {name}: {wanted} is not True: {}: {}", text("reason"), text("message")))
        })
    })
}

pub(super) fn backend(kind: &ApiResource, backend: &DynamicObject) -> Backend {
    let meta = &backend.metadata;
    Backend {
        key: key(meta),
        uid: backend.uid().unwrap_or_default(),
        resource_version: backend.resource_version().unwrap_or_default(),
        deleting: meta.deletion_timestamp.is_some(),
        object: json!({
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {
                "namespace": meta.namespace, "name": meta.name, "uid": meta.uid,
                "resourceVersion": meta.resource_version, "labels": meta.labels, "annotations": meta.annotations,
                "ownerReferences": meta.owner_references,
            },
            "spec": backend.data["spec"],
        }),
    }
}

pub(super) fn endpoints(slice: &EndpointSlice) -> Endpoints {
    let ready = slice.endpoints.iter().flatten().filter(|endpoint| {
        // Unknown counts as ready, says the API.
        endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false))
    });
    let name = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        let pod = endpoint.target_ref.as_ref().and_then(|target| target.name.clone());
        pod.or_else(|| endpoint.addresses.first().cloned())
    };
    Endpoints {
        key: key(&slice.metadata),
        uid: slice.uid().unwrap_or_default(),
        resource_version: slice.resource_version().unwrap_or_default(),
        service: slice.labels().get(LABEL_SERVICE_NAME).cloned().unwrap_or_default(),
        ready: ready.filter_map(name).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_counts_as_accepted_only_by_all_parents_at_its_generation() {
        let parent = |status: &str, resolved: &str, generation: i64| {
            let condition = |kind: &str, status: &str| json!({ "type": kind, "status": status, "observedGeneration": generation, "reason": "R", "message": "m" });
            json!({
                "parentRef": { "name": "public" },
                "conditions": [condition("Accepted", status), condition("ResolvedRefs", resolved)],
            })
        };
        let bare = json!({ "parentRef": { "name": "public" }, "conditions": [] });
        let lines = [
            json!([]),
            json!("nonsense"),
            json!([bare]),
            json!([parent("True", "True", 2)]),
            json!([parent("True", "True", 1)]),
            json!([parent("True", "True", 2), parent("False", "True", 2)]),
            json!([parent("True", "False", 2)]),
        ]
        .map(|parents| unaccepted(&json!({ "parents": parents }), 2).unwrap_or_else(|| "accepted".to_owned()));
        insta::assert_snapshot!(lines.join("\n"), @r"
        no gateway answers for it: its status has no parents
        no gateway answers for it: its status has no parents
        gateway public has not accepted it yet
        accepted
        gateway public has not seen generation 2 yet
        gateway public: Accepted is not True: R: m
        gateway public: ResolvedRefs is not True: R: m
        ");
    }

    #[test]
    fn an_ingress_is_read_with_what_makes_it_a_canary() {
        let entry = |manager: &str, time: &str, fields: Value| {
            json!({
                "manager": manager, "operation": "Update", "apiVersion": "networking.k8s.io/v1", "time": time,
                "fieldsType": "FieldsV1", "fieldsV1": fields,
            })
        };
        let weight =
            json!({ "f:metadata": { "f:annotations": { "f:nginx.ingress.kubernetes.io/canary-weight": {} } } });
        let annotations = json!({ "nginx.ingress.kubernetes.io/canary": "true" });
        let spec = json!({ "defaultBackend": { "service": { "name": "web", "port": { "number": 80 } } } });
        let ingress = serde_json::from_value(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec,
            "metadata": {
                "namespace": "ns", "name": "shop-canary", "generation": 3, "annotations": annotations,
                "managedFields": [
                    entry("slipway", "2026-01-01T00:00:00Z", json!({ "f:spec": { "f:rules": {} } })),
                    entry("kubectl-edit", "2026-01-02T00:00:00Z", weight),
                ],
            },
        }));
        let route = route(RouteKind::Ingress, &ingress.unwrap());
        assert_eq!((route.rules, route.generation, route.unaccepted), (spec, 3, None));
        assert_eq!(route.marks["annotations"], annotations);
        assert_eq!(route.rules_manager.as_deref(), Some("kubectl-edit"));
    }

    #[test]
    fn endpoints_that_are_not_said_to_be_unready_are_ready() {
        let slice = serde_json::from_value(json!({
            "metadata": { "namespace": "ns", "name": "web-1", "labels": { "kubernetes.io/service-name": "web" } },
            "addressType": "IPv4",
            "endpoints": [
                { "addresses": ["10.0.0.1"], "conditions": { "ready": true }, "targetRef": { "kind": "Pod", "name": "web-0" } },
                { "addresses": ["10.0.0.2"], "conditions": { "ready": false }, "targetRef": { "kind": "Pod", "name": "web-1" } },
                { "addresses": ["10.0.0.3"] },
            ],
        }))
        .unwrap();
        let endpoints = endpoints(&slice);
        assert_eq!(endpoints.service, "web");
        assert_eq!(endpoints.ready.into_iter().collect::<Vec<_>>(), ["10.0.0.3", "web-0"]);
    }
}
