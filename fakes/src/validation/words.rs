//! Rules for names, numbers and percentages, and how the server words them.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::NOT_NEGATIVE;
use crate::{names, schema::Cause};

const PERCENT_RULE: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
    '93%', regex used for validation is '[0-9]+%')";
const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";
const MAX_PORT_NAME: usize = 15;

/// A name is a DNS label.
pub(super) fn label(name: &str, path: &str, causes: &mut Vec<Cause>) {
    causes.extend(names::label_faults(name).into_iter().map(|why| Cause::invalid(path, &json!(name), &why)));
}

/// A name is a DNS subdomain, if there is one.
pub(super) fn subdomain(name: &str, path: &str, causes: &mut Vec<Cause>) {
    let faults = Some(name).filter(|name| !name.is_empty()).map(names::subdomain_faults).unwrap_or_default();
    causes.extend(faults.into_iter().map(|why| Cause::invalid(path, &json!(name), &why)));
}

/// An address, if it is one. Zeros may lead its numbers.
pub(super) fn parse_ip(text: &str) -> Option<IpAddr> {
    let plain = |part: &str| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0".to_owned(),
        rest => rest.to_owned(),
    };
    let v4 = || text.split('.').map(plain).collect::<Vec<_>>().join(".").parse().ok().map(IpAddr::V4);
    text.parse().ok().or_else(v4)
}

/// A text is an address, unless it was there before.
pub(super) fn ip(text: &str, path: &str, before: &[&str], causes: &mut Vec<Cause>) -> bool {
    let fits = parse_ip(text).is_some() || before.contains(&text);
    if !fits {
        let rule = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        causes.push(Cause::invalid(path, &json!(text), rule));
    }
    fits
}

/// A port is a number or the name of one.
pub(super) fn port(value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::String(name) => port_name(name, path, causes),
        other => port_number(other, path, causes),
    }
}

pub(super) fn port_number(value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if !value.as_i64().is_some_and(|number| (1..=65_535).contains(&number)) {
        causes.push(Cause::invalid(path, value, PORT_RANGE));
    }
}

pub(super) fn port_name(name: &str, path: &str, causes: &mut Vec<Cause>) {
    let mut wrong = |is_wrong: bool, rule: &str| {
        if is_wrong {
            causes.push(Cause::invalid(path, &json!(name), rule));
        }
    };
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    wrong(name.len() > MAX_PORT_NAME, "must be no more than 15 characters");
    let rule = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
    wrong(name.is_empty() || !name.chars().all(fits), rule);
    wrong(!name.chars().any(|c| c.is_ascii_lowercase()), "must contain at least one letter (a-z)");
    wrong(name.contains("--"), "must not contain consecutive hyphens");
    wrong(name.starts_with('-') || name.ends_with('-'), "must not begin or end with a hyphen");
}

/// A count or a percentage.
pub(super) fn count_or_percent(value: Option<&Value>, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Some(Value::String(text)) => {
            let digits = text.strip_suffix('%').unwrap_or_default();
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                causes.push(Cause::invalid(path, &json!(text), PERCENT_RULE));
            }
        }
        Some(number) if number.as_i64().is_some_and(|number| number < 0) => {
            causes.push(Cause::invalid(path, number, NOT_NEGATIVE));
        }
        _ => {}
    }
}

/// A percentage is not more than all.
pub(super) fn not_more_than_all(value: Option<&Value>, path: &str, causes: &mut Vec<Cause>) {
    let Some(Value::String(text)) = value else { return };
    if text.strip_suffix('%').and_then(|digits| digits.parse().ok()).is_some_and(|percent: u64| percent > 100) {
        causes.push(Cause::invalid(path, &json!(text), "must not be greater than 100%"));
    }
}
