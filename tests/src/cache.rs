//! A cache of what is made with Go once: binaries, and files of Go modules.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The cache's folder for one purpose.
pub(crate) fn folder(purpose: &str) -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(cache) if !cache.is_empty() => PathBuf::from(cache),
        _ => PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set: set one of them")?)
            .join(".cache"),
    };
    Ok(base.join("slipway").join(purpose))
}

/// A name for what is made from a Go module and `more`.
pub(crate) fn key(module: &str, more: &str) -> Result<String> {
    let mut hash = Sha256::new();
    for file in ["go.mod", "go.sum"] {
        let path = Path::new(module).join(file);
        hash.update(fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?);
    }
    hash.update(more);
    Ok(crate::control_plane::hex(&hash.finalize()[..6]))
}

/// The version of Go, if there is any.
pub(crate) fn go_version() -> Option<String> {
    let output = Command::new("go").args(["env", "GOVERSION"]).stdin(Stdio::null()).output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !version.is_empty()).then_some(version)
}

/// Fills a folder beside the wanted one and renames it, under a lock: parallel tests fill it once, and a run that was
/// interrupted leaves nothing that looks finished.
pub(crate) fn fill_once(
    folder: &Path,
    is_full: impl Fn(&Path) -> bool,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    if is_full(folder) {
        return Ok(());
    }
    let cache = folder.parent().context("the cache folder has no parent")?;
    fs::create_dir_all(cache).with_context(|| format!("cannot create `{}`", cache.display()))?;
    let lock = File::create(cache.join("lock"))?;
    lock.lock().with_context(|| format!("cannot lock `{}`", cache.display()))?;
    if is_full(folder) {
        return Ok(());
    }
    let unfinished = tempfile::Builder::new().prefix("unfinished-").tempdir_in(cache)?;
    fill(unfinished.path())?;
    fs::rename(unfinished.path(), folder).with_context(|| format!("cannot create `{}`", folder.display()))
}
