//! Where the servers' binaries come from: `KUBEBUILDER_ASSETS`, a cache, or a build with Go.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

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
        let cache = cache_folder()?;
        let Some(go) = go_version() else { return Self::in_any_cache(&cache) };
        let folder = cache.join(format!("{}-{go}", key()?));
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
        let prefix = format!("{}-", key()?);
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

fn cache_folder() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(cache) if !cache.is_empty() => PathBuf::from(cache),
        _ => PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set: set one of them")?)
            .join(".cache"),
    };
    Ok(base.join("slipway").join("control-plane"))
}

/// What decides the binaries' content, the Go version apart.
fn key() -> Result<String> {
    let mut hash = Sha256::new();
    for file in ["go.mod", "go.sum"] {
        let path = Path::new(MODULE).join(file);
        hash.update(fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?);
    }
    hash.update(LINKER_FLAGS);
    Ok(super::hex(&hash.finalize()[..6]))
}

fn go_version() -> Option<String> {
    let output = Command::new("go").args(["env", "GOVERSION"]).stdin(Stdio::null()).output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !version.is_empty()).then_some(version)
}

/// Builds into a folder beside the wanted one and renames it, under a lock: parallel tests build once, and a build that
/// was interrupted leaves nothing that looks finished.
fn build_once(folder: &Path) -> Result<()> {
    if missing_in(folder).is_empty() {
        return Ok(());
    }
    let cache = folder.parent().context("the cache folder has no parent")?;
    fs::create_dir_all(cache).with_context(|| format!("cannot create `{}`", cache.display()))?;
    let lock = File::create(cache.join("lock"))?;
    lock.lock().context("cannot lock the cache of control plane binaries")?;
    if missing_in(folder).is_empty() {
        return Ok(());
    }
    let unfinished = tempfile::Builder::new().prefix("unfinished-").tempdir_in(cache)?;
    for (index, (name, package)) in COMMANDS.iter().enumerate() {
        eprintln!("building {name} with Go, {} of {} (minutes the first time)", index + 1, COMMANDS.len());
        build(package, &unfinished.path().join(name))?;
    }
    fs::rename(unfinished.path(), folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    eprintln!("control plane binaries are in {}", folder.display());
    Ok(())
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
