//! The rules of a node: their parts, and whether their expressions can be evaluated.
//!
//! What an expression may cost is not estimated.

use serde_json::{Map, Value};

use super::{Cause, Found, Place, array, flag, text};
use crate::schema::{
    Schema,
    cel::{self, Rule, Type},
    field_path,
};

const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

pub(super) fn check(map: &Map<String, Value>, at: &str, place: Place<'_>, found: &mut Found) {
    let rules = array(map, "x-kubernetes-validations");
    if rules.is_empty() {
        return;
    }
    let rules = rules.iter().filter_map(Value::as_object).enumerate();
    let rules: Vec<(String, &Map<String, Value>)> =
        rules.map(|(i, rule)| (format!("{at}.x-kubernetes-validations[{i}]"), rule)).collect();
    for (at, rule) in &rules {
        texts(rule, at, &mut found.schema);
        field_path(rule, at, place.types, &mut found.schema);
    }
    // What is wrong with the schema, here or below, would be told again by every rule.
    let Some(types) = place.types.filter(|_| found.schema.is_empty()) else { return };
    let Some(self_type) = Type::of(types, place.is_root || types.embedded) else { return };
    for (at, rule) in &rules {
        expressions(rule, at, &self_type, place.uncorrelated, &mut found.rules);
    }
}

fn texts(rule: &Map<String, Value>, at: &str, causes: &mut Vec<Cause>) {
    let own = |key: &str| text(rule, key).unwrap_or_default();
    let is_blank = |key: &str| !own(key).is_empty() && own(key).trim().is_empty();
    let has_lines = |text: &str| text.contains(['\n', '\r']);
    if own("rule").trim().is_empty() {
        causes.push(Cause::required(&format!("{at}.rule"), "rule is not specified"));
    } else if is_blank("message") {
        causes.push(Cause::invalid(&format!("{at}.message"), &own("message").into(), "must be non-empty if specified"));
    } else if has_lines(own("message").trim()) {
        causes.push(Cause::invalid(&format!("{at}.message"), &own("message").into(), "must not contain line breaks"));
    } else if has_lines(own("rule").trim()) && own("message").is_empty() {
        let detail = "message must be specified if rule contains line breaks";
        causes.push(Cause::required(&format!("{at}.message"), detail));
    }
    if is_blank("messageExpression") {
        let detail = "messageExpression must be non-empty if specified";
        causes.push(Cause::required(&format!("{at}.messageExpression"), detail));
    }
    if let Some(reason) = text(rule, "reason").filter(|reason| !REASONS.contains(reason)) {
        causes.push(Cause::not_supported(&format!("{at}.reason"), &reason.into(), &REASONS.map(str::to_owned)));
    }
}

fn field_path(rule: &Map<String, Value>, at: &str, types: Option<&Schema>, causes: &mut Vec<Cause>) {
    let Some(path) = text(rule, "fieldPath").filter(|path| !path.is_empty()) else { return };
    let mut invalid = |detail| causes.push(Cause::invalid(&format!("{at}.fieldPath"), &path.into(), detail));
    if path.trim().is_empty() {
        invalid("must be non-empty if specified");
    }
    if path.contains(['\n', '\r']) {
        invalid("must not contain line breaks");
    }
    if types.is_some_and(|types| field_path::resolve(path, types, true).is_err()) {
        invalid("must be a valid path");
    }
}

fn expressions(
    rule: &Map<String, Value>,
    at: &str,
    self_type: &Type,
    uncorrelated: Option<&str>,
    causes: &mut Vec<Cause>,
) {
    let fault = Rule::fault(rule, self_type);
    if let Some(fault) = &fault {
        let message = format!("Invalid value: {}: {}", cel::shown(rule), fault.detail);
        causes.push(Cause::new(&format!("{at}.{}", fault.field), "FieldValueInvalid", message));
    }
    let is_faulty = fault.is_some_and(|fault| fault.field == "rule");
    let uses_old = !is_faulty && cel::uses_old(text(rule, "rule").unwrap_or_default());
    match uncorrelated.filter(|_| uses_old) {
        Some(from) => {
            let detail = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {from}");
            let source = text(rule, "rule").unwrap_or_default();
            causes.push(Cause::invalid(&format!("{at}.rule"), &source.into(), &detail));
        }
        None if !uses_old && rule.get("optionalOldSelf").is_some_and(Value::is_boolean) => {
            let (at, set) = (format!("{at}.optionalOldSelf"), flag(rule, "optionalOldSelf"));
            causes.push(Cause::invalid(&at, &set.into(), "may not be set if oldSelf is not used in rule"));
        }
        None => {}
    }
}
