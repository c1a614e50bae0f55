//! Built-in objects held against their types: what does not fit is refused, what is not known is dropped.

use serde_json::{Value, json};

use super::{FieldValidation, Target, WriteOptions, convert};
use crate::{
    apply, object,
    schema::Cause,
    status::Status,
    types::{self, Reader, Type},
};

/// What a writer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The whole object.
    Object,
    /// A change of it.
    Patch,
    /// A configuration, applied on the server's side.
    Applied,
}

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
    let decoded = types::decode(object, ty, Reader::Json);
    if let Some(error) = decoded.error {
        return Err(mistyped(&error, target));
    }
    tell(strict_errors(&options.repeated, &decoded.unknown), options, |why| mistyped(why, target))
}

/// Reads an object that a change resulted in. Writers inside the process are trusted to be right.
pub(super) fn check(
    object: &mut Value,
    target: &Target,
    options: &WriteOptions,
    written: Written,
) -> Result<(), Status> {
    let Some(ty) = stored_type(target).filter(|_| options.check_types && written != Written::Object) else {
        return Ok(());
    };
    let patched = || object.to_string();
    let shown = options.patch.as_ref().map_or_else(patched, |patch| patch.0.clone());
    let reader = if options.patch.is_some() || written == Written::Applied { Reader::Converter } else { Reader::Json };
    let mut decoded = types::decode(object, ty, reader);
    if reader == Reader::Converter {
        decoded.unknown.sort();
    }
    let refusal = |why: &str| match written {
        Written::Applied => Status::new(500, "", format!("{}: {why}", unconverted(object))),
        Written::Patch => Status::invalid("", "", "", &[Cause::invalid("patch", &json!(shown), why)]),
        Written::Object => mistyped(why, target),
    };
    if let Some(error) = decoded.error {
        return Err(refusal(&error));
    }
    tell(strict_errors(&options.repeated, &decoded.unknown), options, refusal)
}

/// Of an applied object that is not of its type. One that is not there yet has no namespace.
fn unconverted(object: &Value) -> String {
    let namespace = if object::uid(object).is_empty() { "" } else { object::namespace(object) };
    let version = apply::group_version(object::text(object, &["apiVersion"]));
    let kind = format!("{version}, Kind={}", object::text(object, &["kind"]));
    let name = object::name(object);
    format!(
        "failed to convert new object ({namespace}/{name}; {kind}) to proper version: unable to convert unstructured object \
         to {kind}"
    )
}

/// Warns of fields that a custom resource does not have, or refuses them when asked to.
pub(super) fn tell_unknown(unknown: &[String], target: &Target, options: &WriteOptions) -> Result<(), Status> {
    tell(strict_errors(&options.repeated, unknown), options, |why| mistyped(why, target))
}

fn strict_errors(repeated: &[String], unknown: &[String]) -> Vec<String> {
    let repeated = repeated.iter().map(|field| format!("duplicate field {field:?}"));
    repeated.chain(unknown.iter().map(|field| format!("unknown field {field:?}"))).collect()
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
