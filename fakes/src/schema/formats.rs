//! String formats, and regular expressions as Go reads them.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::{Kind, pattern};
use crate::names;

/// The string formats the API server checks, without the hyphens that do not count; every other one is ignored.
const STRING_FORMATS: [&str; 26] = [
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "bsonobjectid",
    "byte",
    "password",
    "date",
    "duration",
    "datetime",
    "k8sshortname",
    "k8slongname",
];

/// The formats in a schema that mean nothing for their types.
pub(crate) fn unknown(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(map) = schema.as_object() {
        let kind = match map.get("type").and_then(Value::as_str) {
            Some("integer") => Some(Kind::Integer),
            Some("number") => Some(Kind::Number),
            Some("string") | None => Some(Kind::String),
            Some(_) => None,
        };
        let format = map.get("format").and_then(Value::as_str).filter(|format| !format.is_empty());
        if kind.is_some() && format.is_some() && supported(kind, format).is_none() {
            found.extend(format.map(str::to_owned));
        }
        found.extend(
            map.iter().filter(|(key, _)| *key != "default" && *key != "enum").flat_map(|(_, below)| unknown(below)),
        );
    } else if let Some(list) = schema.as_array() {
        found.extend(list.iter().flat_map(unknown));
    }
    found
}

/// The format of a schema, if it means something for its type.
pub(super) fn supported(kind: Option<Kind>, format: Option<&str>) -> Option<String> {
    let format = format?;
    let known = match kind {
        None | Some(Kind::String) => STRING_FORMATS.contains(&&*format.replace('-', "")),
        Some(Kind::Integer) => ["int32", "int64"].contains(&format),
        Some(Kind::Number) => ["float", "double"].contains(&format),
        Some(_) => false,
    };
    known.then(|| format.to_owned())
}

/// Whether a string has the format; formats of numbers say nothing about strings.
pub(super) fn matches(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => is_date_time(text),
        "date" => is_date(text),
        "byte" => is_base64(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "uuid" => is_uuid(text, None),
        "uuid3" => is_uuid(text, Some('3')),
        "uuid4" => is_uuid(text, Some('4')),
        "uuid5" => is_uuid(text, Some('5')),
        "mac" => is_mac(text),
        "duration" => is_duration(text),
        "hostname" => is_hostname(text),
        "email" => is_email(text),
        "isbn" => is_isbn(text, 10) || is_isbn(text, 13),
        "isbn10" => is_isbn(text, 10),
        "isbn13" => is_isbn(text, 13),
        "creditcard" => fits(CREDIT_CARD, &digits(text)),
        "ssn" => fits(r"^\d{3}[- ]?\d{2}[- ]?\d{4}$", text),
        "hexcolor" => fits("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$", text),
        "rgbcolor" => fits(RGB_COLOR, text),
        "bsonobjectid" => text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit()),
        "k8s-short-name" => names::wrong_label(text).is_none(),
        "k8s-long-name" => names::wrong_subdomain(text).is_none(),
        "uri" => text.starts_with('/') || text.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)),
        _ => true,
    }
}

const CREDIT_CARD: &str = r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})$";
const RGB_COLOR: &str = r"^rgb\(\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)$";

