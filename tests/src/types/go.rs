//! Go's types of the API, as the program in `control-plane/types` prints them.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The Go module that has the program, and pins what it reads.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/control-plane");

#[derive(Debug, Deserialize)]
pub(super) struct Types {
    /// The type of each kind, by `group/version/kind`; the core group has no name.
    pub(super) kinds: BTreeMap<String, String>,
    pub(super) types: BTreeMap<String, Named>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    #[serde(default)]
    pub(super) fields: Vec<Field>,
    pub(super) is: Option<String>,
    #[serde(default)]
    pub(super) custom: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Field {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) is: String,
    #[serde(default)]
    pub(super) omit_empty: bool,
    #[serde(default)]
    pub(super) omit_zero: bool,
    #[serde(default)]
    pub(super) numbers: Vec<u32>,
    #[serde(default)]
    pub(super) inlined: Vec<String>,
    #[serde(default)]
    pub(super) patch_strategy: String,
    #[serde(default)]
    pub(super) patch_merge_key: String,
}

impl Types {
    /// Runs the program.
    pub(super) fn read() -> Result<Self> {
        let output = Command::new("go")
            .current_dir(MODULE)
            .env("CGO_ENABLED", "0")
            .args(["run", "-mod=readonly", "./types"])
            .stdin(Stdio::null())
            .output()
            .context("cannot run `go`, which reads the types of the Kubernetes API: install Go 1.26 or newer")?;
        if !output.status.success() {
            bail!("`go run ./types` in `{MODULE}` failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// The name that OpenAPI gives a Go type: `k8s.io/api/core/v1.Pod` is `io.k8s.api.core.v1.Pod`.
pub(super) fn model_name(name: &str) -> String {
    let Some((package, name)) = name.rsplit_once('.') else { return name.to_owned() };
    let mut parts = package.split('/');
    let host: Vec<&str> = parts.next().unwrap_or_default().rsplit('.').collect();
    let path: Vec<&str> = host.into_iter().chain(parts).collect();
    format!("{}.{name}", path.join("."))
}

/// A type as Go writes it, its parts by their names in OpenAPI; what it is made of is told to `part`.
pub(super) fn expression(text: &str, part: &mut impl FnMut(&str)) -> String {
    for prefix in ["*", "[]"] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return format!("{prefix}{}", expression(rest, part));
        }
    }
    if let Some((key, value)) = text.strip_prefix("map[").and_then(|rest| rest.split_once(']')) {
        return format!("map[{}]{}", expression(key, part), expression(value, part));
    }
    part(text);
    model_name(text)
}
