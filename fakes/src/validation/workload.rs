//! Workloads: their numbers, selectors, strategies and templates.

use serde_json::{Value, json};

use super::{IMMUTABLE, given, items, not_negative, one_of, or_zero, pod, selector, text, words};
use crate::{
    names,
    object::{at, map_mut, same},
    schema::Cause,
    selector::LabelSelector,
};

/// Fields of a StatefulSet's spec that an update may change.
const MUTABLE_SET_FIELDS: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

pub(super) fn check(plural: &str, object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    for field in ["spec.replicas", "spec.minReadySeconds"] {
        not_negative(object, field, causes);
    }
    let spec = object.get("spec").unwrap_or(&Value::Null);
    match plural {
        "deployments" => deployment(object, spec, causes),
        "statefulsets" => stateful_set(object, spec, old, causes),
        "daemonsets" => not_negative(object, "spec.revisionHistoryLimit", causes),
        _ => {}
    }
    if selects(plural, spec, causes) {
        template(plural, spec, causes);
    }
    if let Some(old) = old {
        immutable(plural, object, old, causes);
    }
}

fn immutable(plural: &str, object: &Value, old: &Value, causes: &mut Vec<Cause>) {
    if plural != "statefulsets" {
        let [old, new] = [old, object].map(|it| at(it, &["spec", "selector"]));
        if !same(old, new) {
            let shown = new.map(selector::shown).unwrap_or_default();
            causes.push(Cause::invalid_struct("spec.selector", &shown, IMMUTABLE));
        }
        return;
    }
    let fixed = |set: &Value| {
        let mut spec = set.get("spec").cloned().unwrap_or_default();
        map_mut(&mut spec).retain(|field, value| !MUTABLE_SET_FIELDS.contains(&field.as_str()) && !value.is_null());
        spec
    };
    if fixed(old) != fixed(object) {
        causes.push(Cause::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

/// Checks the selector. One that is none says nothing of the template.
fn selects(plural: &str, spec: &Value, causes: &mut Vec<Cause>) -> bool {
    let template = given(spec, "template").unwrap_or(&Value::Null);
    let mismatch = || {
        let labels = at(template, &["metadata", "labels"]).unwrap_or(&Value::Null);
        Cause::invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    };
    let Some(selector) = given(spec, "selector") else {
        causes.push(Cause::required("spec.selector", ""));
        causes.push(mismatch());
        return true;
    };
    let before = causes.len();
    selector::check(selector, "spec.selector", causes);
    let is_sound = causes.len() == before;
    let shown = selector::shown(selector);
    let is_set = plural == "statefulsets";
    match LabelSelector::from_object(selector) {
        _ if !is_sound => {
            let why = if is_set { "" } else { "invalid label selector" };
            causes.push(Cause::invalid_struct("spec.selector", &shown, why));
        }
        Ok(parsed) if parsed.is_empty() => {
            let kind = match plural {
                "statefulsets" => "statefulset",
                "daemonsets" => "daemonset",
                _ => "deployment",
            };
            let rule = format!("empty selector is invalid for {kind}");
            causes.push(Cause::invalid_struct("spec.selector", &shown, &rule));
        }
        Ok(parsed) if !parsed.matches(template) => causes.push(mismatch()),
        _ => {}
    }
    is_sound
}

fn template(plural: &str, spec: &Value, causes: &mut Vec<Cause>) {
    const PATH: &str = "spec.template";
    let template = given(spec, "template").unwrap_or(&Value::Null);
    // The real server looks twice at these of a StatefulSet.
    for _ in 0..if plural == "statefulsets" { 2 } else { 1 } {
        names::check_labels(at(template, &["metadata", "labels"]), &format!("{PATH}.labels"), causes);
        names::check_annotations(at(template, &["metadata", "annotations"]), &format!("{PATH}.annotations"), causes);
    }
    let pods = template.get("spec").unwrap_or(&Value::Null);
    let claims =
        items(spec, "volumeClaimTemplates").iter().filter_map(|claim| claim.pointer("/metadata/name")?.as_str());
    pod::spec(pods, "spec.template.spec", &claims.collect::<Vec<_>>(), causes);
    one_of(pods, "restartPolicy", "spec.template.spec", &["Always"], causes);
    if given(pods, "activeDeadlineSeconds").is_some() {
        let kind = match plural {
            "statefulsets" => "StatefulSet",
            "daemonsets" => "DaemonSet",
            _ => "ReplicaSet",
        };
        let rule = format!("activeDeadlineSeconds in {kind} is not Supported");
        causes.push(Cause::forbidden("spec.template.spec.activeDeadlineSeconds", &rule));
    }
}

fn deployment(object: &Value, spec: &Value, causes: &mut Vec<Cause>) {
    not_negative(object, "spec.revisionHistoryLimit", causes);
    not_negative(object, "spec.progressDeadlineSeconds", causes);
    let number = |field: &str| spec.get(field).and_then(Value::as_i64);
    if let (Some(deadline), ready) = (number("progressDeadlineSeconds"), number("minReadySeconds").unwrap_or_default())
        && deadline <= ready
    {
        let rule = "must be greater than minReadySeconds";
        causes.push(Cause::invalid("spec.progressDeadlineSeconds", &json!(deadline), rule));
    }
    let strategy = given(spec, "strategy").unwrap_or(&Value::Null);
    let rolling = given(strategy, "rollingUpdate");
    match text(strategy, "type") {
        "Recreate" if rolling.is_some() => causes.push(Cause::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        )),
        "Recreate" => {}
        "RollingUpdate" => rolling_update(rolling.unwrap_or(&Value::Null), causes),
        other => {
            let rolling = rolling.map(
                |it| json!({ "MaxUnavailable": or_zero(it, "maxUnavailable"), "MaxSurge": or_zero(it, "maxSurge") }),
            );
            let shown = json!({ "Type": other, "RollingUpdate": rolling });
            causes.push(Cause::struct_not_supported("spec.strategy", &shown, &["Recreate", "RollingUpdate"]));
        }
    }
}

fn rolling_update(rolling: &Value, causes: &mut Vec<Cause>) {
    let path = |field: &str| format!("spec.strategy.rollingUpdate.{field}");
    for field in ["maxUnavailable", "maxSurge"] {
        words::count_or_percent(rolling.get(field), &path(field), causes);
    }
    let is_zero = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.trim_end_matches('%').parse() == Ok(0),
        value => value.and_then(Value::as_i64) == Some(0),
    };
    let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
    if is_zero(unavailable) && is_zero(surge) {
        let shown = unavailable.unwrap_or(&Value::Null);
        causes.push(Cause::invalid(&path("maxUnavailable"), shown, "may not be 0 when `maxSurge` is 0"));
    }
    words::not_more_than_all(unavailable, &path("maxUnavailable"), causes);
}

fn stateful_set(object: &Value, spec: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    not_negative(object, "spec.ordinals.start", causes);
    let policy = text(spec, "podManagementPolicy");
    if !matches!(policy, "" | "OrderedReady" | "Parallel") {
        let rule = "must be 'OrderedReady' or 'Parallel'";
        causes.push(Cause::invalid("spec.podManagementPolicy", &json!(policy), rule));
    }
    let retention = given(spec, "persistentVolumeClaimRetentionPolicy").unwrap_or(&Value::Null);
    for field in ["whenDeleted", "whenScaled"] {
        one_of(retention, field, "spec.persistentVolumeClaimRetentionPolicy", &["Retain", "Delete"], causes);
    }
    update_strategy(object, given(spec, "updateStrategy").unwrap_or(&Value::Null), causes);
    let service = text(spec, "serviceName");
    if old.is_none() && !service.is_empty() {
        words::label(service, "spec.serviceName", causes);
    }
}

fn update_strategy(object: &Value, strategy: &Value, causes: &mut Vec<Cause>) {
    let rolling = given(strategy, "rollingUpdate");
    let shown = rolling.map(|it| json!({ "Partition": or_zero(it, "partition"), "MaxUnavailable": null }));
    match text(strategy, "type") {
        "OnDelete" => {
            if let Some(shown) = shown {
                let rule = "only allowed for updateStrategy 'RollingUpdate'";
                causes.push(Cause::invalid_struct("spec.updateStrategy.rollingUpdate", &shown, rule));
            }
        }
        "" | "RollingUpdate" => not_negative(object, "spec.updateStrategy.rollingUpdate.partition", causes),
        other => {
            let shown = json!({ "Type": other, "RollingUpdate": shown });
            let rule = "must be 'RollingUpdate' or 'OnDelete'";
            causes.push(Cause::invalid_struct("spec.updateStrategy", &shown, rule));
        }
    }
}

pub(super) fn job(object: &Value, causes: &mut Vec<Cause>) {
    for field in ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"] {
        not_negative(object, &format!("spec.{field}"), causes);
    }
    let pods = at(object, &["spec", "template", "spec"]).unwrap_or(&Value::Null);
    pod::spec(pods, "spec.template.spec", &[], causes);
    if text(pods, "restartPolicy") == "Always" {
        let rule = "valid values: \"OnFailure\", \"Never\"";
        causes.push(Cause::required("spec.template.spec.restartPolicy", rule));
    }
}
