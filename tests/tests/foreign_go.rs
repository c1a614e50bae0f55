//! Go's clients see the same of the fake as of a real API server: typed, dynamic, informers, leader election.
//!
//! `client-go/` is a program that tells what it sees; it is run twice against each, since informers list and watch in the
//! old way or the new one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use slipway_fakes::{ApiServer, Clock};
use slipway_tests::control_plane::ControlPlane;
use tokio::net::TcpListener;

const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/client-go");

#[tokio::test(flavor = "multi_thread")]
async fn go_clients_cannot_tell_the_fake_from_a_real_api_server() -> Result<()> {
    let program = tokio::task::spawn_blocking(build).await??;
    #[expect(clippy::disallowed_methods, reason = "the program renews leases by its own clock")]
    let api = ApiServer::new(1, Clock::new(jiff::Timestamp::now(), 1));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, for_fake(&format!("http://{}", listener.local_addr()?)))?;
    let _served = api.serve(listener);
    let plane = ControlPlane::start("real").await?;
    for watch_list in [true, false] {
        let real = run(&program, &plane.kubeconfig_path(), watch_list).await.context("a real API server")?;
        let fake = run(&program, &kubeconfig, watch_list).await.context("the fake")?;
        ensure!(real == fake, "watch-list {watch_list}\nreal:\n{real}\nfake:\n{fake}");
    }
    Ok(())
}

fn build() -> Result<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client-go");
    let output = Command::new("go")
        .current_dir(MODULE)
        .env("CGO_ENABLED", "0")
        .args(["build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o"])
        .args([program.as_os_str(), ".".as_ref()])
        .output()
        .context("cannot run `go`: install Go 1.26 or newer")?;
    if !output.status.success() {
        bail!("`go build` in `{MODULE}`: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(program)
}

async fn run(program: &Path, kubeconfig: &Path, watch_list: bool) -> Result<String> {
    let output = tokio::process::Command::new(program)
        .arg(kubeconfig)
        .env("KUBE_FEATURE_WatchListClient", watch_list.to_string())
        .output()
        .await?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(stdout.contains(&format!("watch-list {watch_list}")), "the program watches in another way: {stdout}");
    Ok(stdout)
}

fn for_fake(url: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: fake\nclusters:\n- name: fake\n  cluster: {{server: \"{url}\"}}\n\
         contexts:\n- name: fake\n  context: {{cluster: fake, user: fake}}\nusers:\n- name: fake\n  user: {{}}\n"
    )
}
