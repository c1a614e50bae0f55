//! Request scripts that two API servers have to answer alike: a real one, and the fake.
//!
//! A script is data (`tests/conformance/*.yaml`). What the real API server answered is recorded beside it in `answers/`,
//! so that the fake can be held against it without a control plane; the real one is held against it too, which keeps the
//! record fresh. Where the fake may differ is listed in `differences.yaml`, with a reason each.

mod accepted;
mod arms;
mod compare;
mod moves;
mod normalise;
mod page;
mod random;
mod run;
mod script;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use accepted::{Accepted, Place, judge};
pub use arms::{Real, on_fake, on_real};
pub use compare::{Difference, compare};
pub use moves::{Moves, Order};
pub use page::{page, page_path};
pub use random::{Census, RANDOM, RANDOM_SCRIPTS, generate, mutate, shrink};
pub use run::run;
pub use script::{Answer, Request, Script, Step, Transcript};

/// The folder of scripts.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance");

/// Every script, by name. `only` keeps those named in it, unless it is empty.
pub fn scripts(only: &[String]) -> Result<Vec<Script>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(FOLDER)?
        .map(|entry| Ok(entry?.path()))
        .filter(|path: &Result<PathBuf>| path.as_ref().map_or(true, |path| is_script(path)))
        .collect::<Result<_>>()?;
    paths.sort();
    let scripts: Vec<Script> = paths.iter().map(|path| Script::read(path)).collect::<Result<_>>()?;
    Ok(scripts.into_iter().filter(|script| only.is_empty() || only.contains(&script.name)).collect())
}

/// What the real API server answered to a script when it was last recorded.
pub fn recorded(script: &Script) -> Result<Transcript> {
    let path = answers_path(script);
    let text = fs::read_to_string(&path).with_context(|| {
        format!("script `{}` has no answers `{}`: run `record-answers {}`", script.name, path.display(), script.name)
    })?;
    Ok(serde_saphyr::from_str(&text)?)
}

/// Answers, or other documents of a server, with what differs from run to run replaced by placeholders.
pub fn normalised(documents: &[serde_json::Value]) -> Vec<serde_json::Value> {
    let mut normaliser = normalise::Normaliser::default();
    documents.iter().map(|document| normaliser.normalise(document)).collect()
}

/// Keeps what the real API server answered.
pub fn record(script: &Script, transcript: &Transcript) -> Result<()> {
    let path = answers_path(script);
    fs::write(&path, serde_saphyr::to_string(transcript)?).with_context(|| format!("cannot write `{}`", path.display()))
}

fn answers_path(script: &Script) -> PathBuf {
    Path::new(FOLDER).join("answers").join(format!("{}.yaml", script.name))
}

fn is_script(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "yaml") && path.file_stem().is_some_and(|it| it != "differences")
}
