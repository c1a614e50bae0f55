//! Requests that are kept: what once went wrong, and good starts for new ones.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::check::Message;

/// The folder of kept requests, one a file.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");

/// Every kept request, with its file's name.
pub fn corpus() -> Result<Vec<(String, Message)>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(FOLDER)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    paths.sort();
    paths.iter().map(|path| Ok((name(path), read(path)?))).collect()
}

fn read(path: &Path) -> Result<Message> {
    let text = fs::read(path)?;
    Message::parse(&text)
        .with_context(|| format!("`{}` is no request: first line, headers, empty line, body", path.display()))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
