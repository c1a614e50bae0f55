//! `AdmissionReview`: the question to a webhook, and its answer.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::attributes::{Attributes, Versioned, kind_of};
use crate::{
    object::{strings, text},
    server::Target,
    types,
};

/// The versions of `AdmissionReview` this server speaks.
pub(super) const VERSIONS: [&str; 2] = ["v1", "v1beta1"];
const KIND: &str = "AdmissionReview";

/// What a webhook said, when it is understood.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) allowed: bool,
    pub(super) warnings: Vec<String>,
    /// The `Status` of a refusal.
    pub(super) result: Option<Value>,
    pub(super) patch: Vec<u8>,
    pub(super) patch_type: String,
}

/// The request as webhooks and expressions see it, without its objects. `as_target` is the version that was asked for.
pub(super) fn request(attributes: &Attributes<'_>, as_target: &Target) -> Map<String, Value> {
    let resource = attributes.resource();
    let asked = Versioned { version: as_target.version().name.clone(), ..resource.clone() };
    let subresource = attributes.subresource();
    let mut request = Map::new();
    let mut put = |field: &str, value: Value| {
        if value.as_str() != Some("") {
            request.insert(field.to_owned(), value);
        }
    };
    put("kind", kind_of(as_target).as_kind());
    put("resource", asked.as_resource());
    put("subResource", subresource.into());
    put("requestKind", attributes.kind().as_kind());
    put("requestResource", resource.as_resource());
    put("requestSubResource", subresource.into());
    put("name", attributes.name.clone().into());
    put("namespace", attributes.namespace.clone().into());
    put("operation", attributes.operation.name().into());
    put("userInfo", attributes.user.clone());
    put("dryRun", attributes.dry_run.into());
    put("options", attributes.options.clone());
    request
}

/// The document that is sent.
pub(super) fn question(
    version: &str,
    uid: &str,
    mut request: Map<String, Value>,
    object: Option<&Value>,
    old: Option<&Value>,
) -> Bytes {
    request.insert("uid".to_owned(), uid.into());
    request.insert("object".to_owned(), object.cloned().unwrap_or_default());
    request.insert("oldObject".to_owned(), old.cloned().unwrap_or_default());
    let review =
        json!({ "kind": KIND, "apiVersion": format!("admission.k8s.io/{version}"), "request": Value::Object(request) });
    Bytes::from(review.to_string())
}

/// Reads an answer. The first error is about bytes that are no review, the second about a review that does not fit.
pub(super) fn read(body: &[u8], version: &str, uid: &str, mutating: bool) -> Result<Result<Answer, String>, String> {
    let review = decode(body, version)?;
    Ok(verify(&review, version, uid, mutating))
}

/// The document, which says what it is, or is taken for a review of the version that was sent.
fn decode(body: &[u8], version: &str) -> Result<Value, String> {
    let no_kind = |why: String| format!("couldn't get version/kind; json parse error: {why}");
    let looks_like_json = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let review: Value = match serde_json::from_slice(body) {
        Ok(review) => review,
        Err(error) if looks_like_json => return Err(no_kind(go_error(body, &error))),
        Err(_) => serde_saphyr::from_slice(body).map_err(|error| no_kind(error.to_string()))?,
    };
    if !review.is_object() {
        return Err(no_kind(format!(
            "json: cannot unmarshal {} into Go value of type struct {{ APIVersion string \
             \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
            types::word(&review)
        )));
    }
    let (kind, api_version) = (text(&review, &["kind"]), text(&review, &["apiVersion"]));
    let unconverted = |from: &str| Err(format!("converting ({from}) to ({version}.{KIND}): unknown conversion"));
    match (kind, api_version) {
        ("Status", "v1") => return unconverted("v1.Status"),
        ("" | KIND, "") => {}
        ("" | KIND, found) => match found.strip_prefix("admission.k8s.io/") {
            Some(found) if found == version => {}
            Some(found) if VERSIONS.contains(&found) => return unconverted(&format!("{found}.{KIND}")),
            _ => return Err(unregistered(KIND, found)),
        },
        (kind, found) => return Err(unregistered(kind, found)),
    }
    types_fit(&review)?;
    Ok(review)
}

