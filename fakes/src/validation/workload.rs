//! Workloads: their numbers, selectors, strategies and templates.

use serde_json::{Value, json};

use super::{given, items, not_negative, one_of, pod, text, words};
use crate::{object::at, schema::Cause, selector::LabelSelector};

pub(super) fn check(plural: &str, object: &Value, causes: &mut Vec<Cause>) {
    for field in ["spec.replicas", "spec.minReadySeconds", "spec.revisionHistoryLimit"] {
        not_negative(object, field, causes);
    }
    let spec = object.get("spec").unwrap_or(&Value::Null);
    match plural {
        "deployments" => deployment(object, spec, causes),
        "statefulsets" => stateful_set(object, spec, causes),
        _ => {}
    }
    let template = given(spec, "template").unwrap_or(&Value::Null);
    selector(plural, spec, template, causes);
    let pods = template.get("spec").unwrap_or(&Value::Null);
    let claims =
        items(spec, "volumeClaimTemplates").iter().filter_map(|claim| claim.pointer("/metadata/name")?.as_str());
    pod::spec(pods, "spec.template.spec", &claims.collect::<Vec<_>>(), causes);
    if pod::is_restart_policy(text(pods, "restartPolicy")) {
        one_of(pods, "restartPolicy", "spec.template.spec", &["Always"], causes);
    }
}

fn selector(plural: &str, spec: &Value, template: &Value, causes: &mut Vec<Cause>) {
    let mismatch = || {
        let labels = at(template, &["metadata", "labels"]).unwrap_or(&Value::Null);
        Cause::invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    };
    let Some(selector) = given(spec, "selector") else {
        causes.push(Cause::required("spec.selector", ""));
        causes.push(mismatch());
        return;
    };
    match LabelSelector::from_object(selector) {
        Err(why) => causes.push(Cause::invalid("spec.selector", selector, &why)),
        Ok(parsed) if parsed.is_empty() => {
            let kind = match plural {
                "statefulsets" => "statefulset",
                "daemonsets" => "daemonset",
                _ => "deployment",
            };
            let rule = format!("empty selector is invalid for {kind}");
            causes.push(Cause::invalid("spec.selector", selector, &rule));
        }
        Ok(parsed) if !parsed.matches(template) => causes.push(mismatch()),
        Ok(_) => {}
    }
}

fn deployment(object: &Value, spec: &Value, causes: &mut Vec<Cause>) {
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
        other => causes.push(Cause {
            field: "spec.strategy".to_owned(),
            reason: "FieldValueNotSupported",
            // The server shows its own struct.
            message: format!(
                "Unsupported value: {{\"Type\":{},\"RollingUpdate\":null}}: supported values: \"Recreate\", \
                 \"RollingUpdate\"",
                json!(other)
            ),
        }),
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

fn stateful_set(object: &Value, spec: &Value, causes: &mut Vec<Cause>) {
    not_negative(object, "spec.updateStrategy.rollingUpdate.partition", causes);
    not_negative(object, "spec.ordinals.start", causes);
    let policy = text(spec, "podManagementPolicy");
    if !matches!(policy, "" | "OrderedReady" | "Parallel") {
        let rule = "must be 'OrderedReady' or 'Parallel'";
        causes.push(Cause::invalid("spec.podManagementPolicy", &json!(policy), rule));
    }
    let strategy = at(spec, &["updateStrategy", "type"]).and_then(Value::as_str).unwrap_or_default();
    if !matches!(strategy, "" | "RollingUpdate" | "OnDelete") {
        causes.push(Cause {
            field: "spec.updateStrategy".to_owned(),
            reason: "FieldValueInvalid",
            message: format!(
                "Invalid value: {{\"Type\":{},\"RollingUpdate\":null}}: must be 'RollingUpdate' or 'OnDelete'",
                json!(strategy)
            ),
        });
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
