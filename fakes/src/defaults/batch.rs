//! Defaults of Jobs and CronJobs.

use serde_json::{Map, Value};

use super::pod;
use crate::object::{default, field_mut, map_mut};

const BACKOFF_LIMIT: i64 = 6;
const SUCCESSFUL_JOBS_KEPT: i64 = 3;

pub(super) fn job(object: &mut Value) {
    // A Job without labels has those of its pods.
    let labels = object.pointer("/spec/template/metadata/labels").cloned();
    if let Some(labels) = labels.filter(|labels| labels.as_object().is_some_and(|labels| !labels.is_empty()))
        && object.pointer("/metadata/labels").is_none_or(|own| own.as_object().is_none_or(Map::is_empty))
    {
        field_mut(object, "metadata").insert("labels".to_owned(), labels);
    }
    let spec = field_mut(object, "spec");
    let is_set = |spec: &Map<String, Value>, field: &str| spec.get(field).is_some_and(|value| !value.is_null());
    if !is_set(spec, "completions") && !is_set(spec, "parallelism") {
        default(spec, "completions", 1);
    }
    default(spec, "parallelism", 1);
    let limit = if is_set(spec, "backoffLimitPerIndex") { i64::from(i32::MAX) } else { BACKOFF_LIMIT };
    default(spec, "backoffLimit", limit);
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    let replacement = if is_set(spec, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    default(spec, "podReplacementPolicy", replacement);
    default(spec, "manualSelector", false);
    pod::template(spec);
}

pub(super) fn cron_job(object: &mut Value) {
    let spec = field_mut(object, "spec");
    default(spec, "concurrencyPolicy", "Allow");
    default(spec, "suspend", false);
    default(spec, "successfulJobsHistoryLimit", SUCCESSFUL_JOBS_KEPT);
    default(spec, "failedJobsHistoryLimit", 1);
    if let Some(Value::Object(job)) = spec.get_mut("jobTemplate") {
        pod::template(map_mut(job.entry("spec").or_insert(Value::Null)));
    }
}
