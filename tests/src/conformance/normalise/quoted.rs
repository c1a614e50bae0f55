//! Messages that quote whole objects: what differs from run to run inside the quotation.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Each with its replacement. Quotation marks inside a quotation are escaped, once or twice.
static PATTERNS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let patterns = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z(?P<after>\\)", "<time>${after}"),
        (r"(?P<before>resourceVersion\\+\x22:\\+\x22)[1-9]\d*", "${before}<resourceVersion>"),
        // Version 1 is no object's: it is what scripts ask for.
        (r"(?P<before>ResourceVersion in the precondition \()(?:[1-9]\d+|[2-9])", "${before}<resourceVersion>"),
        (r"\b10\.0\.(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])\.\d+(?P<after>[\\\x22])", "<clusterIP>${after}"),
        (r"(?P<before>odePort\\+\x22:)3\d{4}", "${before}<nodePort>"),
    ];
    patterns.into_iter().filter_map(|(pattern, with)| Some((Regex::new(pattern).ok()?, with))).collect()
});

/// Hides it. A text that is no more than a time or an address is not a quotation.
pub(super) fn hide(text: String) -> String {
    if !text.contains(['"', '(']) {
        return text;
    }
    PATTERNS.iter().fold(text, |text, (pattern, with)| {
        let replace = |found: &Captures<'_>| {
            let mut replaced = String::new();
            found.expand(with, &mut replaced);
            replaced
        };
        pattern.replace_all(&text, replace).into_owned()
    })
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
            ("10.0.208.30", "10.0.208.30"),
            (r#"time "2026-01-01T00:00:00Z" as"#, r#"time "2026-01-01T00:00:00Z" as"#),
            ("at 2026-01-01T00:00:00Z", "at 2026-01-01T00:00:00Z"),
        ];
        for (text, expected) in table {
            assert_eq!(hide(text.to_owned()), expected);
        }
        assert_eq!(PATTERNS.len(), 5);
    }
}
