//! One reason why an object is invalid, and the Status that carries such reasons.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use super::go;

/// One reason why an object is invalid: an entry of `details.causes` of a Status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The path of the field.
    pub field: String,
    /// The machine-readable reason, such as `FieldValueRequired`.
    pub reason: &'static str,
    /// The message, without the field.
    pub message: String,
}

/// The path that kube-apiserver writes where an error has no field.
pub(super) const NO_FIELD: &str = "<nil>";

impl Cause {
    pub(super) fn new(field: &str, reason: &'static str, message: String) -> Self {
        Self { field: field.to_owned(), reason, message }
    }

    /// A malformed value, shown as Go prints it.
    pub fn invalid(field: &str, value: &Value, detail: &str) -> Self {
        Self::new(field, "FieldValueInvalid", valued("Invalid value", value, detail))
    }

    /// A malformed value of a type of the server's own, whose fields are shown in the order they have.
    pub(crate) fn invalid_struct(field: &str, value: &Value, detail: &str) -> Self {
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        Self::new(field, "FieldValueInvalid", format!("Invalid value: {}{detail}", go::struct_text(value)))
    }

    /// A value of a type of the server's own that is outside an enumeration.
    pub(crate) fn struct_not_supported(field: &str, value: &Value, choices: &[&str]) -> Self {
        let choices: Vec<String> = choices.iter().map(|choice| go::quote(choice)).collect();
        let shown = go::struct_text(value);
        let message = format!("Unsupported value: {shown}: supported values: {}", choices.join(", "));
        Self::new(field, "FieldValueNotSupported", message)
    }

    /// Two of a type of the server's own.
    pub(crate) fn struct_duplicate(field: &str, value: &Value) -> Self {
        Self::new(field, "FieldValueDuplicate", format!("Duplicate value: {}", go::struct_text(value)))
    }

    /// A malformed value that is too large to be shown.
    pub(super) fn invalid_omitted(field: &str, detail: &str) -> Self {
        Self::new(field, "FieldValueInvalid", titled("Invalid value", detail))
    }

    /// A value of another type than the schema's.
    pub(super) fn type_invalid(field: &str, value: &Value, detail: &str) -> Self {
        Self::new(field, "FieldValueTypeInvalid", valued("Invalid value", value, detail))
    }

    /// A check that could not be made.
    pub(crate) fn internal(field: &str, detail: &str) -> Self {
        Self::new(field, "InternalError", titled("Internal error", detail))
    }

    /// A missing value.
    pub fn required(field: &str, detail: &str) -> Self {
        Self::new(field, "FieldValueRequired", titled("Required value", detail))
    }

    /// A value that may not be set here.
    pub fn forbidden(field: &str, detail: &str) -> Self {
        Self::new(field, "FieldValueForbidden", titled("Forbidden", detail))
    }

    /// A value that must be unique and is not.
    pub fn duplicate(field: &str, value: &Value) -> Self {
        Self::new(field, "FieldValueDuplicate", valued("Duplicate value", value, ""))
    }

    /// A value that names something that is not there.
    pub fn not_found(field: &str, value: &Value) -> Self {
        Self::new(field, "FieldValueNotFound", valued("Not found", value, ""))
    }

    /// A value outside an enumeration.
    pub fn not_supported(field: &str, value: &Value, choices: &[String]) -> Self {
        let mut detail = String::new();
        for (i, choice) in choices.iter().enumerate() {
            detail.push_str(if i == 0 { "supported values: " } else { ", " });
            detail.push_str(&go::quote(choice));
        }
        Self::new(field, "FieldValueNotSupported", valued("Unsupported value", value, &detail))
    }

    /// A string longer than its schema allows.
    pub fn too_long(field: &str, limit: u64) -> Self {
        let unit = if limit == 1 { "byte" } else { "bytes" };
        Self::new(field, "FieldValueTooLong", format!("Too long: may not be more than {limit} {unit}"))
    }

    /// A list or map with more entries than its schema allows.
    pub fn too_many(field: &str, actual: usize, limit: u64) -> Self {
        let unit = if limit == 1 { "item" } else { "items" };
        Self::new(field, "FieldValueTooMany", format!("Too many: {actual}: must have at most {limit} {unit}"))
    }
}

fn titled(title: &str, detail: &str) -> String {
    if detail.is_empty() { title.to_owned() } else { format!("{title}: {detail}") }
}

fn valued(title: &str, value: &Value, detail: &str) -> String {
    let mut message = format!("{title}: {}", go::printed(value));
    if !detail.is_empty() {
        let _ = write!(message, ": {detail}");
    }
    message
}

/// The Status that kube-apiserver answers with when an object is invalid (422).
pub fn invalid_status(kind: &str, group: &str, name: &str, causes: &[Cause]) -> Value {
    let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    let mut texts: Vec<String> = Vec::new();
    for cause in causes {
        let text = cause.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let told = match texts.as_slice() {
        [] => String::new(),
        [one] => format!(": {one}"),
        many => format!(": [{}]", many.join(", ")),
    };
    let mut details = json!({ "name": name });
    if !kind.is_empty() {
        details["kind"] = json!(kind);
    }
    if !group.is_empty() {
        details["group"] = json!(group);
    }
    if !causes.is_empty() {
        details["causes"] = causes.iter().map(Cause::entry).collect();
    }
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": format!("{qualified} {} is invalid{told}", go::quote(name)),
        "reason": "Invalid",
        "details": details,
        "code": 422,
    })
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl Cause {
    fn entry(&self) -> Value {
        json!({ "reason": self.reason, "message": self.message, "field": self.field })
    }
}
