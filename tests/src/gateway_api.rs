//! The definitions of the Gateway API's standard channel, from their Go module.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cache;

/// The Go module whose `go.sum` pins the release.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway-api");
const GATEWAY_API: &str = "sigs.k8s.io/gateway-api";
const STANDARD_CHANNEL: &str = "config/crd/standard";

/// The file that defines a resource, such as `httproutes`.
pub fn definition(plural: &str) -> Result<PathBuf> {
    let path = folder()?.join(format!("gateway.networking.k8s.io_{plural}.yaml"));
    if !path.is_file() {
        bail!("the Gateway API does not define `{plural}`: there is no `{}`", path.display());
    }
    Ok(path)
}

/// The folder of the definitions: a cache, which is filled by Go's module cache or a download.
fn folder() -> Result<PathBuf> {
    let folder = cache::folder("gateway-api")?.join(cache::key(MODULE, STANDARD_CHANNEL)?);
    cache::fill_once(&folder, Path::is_dir, |unfinished| {
        let standard = download()?.join(STANDARD_CHANNEL);
        let entries = fs::read_dir(&standard).with_context(|| format!("cannot read `{}`", standard.display()))?;
        for entry in entries {
            let entry = entry?;
            // Read and written, not copied: Go's module cache is read-only, and so a copy would be.
            fs::write(unfinished.join(entry.file_name()), fs::read(entry.path())?)?;
        }
        Ok(())
    })?;
    Ok(folder)
}

/// Where Go keeps the module.
fn download() -> Result<PathBuf> {
    let output = Command::new("go")
        .current_dir(MODULE)
        .args(["mod", "download", "-json", GATEWAY_API])
        .stdin(Stdio::null())
        .output()
        .context("cannot run `go`, which is needed once to get the Gateway API: install Go 1.26 or newer")?;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match told.get("Dir").and_then(Value::as_str) {
        Some(folder) if output.status.success() => Ok(folder.into()),
        _ => bail!(
            "`go mod download {GATEWAY_API}` in `{MODULE}` failed ({}): {}{}",
            output.status,
            told.get("Error").and_then(Value::as_str).unwrap_or_default(),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}
