//! `kubectl` prints the same for the fake as for a real API server, command by command.
//!
//! The commands are in `foreign/kubectl.yaml`, what may differ in `foreign/kubectl-differences.yaml`. `FOREIGN_ARM=fake`
//! runs them against the fake alone and prints what they print.

use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use slipway_fakes::kubelet::KubeletOptions;
use slipway_fakes::{Clock, Cluster, ClusterOptions, Delay};
use slipway_tests::control_plane::{Binaries, ControlPlane};
use slipway_tests::foreign::{self, Accepted, Command, Outcome};
use slipway_tests::kubelet::Kubelet;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// A repeated command is given this often, this long apart: a minute in all.
const POLLS: usize = 120;
const POLL: Duration = Duration::from_millis(500);

/// An API server, as a folder that is `$HOME` and holds the kubeconfig.
struct Arm {
    home: TempDir,
    kubectl: PathBuf,
}

impl Arm {
    fn new(kubeconfig: &str) -> Result<Self> {
        let home = tempfile::tempdir()?;
        std::fs::create_dir(home.path().join(".kube"))?;
        std::fs::write(home.path().join(".kube/config"), kubeconfig)?;
        Ok(Self { home, kubectl: Binaries::find()?.path("kubectl") })
    }

    async fn run(&self, command: &Command) -> Result<Outcome> {
        for _ in 0..POLLS {
            let outcome = self.run_once(command).await?;
            if command.is_done(&outcome)? {
                return Ok(outcome);
            }
            tokio::time::sleep(POLL).await;
        }
        let last = self.run_once(command).await?;
        bail!("`{}` never prints `{}`: {last:?}", command.run, command.until)
    }

    async fn run_once(&self, command: &Command) -> Result<Outcome> {
        let mut child = tokio::process::Command::new("sh")
            .args(["-c", &format!("exec \"$KUBECTL\" {}", command.run)])
            .current_dir(Path::new(foreign::FOLDER))
            .env_remove("KUBECONFIG")
            .env("HOME", self.home.path())
            .env("KUBECTL", &self.kubectl)
            .env("KUBE_EDITOR", &command.editor)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().context("the child has no stdin")?;
        // A command that reads nothing may be gone already.
        let _ = stdin.write_all(command.stdin.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_cannot_tell_the_fake_from_a_real_api_server() -> Result<()> {
    let commands: Vec<Command> = foreign::read("kubectl.yaml")?;
    let accepted: Vec<Accepted> = foreign::read("kubectl-differences.yaml")?;
    #[expect(clippy::disallowed_methods, reason = "kubectl has no other clock to compare ages with")]
    let clock = Clock::new(jiff::Timestamp::now(), 1);
    let cluster = Cluster::start(ClusterOptions {
        // As quick as the stand-in on the real side.
        kubelet: KubeletOptions { ready: Delay::NONE, stop: Delay::NONE, ..KubeletOptions::default() },
        ..ClusterOptions::new(clock)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let fake = Arm::new(&kubeconfig(&format!("http://{}", listener.local_addr()?)))?;
    let _served = cluster.api().serve(listener);
    if env::var("FOREIGN_ARM").is_ok_and(|arm| arm == "fake") {
        return show(&fake, &commands).await;
    }
    let plane = ControlPlane::start("real").await?;
    let _kubelet = Kubelet::with_bad_images(plane.client()?, std::collections::BTreeSet::new());
    let real = Arm::new(&std::fs::read_to_string(plane.kubeconfig_path())?)?;
    let mut problems = Vec::new();
    let mut differing = Vec::new();
    for command in &commands {
        let (real, fake) = tokio::try_join!(real.run(command), fake.run(command))?;
        let (real, fake) = (real.comparable(command)?, fake.comparable(command)?);
        if real == fake {
            continue;
        }
        differing.push(&command.run);
        if !accepted.iter().any(|entry| entry.run == command.run) {
            problems.push(format!("$ kubectl {}\n{}", command.run, difference(&real, &fake)));
        }
    }
    for entry in accepted.iter().filter(|entry| !differing.contains(&&entry.run)) {
        problems.push(format!(
            "`{}` is listed as a difference ({}), but there is none: remove it",
            entry.run, entry.reason
        ));
    }
    if !problems.is_empty() {
        bail!("{} problems\n{}", problems.len(), problems.join("\n"));
    }
    writeln!(io::stderr(), "kubectl: {} commands, {} accepted differences", commands.len(), accepted.len())?;
    Ok(())
}

async fn show(arm: &Arm, commands: &[Command]) -> Result<()> {
    for command in commands {
        let outcome = arm.run(command).await?;
        writeln!(io::stderr(), "$ kubectl {}\n{}", command.run, outcome.comparable(command)?)?;
    }
    Ok(())
}

fn kubeconfig(url: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: fake\nclusters:\n- name: fake\n  cluster: {{server: \"{url}\"}}\n\
         contexts:\n- name: fake\n  context: {{cluster: fake, user: fake}}\nusers:\n- name: fake\n  user: {{}}\n"
    )
}

/// Lines of one that the other lacks.
fn difference(real: &str, fake: &str) -> String {
    let missing = |of: &str, from: &str| -> Vec<String> {
        of.lines().filter(|line| !from.lines().any(|it| it == *line)).map(str::to_owned).collect()
    };
    let mut shown: Vec<String> = missing(real, fake).iter().map(|line| format!("  - real: {line}")).collect();
    shown.extend(missing(fake, real).iter().map(|line| format!("  + fake: {line}")));
    if shown.is_empty() {
        shown.push(format!("  in another order, real:\n{real}  fake:\n{fake}"));
    }
    shown.join("\n")
}
