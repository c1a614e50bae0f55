//! The syntax of labels, annotations and selectors.

use super::Errors;
use crate::api::LabelSelector;

/// Longest name of a key, and longest value of a label.
const NAME_MAX: usize = 63;
/// Longest name of an object, and longest prefix of a key.
const OBJECT_NAME_MAX: usize = 253;

/// Checks a selector.
pub(super) fn selector(errors: &mut Errors, path: &str, selector: &LabelSelector) {
    for (label, value) in selector.match_labels.iter().flatten() {
        key(errors, &format!("{path}.matchLabels"), label);
        label_value(errors, &format!("{path}.matchLabels[{label}]"), value);
    }
    for (index, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let values = requirement.values.as_deref().unwrap_or_default();
        key(errors, &format!("{path}.key"), &requirement.key);
        match requirement.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => {
                errors.add(format_args!("{path}.values"), "is empty; In and NotIn need at least one value");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                errors.add(format_args!("{path}.values"), "is not empty; remove it for Exists and DoesNotExist");
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            found => errors.add(
                format_args!("{path}.operator"),
                format_args!("found {found:?}, expected In, NotIn, Exists or DoesNotExist"),
            ),
        }
        for value in values {
            label_value(errors, &format!("{path}.values"), value);
        }
    }
}

/// Checks the key of a label or an annotation: a name, with or without a domain before it.
pub(super) fn key(errors: &mut Errors, path: &str, key: &str) {
    if !is_qualified_name(key) {
        let expected =
            "expected a name of at most 63 letters, digits, '-', '_' and '.', such as app or example.com/app";
        errors.add(path, format_args!("found key {key:?}, {expected}"));
    }
}

/// Checks the value of a label.
pub(super) fn label_value(errors: &mut Errors, path: &str, value: &str) {
    if !value.is_empty() && !is_name(value) {
        let expected = "expected at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";
        errors.add(path, format_args!("found {value:?}, {expected}"));
    }
}

/// Whether a text can be the key of a label: a name, with or without a domain before it.
pub(super) fn is_qualified_name(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_object_name) && is_name(name)
}

fn is_name(text: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= NAME_MAX
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// Whether `name` can name an object: a DNS-1123 subdomain.
pub fn is_object_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let inner = part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        !part.is_empty() && inner && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= OBJECT_NAME_MAX && name.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names() {
        for good in ["a", "web-1", "a.b-c.d0"] {
            assert!(is_object_name(good), "{good}");
        }
        for bad in ["", "Web", "a_b", "a/b", "-a", "a-", "a..b", &"a".repeat(254)] {
            assert!(!is_object_name(bad), "{bad}");
        }
    }
}
