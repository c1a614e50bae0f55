//! The parts of a version beside its schema, and how versions become each other.

use serde_json::{Value, json};

use super::definition::one_of;
use crate::{
    object::{at, strings, text},
    schema::{Cause, Schema, field_path},
};

const MAX_SELECTABLE: u64 = 8;
const MAX_DEPRECATION: usize = 256;

pub(super) fn deprecation(version: &Value, field: &str, causes: &mut Vec<Cause>) {
    let Some(warning) = version.get("deprecationWarning").and_then(Value::as_str) else { return };
    let mut invalid =
        |detail: &str| causes.push(Cause::invalid(&format!("{field}.deprecationWarning"), &json!(warning), detail));
    if !super::flag(version, "deprecated") {
        return invalid("can only be set for deprecated versions");
    }
    if warning.len() > MAX_DEPRECATION {
        invalid("must be <= 256 characters long");
    }
    if warning.is_empty() {
        invalid("must not be an empty string");
    }
    if let Some((i, _)) = warning.char_indices().find(|(_, c)| c.is_control()) {
        invalid(&format!("must only contain printable UTF-8 characters; non-printable character found at index {i}"));
    }
}

/// What the root of a schema may say when the status is validated apart from it.
pub(super) fn root_beside_status(schema: &Value, field: &str, causes: &mut Vec<Cause>) {
    const ALLOWED: [&str; 22] = [
        "Description",
        "Type",
        "Format",
        "Title",
        "Maximum",
        "ExclusiveMaximum",
        "Minimum",
        "ExclusiveMinimum",
        "MaxLength",
        "MinLength",
        "Pattern",
        "MaxItems",
        "MinItems",
        "UniqueItems",
        "MultipleOf",
        "Required",
        "Items",
        "Properties",
        "ExternalDocs",
        "Example",
        "XPreserveUnknownFields",
        "XValidations",
    ];
    let is_allowed = |key: &str| match key {
        "x-kubernetes-preserve-unknown-fields" | "x-kubernetes-validations" => true,
        key => ALLOWED.iter().any(|allowed| allowed.eq_ignore_ascii_case(key)),
    };
    let is_zero = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    let kind = text(schema, &["type"]);
    let odd = schema.as_object().into_iter().flatten().any(|(key, value)| !is_allowed(key) && !is_zero(value));
    if !kind.is_empty() && kind != "object" {
        let detail =
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        causes.push(Cause::invalid(&format!("{field}.type"), &json!(kind), detail));
    } else if odd {
        let detail = format!(
            "only [{}] fields are allowed at the root of the schema if the status subresource is enabled",
            ALLOWED.join(" ")
        );
        causes.push(Cause::invalid(field, schema, &detail));
    }
}

pub(super) fn subresources(version: &Value, field: &str, causes: &mut Vec<Cause>) {
    let Some(scale) = at(version, &["subresources", "scale"]).filter(|scale| !scale.is_null()) else { return };
    for (name, roots, told) in [
        ("specReplicasPath", &[".spec."][..], ".spec"),
        ("statusReplicasPath", &[".status."], ".status"),
        ("labelSelectorPath", &[".spec.", ".status."], "either .spec or .status"),
    ] {
        let (path, field) = (text(scale, &[name]), format!("{field}.subresources.scale.{name}"));
        if path.is_empty() {
            if name != "labelSelectorPath" {
                causes.push(Cause::required(&field, ""));
            }
        } else if !path.starts_with('.') {
            causes.push(Cause::invalid(&field, &json!(path), "must be a simple json path starting with ."));
        } else if !roots.iter().any(|root| path.starts_with(root)) {
            causes.push(Cause::invalid(&field, &json!(path), &format!("should be a json path under {told}")));
        }
    }
}

