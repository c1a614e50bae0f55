//! What controllers read of objects: owners, conditions, selectors.

use std::str::FromStr;

use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use crate::object::{is_deleting, name, namespace, uid};
use crate::selector::LabelSelector;

/// One label's value.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"][key].as_str()
}

/// True when the finalizer is on the object.
pub(crate) fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    list(&object["metadata"]["finalizers"]).iter().any(|found| found == finalizer)
}

/// A list that may be absent.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// An instant in the API's format.
pub(crate) fn timestamp(value: &Value) -> Option<Timestamp> {
    Timestamp::from_str(value.as_str()?).ok()
}

/// The owner references of an object.
pub(crate) fn owners(object: &Value) -> &[Value] {
    list(&object["metadata"]["ownerReferences"])
}

/// The uid of the owner that controls the object.
pub(crate) fn controller_uid(object: &Value) -> Option<&str> {
    owners(object).iter().find(|owner| owner["controller"] == true).and_then(|owner| owner["uid"].as_str())
}

/// An owner reference that makes `owner` the controller.
pub(crate) fn controller_reference(owner: &Value, api_version: &str, kind: &str) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "name": name(owner),
        "uid": uid(owner),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// A condition of `status.conditions` by type.
pub(crate) fn condition<'a>(object: &'a Value, condition_type: &str) -> Option<&'a Value> {
    list(&object["status"]["conditions"]).iter().find(|condition| condition["type"] == condition_type)
}

/// An object's label selector. An absent one selects nothing, as does a wrong one.
pub(crate) fn selector(selector: &Value) -> Option<LabelSelector> {
    if selector.is_null() { None } else { LabelSelector::from_object(selector).ok() }
}
