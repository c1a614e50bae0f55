//! The control planes other tests stand on: they start side by side, behave, and never stay behind.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use slipway_tests::control_plane::{ControlPlane, merge};
use slipway_tests::kubelet::Kubelet;

/// A minute, for a busy machine; all of it is only used up by a failure.
const POLLS: usize = 600;
const POLL: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn three_planes_run_side_by_side() -> Result<()> {
    let planes = try_join_all(["hub", "east", "west"].map(ControlPlane::start)).await?;
    for plane in &planes {
        assert_eq!(plane.client()?.apiserver_version().await?.git_version, "v1.36.3", "{}", plane.name());
    }
    let merged = merge(&planes);
    let contexts: Vec<_> = merged.contexts.iter().map(|context| context.name.as_str()).collect();
    assert_eq!(contexts, ["hub", "east", "west"]);
    assert_eq!(merged.current_context.as_deref(), Some("hub"));

    let kubectl = planes[1].kubectl().args(["get", "namespaces", "-o", "name"]).output()?;
    let names = String::from_utf8(kubectl.stdout)?;
    assert!(names.contains("namespace/default"), "kubectl printed {names:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_holds_pods_back() -> Result<()> {
    let plane = ControlPlane::start("hub").await?;
    let client = plane.client()?;
    let _kubelet = Kubelet::start(plane.client()?);
    let sets = Api::<StatefulSet>::default_namespaced(client.clone());
    sets.create(&PostParams::default(), &stateful_set()?).await?;
    wait_until(&sets, |set| set["status"]["availableReplicas"] == 5).await?;
    let before = pods(&client).await?;

    patch(
        &sets,
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": "app:2" }] } } } }),
    )
    .await?;
    wait_until(&sets, |set| set["status"]["observedGeneration"] == 2).await?;
    assert_eq!(pods(&client).await?, before, "a template change below the partition changed a pod");

    patch(&sets, json!({ "spec": { "updateStrategy": { "rollingUpdate": { "partition": 4 } } } })).await?;
    let set = wait_until(&sets, |set| {
        set["status"]["observedGeneration"] == 3
            && set["status"]["updatedReplicas"] == 1
            && set["status"]["availableReplicas"] == 5
    })
    .await?;
    assert_eq!(set["status"]["currentReplicas"], 4);
    let after = pods(&client).await?;
    assert_eq!(after[..4], before[..4], "pods below the partition changed");
    assert_ne!(after[4].1, before[4].1, "pod 4 is still the old one");
    assert_eq!(after[4].2, "app:2");
    Ok(())
}

#[test]
fn a_killed_process_leaves_no_server_behind() -> Result<()> {
    for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM] {
        let (mut process, server) = start_process()?;
        assert!(TcpStream::connect(&server).is_ok(), "nothing listens on {server}");
        kill(Pid::from_raw(process.id().try_into()?), signal)?;
        process.wait()?;
        assert!(closes(&server), "a server still listens on {server} after {signal}");
    }
    Ok(())
}

#[test]
fn missing_binaries_are_named_with_a_remedy() -> Result<()> {
    let empty = tempfile::tempdir()?;
    let build = |assets: &[(&str, &Path)]| -> Result<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane"));
        command.arg("build").env_remove("KUBEBUILDER_ASSETS").envs(assets.iter().copied());
        command.env("PATH", empty.path()).env("XDG_CACHE_HOME", empty.path());
        let output = command.output()?;
        assert!(!output.status.success());
        Ok(String::from_utf8(output.stderr)?)
    };
    let given: &[_] = &[("KUBEBUILDER_ASSETS", empty.path())];
    for (assets, words) in [
        (
            given,
            [
                "KUBEBUILDER_ASSETS",
                "lacks etcd, kube-apiserver, kube-controller-manager, kubectl",
                "unset the variable",
            ],
        ),
        (&[], ["looked for etcd, kube-apiserver, kube-controller-manager and kubectl", "`go`", "install Go"]),
    ] {
        let error = build(assets)?;
        assert!(words.iter().all(|word| error.contains(word)), "{words:?} are not all in: {error}");
    }
    Ok(())
}

/// Starts a process with a control plane; returns it with the API server's address.
/// The fakes hash pod templates by the layout of Go's types, which they keep as a file.
#[test]
fn the_layout_of_pod_templates_is_that_of_the_planes_own_module() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = std::fs::read_to_string(folder.join("../fakes/src/controllers/template_hash/types.txt"))?;
    let mut go = Command::new("go");
    go.args(["run", "-mod=readonly", "./template-types"]).current_dir(folder.join("control-plane"));
    let printed = go.output().context("cannot run `go`: install Go 1.26 or newer")?;
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    assert_eq!(kept, String::from_utf8(printed.stdout)?, "renew it with `go run ./template-types`");
    Ok(())
}

fn start_process() -> Result<(Child, String)> {
    let mut process = Command::new(env!("CARGO_BIN_EXE_control-plane")).arg("up").stdout(Stdio::piped()).spawn()?;
    let output = BufReader::new(process.stdout.take().context("the process has no output")?);
    let line = output.lines().next().context("the process ended before its control plane was up")??;
    let url = line.split(' ').nth(1).context("no URL in the first line")?;
    Ok((process, url.trim_start_matches("https://").to_owned()))
}

/// Waits for the end of a server that lost its owner: the kernel closes its port.
fn closes(server: &str) -> bool {
    (0..POLLS).any(|_| {
        let closed = TcpStream::connect(server).is_err();
        if !closed {
            std::thread::park_timeout(POLL);
        }
        closed
    })
}

fn stateful_set() -> Result<StatefulSet> {
    Ok(serde_json::from_value(json!({
        "metadata": { "name": "web" },
        "spec": {
            "replicas": 5,
            "serviceName": "web",
            "podManagementPolicy": "Parallel",
            "selector": { "matchLabels": { "app": "web" } },
            "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 5 } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "main", "image": "app:1" }] },
            },
        },
    }))?)
}

async fn patch(sets: &Api<StatefulSet>, patch: Value) -> Result<()> {
    sets.patch("web", &PatchParams::default(), &Patch::Strategic(patch)).await?;
    Ok(())
}

async fn wait_until(sets: &Api<StatefulSet>, done: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut last = Value::Null;
    for _ in 0..POLLS {
        last = serde_json::to_value(sets.get("web").await?)?;
        if done(&last) {
            return Ok(last);
        }
        tokio::time::sleep(POLL).await;
    }
    anyhow::bail!("statefulset `web` did not get there; its status is {}", last["status"])
}

/// Name, uid and image of every pod, by name.
async fn pods(client: &Client) -> Result<Vec<(String, Option<String>, String)>> {
    let pods = Api::<Pod>::default_namespaced(client.clone()).list(&ListParams::default()).await?;
    let image = |pod: &Pod| pod.spec.as_ref()?.containers.first()?.image.clone();
    Ok(pods.iter().map(|pod| (pod.name_any(), pod.uid(), image(pod).unwrap_or_default())).collect())
}