fn unregistered(kind: &str, version: &str) -> String {
    format!("no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\"")
}

/// What Go's JSON library says of bytes that are none.
pub(super) fn go_error(body: &[u8], error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let found = line.get(error.column().saturating_sub(1)).copied().map_or(' ', char::from);
    format!("invalid character '{found}' looking for beginning of value")
}

fn verify(review: &Value, version: &str, uid: &str, mutating: bool) -> Result<Answer, String> {
    let response = review.get("response").filter(|response| response.is_object());
    let response = response.ok_or("webhook response was absent")?;
    let patch = response.get("patch").filter(|patch| !patch.is_null()).cloned();
    let patch: Option<k8s_openapi::ByteString> = patch.and_then(|patch| serde_json::from_value(patch).ok());
    let patch = patch.map(|patch| patch.0).unwrap_or_default();
    let given_type = response.get("patchType").and_then(Value::as_str);
    let mut patch_type = given_type.unwrap_or_default().to_owned();
    if version == "v1" {
        let answered = text(response, &["uid"]);
        if answered != uid {
            return Err(format!("expected response.uid={uid:?}, got {answered:?}"));
        }
        check_patch(&patch, given_type, mutating)?;
    } else {
        patch_type = if mutating && !patch.is_empty() { "JSONPatch".to_owned() } else { String::new() };
    }
    Ok(Answer {
        allowed: response.get("allowed").and_then(Value::as_bool).unwrap_or_default(),
        warnings: strings(response.get("warnings")).into_iter().map(str::to_owned).collect(),
        result: response.get("status").filter(|status| status.is_object()).cloned(),
        patch: if mutating { patch } else { Vec::new() },
        patch_type,
    })
}

fn check_patch(patch: &[u8], patch_type: Option<&str>, mutating: bool) -> Result<(), String> {
    let wrong = match (patch.is_empty(), patch_type) {
        (false, _) if !mutating => "validating webhook may not return response.patch",
        (_, Some(_)) if !mutating => "validating webhook may not return response.patchType",
        (false, None) => "webhook returned response.patch but not response.patchType",
        (true, Some(_)) => "webhook returned response.patchType but not response.patch",
        (_, Some("")) => "webhook returned invalid response.patchType of \"\"",
        _ => return Ok(()),
    };
    Err(wrong.to_owned())
}

/// Whether a value is of a type.
type Fits = fn(&Value) -> bool;

/// The fields of a response are of their types.
fn types_fit(review: &Value) -> Result<(), String> {
    let Some(response) = review.get("response").filter(|it| !it.is_null()) else { return Ok(()) };
    let wrong = |value: &Value, field: &str, wanted: &str| {
        let what = types::word(value);
        Err(format!("json: cannot unmarshal {what} into Go struct field {field} of type {wanted}"))
    };
    if !response.is_object() {
        return wrong(response, "AdmissionReview.response", "v1.AdmissionResponse");
    }
    let fields: [(&str, &str, Fits); 7] = [
        ("uid", "types.UID", Value::is_string),
        ("allowed", "bool", Value::is_boolean),
        ("status", "v1.Status", Value::is_object),
        ("patch", "[]uint8", Value::is_string),
        ("patchType", "v1.PatchType", Value::is_string),
        ("auditAnnotations", "map[string]string", Value::is_object),
        ("warnings", "[]string", Value::is_array),
    ];
    for (field, wanted, fits) in fields {
        if let Some(value) = response.get(field).filter(|value| !value.is_null() && !fits(value)) {
            return wrong(value, &format!("AdmissionResponse.response.{field}"), wanted);
        }
    }
    let patch = response.get("patch").filter(|patch| !patch.is_null());
    match patch.map(|patch| serde_json::from_value::<k8s_openapi::ByteString>(patch.clone())) {
        Some(Err(_)) => Err(format!("illegal base64 data at input byte {}", base64_fault(text(response, &["patch"])))),
        _ => Ok(()),
    }
}

/// Where a text stops being base64.
fn base64_fault(text: &str) -> usize {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.bytes().position(|byte| !fits(byte)).unwrap_or(text.len())
}
