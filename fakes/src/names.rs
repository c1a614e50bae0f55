//! The syntax of names, labels and keys, with the words for what is wrong with them.

use serde_json::{Value, json};

use crate::schema::Cause;

pub(crate) const MAX_SUBDOMAIN: usize = 253;
pub(crate) const MAX_LABEL: usize = 63;

pub(crate) const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
    '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
pub(crate) const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
pub(crate) const SERVICE_RULE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const KEY_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
    an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
    and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
    validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Checks one label; `at` is the field of the labels.
pub(crate) fn check_label(key: &str, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    check_key(key, at, causes);
    check_label_value(value, at, causes);
}

/// Checks a map of labels; `at` is its field.
pub(crate) fn check_labels(labels: Option<&Value>, at: &str, causes: &mut Vec<Cause>) {
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        check_label(key, value, at, causes);
    }
}

/// Checks the key of a label; `at` is its field.
pub(crate) fn check_key(key: &str, at: &str, causes: &mut Vec<Cause>) {
    causes.extend(key_faults(key).into_iter().map(|why| Cause::invalid(at, &json!(key), &why)));
}

/// Checks the value of a label; `at` is its field.
pub(crate) fn check_label_value(value: &Value, at: &str, causes: &mut Vec<Cause>) {
    let faults = wrong_value(value.as_str().unwrap_or_default());
    causes.extend(faults.map(|why| Cause::invalid(at, value, why)));
}

/// Checks that a name can be a part of a path; `at` is its field.
pub(crate) fn check_segment(name: &str, at: &str, causes: &mut Vec<Cause>) {
    causes.extend(segment_faults(name).into_iter().map(|why| Cause::invalid(at, &json!(name), &why)));
}

/// What is wrong with a name that has to be a part of a path.
pub(crate) fn segment_faults(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ['/', '%'].into_iter().filter(|&odd| name.contains(odd)).map(|odd| format!("may not contain '{odd}'")).collect()
}

/// Checks the keys of annotations; `at` is their field.
pub(crate) fn check_annotations(annotations: Option<&Value>, at: &str, causes: &mut Vec<Cause>) {
    for key in annotations.and_then(Value::as_object).into_iter().flat_map(serde_json::Map::keys) {
        let faults = key_faults(&key.to_lowercase()).into_iter();
        causes.extend(faults.map(|why| Cause::invalid(at, &json!(key), &why)));
    }
}

fn wrong_value(text: &str) -> impl Iterator<Item = &'static str> {
    let long = (text.len() > MAX_LABEL).then_some("must be no more than 63 bytes");
    let odd = (!text.is_empty() && !is_name_part(text)).then_some(VALUE_RULE);
    long.into_iter().chain(odd)
}

/// What is wrong with a value of a label.
pub(crate) fn wrong_label_value(text: &str) -> Option<String> {
    Some(wrong_value(text).collect::<Vec<_>>().join("; ")).filter(|why| !why.is_empty())
}

/// What is wrong with a name that has to be a lower-case label.
pub(crate) fn wrong_label(name: &str) -> Option<String> {
    wrong(name, MAX_LABEL, LABEL_RULE, is_label)
}

/// What is wrong with a name that has to be a label of the older kind, which starts with a letter.
pub(crate) fn wrong_dns_1035(name: &str) -> Option<String> {
    wrong(name, MAX_LABEL, SERVICE_RULE, is_service_name)
}

/// What is wrong with the name of a kind.
pub(crate) fn wrong_kind(kind: &str) -> Option<String> {
    let why = wrong_dns_1035(&kind.to_lowercase())?;
    Some(format!("may have mixed case, but should otherwise match: {why}"))
}

/// What is wrong with a name that has to be a domain.
pub(crate) fn wrong_subdomain(name: &str) -> Option<String> {
    wrong(name, MAX_SUBDOMAIN, SUBDOMAIN_RULE, is_subdomain)
}

fn wrong(name: &str, limit: usize, rule: &str, fits: fn(&str) -> bool) -> Option<String> {
    let faults = name_faults(name, limit, rule, fits);
    (!faults.is_empty()).then(|| faults.join(","))
}

/// What is wrong with a name that has to be a lower-case label.
pub(crate) fn label_faults(name: &str) -> Vec<String> {
    let rule = if is_subdomain(name) { "must not contain dots" } else { LABEL_RULE };
    name_faults(name, MAX_LABEL, rule, is_label)
}

/// What is wrong with a name that has to be a domain.
pub(crate) fn subdomain_faults(name: &str) -> Vec<String> {
    name_faults(name, MAX_SUBDOMAIN, SUBDOMAIN_RULE, is_subdomain)
}

fn name_faults(name: &str, limit: usize, rule: &str, fits: fn(&str) -> bool) -> Vec<String> {
    let long = (name.len() > limit).then(|| format!("must be no more than {limit} characters"));
    let odd = (!fits(name)).then(|| rule.to_owned());
    long.into_iter().chain(odd).collect()
}

/// What is wrong with the key of a label or an annotation.
pub(crate) fn wrong_key(key: &str) -> Option<String> {
    Some(key_faults(key).join("; ")).filter(|why| !why.is_empty())
}

fn key_faults(key: &str) -> Vec<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if name.contains('/') {
        return vec![
            "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
             alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
             'example.com/MyName')"
                .to_owned(),
        ];
    }
    let mut faults = Vec::new();
    match prefix {
        Some("") => faults.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => {
            if prefix.len() > MAX_SUBDOMAIN {
                faults.push(format!("prefix part must be no more than {MAX_SUBDOMAIN} bytes"));
            }
            if !is_subdomain(prefix) {
                faults.push(format!("prefix part {SUBDOMAIN_RULE}"));
            }
        }
        None => {}
    }
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > MAX_LABEL {
        faults.push(format!("name part must be no more than {MAX_LABEL} bytes"));
    }
    if !is_name_part(name) {
        faults.push(KEY_RULE.to_owned());
    }
    faults
}

fn is_name_part(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    framed(text, char::is_ascii_alphanumeric) && text.chars().all(inner)
}

pub(crate) fn is_label(text: &str) -> bool {
    let lower = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit();
    framed(text, lower) && text.chars().all(|c| lower(&c) || c == '-')
}

pub(crate) fn is_service_name(text: &str) -> bool {
    is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

pub(crate) fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// The first and the last character are of the kind asked for.
fn framed(text: &str, fits: impl Fn(&char) -> bool) -> bool {
    text.chars().next().is_some_and(|c| fits(&c)) && text.chars().next_back().is_some_and(|c| fits(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_follow_the_dns_rules() {
        for (name, fits) in
            [("web-0", true), ("a.b", true), ("0", true), ("", false), ("Web", false), ("-a", false), ("a..b", false)]
        {
            assert_eq!(is_subdomain(name), fits, "{name}");
        }
        for (name, fits) in [("web", true), ("0web", false), ("web.x", false), ("web-", false)] {
            assert_eq!(is_service_name(name), fits, "{name}");
        }
        for (key, fits) in [
            ("app", true),
            ("example.com/app", true),
            ("App_1.x", true),
            ("/app", false),
            ("Example.com/app", false),
            ("a/b/c", false),
            ("", false),
            ("-app", false),
        ] {
            assert_eq!(wrong_key(key).is_none(), fits, "{key}");
        }
    }
}
