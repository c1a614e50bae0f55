//! JSON patches from webhooks and policies, with the words of the real server's library where they do not apply.

use json_patch::PatchOperation;
use serde_json::Value;

use super::{super::patch::apply_operations, review::go_error};

/// Reads a patch.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<PatchOperation>, String> {
    let patch: Value = serde_json::from_slice(bytes).map_err(|error| go_error(bytes, &error))?;
    read(patch)
}

/// Reads a patch that is at hand as a value.
pub(super) fn read(patch: Value) -> Result<Vec<PatchOperation>, String> {
    let operations = match patch {
        Value::Array(operations) => operations,
        Value::Null => Vec::new(),
        _ => return Err("json: cannot unmarshal object into Go value of type jsonpatch.Patch".to_owned()),
    };
    let operation = |it: Value| {
        let kind = it.get("op").and_then(Value::as_str).unwrap_or("unknown").to_owned();
        serde_json::from_value(it).map_err(|_| format!("Unexpected kind: {kind}"))
    };
    operations.into_iter().map(operation).collect()
}

/// Applies a patch, one operation after the other.
pub(super) fn apply(object: &mut Value, operations: &[PatchOperation]) -> Result<(), String> {
    for operation in operations {
        let one = json_patch::Patch(vec![operation.clone()]);
        apply_operations(object, &one).map_err(|_| fault(object, operation))?;
    }
    Ok(())
}

/// Why an operation does not apply.
fn fault(object: &Value, operation: &PatchOperation) -> String {
    let path = operation.path().as_str();
    let holder = |path: &str| path.rsplit_once('/').and_then(|(parent, _)| object.pointer(parent));
    let key = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let missing = |path: &str| holder(path).is_none_or(|it| !it.is_object() && !it.is_array());
    let inside = |path: &str| match holder(path) {
        Some(Value::Array(_)) if key(path).parse::<i64>().is_err() => {
            let key = key(path);
            format!("value was not a proper array index: '{key}': strconv.Atoi: parsing {key:?}: invalid syntax")
        }
        Some(Value::Array(_)) => format!("Unable to access invalid index: {}: invalid index referenced", key(path)),
        _ => format!("Unable to remove nonexistent key: {}: missing value", key(path)),
    };
    match operation {
        PatchOperation::Add(_) if missing(path) => {
            format!("add operation does not apply: doc is missing path: \"{path}\": missing value")
        }
        PatchOperation::Add(_) => format!("error in add for path: '{path}': {}", inside(path)),
        PatchOperation::Remove(_) if missing(path) => {
            format!("remove operation does not apply: doc is missing path: \"{path}\": missing value")
        }
        PatchOperation::Remove(_) => format!("error in remove for path: '{path}': {}", inside(path)),
        PatchOperation::Replace(_) if missing(path) => {
            format!("replace operation does not apply: doc is missing path: {path}: missing value")
        }
        PatchOperation::Replace(_) => {
            format!("replace operation does not apply: doc is missing key: {path}: missing value")
        }
        PatchOperation::Test(_) if missing(path) => {
            format!("test operation does not apply: is missing path: {path}: missing value")
        }
        PatchOperation::Test(_) => format!("testing value {path} failed: test failed"),
        PatchOperation::Move(it) if missing(it.from.as_str()) => {
            format!("move operation does not apply: doc is missing from path: {}: missing value", it.from.as_str())
        }
        PatchOperation::Move(it) => {
            let from = it.from.as_str();
            format!("error in move for path: '{}': {}", key(from), inside(from))
        }
        PatchOperation::Copy(it) if missing(it.from.as_str()) => {
            format!("copy operation does not apply: doc is missing from path: {}: missing value", it.from.as_str())
        }
        PatchOperation::Copy(it) => {
            let from = it.from.as_str();
            format!("error in copy for from: '{from}': {}", inside(from))
        }
    }
}

/// Whether an operation is a test that fails: a policy's patch is then left out as a whole.
pub(super) fn failed_test(why: &str) -> bool {
    why.ends_with(": test failed")
}
