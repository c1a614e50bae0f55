//! Programs that are not ours against an API server: the fake, served on loopback, and a real one.

mod normalise;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

pub use normalise::normalise;

/// The folder of command lists and of the manifests they name.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/foreign");

/// One command line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// What follows `kubectl`, as a shell takes it.
    pub run: String,
    /// What it reads.
    #[serde(default)]
    pub stdin: String,
    /// What `kubectl edit` calls.
    #[serde(default)]
    pub editor: String,
    /// It is repeated until it prints this, a regular expression.
    #[serde(default)]
    pub until: String,
    /// Lines of the output to compare, as a regular expression; empty for all.
    #[serde(default)]
    pub lines: String,
    /// Parts to compare; empty for all.
    #[serde(default)]
    pub only: Vec<Part>,
}

/// Part of what a command leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Its exit code.
    Code,
    /// What it prints.
    Stdout,
    /// What it complains of.
    Stderr,
}

/// What a command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Command {
    /// Whether what it left is what it was repeated for.
    pub fn is_done(&self, outcome: &Outcome) -> Result<bool> {
        let until = regex::Regex::new(&self.until).with_context(|| format!("`{}`: `until`", self.run))?;
        Ok(until.is_match(&outcome.stdout) || until.is_match(&outcome.stderr))
    }
}

impl Outcome {
    /// The parts that a command's outcomes are compared by, without what differs from run to run.
    pub fn comparable(&self, command: &Command) -> Result<String> {
        let wants = |part: Part| command.only.is_empty() || command.only.contains(&part);
        let lines = regex::Regex::new(&command.lines).with_context(|| format!("`{}`: `lines`", command.run))?;
        let mut shown = String::new();
        if wants(Part::Code) {
            let code = self.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
            shown.extend(["exit ", &code, "\n"]);
        }
        for (part, mark, text) in [(Part::Stdout, "| ", &self.stdout), (Part::Stderr, "! ", &self.stderr)] {
            let text = normalise(text);
            for line in text.lines().filter(|line| wants(part) && lines.is_match(line)) {
                shown.extend([mark, line, "\n"]);
            }
        }
        Ok(shown)
    }
}

/// A difference that may be, and why.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The command line.
    pub run: String,
    /// Why this is no fault.
    pub reason: String,
}

/// A list in the folder.
pub fn read<T: for<'de> Deserialize<'de>>(name: &str) -> Result<Vec<T>> {
    let path: PathBuf = Path::new(FOLDER).join(name);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("`{}` is malformed", path.display()))
}
