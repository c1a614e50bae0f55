//! PodDisruptionBudgets, HorizontalPodAutoscalers and Leases.

use serde_json::{Value, json};

use super::{given, not_negative, one_of, required_text, selector, text, words};
use crate::schema::Cause;

pub(super) fn budget(object: &Value, causes: &mut Vec<Cause>) {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let (available, unavailable) = (given(spec, "minAvailable"), given(spec, "maxUnavailable"));
    let selector = given(spec, "selector").unwrap_or(&Value::Null);
    if let (Some(available), Some(unavailable)) = (available, unavailable) {
        let shown = json!({
            "MinAvailable": available,
            "Selector": selector::shown(selector),
            "MaxUnavailable": unavailable,
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        });
        causes.push(Cause::invalid_struct("spec", &shown, "minAvailable and maxUnavailable cannot be both set"));
    }
    for (field, value) in [("minAvailable", available), ("maxUnavailable", unavailable)] {
        let path = format!("spec.{field}");
        words::count_or_percent(value, &path, causes);
        words::not_more_than_all(value, &path, causes);
    }
    selector::check(selector, "spec.selector", causes);
    one_of(spec, "unhealthyPodEvictionPolicy", "spec", &["AlwaysAllow", "IfHealthyBudget"], causes);
}

pub(super) fn autoscaler(object: &Value, causes: &mut Vec<Cause>) {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let number = |field: &str| spec.get(field).and_then(Value::as_i64);
    let (least, most) = (number("minReplicas"), number("maxReplicas").unwrap_or_default());
    if let Some(least) = least.filter(|&least| least < 1) {
        let rule = "must be greater than or equal to 1";
        causes.push(Cause::invalid("spec.minReplicas", &json!(least), rule));
    }
    if most < 1 {
        causes.push(Cause::required("spec.maxReplicas", "must be set and greater than 0"));
    } else if least.is_some_and(|least| most < least) {
        let rule = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &json!(most), rule));
    }
    let target = spec.get("scaleTargetRef").unwrap_or(&Value::Null);
    for field in ["kind", "name"] {
        required_text(target, field, "spec.scaleTargetRef", causes);
    }
    if !text(target, "apiVersion").contains('/') {
        let rule = "apiVersion must specify API group";
        causes.push(Cause::invalid("spec.scaleTargetRef.apiVersion", &json!(text(target, "apiVersion")), rule));
    }
    let is_idle = |metric: &Value| matches!(text(metric, "type"), "Object" | "External");
    if least == Some(0) && !super::items(spec, "metrics").iter().any(is_idle) {
        let rule = "must specify at least one Object or External metric to support scaling to zero replicas";
        causes.push(Cause::forbidden("spec.metrics", rule));
    }
}

pub(super) fn lease(object: &Value, causes: &mut Vec<Cause>) {
    let seconds = object.pointer("/spec/leaseDurationSeconds").filter(|seconds| !seconds.is_null());
    if let Some(seconds) = seconds.filter(|seconds| seconds.as_i64().is_some_and(|seconds| seconds <= 0)) {
        causes.push(Cause::invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
    }
    not_negative(object, "spec.leaseTransitions", causes);
}
