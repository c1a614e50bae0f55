//! The operator as its own process, as people run it.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The binary under test: the one `SLIPWAY_BINARY` names, a release build perhaps, or else one built now from the
/// workspace as it is.
///
/// A test of this package cannot name a binary of another one, and one found in the target folder may be old. No
/// package is named, so that dependencies keep the features they have in the whole workspace and nothing is built twice.
pub fn binary() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("SLIPWAY_BINARY") {
        return Ok(PathBuf::from(binary));
    }
    let cargo = std::env::var_os("CARGO").context("CARGO is not set: run the tests through cargo")?;
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--workspace", "--bin", "slipway", "--message-format", "json"])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "`cargo build --bin slipway` failed");
    let text = String::from_utf8(output.stdout)?;
    let artifacts = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut executables = artifacts.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    executables.next_back().context("`cargo build --bin slipway` named no executable")
}

/// A running operator. It is killed when dropped.
#[derive(Debug)]
pub struct Operator(Child);

impl Operator {
    /// Starts `slipway operator` with the contexts of `kubeconfig`; every member's context bears its name.
    pub fn start(binary: &Path, kubeconfig: &Path, hub: &str, members: &[&str]) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["operator", "--hub", hub, "--kubeconfig"]).arg(kubeconfig);
        for member in members {
            command.arg("--member").arg(format!("{member}={member}"));
        }
        Ok(Self(command.stdin(Stdio::null()).spawn()?))
    }

    /// SIGKILL: no chance to write anything more.
    pub fn kill(mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// SIGTERM, then waits for the end.
    pub fn terminate(mut self) -> Result<ExitStatus> {
        kill(Pid::from_raw(self.0.id().try_into()?), Signal::SIGTERM)?;
        Ok(self.0.wait()?)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
