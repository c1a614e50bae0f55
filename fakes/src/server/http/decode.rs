//! Bodies: objects and patches as values, or what is wrong with them in the words of the real server.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Incoming, scale, syntax};
use crate::{
    object,
    server::{ApiServer, FieldValidation, Subresource, Target, WriteOptions, custom, place, typed},
    status::Status,
    types::{self, Parsed, Reader, Repeated, protobuf},
};

/// As much of a body that is no object as its refusal shows.
const MAX_SHOWN_BYTES: usize = 30;
/// Go's name for a reader that only looks for these two.
const TYPE_META: &str =
    "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";

/// A body that says what it is, with the fields it has twice; or what is wrong with it. Null is an object without fields.
pub(super) fn self_describing(incoming: &Incoming<'_>) -> Result<Parsed, String> {
    if incoming.body.starts_with(protobuf::MAGIC) {
        return protobuf::read(incoming.body).map(|value| Parsed { value, repeated: Repeated::default() });
    }
    let parsed = match types::parse(incoming.body) {
        Ok(parsed) => parsed,
        Err(_) if incoming.content_type().ends_with("yaml") => {
            types::parse_yaml(incoming.body).map_err(|error| format!("yaml: {error}"))?
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
            let kind = types::word(other);
            return Err(format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {kind} into Go value of type {TYPE_META}"
            ));
        }
    }
    if let Value::Object(fields) = value {
        place::read_type(fields)?;
    }
    Ok(parsed)
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
        let why = format!("Object 'Kind' is missing in '{}'", String::from_utf8_lossy(incoming.body));
        let lax = options.field_validation == FieldValidation::Ignore;
        return Err(if lax { typed::mistyped(&why, target) } else { refuse(&why) });
    }
    check_kind(server, &value, target)?;
    if !is_scale {
        typed::read(&mut value, target, options)?;
        custom::decode(&mut value, target, options, |why| typed::mistyped(why, target))?;
    } else if let Some(ty) = scale::scale_type() {
        typed::read_as(&mut value, ty, Reader::Json, options, |why| mistyped_scale(why, target))?;
    }
    Ok(value)
}

/// The server of custom resources does not know what to call a Scale, and fails at that.
fn mistyped_scale(why: &str, target: &Target) -> Status {
    Status::bad_request(if target.resource.custom {
        "no kind is registered for the type v1.Scale in scheme \"pkg/runtime/scheme.go:111\"".to_owned()
    } else {
        format!("Scale in version \"v1\" cannot be handled as a Scale: {why}")
    })
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
        return Err(mistyped_scale("", target));
    }
    if custom && api_version != wanted_version {
        return Err(of_other_version(api_version, &wanted_version));
    }
    if custom {
        // That it is of another kind is told by validation.
        return Ok(());
    }
    let (found_version, found_kind) = (or(api_version, &wanted_version), or(kind, wanted_kind));
    if found_kind == wanted_kind && found_version != wanted_version && is_read(found_version, found_kind) {
        return Err(of_other_version(found_version, &wanted_version));
    }
    let version = found_version.rsplit('/').next().unwrap_or_default();
    let wanted = match target.subresource {
        Subresource::Scale => "autoscaling.Scale".to_owned(),
        _ => target.go_type(wanted_kind),
    };
    let why = server.not_convertible((found_version, found_kind), &wanted);
    Err(Status::bad_request(format!("{found_kind} in version {version:?} cannot be handled as a {wanted_kind}: {why}")))
}

fn of_other_version(found: &str, wanted: &str) -> Status {
    Status::bad_request(format!(
        "the API version in the data ({found}) does not match the expected API version ({wanted})"
    ))
}

/// Versions of a kind that the real server reads, whether it serves them or no more.
fn is_read(version: &str, kind: &str) -> bool {
    matches!(
        (version, kind),
        ("apps/v1beta1", "Deployment" | "StatefulSet" | "ControllerRevision")
            | ("apps/v1beta2", "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet" | "ControllerRevision")
            | ("extensions/v1beta1", "Deployment" | "ReplicaSet" | "DaemonSet" | "Ingress" | "NetworkPolicy")
            | ("autoscaling/v1" | "autoscaling/v2", "HorizontalPodAutoscaler")
            | ("policy/v1beta1", "PodDisruptionBudget")
            | ("coordination.k8s.io/v1beta1", "Lease")
            | ("batch/v1beta1", "CronJob")
            | ("networking.k8s.io/v1beta1", "Ingress" | "IngressClass")
            | ("discovery.k8s.io/v1beta1", "EndpointSlice")
            | ("events.k8s.io/v1beta1", "Event")
    )
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
    let strategic = incoming.content_type() == "application/strategic-merge-patch+json";
    match &value {
        Value::Object(_) => Ok(value),
        Value::Null if strategic => Ok(json!({})),
        Value::Null => Err(Status::bad_request("Invalid JSON Patch")),
        other => {
            let kind = types::word(other);
            let why = format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}");
            Err(if strategic { Status::bad_request(why) } else { refuse(&why) })
        }
    }
}

/// A patch that is a list of operations. Where fields that are not known do not matter it is only read once.
pub(super) fn operations(incoming: &Incoming<'_>, options: &WriteOptions) -> Result<json_patch::Patch, Status> {
    let lax = options.field_validation == FieldValidation::Ignore;
    let (list, item) = if lax {
        ("jsonpatch.Patch", "jsonpatch.Operation")
    } else {
        ("[]handlers.jsonPatchOp", "handlers.jsonPatchOp")
    };
    let refuse =
        |why: &str| Status::bad_request(if lax { why.to_owned() } else { format!("error decoding patch: {why}") });
    let value: Value = match serde_json::from_slice(incoming.body) {
        Ok(value) => value,
        Err(error) => return Err(refuse(&syntax::fault(incoming.body).unwrap_or_else(|| error.to_string()))),
    };
    let Value::Array(operations) = &value else {
        let kind = types::word(&value);
        return Err(refuse(&format!("json: cannot unmarshal {kind} into Go value of type {list}")));
    };
    if let Some(odd) = operations.iter().find(|operation| !operation.is_object()) {
        let kind = types::word(odd);
        return Err(refuse(&format!("json: cannot unmarshal {kind} into Go value of type {item}")));
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
    let parsed = match types::parse(incoming.body) {
        Ok(parsed) if parsed.repeated.is_empty() => parsed,
        Err(_) if incoming.body.is_empty() => Parsed { value: Value::Null, repeated: Repeated::default() },
        // JSON is YAML, and this is told of what it has twice.
        _ => types::parse_yaml(incoming.body)
            .map_err(|error| refuse(&format!("error converting YAML to JSON: yaml: {error}")))?,
    };
    if let (FieldValidation::Strict, Some(why)) = (options.field_validation, parsed.repeated.errors().first()) {
        let why = format!("error strict decoding YAML: error converting YAML to JSON: {why}");
        return Err(Status::bad_request(why));
    }
    options.repeated = parsed.repeated;
    let value = parsed.value;
    let value = match value {
        Value::Object(_) => value,
        Value::Null => json!({}),
        other => {
            return Err(refuse(&format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type \
                 map[string]interface {{}}",
                types::word(&other)
            )));
        }
    };
    let (api_version, kind) = (object::text(&value, &["apiVersion"]), object::text(&value, &["kind"]));
    let (wanted_version, wanted_kind) = wanted(target);
    if api_version != wanted_version || kind != wanted_kind {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let (group, version, kind) = if version.contains('/') { ("", "", "") } else { (group, version, kind) };
        return Err(Status::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
    }
    Ok(value)
}
