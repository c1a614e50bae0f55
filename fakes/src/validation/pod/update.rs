//! What an update may change of a pod's spec.

use serde_json::{Map, Value, json};

use super::super::{container, given, items, text};
use super::tolerations;
use crate::{
    object::{map_mut, same},
    schema::Cause,
};

const CONTAINERS: [&str; 2] = ["containers", "initContainers"];

/// The checks come in the order of the real server. Some hide those after them.
pub(super) fn check(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    for list in CONTAINERS {
        if !containers(new, old, list, causes) {
            return;
        }
    }
    if !deadline(new, old, causes) {
        return;
    }
    tolerations(items(new, "tolerations"), items(old, "tolerations"), causes);
    gates(new, old, causes);
    let mut new = new.clone();
    let gated = !items(old, "schedulingGates").is_empty();
    if gated && !same(new.get("nodeSelector"), old.get("nodeSelector")) {
        node_selector(&new, old, causes);
        keep(&mut new, old, "nodeSelector");
    }
    fixed(new, old, causes);
}

/// False when the two lists cannot be compared further.
fn containers(new: &Value, old: &Value, list: &str, causes: &mut Vec<Cause>) -> bool {
    let path = format!("spec.{list}");
    let (new, old) = (items(new, list), items(old, list));
    if new.len() != old.len() {
        causes.push(Cause::forbidden(&path, "pod updates may not add or remove containers"));
        return false;
    }
    for (index, container) in new.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if text(container, "image").is_empty() {
            causes.push(Cause::required(&format!("{path}.image"), ""));
        }
        container::image(container, &path, causes);
    }
    true
}

/// A deadline may be set, or come earlier. False when nothing else is looked at.
fn deadline(new: &Value, old: &Value, causes: &mut Vec<Cause>) -> bool {
    const PATH: &str = "spec.activeDeadlineSeconds";
    let [before, after] = [old, new].map(|spec| given(spec, "activeDeadlineSeconds").and_then(Value::as_i64));
    let mut refuse = |rule: &str| {
        causes.push(Cause::invalid(PATH, &json!(after), rule));
        after.is_none()
    };
    match (before, after) {
        (_, Some(after)) if !(0..=i64::from(i32::MAX)).contains(&after) => {
            refuse("must be between 0 and 2147483647, inclusive")
        }
        (Some(before), Some(after)) if before < after => refuse("must be less than or equal to previous value"),
        (Some(_), None) => refuse("must not update from a positive integer to nil value"),
        _ => true,
    }
}

/// Tolerations may be added, and last for another time.
fn tolerations(new: &[Value], old: &[Value], causes: &mut Vec<Cause>) {
    const PATH: &str = "spec.tolerations";
    let but_for_time = |toleration: &Value| {
        let fields = toleration.as_object().cloned().unwrap_or_default().into_iter();
        fields.filter(|(name, value)| name != "tolerationSeconds" && !value.is_null()).collect::<Map<_, _>>()
    };
    let is_kept = |old: &Value| new.iter().any(|new| but_for_time(new) == but_for_time(old));
    if old.iter().all(is_kept) {
        tolerations::check(new, PATH, causes);
    } else {
        causes.push(Cause::forbidden(PATH, "existing toleration can not be modified except its tolerationSeconds"));
    }
}

/// Gates may only go.
fn gates(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let known = items(old, "schedulingGates");
    for (index, gate) in items(new, "schedulingGates").iter().enumerate() {
        let name = text(gate, "name");
        if !known.iter().any(|old| text(old, "name") == name) {
            let why = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            causes.push(Cause::forbidden(&format!("spec.schedulingGates[{index}].name"), &why));
        }
    }
}

/// A pod that waits may be sent to fewer nodes.
fn node_selector(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let mut labels = old.get("nodeSelector").and_then(Value::as_object).into_iter().flatten();
    let selector = new.get("nodeSelector").unwrap_or(&Value::Null);
    if !labels.all(|(key, value)| selector.get(key) == Some(value)) {
        let rule = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        causes.push(Cause::invalid("spec.nodeSelector", selector, rule));
    }
}

fn keep(new: &mut Value, old: &Value, field: &str) {
    match old.get(field) {
        Some(value) => map_mut(new).insert(field.to_owned(), value.clone()),
        None => map_mut(new).shift_remove(field),
    };
}

/// All that is left is as it was.
fn fixed(mut new: Value, old: &Value, causes: &mut Vec<Cause>) {
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        keep(&mut new, old, field);
    }
    for list in CONTAINERS {
        let containers = new.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for (container, old) in containers.zip(items(old, list)) {
            keep(container, old, "image");
        }
    }
    let seconds = |spec: &Value| given(spec, "terminationGracePeriodSeconds").and_then(Value::as_i64);
    if seconds(old).is_some_and(|seconds| seconds < 0) && seconds(&new) == Some(1) {
        keep(&mut new, old, "terminationGracePeriodSeconds");
    }
    if without_nothing(new) != without_nothing(old.clone()) {
        causes.push(Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
             tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
}

fn without_nothing(mut spec: Value) -> Value {
    map_mut(&mut spec).retain(|_, value| !value.is_null());
    spec
}
