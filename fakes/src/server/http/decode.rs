//! Bodies: objects and patches as values, or what is wrong with them in the words of the real server.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Incoming, syntax};
use crate::{
    object,
    schema::Cause,
    server::{ApiServer, Subresource, Target, WriteOptions, typed},
    status::Status,
    types::{self, Parsed, protobuf},
};

/// As much of a body that is no object as its refusal shows.
const MAX_SHOWN_BYTES: usize = 30;
/// Go's name for a reader that only looks for these two.
const TYPE_META: &str =
    "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";

/// What Go calls the type of a value.
pub(super) fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Null => "null",
    }
}

/// A body that says what it is, with the fields it has twice; or what is wrong with it. Null is an object without fields.
pub(super) fn self_describing(incoming: &Incoming<'_>) -> Result<Parsed, String> {
    if incoming.body.starts_with(protobuf::MAGIC) {
        return protobuf::read(incoming.body).map(|value| Parsed { value, repeated: Vec::new() });
    }
    let parsed = match types::parse(incoming.body) {
        Ok(parsed) => parsed,
        Err(_) if incoming.content_type().ends_with("yaml") => {
            let value = first_document(incoming.body).map_err(|error| format!("yaml: {error}"))?;
            Parsed { value, repeated: Vec::new() }
        }
        Err(error) => {
            let fault = syntax::fault(incoming.body).unwrap_or_else(|| error.to_string());
            return Err(format!("couldn't get version/kind; json parse error: {fault}"));
        }
    };
    let value = &parsed.value;
    match value {
        Value::Null => return Ok(Parsed { value: json!({}), ..parsed }),
        Value::Object(_) => {}
        other => {
            let kind = go_kind(other);
            return Err(format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {kind} into Go value of type {TYPE_META}"
            ));
        }
    }
    for field in ["apiVersion", "kind"] {
        if let Some(found) = value.get(field).filter(|found| !found.is_string() && !found.is_null()) {
            let kind = go_kind(found);
            return Err(format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {kind} into Go struct field .{field} \
                 of type string"
            ));
        }
    }
    let api_version = object::text(value, &["apiVersion"]);
    if api_version.matches('/').count() > 1 {
        return Err(format!("unexpected GroupVersion string: {api_version}"));
    }
    Ok(parsed)
}

/// What follows in other documents is not looked at.
fn first_document(yaml: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(yaml);
    let documents = serde_saphyr::from_multiple::<Value>(&text).map_err(|error| error.to_string())?;
    Ok(documents.into_iter().next().unwrap_or_default())
}

/// The object in a request's body, which is of the URL's kind, as its type reads it.
pub(super) fn object(
    server: &ApiServer,
    incoming: &Incoming<'_>,
    target: &Target,
    options: &mut WriteOptions,
) -> Result<Value, Status> {
    let kind = wanted(target).1;
    let refuse = |why: &str| {
        let shown = summary(incoming.body);
        Status::bad_request(format!("the object provided is unrecognized (must be of type {kind}): {why} ({shown})"))
    };
    let Parsed { mut value, repeated } = self_describing(incoming).map_err(|why| refuse(&why))?;
    options.repeated = repeated;
    let is_scale = target.subresource == Subresource::Scale;
    if target.resource.custom && !is_scale && object::text(&value, &["kind"]).is_empty() {
        return Err(refuse(&format!("Object 'Kind' is missing in '{}'", String::from_utf8_lossy(incoming.body))));
    }
    check_kind(server, &value, target)?;
    if !is_scale {
        typed::read(&mut value, target, options)?;
    }
    Ok(value)
}

fn wanted(target: &Target) -> (String, &str) {
    match target.subresource {
        Subresource::Scale => ("autoscaling/v1".to_owned(), "Scale"),
        _ => (target.api_version(), &target.resource.kind),
    }
}

/// The object says it is what the URL says.
fn check_kind(server: &ApiServer, object: &Value, target: &Target) -> Result<(), Status> {
    let (api_version, kind) = (object::text(object, &["apiVersion"]), object::text(object, &["kind"]));
    let (wanted_version, wanted_kind) = wanted(target);
    let custom = target.resource.custom && target.subresource != Subresource::Scale;
    // Clients of built-in kinds may leave both out.
    let fits = |found: &str, wanted: &str| found == wanted || (found.is_empty() && !custom);
    if fits(api_version, &wanted_version) && fits(kind, wanted_kind) {
        return Ok(());
    }
    if target.resource.custom && target.subresource == Subresource::Scale {
        let why = "no kind is registered for the type v1.Scale in scheme \"pkg/runtime/scheme.go:111\"";
        return Err(Status::bad_request(why));
    }
    if custom && api_version != wanted_version {
        return Err(Status::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({wanted_version})"
        )));
    }
    if custom {
        let cause = Cause::invalid("kind", &json!(kind), &format!("must be {wanted_kind}"));
        let group = &target.resource.resource.group;
        return Err(Status::invalid(kind, group, object::name(object), &[cause]));
    }
    let (found_version, found_kind) = (or(api_version, &wanted_version), or(kind, wanted_kind));
    let version = found_version.rsplit('/').next().unwrap_or_default();
    let why = if server.knows(found_version, found_kind) {
        let wanted = match target.subresource {
            Subresource::Scale => "autoscaling.Scale".to_owned(),
            _ => target.go_type(wanted_kind),
        };
        format!("converting ({version}.{found_kind}) to ({wanted}): unknown conversion")
    } else {
        format!(
            "no kind {found_kind:?} is registered for version {found_version:?} in scheme \"pkg/runtime/scheme.go:111\""
        )
    };
    Err(Status::bad_request(format!("{found_kind} in version {version:?} cannot be handled as a {wanted_kind}: {why}")))
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

