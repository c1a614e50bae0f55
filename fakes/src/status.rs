//! The `Status` an API server answers with when it refuses a request.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    schema::{Cause, invalid_status},
    store::GroupResource,
};

/// A refused request: HTTP code, reason, message and details.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason, such as `NotFound`.
    pub reason: Cow<'static, str>,
    /// What happened.
    pub message: String,
    /// The object concerned and the causes, as `details` carries them.
    pub details: Option<Box<Value>>,
    /// Where a list can go on although its snapshot is gone.
    pub continue_token: Option<Box<str>>,
}

impl Status {
    /// A refusal without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), message: message.into(), details: None, continue_token: None }
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 403: the object may not be written now.
    pub fn forbidden(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = format!("{resource} {name:?} is forbidden: {why}");
        Self::new(403, "Forbidden", message).with_object(resource, name)
    }

    /// 404: no such object.
    pub fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} {name:?} not found")).with_object(resource, name)
    }

    /// 404: no such resource.
    pub fn no_such_resource() -> Self {
        let mut status = Self::new(404, "NotFound", "the server could not find the requested resource");
        status.details = Some(Box::new(json!({})));
        status
    }

    /// 500: something went wrong that is not the client's fault.
    pub fn internal(why: &str) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {why}")).with_cause("", why, "")
    }

    /// 405: the resource does not know the verb.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        let mut status = Self::new(405, "MethodNotAllowed", message);
        status.details = Some(Box::new(json!({})));
        status
    }

    /// 429: not now. Zero seconds are not told.
    pub fn too_many_requests(message: &str, retry_seconds: u64) -> Self {
        let details = if retry_seconds > 0 { json!({ "retryAfterSeconds": retry_seconds }) } else { json!({}) };
        Self { details: Some(Box::new(details)), ..Self::new(429, "TooManyRequests", message) }
    }

    /// 405: objects of a kind do not know the verb.
    pub fn not_supported(resource: &GroupResource, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind \"{resource}\"");
        let mut status = Self::new(405, "MethodNotAllowed", message);
        status.details = Some(Box::new(json!({ "group": &*resource.group, "kind": &*resource.plural })));
        status
    }

    /// 409: the name is taken.
    pub fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{resource} {name:?} already exists")).with_object(resource, name)
    }

    /// The same for a name that the server was to make: a client may try again.
    #[must_use]
    pub(crate) fn without_unique_name(mut self) -> Self {
        self.message.push_str(", the server was not able to generate a unique name for the object");
        if let Some(details) = &mut self.details {
            details["retryAfterSeconds"] = json!(1);
        }
        self
    }

    /// 409: the object is not what the writer thinks it is.
    pub fn conflict(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
        Self::new(409, "Conflict", message).with_object(resource, name)
    }

    /// 409: the object is at another resourceVersion than the writer read.
    pub fn modified(resource: &GroupResource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 410: the revision asked for is compacted.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 415: the body is of a type the server does not read.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self { details: Some(Box::new(json!({}))), ..Self::new(415, "UnsupportedMediaType", message) }
    }

    /// 422: the patch cannot be applied to the object.
    pub fn unprocessable() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self { details: Some(Box::new(json!({}))), ..Self::new(422, "Invalid", message) }
    }

    /// 422: the object breaks the rules of its kind.
    pub fn invalid(kind: &str, group: &str, name: &str, causes: &[Cause]) -> Self {
        let mut value = invalid_status(kind, group, name, causes);
        if let Some(Value::Object(details)) = value.get_mut("details") {
            details.retain(|field, value| value != "" || !matches!(field.as_str(), "name" | "kind"));
        }
        Self {
            code: 422,
            reason: "Invalid".into(),
            message: value.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
            details: value.get("details").cloned().map(Box::new),
            continue_token: None,
        }
    }

    /// A refusal that is at hand as a body.
    pub(crate) fn from_value(value: &Value) -> Self {
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
        let reason = match text("reason") {
            "Conflict" => "Conflict",
            "BadRequest" => "BadRequest",
            "Invalid" => "Invalid",
            _ => "",
        };
        let code = value.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        Self {
            code: code.unwrap_or(500),
            reason: reason.into(),
            message: text("message").to_owned(),
            details: value.get("details").cloned().map(Box::new),
            continue_token: None,
        }
    }

    /// Adds an entry to `details.causes`.
    #[must_use]
    pub fn with_cause(mut self, reason: &str, message: &str, field: &str) -> Self {
        let parts = [("reason", reason), ("message", message), ("field", field)].into_iter();
        let cause: Map<String, Value> =
            parts.filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), text.into())).collect();
        let details = self.details.get_or_insert_with(|| Box::new(json!({})));
        match details.get_mut("causes").and_then(Value::as_array_mut) {
            Some(causes) => causes.push(Value::Object(cause)),
            None => details["causes"] = json!([cause]),
        }
        self
    }

    /// True when `details.causes` has one of this reason.
    pub fn has_cause(&self, reason: &str) -> bool {
        let causes = self.details.as_ref().and_then(|details| details.get("causes")).and_then(Value::as_array);
        causes.into_iter().flatten().any(|cause| cause.get("reason").is_some_and(|found| found == reason))
    }

    fn with_object(mut self, resource: &GroupResource, name: &str) -> Self {
        let mut details = json!({ "name": name });
        if !resource.group.is_empty() {
            details["group"] = json!(&*resource.group);
        }
        details["kind"] = json!(&*resource.plural);
        self.details = Some(Box::new(details));
        self
    }

    /// The answer's body.
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        });
        if let Some(token) = &self.continue_token {
            value["metadata"] = json!({ "continue": token });
        }
        if !self.reason.is_empty() {
            value["reason"] = (*self.reason).into();
        }
        if let Some(details) = &self.details {
            value["details"] = Value::clone(details);
        }
        value["code"] = self.code.into();
        value
    }

    /// The answer's body, serialised.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from(self.to_value().to_string())
    }
}
