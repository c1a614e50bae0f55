//! What controllers read of objects: owners, conditions, selectors.

use std::str::FromStr;

use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use crate::object::{generation, is_deleting, name, namespace, uid};
use crate::selector::LabelSelector;
use crate::status::Status;

/// One label's value.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"][key].as_str()
}

/// One annotation's value.
pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][key].as_str()
}

/// A number as the API's types have it.
pub(crate) fn int(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| i32::try_from(number).ok())
}

/// A number, or a percentage of a total, rounded up or down.
pub(crate) fn portion(value: &Value, total: i32, up: bool) -> i32 {
    let percent = value.as_str().and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok());
    let Some(percent) = percent else { return int(value).unwrap_or(0) };
    let product = percent.saturating_mul(total.into());
    let rounded = if up { product.saturating_add(99).div_euclid(100) } else { product.div_euclid(100) };
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

/// Sets a number, which is left out when it is zero.
pub(crate) fn set(fields: &mut Value, field: &str, number: i32) {
    if number != 0 {
        fields[field] = number.into();
    } else if let Some(fields) = fields.as_object_mut() {
        fields.shift_remove(field);
    }
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
pub(crate) fn controller_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
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

/// True when a write was refused because its namespace is being deleted: nothing can be created there, or needs to be.
pub(crate) fn is_namespace_ending(status: &Status) -> bool {
    let causes = status.details.as_ref().map(|details| list(&details["causes"]));
    causes.into_iter().flatten().any(|cause| cause["reason"] == "NamespaceTerminating")
}
