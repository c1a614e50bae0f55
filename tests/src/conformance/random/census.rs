//! What was compared: requests by kind, verb and outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::conformance::{Script, Step, Transcript};

/// Counts of requests.
#[derive(Debug, Clone, Default)]
pub struct Census {
    scripts: usize,
    /// By kind and verb, and what each was answered with.
    requests: BTreeMap<(String, String), BTreeMap<u16, usize>>,
}

impl Census {
    /// Counts the requests of a script, with the answers where there are some.
    pub fn count(&mut self, script: &Script, answers: Option<&Transcript>) {
        self.scripts += 1;
        for (index, step) in script.steps.iter().enumerate() {
            let status = answers.and_then(|answers| answers.get(index)).map_or(0, |answer| answer.status);
            *self.requests.entry(key(step)).or_default().entry(status).or_default() += 1;
        }
    }

    /// The number of scripts.
    pub fn scripts(&self) -> usize {
        self.scripts
    }

    /// The number of requests whose answer is such a one.
    pub fn requests(&self, is_such: impl Fn(u16) -> bool) -> usize {
        let counts = self.requests.values().flatten();
        counts.filter(|(status, _)| is_such(**status)).map(|(_, count)| count).sum()
    }

    /// A table in Markdown: a row a kind, a column a verb.
    pub fn table(&self) -> String {
        let verbs: BTreeSet<&String> = self.requests.keys().map(|(_, verb)| verb).collect();
        let kinds: BTreeSet<&String> = self.requests.keys().map(|(kind, _)| kind).collect();
        let cells = |kind: &String| -> Vec<String> {
            let count = |verb: &&String| {
                let counts = self.requests.get(&(kind.clone(), (*verb).clone()));
                counts.map_or_else(String::new, |counts| counts.values().sum::<usize>().to_string())
            };
            verbs.iter().map(count).collect()
        };
        let head = verbs.iter().map(|verb| verb.as_str()).collect::<Vec<_>>().join(" | ");
        let rule = "|--:".repeat(verbs.len());
        let rows = kinds.iter().map(|kind| format!("| {kind} | {} |\n", cells(kind).join(" | ")));
        format!("| | {head} |\n|---{rule}|\n{}", rows.collect::<String>())
    }
}

/// Kinds by verbs, each with its outcomes.
impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, errors) = (self.requests(|_| true), self.requests(|status| status >= 400));
        writeln!(f, "{} scripts, {all} requests, {errors} of them answered with an error", self.scripts)?;
        for ((kind, verb), outcomes) in &self.requests {
            let outcomes: Vec<String> = outcomes.iter().map(|(status, count)| format!("{status}: {count}")).collect();
            writeln!(f, "  {kind:<28} {verb:<16} {}", outcomes.join("  "))?;
        }
        Ok(())
    }
}

/// Kind and verb of a step. Kinds are told as URLs tell them; CRDs that scripts bring along are one kind.
fn key(step: &Step) -> (String, String) {
    let (verb, url) = step.request.split_once(' ').unwrap_or((&step.request, ""));
    let path = url.split('?').next().unwrap_or_default();
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let group = match parts.first() {
        Some(&"api") => parts.drain(..2.min(parts.len())).next().map(|_| ""),
        Some(&"apis") => parts.drain(..3.min(parts.len())).nth(1),
        _ => return ("other paths".to_owned(), verb.to_lowercase()),
    };
    if parts.first() == Some(&"namespaces") && parts.len() > 2 && !["status", "finalize"].contains(&parts[2]) {
        parts.drain(..2);
    }
    let (kind, rest) = parts.split_first().unwrap_or((&"discovery", &[]));
    let own = group.unwrap_or_default().contains("example.com") || group.unwrap_or_default().contains('$');
    let kind = if own { "custom resources" } else { kind };
    let verb = match (verb, rest) {
        ("GET", []) => "list".to_owned(),
        ("DELETE", []) => "deletecollection".to_owned(),
        (verb, [_, subresource, ..]) => format!("{} {subresource}", verb.to_lowercase()),
        (verb, _) => verb.to_lowercase(),
    };
    (kind.to_owned(), verb)
}
