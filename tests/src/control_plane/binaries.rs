//! Where the servers' binaries come from: `KUBEBUILDER_ASSETS`, a cache, or a build with Go.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cache;

/// Every command by its file name, with the Go package it is built from.
const COMMANDS: [(&str, &str); 4] = [
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
];

/// The Go module whose `go.sum` pins the versions.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/control-plane");

/// Without these the servers call themselves v0.0.0.
const LINKER_FLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=36";

/// A folder that holds etcd, kube-apiserver, kube-controller-manager and kubectl.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Finds the binaries, and builds them when only Go is there. Blocks for minutes in that case.
    pub fn find() -> Result<Self> {
        if let Some(folder) = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) {
            return Self::in_assets(folder);
        }
        let cache = cache::folder("control-plane")?;
        let Some(go) = cache::go_version() else { return Self::in_any_cache(&cache) };
        let folder = cache.join(format!("{}-{go}", cache::key(MODULE, LINKER_FLAGS)?));
        build_once(&folder)?;
        Ok(Self { folder })
    }

    /// The path of one command.
    pub fn path(&self, command: &str) -> PathBuf {
        self.folder.join(command)
    }

    /// The folder that holds the commands.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn in_assets(folder: PathBuf) -> Result<Self> {
        let missing = missing_in(&folder);
        if !missing.is_empty() {
            bail!(
                "KUBEBUILDER_ASSETS: folder `{}` lacks {}: put them there, or unset the variable to build them with Go",
                folder.display(),
                missing.join(", ")
            );
        }
        Ok(Self { folder })
    }

    /// Without Go its version is unknown, so a build of the same sources by any version will do.
    fn in_any_cache(cache: &Path) -> Result<Self> {
        let prefix = format!("{}-", cache::key(MODULE, LINKER_FLAGS)?);
        let mut folders: Vec<PathBuf> = fs::read_dir(cache)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
            .filter(|path| missing_in(path).is_empty())
            .collect();
        folders.sort();
        let Some(folder) = folders.pop() else {
            bail!(
                "no control plane binaries: looked for etcd, kube-apiserver, kube-controller-manager and kubectl in \
                 $KUBEBUILDER_ASSETS (not set) and in `{}/{prefix}*`, and for `go` on the PATH to build them: install Go \
                 1.26 or newer, or point KUBEBUILDER_ASSETS at a folder with the four binaries",
                cache.display()
            );
        };
        Ok(Self { folder })
    }
}

fn missing_in(folder: &Path) -> Vec<&'static str> {
    COMMANDS.iter().map(|(name, _)| *name).filter(|name| !folder.join(name).is_file()).collect()
}

/// Builds what is missing.
fn build_once(folder: &Path) -> Result<()> {
    cache::fill_once(
        folder,
        |folder| missing_in(folder).is_empty(),
        |unfinished| {
            for (index, (name, package)) in COMMANDS.iter().enumerate() {
                eprintln!("building {name} with Go, {} of {} (minutes the first time)", index + 1, COMMANDS.len());
                build(package, &unfinished.join(name))?;
            }
            eprintln!("control plane binaries go to {}", folder.display());
            Ok(())
        },
    )
}

fn build(package: &str, output: &Path) -> Result<()> {
    let status = Command::new("go")
        .current_dir(MODULE)
        .env("CGO_ENABLED", "0")
        .args(["build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", LINKER_FLAGS, "-o"])
        .arg(output)
        .arg(package)
        .stdin(Stdio::null())
        .status()
        .context("cannot run `go`")?;
    if !status.success() {
        bail!("`go build {package}` in `{MODULE}` failed ({status}): see its messages above");
    }
    Ok(())
}
