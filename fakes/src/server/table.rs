//! Tables, as `kubectl get` shows them, and objects reduced to their metadata.

mod age;
mod columns;
mod jsonpath;

use serde_json::{Value, json};

use super::{ApiServer, Target, http::Form};
use crate::status::Status;

/// A column of a table.
pub(super) struct Heading {
    name: String,
    kind: String,
    format: String,
    description: String,
    priority: i64,
}

/// An object without spec and status.
pub(super) fn partial(object: &Value, form: &Form) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_default();
    json!({ "kind": "PartialObjectMetadata", "apiVersion": form.api_version(), "metadata": metadata })
}

/// One object is no list.
pub(super) fn no_list(target: &Target) -> Status {
    let kind = target.go_type(&target.resource.kind);
    Status::new(
        406,
        "NotAcceptable",
        format!("you requested PartialObjectMetadataList, but the requested object is not a list (*{kind})"),
    )
}

/// A list is not one object.
pub(super) fn is_list(target: &Target) -> Status {
    let kind = target.go_type(&target.resource.list_kind);
    Status::new(
        406,
        "NotAcceptable",
        format!("you requested PartialObjectMetadata, but the requested object is a list (*{kind})"),
    )
}

/// What rows may carry of their objects.
pub(super) fn check_include(include: &str) -> Result<(), Status> {
    if matches!(include, "" | "None" | "Metadata" | "Object") {
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "Unable to convert to Table as requested: includeObject: Invalid value: {include:?}: must be 'Metadata', \
         'Object', 'None', or empty"
    )))
}

impl ApiServer {
    pub(super) fn table(
        &self,
        target: &Target,
        (form, include): (&Form, &str),
        objects: &[&Value],
        revision: u64,
    ) -> Value {
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
                let carried = match include {
                    "None" => Value::Null,
                    "Object" => (*object).clone(),
                    _ => partial(object, form),
                };
                json!({ "cells": columns::cells(target, object, now), "object": carried })
            })
            .collect();
        json!({
            "kind": "Table",
            "apiVersion": form.api_version(),
            "metadata": { "resourceVersion": revision.to_string() },
            "columnDefinitions": headings,
            "rows": rows,
        })
    }
}
