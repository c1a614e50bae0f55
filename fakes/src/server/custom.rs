//! What is particular to custom resources when they are written.

use serde_json::{Value, json};

use super::{Subresource, Target, WriteOptions, typed};
use crate::{
    apply::{go_type, shown},
    schema::Cause,
    status::Status,
};

/// Drops what the schema of a custom resource does not know, and refuses metadata of the wrong types.
pub(super) fn decode(
    object: &mut Value,
    target: &Target,
    options: &WriteOptions,
    refusal: impl Fn(&str) -> Status,
) -> Result<(), Status> {
    let Some(schema) = &target.version().schema else { return Ok(()) };
    let unknown = schema.decode(object).map_err(|why| refusal(&why))?;
    typed::tell_unknown(&unknown, options, refusal)
}

/// The numbers that the scale subresource shows have to be some.
pub(super) fn check_scale(object: &Value, target: &Target, causes: &mut Vec<Cause>) {
    let Some(scale) = target.version().scale.as_ref().filter(|_| target.resource.custom) else { return };
    if target.subresource != Subresource::Status {
        replicas(object, &scale.spec_replicas, causes);
    }
    replicas(object, &scale.status_replicas, causes);
    if let Some(selector) = &scale.selector
        && let Err(why) = find(object, selector, "string", Value::is_string)
    {
        causes.push(Cause::invalid(&format!(".{selector}"), &json!(""), &why));
    }
}

fn replicas(object: &Value, path: &str, causes: &mut Vec<Cause>) {
    let at = format!(".{path}");
    let found = match find(object, path, "int64", Value::is_i64) {
        Ok(found) => found.and_then(Value::as_i64),
        Err(why) => return causes.push(Cause::invalid(&at, &json!(0), &why)),
    };
    let detail = match found {
        Some(count) if count < 0 => "should be a non-negative integer".to_owned(),
        Some(count) if count > i64::from(i32::MAX) => format!("should be less than or equal to {}", i32::MAX),
        _ => return,
    };
    causes.push(Cause::invalid(&at, &json!(found), &detail));
}

/// The value at a path, or why there can be none of its type.
fn find<'a>(
    object: &'a Value,
    path: &str,
    wanted: &str,
    fits: impl Fn(&Value) -> bool,
) -> Result<Option<&'a Value>, String> {
    let misfit = |at: &str, found: &Value, wanted: &str| {
        format!("{at} accessor error: {} is of the type {}, expected {wanted}", shown(found), go_type(found))
    };
    let (mut value, mut at) = (object, String::new());
    for part in path.split('.') {
        at = format!("{at}.{part}");
        let Some(fields) = value.as_object() else { return Err(misfit(&at, value, "map[string]interface{}")) };
        let Some(field) = fields.get(part) else { return Ok(None) };
        value = field;
    }
    if fits(value) { Ok(Some(value)) } else { Err(misfit(&at, value, wanted)) }
}