/// The beginning of a body, as text where it looks like JSON.
fn summary(body: &[u8]) -> String {
    let more = if body.len() > MAX_SHOWN_BYTES { " ..." } else { "" };
    let start = body.get(..MAX_SHOWN_BYTES).unwrap_or(body);
    match start {
        [] => "<empty>".to_owned(),
        [b'{', ..] => format!("{}{more}", String::from_utf8_lossy(start)),
        _ => {
            let mut shown = String::new();
            for byte in start {
                let _ = write!(shown, "{byte:02x}");
            }
            shown + more
        }
    }
}

/// A patch that is an object.
pub(super) fn merge(incoming: &Incoming<'_>, options: &mut WriteOptions) -> Result<Value, Status> {
    let refuse = |why: &str| Status::bad_request(format!("error decoding patch: {why}"));
    let value = match types::parse(incoming.body) {
        Ok(parsed) => {
            options.repeated = parsed.repeated;
            parsed.value
        }
        Err(error) => return Err(refuse(&syntax::fault(incoming.body).unwrap_or_else(|| error.to_string()))),
    };
    match &value {
        Value::Object(_) => Ok(value),
        Value::Null => Err(Status::bad_request("Invalid JSON Patch")),
        other => {
            let kind = go_kind(other);
            let why = format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}");
            let strategic = incoming.content_type() == "application/strategic-merge-patch+json";
            Err(if strategic { Status::bad_request(why) } else { refuse(&why) })
        }
    }
}

/// A patch that is a list of operations.
pub(super) fn operations(incoming: &Incoming<'_>) -> Result<json_patch::Patch, Status> {
    let refuse = |why: &str| Status::bad_request(format!("error decoding patch: {why}"));
    let value: Value = match serde_json::from_slice(incoming.body) {
        Ok(value) => value,
        Err(error) => return Err(refuse(&syntax::fault(incoming.body).unwrap_or_else(|| error.to_string()))),
    };
    let Value::Array(operations) = &value else {
        let kind = go_kind(&value);
        return Err(refuse(&format!("json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp")));
    };
    if let Some(odd) = operations.iter().find(|operation| !operation.is_object()) {
        let kind = go_kind(odd);
        return Err(refuse(&format!("json: cannot unmarshal {kind} into Go value of type handlers.jsonPatchOp")));
    }
    let complete: Value = operations.iter().map(with_value).collect();
    serde_json::from_value(complete).map_err(|_| Status::unprocessable())
}

/// An operation that needs a value and has none means null.
fn with_value(operation: &Value) -> Value {
    let mut operation = operation.clone();
    if matches!(object::text(&operation, &["op"]), "add" | "replace" | "test") && operation.get("value").is_none() {
        operation["value"] = Value::Null;
    }
    operation
}

/// A configuration to be applied.
pub(super) fn applied(incoming: &Incoming<'_>, target: &Target, options: &mut WriteOptions) -> Result<Value, Status> {
    let refuse = |why: &str| Status::bad_request(format!("error decoding YAML: {why}"));
    let value = match types::parse(incoming.body) {
        Ok(parsed) => {
            options.repeated = parsed.repeated;
            parsed.value
        }
        Err(_) if incoming.body.is_empty() => Value::Null,
        Err(_) => first_document(incoming.body)
            .map_err(|error| refuse(&format!("error converting YAML to JSON: yaml: {error}")))?,
    };
    let value = match value {
        Value::Object(_) => value,
        Value::Null => json!({}),
        other => {
            return Err(refuse(&format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type \
                 map[string]interface {{}}",
                go_kind(&other)
            )));
        }
    };
    let (api_version, kind) = (object::text(&value, &["apiVersion"]), object::text(&value, &["kind"]));
    let (wanted_version, wanted_kind) = wanted(target);
    if api_version != wanted_version || kind != wanted_kind {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        return Err(Status::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
    }
    Ok(value)
}
