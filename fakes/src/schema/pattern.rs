//! Regular expressions as Go reads them, compiled once per process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use regex::Regex;

/// Patterns remembered at most: a fuzzer makes many.
const MAX_REMEMBERED: usize = 10_000;

/// What was compiled, or why not, by source.
type Known = BTreeMap<String, Result<Arc<Regex>, Arc<str>>>;

static COMPILED: Mutex<Known> = Mutex::new(BTreeMap::new());

/// Compiles a pattern, or says as Go does why it is none.
pub(super) fn compile(source: &str) -> Result<Arc<Regex>, Arc<str>> {
    let compiled = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = compiled().get(source) {
        return known.clone();
    }
    let regex = match Regex::new(&from_go(source)) {
        Ok(regex) => Ok(Arc::new(regex)),
        Err(error) => Err(told(&error.to_string(), source).into()),
    };
    let mut compiled = compiled();
    if compiled.len() >= MAX_REMEMBERED {
        compiled.clear();
    }
    compiled.insert(source.to_owned(), regex.clone());
    regex
}

fn told(error: &str, source: &str) -> String {
    let what = if error.contains("unclosed group") {
        "missing closing )"
    } else if error.contains("unopened group") {
        "unexpected )"
    } else if error.contains("unclosed character class") {
        "missing closing ]"
    } else {
        return format!("error parsing regexp: {error}");
    };
    format!("error parsing regexp: {what}: `{source}`")
}

/// Rewrites a Go regular expression for the `regex` crate.
///
/// Inside a class Go takes `[`, `&&`, `--` and `~~` literally, where the crate sees a nested class or a set operation.
fn from_go(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut chars = source.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(chars.next());
            }
            '[' if in_class && chars.peek() != Some(&':') => out.push_str("\\["),
            '[' if in_class => {
                out.push(c);
                for next in chars.by_ref() {
                    out.push(next);
                    if next == ']' {
                        break;
                    }
                }
            }
            '[' => {
                in_class = true;
                out.push(c);
                out.extend(chars.next_if_eq(&'^'));
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(c);
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
