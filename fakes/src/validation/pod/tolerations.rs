//! What a pod tolerates.

use serde_json::{Value, json};

use super::super::{given, text};
use crate::{names, schema::Cause};

pub(super) fn check(tolerations: &[Value], path: &str, causes: &mut Vec<Cause>) {
    for (index, toleration) in tolerations.iter().enumerate() {
        one(toleration, &format!("{path}[{index}]"), causes);
    }
}

fn one(toleration: &Value, path: &str, causes: &mut Vec<Cause>) {
    let [key, operator, value, effect] = ["key", "operator", "value", "effect"].map(|field| text(toleration, field));
    let operator_at = format!("{path}.operator");
    if !key.is_empty() {
        names::check_key(key, &format!("{path}.key"), causes);
    } else if operator != "Exists" {
        let rule = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        causes.push(Cause::invalid(&operator_at, &json!(operator), rule));
    }
    if given(toleration, "tolerationSeconds").is_some() && effect != "NoExecute" {
        let rule = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        causes.push(Cause::invalid(&format!("{path}.effect"), &json!(effect), rule));
    }
    let strings = |choices: &[&str]| choices.iter().map(|&choice| choice.to_owned()).collect::<Vec<_>>();
    match operator {
        "" | "Equal" => {
            if let Some(why) = names::wrong_label_value(value) {
                causes.push(Cause::invalid(&operator_at, &json!(value), &why.replace("; ", ";")));
            }
        }
        "Exists" if value.is_empty() => {}
        "Exists" => {
            let rule = "value must be empty when `operator` is 'Exists'";
            causes.push(Cause::invalid(&operator_at, &json!(value), rule));
        }
        "Lt" | "Gt" => {
            let choices = strings(&["Equal", "Exists", "Lt", "Gt"]);
            causes.push(Cause::not_supported(&operator_at, &json!(operator), &choices));
        }
        other => {
            causes.push(Cause::not_supported(&operator_at, &json!(other), &strings(&["Equal", "Exists"])));
        }
    }
    if !matches!(effect, "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
        let choices = strings(&["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        causes.push(Cause::not_supported(&format!("{path}.effect"), &json!(effect), &choices));
    }
}
