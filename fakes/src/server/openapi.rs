//! As much `OpenAPI` as clients need: which kinds there are, that the server validates fields, and the schemas of
//! custom resources.

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    ApiServer, GIT_VERSION,
    http::{ApiBody, json as respond},
};
use crate::{
    registry::{ResourceType, Version, ranked_versions},
    status::Status,
};

/// The old document, without schemas: clients that find none go on without.
pub(super) fn v2() -> Value {
    json!({
        "swagger": "2.0",
        "info": { "title": "Kubernetes", "version": GIT_VERSION },
        "paths": {},
        "definitions": {},
    })
}

impl ApiServer {
    pub(super) fn openapi_index(&self) -> Value {
        let mut paths = Map::new();
        self.registry(|registry| {
            for (group, resources) in registry.groups() {
                for version in ranked_versions(&resources) {
                    let path =
                        if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
                    let url = format!("/openapi/v3/{path}");
                    paths.insert(path, json!({ "serverRelativeURL": url }));
                }
            }
        });
        json!({ "paths": paths })
    }

    pub(super) fn openapi_document(&self, group: &str, version: &str) -> Result<Response<ApiBody>, Status> {
        let resources = self.registry(|registry| registry.group(group));
        let (mut paths, mut schemas) = (Map::new(), Map::new());
        for resource in &resources {
            let Some(version) = resource.served(version) else { continue };
            let (path, item) = path_item(resource, version);
            paths.insert(path, item);
            schemas.insert(schema_name(resource, version), schema(resource, version));
        }
        if paths.is_empty() {
            return Err(Status::no_such_resource());
        }
        let document = json!({
            "openapi": "3.0.0",
            "info": { "title": "Kubernetes", "version": GIT_VERSION },
            "paths": paths,
            "components": { "schemas": schemas },
        });
        Ok(respond(StatusCode::OK, &document))
    }
}

fn schema_name(resource: &ResourceType, version: &Version) -> String {
    let group = if resource.resource.group.is_empty() { "core" } else { &*resource.resource.group };
    let reversed: Vec<&str> = group.split('.').rev().collect();
    format!("{}.{}.{}", reversed.join("."), version.name, resource.kind)
}

fn group_version_kind(resource: &ResourceType, version: &Version) -> Value {
    json!({ "group": &*resource.resource.group, "version": version.name, "kind": resource.kind })
}

fn schema(resource: &ResourceType, version: &Version) -> Value {
    let mut schema = version.raw_schema.clone().unwrap_or_else(|| json!({ "type": "object" }));
    schema["x-kubernetes-group-version-kind"] = json!([group_version_kind(resource, version)]);
    schema
}

fn path_item(resource: &ResourceType, version: &Version) -> (String, Value) {
    let api_version = resource.api_version(&version.name);
    let root = if resource.resource.group.is_empty() { "api" } else { "apis" };
    let namespace = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
    let path = format!("/{root}/{api_version}/{namespace}{}/{{name}}", resource.resource.plural);
    let parameter = |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "string" } });
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"].map(parameter).into();
    let reference = format!("#/components/schemas/{}", schema_name(resource, version));
    let operation = |action: &str| {
        json!({
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": group_version_kind(resource, version),
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": "OK",
                    "content": { "application/json": { "schema": { "$ref": reference } } }
                }
            },
        })
    };
    (path, json!({ "get": operation("get"), "put": operation("put"), "patch": operation("patch") }))
}
