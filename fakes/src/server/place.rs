//! What an object says that it is and where it is, held against the URL.

use serde_json::{Map, Value};

use crate::{object, status::Status, store::Key, types};

/// What an object says that it is has to be readable.
pub(super) fn read_type(fields: &Map<String, Value>) -> Result<(), String> {
    let said = fields.iter().filter(|(field, _)| ["apiVersion", "kind"].contains(&field.as_str()));
    for (field, found) in said {
        if !found.is_string() && !found.is_null() {
            let kind = types::word(found);
            return Err(format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {kind} into Go struct field .{field} \
                 of type string"
            ));
        }
    }
    let api_version = fields.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if api_version.matches('/').count() > 1 {
        return Err(format!("unexpected GroupVersion string: {api_version}"));
    }
    Ok(())
}

/// The object's name is the URL's.
pub(super) fn check_name(named: &str, key: &Key) -> Result<(), Status> {
    let name = &key.name;
    if named.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )));
    }
    if named != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({named}) does not match the name on the URL ({name})"
        )));
    }
    Ok(())
}

/// An applied object is where and what the URL says.
pub(super) fn check_place(object: &mut Value, key: &Key) -> Result<(), Status> {
    check_namespace(object, &key.namespace)?;
    check_name(object::name(object), key)
}

/// The object's namespace is the URL's, or absent and then set. What has no namespace is not told that it named one.
pub(super) fn check_namespace(object: &mut Value, namespace: &str) -> Result<(), Status> {
    let named = object::namespace(object);
    if namespace.is_empty() {
        object::set_meta(object, "namespace", None);
    } else if named.is_empty() {
        object::set_meta(object, "namespace", Some(namespace.into()));
    } else if named != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}
