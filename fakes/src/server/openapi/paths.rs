//! The paths of a resource, with as much of their operations as clients look at.

use serde_json::{Map, Value, json};

use super::group_version_kind;
use crate::registry::{ResourceType, Version};

const READ: &[&str] = &[];
const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation"];
const APPLY: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "force"];
const DELETE: &[&str] = &["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"];

/// One operation: method, verb of the resource, action, parameters.
type Operation = (&'static str, &'static str, &'static str, &'static [&'static str]);

const COLLECTION: [Operation; 3] = [
    ("delete", "deletecollection", "deletecollection", DELETE),
    ("get", "list", "list", READ),
    ("post", "create", "post", WRITE),
];
const ITEM: [Operation; 4] = [
    ("delete", "delete", "delete", DELETE),
    ("get", "get", "get", READ),
    ("patch", "patch", "patch", APPLY),
    ("put", "update", "put", WRITE),
];

/// The paths with their operations.
pub(super) fn of(resource: &ResourceType, version: &Version, schema: &str) -> Vec<(String, Value)> {
    let root = if resource.resource.group.is_empty() { "api" } else { "apis" };
    let namespace = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
    let api_version = resource.api_version(&version.name);
    let collection = format!("/{root}/{api_version}/{namespace}{}", resource.resource.plural);
    let item = format!("{collection}/{{name}}");
    let operations = |known: &[Operation]| -> Value {
        let served = known.iter().filter(|(_, verb, ..)| has(version, verb));
        let operations = served.map(|(method, _, action, parameters)| {
            ((*method).to_owned(), operation(resource, version, schema, action, parameters))
        });
        Value::Object(operations.collect::<Map<_, _>>())
    };
    [(collection, operations(&COLLECTION)), (item, operations(&ITEM))]
        .into_iter()
        .filter(|(_, operations)| operations.as_object().is_some_and(|operations| !operations.is_empty()))
        .collect()
}

/// Custom resources have all verbs.
fn has(version: &Version, verb: &str) -> bool {
    version.builtin.is_none_or(|builtin| builtin.verbs.contains(&verb))
}

fn operation(resource: &ResourceType, version: &Version, schema: &str, action: &str, parameters: &[&str]) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| {
            let kind = match *name {
                "force" | "orphanDependents" => "boolean",
                "gracePeriodSeconds" => "integer",
                _ => "string",
            };
            json!({ "name": name, "in": "query", "schema": { "type": kind, "uniqueItems": true } })
        })
        .collect();
    let reference = format!("#/components/schemas/{schema}");
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
}
