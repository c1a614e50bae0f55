//! Built-in objects held against their types: what does not fit is refused, what is not known is dropped.

use serde_json::{Value, json};

use super::{FieldValidation, Target, WriteOptions, convert};
use crate::{
    apply, object,
    schema::Cause,
    status::Status,
    types::{self, Reader, Type},
};

/// The type of the objects as they are stored.
pub(super) fn stored_type(target: &Target) -> Option<&'static Type> {
    if convert::is_event(target) {
        return types::kind("v1", "Event");
    }
    target.resource.storage_version()?.ty
}

/// Reads the object of a request into the type that the URL names.
pub(super) fn read(object: &mut Value, target: &Target, options: &WriteOptions) -> Result<(), Status> {
    let Some(ty) = target.version().ty else { return Ok(()) };
    read_as(object, ty, Reader::Json, options, |why| mistyped(why, target))
}

/// Reads an object into a type: fails with the refusal where it does not fit, and tells of fields that it does not have.
pub(super) fn read_as(
    object: &mut Value,
    ty: &'static Type,
    reader: Reader,
    options: &WriteOptions,
    refusal: impl Fn(&str) -> Status,
) -> Result<(), Status> {
    // An empty record of managers means something, other than any other empty list.
    let resets = object.pointer("/metadata/managedFields").is_some_and(|fields| *fields == json!([]));
    let mut decoded = types::decode(object, ty, reader);
    if resets {
        object::set_meta(object, "managedFields", Some(json!([])));
    }
    if reader == Reader::Converter {
        decoded.unknown.sort();
    }
    match decoded.error {
        Some(error) => Err(refusal(&error)),
        None => tell_unknown(&decoded.unknown, options, refusal),
    }
}

/// Reads an object that a configuration was merged into. Writers inside the process are trusted to be right.
pub(super) fn check_applied(
    object: &mut Value,
    applied: &Value,
    target: &Target,
    options: &WriteOptions,
) -> Result<(), Status> {
    let Some(ty) = stored_type(target).filter(|_| options.check_types) else { return Ok(()) };
    read_as(object, ty, Reader::Converter, options, |why| {
        let version = apply::group_version(object::text(applied, &["apiVersion"]));
        let kind = format!("{version}, Kind={}", object::text(applied, &["kind"]));
        let subject = format!("{}/{}", object::namespace(applied), object::name(applied));
        Status::new(
            500,
            "",
            format!(
                "failed to convert new object ({subject}; {kind}) to proper version: unable to convert unstructured object \
                 to {kind}: {why}"
            ),
        )
    })
}

/// Of a patch, or what it resulted in.
pub(super) fn unreadable(shown: &str, why: &str) -> Status {
    Status::invalid("", "", "", &[Cause::invalid("patch", &json!(shown), why)])
}

/// Warns of fields that an object does not have, or refuses them when asked to.
pub(super) fn tell_unknown(
    unknown: &[String],
    options: &WriteOptions,
    refusal: impl Fn(&str) -> Status,
) -> Result<(), Status> {
    tell(strict_errors(options, unknown), options, refusal)
}

fn strict_errors(options: &WriteOptions, unknown: &[String]) -> Vec<String> {
    let strict = options.field_validation == FieldValidation::Strict;
    let repeated = if strict { options.repeated.errors() } else { options.repeated.warnings() };
    repeated.into_iter().chain(unknown.iter().map(|field| format!("unknown field {field:?}"))).collect()
}

fn tell(errors: Vec<String>, options: &WriteOptions, refusal: impl Fn(&str) -> Status) -> Result<(), Status> {
    match options.field_validation {
        _ if errors.is_empty() => Ok(()),
        FieldValidation::Ignore => Ok(()),
        FieldValidation::Warn => {
            for warning in errors {
                options.warnings.push(warning);
            }
            Ok(())
        }
        FieldValidation::Strict => Err(refusal(&format!("strict decoding error: {}", errors.join(", ")))),
    }
}

pub(super) fn mistyped(why: &str, target: &Target) -> Status {
    let (kind, version) = (&target.resource.kind, &target.version().name);
    Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
}
