//! Takes out of a program's output what differs from run to run.

use std::sync::LazyLock;

use regex::Regex;

/// What is replaced by what, in this order.
const RULES: [(&str, &str); 17] = [
    (r"https?://127\.0\.0\.1:\d+", "<server>"),
    (r"127\.0\.0\.1:\d+", "<server>"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uid>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<time>"),
    (r#"(resourceVersion"?: )"\d+""#, "$1<version>"),
    (r"\b(10|172)\.\d+\.\d+\.\d+\b", "<address>"),
    (r"/tmp/[^ ]*", "<path>"),
    (r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-<made>"),
    (r"\b[0-9bcdf]{8,10}(?:-<made>)?\b|\b[0-9bcdfghjklmnpqrstvwxz]{9,10}\b", "<hash>"),
    (r"(^|\s)(\d+[smhd])+(\s|$)", "$1<age>$3"),
    (r#"(resourceVersion\\+": ?\\+)"\d+\\+""#, "$1<version>"),
    (r"(resource version to be \d+, was|Resource Version:) +\d+", "$1 <version>"),
    (r":3\d{4}/TCP", ":<port>/TCP"),
    (r"\.[0-9a-f]{16}\b", ".<moment>"),
    (r" \(x\d+ over (\d+[smhd])+\)", ""),
    (r"[ \t]{2,}", "  "),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> =
    LazyLock::new(|| RULES.iter().filter_map(|(pattern, with)| Some((Regex::new(pattern).ok()?, *with))).collect());

/// The text with placeholders for times, ages, addresses, versions, uids and made names; blanks are of one width.
pub fn normalise(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let replaced =
            COMPILED.iter().fold(line.to_owned(), |text, (rule, with)| rule.replace_all(&text, *with).into_owned());
        replaced.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_a_regular_expression() {
        assert_eq!(COMPILED.len(), RULES.len());
    }

    #[test]
    fn what_differs_from_run_to_run_is_replaced() {
        for (text, expected) in [
            ("web   2/2     2            2           5m12s", "web  2/2  2  2  <age>"),
            ("pod/web-5d4f8c7b9d-x2lqz created", "pod/web-<hash>-<made> created"),
            ("running at https://127.0.0.1:4711", "running at <server>"),
            ("resourceVersion: \"123\"", "resourceVersion: <version>"),
            ("Start Time:   Wed, 25 Nov 2026 17:41:06 +0000", "Start Time:  <time>"),
            ("deployment.apps/web scaled", "deployment.apps/web scaled"),
        ] {
            assert_eq!(normalise(text), expected);
        }
    }
}