fn fits(pattern: &str, text: &str) -> bool {
    pattern::compile(pattern).is_ok_and(|regex| regex.is_match(text))
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// `user@host` as mail headers write it; a name and angle brackets may be around.
fn is_email(text: &str) -> bool {
    let address = text.rsplit_once('<').map_or(Some(text), |(_, rest)| rest.strip_suffix('>'));
    let Some((user, host)) = address.and_then(|address| address.rsplit_once('@')) else { return false };
    let is_atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let is_dotted = |text: &str| !text.is_empty() && text.split('.').all(|part| !part.is_empty());
    is_dotted(user) && is_dotted(host) && user.chars().all(is_atom) && host.chars().all(is_atom)
}

/// The digits and their check digit, hyphens and spaces apart.
fn is_isbn(text: &str, length: usize) -> bool {
    let text: Vec<char> = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    if text.len() != length {
        return false;
    }
    let mut sum = 0;
    for (i, c) in (0_u32..).zip(&text) {
        let value = match c.to_digit(10) {
            Some(digit) => digit,
            None if length == 10 && i == 9 && matches!(c, 'X' | 'x') => 10,
            None => return false,
        };
        sum += if length == 10 {
            (i + 1) * value
        } else if i % 2 == 0 {
            value
        } else {
            3 * value
        };
    }
    sum % (if length == 10 { 11 } else { 10 }) == 0
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_date_time(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some((date, time)) = lower.split_once('t') else { return false };
    if !is_date(date) || !time.is_ascii() || time.len() < 9 {
        return false;
    }
    let (clock, rest) = time.split_at(8);
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let fraction = &rest[..rest.len() - zone.len()];
    is_clock(clock) && (fraction.is_empty() || fraction.len() > 1) && (zone == "z" || is_offset(zone))
}

fn is_clock(clock: &str) -> bool {
    let parts: Vec<&str> = clock.split(':').collect();
    let [hours, minutes, seconds] = parts.as_slice() else { return false };
    let below = |text: &str, limit: u8| two_digits(text).is_some_and(|number| number < limit);
    below(hours, 24) && below(minutes, 60) && below(seconds, 60)
}

fn is_offset(zone: &str) -> bool {
    let Some((hours, minutes)) = zone.strip_prefix(['+', '-']).and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    two_digits(hours).is_some() && two_digits(minutes).is_some()
}

fn two_digits(text: &str) -> Option<u8> {
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && padding <= 2
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let Ok(bits) = bits.parse::<u8>() else { return false };
    (address.parse::<Ipv4Addr>().is_ok() && bits <= 32) || (address.parse::<Ipv6Addr>().is_ok() && bits <= 128)
}

fn is_uuid(text: &str, version: Option<char>) -> bool {
    let digits: Vec<char> = text.chars().filter(|c| *c != '-').collect();
    digits.len() == 32
        && digits.iter().all(char::is_ascii_hexdigit)
        && version.is_none_or(|version| digits[12] == version)
}

fn is_mac(text: &str) -> bool {
    let dotted: Vec<&str> = text.split('.').collect();
    if [3, 4, 10].contains(&dotted.len()) {
        return dotted.iter().all(|part| part.len() == 4 && part.bytes().all(|b| b.is_ascii_hexdigit()));
    }
    let parts: Vec<&str> = text.split([':', '-']).collect();
    [6, 8, 20].contains(&parts.len())
        && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_domain = |text: &str| text.len() >= 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    let labels_fit = text.len() <= 255 && text.split('.').all(is_label);
    labels_fit && text.rsplit_once('.').is_none_or(|(_, last)| is_domain(last))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Go's `1h30m`, or `22 ns` and `3 days` with the units of Scala.
fn is_duration(text: &str) -> bool {
    const UNITS: [&str; 30] = [
        "ns",
        "nano",
        "nanosecond",
        "nanos",
        "nanoseconds",
        "us",
        "µs",
        "micro",
        "micros",
        "microsecond",
        "microseconds",
        "ms",
        "milli",
        "millis",
        "millisecond",
        "milliseconds",
        "s",
        "sec",
        "secs",
        "second",
        "seconds",
        "m",
        "min",
        "mins",
        "minute",
        "minutes",
        "h",
        "hr",
        "hour",
        "hours",
    ];
    const LONG_UNITS: [&str; 6] = ["d", "day", "days", "w", "week", "weeks"];
    let mut rest = text.trim_start_matches(['+', '-']);
    if rest == "0" {
        return true;
    }
    let mut any = false;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let after = rest[unit_at..].trim_start();
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let unit = after[..unit_end].trim();
        if unit_at == 0 || !(UNITS.contains(&unit) || LONG_UNITS.contains(&unit)) {
            return false;
        }
        any = true;
        rest = after[unit_end..].trim_start();
    }
    any
}
