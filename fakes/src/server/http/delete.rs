//! What a request says of a deletion.

use serde_json::{Value, json};

use super::{Incoming, options};
use crate::{
    object,
    schema::Cause,
    server::{DeleteOptions, Propagation},
    status::Status,
    types,
};

/// Deletion options, and whether they ask to keep no dependents by the old name.
pub(super) struct Deleting {
    pub(super) options: DeleteOptions,
    pub(super) cascades: bool,
}

/// The options of a deletion: those of the body, or those of the URL where there is no body.
pub(super) fn read(incoming: &Incoming<'_>) -> Result<Deleting, Status> {
    let sent = if incoming.body.is_empty() { of_query(incoming)? } else { of_body(incoming)? };
    let text = |pointer: &str| sent.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let dry_run: Vec<&str> =
        sent.get("dryRun").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let policy = text("/propagationPolicy");
    let orphans = sent.get("orphanDependents").and_then(Value::as_bool);
    let mut causes = Vec::new();
    if policy.is_some() && orphans.is_some() {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        causes.push(Cause::invalid("propagationPolicy", &json!(policy), why));
    }
    let propagation = match (policy.as_deref(), orphans) {
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
        (None, None) => None,
        (Some(other), _) => {
            let choices = ["Foreground", "Background", "Orphan", "nil"].map(str::to_owned);
            causes.push(Cause::not_supported("propagationPolicy", &other.into(), &choices));
            None
        }
    };
    options::check_dry_run(&dry_run, &mut causes);
    if !causes.is_empty() {
        return Err(Status::invalid("DeleteOptions", "meta.k8s.io", "", &causes));
    }
    let options = DeleteOptions {
        uid: text("/preconditions/uid"),
        resource_version: text("/preconditions/resourceVersion"),
        propagation,
        grace_period_seconds: sent.get("gracePeriodSeconds").and_then(Value::as_i64),
        dry_run: !dry_run.is_empty(),
        warnings: incoming.warnings.clone(),
        ..DeleteOptions::default()
    };
    Ok(Deleting { options, cascades: orphans == Some(false) })
}

fn of_body(incoming: &Incoming<'_>) -> Result<Value, Status> {
    incoming.check_content_type()?;
    let sent = incoming.value()?;
    let kind = object::text(&sent, &["kind"]);
    if !matches!(kind, "" | "DeleteOptions") {
        let version = object::text(&sent, &["apiVersion"]);
        return Err(Status::bad_request(format!(
            "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\""
        )));
    }
    let mistyped = |field: &str, wanted: &str, fits: fn(&Value) -> bool| {
        let found = sent.get(field).filter(|value| !value.is_null() && !fits(value))?;
        let kind = types::word(found);
        let why = format!("json: cannot unmarshal {kind} into Go struct field DeleteOptions.{field} of type {wanted}");
        Some(Status::bad_request(why))
    };
    let faults = [
        mistyped("gracePeriodSeconds", "int64", Value::is_i64),
        mistyped("orphanDependents", "bool", Value::is_boolean),
        mistyped("propagationPolicy", "v1.DeletionPropagation", Value::is_string),
        mistyped("dryRun", "[]string", Value::is_array),
        mistyped("preconditions", "v1.Preconditions", Value::is_object),
    ];
    match faults.into_iter().flatten().next() {
        Some(fault) => Err(fault),
        None => Ok(sent),
    }
}

/// The options of the URL as a body would say them.
fn of_query(incoming: &Incoming<'_>) -> Result<Value, Status> {
    let query = &incoming.query;
    let mut sent = json!({ "dryRun": query.all("dryRun") });
    if let Some(seconds) = query.int("gracePeriodSeconds")? {
        sent["gracePeriodSeconds"] = seconds.into();
    }
    if query.get("orphanDependents").is_some() {
        sent["orphanDependents"] = query.is("orphanDependents").into();
    }
    if let Some(policy) = query.get("propagationPolicy") {
        sent["propagationPolicy"] = policy.into();
    }
    Ok(sent)
}
