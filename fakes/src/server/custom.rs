//! What is particular to custom resources when they are written.

use serde_json::{Value, json};

use super::{Subresource, Target, WriteOptions, typed};
use crate::{schema::Cause, status::Status};

/// Drops what the schema of a custom resource does not know, and refuses metadata of the wrong types.
pub(super) fn decode(object: &mut Value, target: &Target, options: &WriteOptions) -> Result<(), Status> {
    let Some(schema) = &target.version().schema else { return Ok(()) };
    let unknown = schema.decode(object).map_err(|why| typed::mistyped(&why, target))?;
    typed::tell_unknown(&unknown, target, options)
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
    let found = path.split('.').try_fold(object, |value, part| value.get(part)).and_then(Value::as_i64);
    let detail = match found {
        Some(count) if count < 0 => "should be a non-negative integer".to_owned(),
        Some(count) if count > i64::from(i32::MAX) => format!("should be less than or equal to {}", i32::MAX),
        _ => return,
    };
    causes.push(Cause::invalid(&format!(".{path}"), &json!(found), &detail));
}
