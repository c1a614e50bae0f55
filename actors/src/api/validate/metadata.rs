//! Checks of names, and of annotations that ask for something.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::labels::{is_object_name, is_qualified_name};
use super::{Errors, plan};
use crate::api::keys::{ANNOTATION_ONE_TIME_STRATEGY, ANNOTATION_TRIGGER};
use crate::api::rolloutstrategy::RolloutStrategy;

/// Checks the name. An object with `generateName` has none before it is stored.
pub(super) fn metadata(errors: &mut Errors, metadata: &ObjectMeta) {
    let name = metadata.name.as_deref().unwrap_or_default();
    if name.is_empty() && metadata.generate_name.is_none() {
        errors.add("metadata.name", "is absent; write a name of lower-case letters, digits, '-' and '.'");
    } else if !name.is_empty() && !is_object_name(name) {
        let expected =
            "expected at most 253 lower-case letters, digits, '-' and '.', with a letter or digit at both ends";
        errors.add("metadata.name", format_args!("found {name:?}, {expected}"));
    }
}

/// Checks the trigger annotation. A value that looks like a name is meant as the run's name, and has to be one; for any
/// other, such as a time, a name is made.
pub(super) fn trigger(errors: &mut Errors, metadata: &ObjectMeta) {
    let Some(found) = annotation(metadata, ANNOTATION_TRIGGER).map(str::trim) else { return };
    if is_qualified_name(found) && !is_object_name(found) {
        let expected = "which names no object; write the run's name in lower-case letters, digits, '-' and '.', \
                        or \"\" to have one made";
        errors.add(path(ANNOTATION_TRIGGER), format_args!("found {found:?}, {expected}"));
    }
}

/// Checks the strategy that is meant for one run.
pub(super) fn one_time_strategy(errors: &mut Errors, metadata: &ObjectMeta) {
    let Some(found) = annotation(metadata, ANNOTATION_ONE_TIME_STRATEGY) else { return };
    let strategy: RolloutStrategy = match serde_json::from_str(found) {
        Ok(strategy) => strategy,
        Err(why) => {
            let expected = "expected JSON with batch or batchV2, as in a RolloutStrategy";
            return errors.add(path(ANNOTATION_ONE_TIME_STRATEGY), format_args!("cannot be read: {why}; {expected}"));
        }
    };
    let mut inner = Errors::default();
    plan(&mut inner, &strategy);
    for error in inner.0 {
        errors.add(path(ANNOTATION_ONE_TIME_STRATEGY), error);
    }
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn path(annotation: &str) -> String {
    format!("metadata.annotations[{annotation}]")
}
