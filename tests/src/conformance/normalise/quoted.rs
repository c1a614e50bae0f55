//! Messages that quote whole objects: what differs from run to run inside the quotation.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// What comes before a value in a message.
const VALUE: &str = "Invalid value: ";

/// Each with its replacement. Quotation marks inside a quotation are escaped, once or twice.
static PATTERNS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let patterns = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z(?P<after>\\)", "<time>${after}"),
        (r"(?P<before>resourceVersion\\*\x22:\\*\x22)[1-9]\d*", "${before}<resourceVersion>"),
        // As Go prints maps.
        (r"(?P<before>\bresourceVersion:)[1-9]\d*", "${before}<resourceVersion>"),
        (
            r"ResourceVersion in precondition: \d+, ResourceVersion in object meta: \d+",
            "ResourceVersion in precondition: <resourceVersion>, ResourceVersion in object meta: <resourceVersion>",
        ),
        (r"(?P<before>Too large resource version: \d+, current: )\d+", "${before}<resourceVersion>"),
        // Version 1 is no object's: it is what scripts ask for.
        (r"(?P<before>ResourceVersion in the precondition \()(?:[1-9]\d+|[2-9])", "${before}<resourceVersion>"),
        (r"\b10\.0\.(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])\.\d+(?P<after>[\\\x22])", "<clusterIP>${after}"),
        (r"(?P<before>odePort\\+\x22:)3\d{4}", "${before}<nodePort>"),
    ];
    patterns.into_iter().filter_map(|(pattern, with)| Some((Regex::new(pattern).ok()?, with))).collect()
});

/// Hides it. A text that is no more than a time or an address is not a quotation.
pub(super) fn hide(text: String) -> String {
    if !text.contains(['"', '(', ':']) {
        return text;
    }
    PATTERNS.iter().fold(in_order(&text), |text, (pattern, with)| {
        let replace = |found: &Captures<'_>| {
            let mut replaced = String::new();
            found.expand(with, &mut replaced);
            replaced
        };
        pattern.replace_all(&text, replace).into_owned()
    })
}

/// The text with the fields of all quoted objects sorted: JSON gives their order no meaning.
fn in_order(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(VALUE) {
        let (before, after) = rest.split_at(start + VALUE.len());
        result.push_str(before);
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<Value>();
        let value = values.next().and_then(Result::ok);
        let length = if value.is_some() { values.byte_offset() } else { 0 };
        let (quoted, left) = after.split_at(length);
        match value {
            Some(value) => result.push_str(&sorted(value).to_string()),
            None => result.push_str(quoted),
        }
        rest = left;
    }
    result + rest
}

fn sorted(value: Value) -> Value {
    match value {
        Value::String(text) if text.starts_with('{') => {
            let inner = serde_json::from_str::<Value>(&text).ok().map(|inner| sorted(inner).to_string());
            Value::String(inner.unwrap_or(text))
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            fields.into_iter().collect()
        }
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations_lose_what_differs_and_nothing_else() {
        let table = [
            (r#"{\"creationTimestamp\":\"2026-01-01T00:00:00Z\"}"#, r#"{\"creationTimestamp\":\"<time>\"}"#),
            (r#"{\"resourceVersion\":\"298\"}"#, r#"{\"resourceVersion\":\"<resourceVersion>\"}"#),
            (r#"{\"resourceVersion\":\"0\"}"#, r#"{\"resourceVersion\":\"0\"}"#),
            (
                "the ResourceVersion in the precondition (702) does",
                "the ResourceVersion in the precondition (<resourceVersion>) does",
            ),
            (r#"{\"clusterIP\":\"10.0.208.30\"}"#, r#"{\"clusterIP\":\"<clusterIP>\"}"#),
            (r#"IPAddress "10.0.192.41" is"#, r#"IPAddress "<clusterIP>" is"#),
            (r#"{\"nodePort\":30508}"#, r#"{\"nodePort\":<nodePort>}"#),
            (
                "ResourceVersion in precondition: 4, ResourceVersion in object meta: 7",
                "ResourceVersion in precondition: <resourceVersion>, ResourceVersion in object meta: <resourceVersion>",
            ),
            ("map[metadata:map[resourceVersion:17]]", "map[metadata:map[resourceVersion:<resourceVersion>]]"),
            (
                "Timeout: Too large resource version: 9, current: 7",
                "Timeout: Too large resource version: 9, current: <resourceVersion>",
            ),
            (
                r#"a: Invalid value: {"b":1,"a":{"d":[],"c":2}}: no, b: Invalid value: "{\"b\":1,\"a\":2}": no"#,
                r#"a: Invalid value: {"a":{"c":2,"d":[]},"b":1}: no, b: Invalid value: "{\"a\":2,\"b\":1}": no"#,
            ),
            ("a: Invalid value: 1.5: no", "a: Invalid value: 1.5: no"),
            (r#"a: Invalid value: "\x00": no"#, r#"a: Invalid value: "\x00": no"#),
            ("10.0.208.30", "10.0.208.30"),
            (r#"time "2026-01-01T00:00:00Z" as"#, r#"time "2026-01-01T00:00:00Z" as"#),
            ("at 2026-01-01T00:00:00Z", "at 2026-01-01T00:00:00Z"),
        ];
        for (text, expected) in table {
            assert_eq!(hide(text.to_owned()), expected);
        }
        assert_eq!(PATTERNS.len(), 8);
    }
}