pub(super) fn columns(version: &Value, field: &str, causes: &mut Vec<Cause>) {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    const FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
    let columns = version.get("additionalPrinterColumns").and_then(Value::as_array);
    for (i, column) in columns.into_iter().flatten().enumerate() {
        let field = format!("{field}.additionalPrinterColumns[{i}]");
        let own = |name: &str| text(column, &[name]);
        if own("name").is_empty() {
            causes.push(Cause::required(&format!("{field}.name"), ""));
        }
        let types = format!("must be one of {}", TYPES.join(","));
        if own("type").is_empty() {
            causes.push(Cause::required(&format!("{field}.type"), &types));
        } else if !TYPES.contains(&own("type")) {
            causes.push(Cause::invalid(&format!("{field}.type"), &json!(own("type")), &types));
        }
        if !own("format").is_empty() && !FORMATS.contains(&own("format")) {
            let detail = format!("must be one of {}", FORMATS.join(","));
            causes.push(Cause::invalid(&format!("{field}.format"), &json!(own("format")), &detail));
        }
        let path = own("jsonPath");
        if path.is_empty() {
            causes.push(Cause::required(&format!("{field}.JSONPath"), ""));
        } else if !path.starts_with('.') {
            let detail = "must be a simple json path starting with .";
            causes.push(Cause::invalid(&format!("{field}.JSONPath"), &json!(path), detail));
        }
    }
}

pub(super) fn selectable(version: &Value, field: &str, schema: Option<&Schema>, causes: &mut Vec<Cause>) {
    let fields = version.get("selectableFields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let Some(schema) = schema.filter(|_| !fields.is_empty()) else { return };
    let field = format!("{field}.selectableFields");
    let mut seen: Vec<String> = Vec::new();
    for (i, selectable) in fields.iter().enumerate() {
        let (path, field) = (text(selectable, &["jsonPath"]), format!("{field}[{i}].jsonPath"));
        if path.is_empty() {
            causes.push(Cause::required(&field, ""));
            continue;
        }
        let (resolved, found) = match field_path::resolve(path, schema, false) {
            Ok(found) => found,
            Err(why) => {
                causes.push(Cause::invalid(&field, &json!(path), &format!("is an invalid path: {why}")));
                continue;
            }
        };
        if resolved.split('.').next() == Some("metadata") {
            causes.push(Cause::invalid(&field, &json!(path), "must not point to fields in metadata"));
        }
        if !found.is_selectable() {
            let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with \
                          formats are allowed.";
            causes.push(Cause::invalid(&field, &json!(path), detail));
        }
        if seen.contains(&resolved) {
            causes.push(Cause::duplicate(&field, &json!(path)));
        } else {
            seen.push(resolved);
        }
    }
    if seen.len() as u64 > MAX_SELECTABLE {
        causes.push(Cause::too_many(&field, seen.len(), MAX_SELECTABLE));
    }
}

/// Objects are kept as they are; to convert them a webhook would have to be called, which nobody does here.
pub(super) fn conversion(spec: &Value, causes: &mut Vec<Cause>) {
    let Some(conversion) = spec.get("conversion").filter(|conversion| !conversion.is_null()) else { return };
    let (strategy, field) = (text(conversion, &["strategy"]), "spec.conversion");
    one_of(strategy, &["None", "Webhook"], &format!("{field}.strategy"), causes);
    let webhook = conversion.get("webhook").unwrap_or(&Value::Null);
    let versions = strings(webhook.get("conversionReviewVersions"));
    let has_client = webhook.get("clientConfig").is_some_and(Value::is_object);
    let (client_field, versions_field) =
        (format!("{field}.webhookClientConfig"), format!("{field}.conversionReviewVersions"));
    if strategy != "Webhook" {
        let detail = "should not be set when strategy is not set to Webhook";
        if has_client {
            causes.push(Cause::forbidden(&client_field, detail));
        }
        if !versions.is_empty() {
            causes.push(Cause::forbidden(&versions_field, detail));
        }
        return;
    }
    let before = causes.len();
    if !has_client {
        causes.push(Cause::required(&client_field, "required when strategy is set to Webhook"));
    }
    if versions.is_empty() {
        causes.push(Cause::required(&versions_field, ""));
    }
    if causes.len() == before {
        let detail = "this API server calls no conversion webhooks, so objects would be served in other versions than \
                      their clients expect: use the strategy None, or serve one version only";
        causes.push(Cause::forbidden(&format!("{field}.strategy"), detail));
    }
}
