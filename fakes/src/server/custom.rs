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
}

fn replicas(object: &Value, path: &str, causes: &mut Vec<Cause>) {
    let at = format!(".{path}");
    let found = match number(object, path) {
        Ok(found) => found,
        Err(why) => return causes.push(Cause::invalid(&at, &json!(0), &why)),
    };
    let detail = match found {
        Some(count) if count < 0 => "should be a non-negative integer".to_owned(),
        Some(count) if count > i64::from(i32::MAX) => format!("should be less than or equal to {}", i32::MAX),
        _ => return,
    };
    causes.push(Cause::invalid(&at, &json!(found), &detail));
}

/// The number at a path, or why there can be none.
fn number(object: &Value, path: &str) -> Result<Option<i64>, String> {
    let misfit = |at: &str, found: &Value, wanted: &str| {
        format!("{at} accessor error: {} is of the type {}, expected {wanted}", shown(found), go_type(found))
    };
    let (mut value, mut at) = (object, String::new());
    for part in path.split('.') {
        let Some(fields) = value.as_object() else { return Err(misfit(&at, value, "map[string]interface {}")) };
        let Some(field) = fields.get(part) else { return Ok(None) };
        (value, at) = (field, format!("{at}.{part}"));
    }
    value.as_i64().map(Some).ok_or_else(|| misfit(&at, value, "int64"))
}
