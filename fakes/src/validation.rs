//! What the server refuses in objects of the built-in kinds, with its words and field paths.

mod container;
mod data;
mod pod;
mod scaling;
mod selector;
mod service;
mod status;
mod warnings;
mod words;
mod workload;

use serde_json::{Value, json};

pub(crate) use self::{service::cluster_ips, status::status, warnings::warnings};
use crate::{object::at, schema::Cause};

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
const IMMUTABLE: &str = "field is immutable";

/// What is wrong with an object of a built-in resource; `old` is what an update would replace.
pub(crate) fn validate(plural: &str, object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    match plural {
        "deployments" | "replicasets" | "statefulsets" | "daemonsets" => workload::check(plural, object, old, causes),
        "jobs" => workload::job(object, causes),
        "pods" => pod::check(object, old, causes),
        "services" => service::check(object, old, causes),
        "configmaps" => data::config_map(object, old, causes),
        "secrets" => data::secret(object, old, causes),
        "poddisruptionbudgets" => scaling::budget(object, causes),
        "horizontalpodautoscalers" => scaling::autoscaler(object, causes),
        "leases" => scaling::lease(object, causes),
        _ => {}
    }
}

/// A value with its fields in the order messages show them, as far as they are there.
fn in_order(value: &Value, fields: &[&str]) -> Value {
    fields.iter().filter_map(|&field| Some((field.to_owned(), value.get(field)?.clone()))).collect()
}

/// A number or what may stand for one; zero when it is not there.
fn or_zero(value: &Value, field: &str) -> Value {
    given(value, field).cloned().unwrap_or_else(|| json!(0))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A value that is there and not null.
fn given<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    value.get(field).filter(|value| !value.is_null())
}

/// The number at a path of fields is not negative.
fn not_negative(object: &Value, path: &str, causes: &mut Vec<Cause>) {
    let parts: Vec<&str> = path.split('.').collect();
    if let Some(value) = at(object, &parts).filter(|value| value.as_i64().is_some_and(|number| number < 0)) {
        causes.push(Cause::invalid(path, value, NOT_NEGATIVE));
    }
}

/// A string that is set is one of the choices.
fn one_of(value: &Value, field: &str, path: &str, choices: &[&str], causes: &mut Vec<Cause>) {
    let text = text(value, field);
    if !text.is_empty() && !choices.contains(&text) {
        let choices: Vec<String> = choices.iter().map(|&choice| choice.to_owned()).collect();
        causes.push(Cause::not_supported(&format!("{path}.{field}"), &json!(text), &choices));
    }
}

fn required_text(value: &Value, field: &str, path: &str, causes: &mut Vec<Cause>) {
    if text(value, field).is_empty() {
        causes.push(Cause::required(&format!("{path}.{field}"), ""));
    }
}
