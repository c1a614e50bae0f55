//! Tables, as `kubectl get` shows them, and objects reduced to their metadata.

mod columns;
mod jsonpath;

use serde_json::{Value, json};

use super::{ApiServer, Target, http::Incoming};

/// A column of a table.
pub(super) struct Heading {
    name: String,
    kind: String,
    format: String,
    description: String,
    priority: i64,
}

/// An object without spec and status.
pub(super) fn partial(object: &Value) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_default();
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata })
}

impl ApiServer {
    pub(super) fn table(&self, target: &Target, incoming: &Incoming<'_>, objects: &[&Value], revision: u64) -> Value {
        self.table_of(target, incoming.query.get("includeObject"), objects, revision)
    }

    pub(super) fn table_of(&self, target: &Target, include: Option<&str>, objects: &[&Value], revision: u64) -> Value {
        let now = self.clock().now();
        let headings: Vec<Value> = columns::headings(target)
            .into_iter()
            .map(|heading| {
                json!({
                    "name": heading.name, "type": heading.kind, "format": heading.format,
                    "description": heading.description, "priority": heading.priority
                })
            })
            .collect();
        let rows: Vec<Value> = objects
            .iter()
            .map(|object| {
                let mut row = json!({ "cells": columns::cells(target, object, now) });
                match include {
                    Some("None") => row["object"] = Value::Null,
                    Some("Object") => row["object"] = (*object).clone(),
                    _ => row["object"] = partial(object),
                }
                row
            })
            .collect();
        json!({
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": { "resourceVersion": revision.to_string() },
            "columnDefinitions": headings,
            "rows": rows,
        })
    }
}
