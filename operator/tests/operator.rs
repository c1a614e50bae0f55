//! The operator as its own process, against fake clusters served on loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::PathBuf, process::Stdio};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{
    Api, ResourceExt,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use slipway_actors::api::{Rollout, RolloutStrategy, crd, keys};
use slipway_fakes::{Clock, Cluster, ClusterOptions};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

/// A hub that serves the API and a member that does not.
struct Setup {
    hub: Cluster,
    east: Cluster,
    kubeconfig: PathBuf,
    _dir: tempfile::TempDir,
}

impl Setup {
    async fn start() -> Self {
        let clock = Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1);
        let cluster = || Cluster::start(ClusterOptions::new(clock.clone()));
        let (hub, east) = (cluster(), cluster());
        for definition in crd::all() {
            hub.api().install_crd(serde_json::to_value(definition).unwrap()).await.unwrap();
        }
        let (mut clusters, mut contexts) = (Vec::new(), Vec::new());
        for (name, cluster) in [("hub", &hub), ("east", &east)] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let server = format!("http://{}", listener.local_addr().unwrap());
            cluster.api().serve(listener);
            clusters.push(json!({ "name": name, "cluster": { "server": server } }));
            contexts.push(json!({ "name": name, "context": { "cluster": name, "user": "me" } }));
        }
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = dir.path().join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "hub",
            "clusters": clusters, "contexts": contexts, "users": [{ "name": "me", "user": {} }],
        });
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        Self { hub, east, kubeconfig, _dir: dir }
    }

    fn operator(&self, args: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command.args(["operator", "--kubeconfig"]).arg(&self.kubeconfig).args(args);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true).spawn().unwrap()
    }

    async fn create_rollout(&self) {
        let labels = json!({ "app": "web" });
        let workload = json!({
            "metadata": { "name": "web", "labels": labels },
            "spec": { "replicas": 1, "serviceName": "web", "selector": { "matchLabels": labels }, "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "main", "image": "web:v1" }] },
            } },
        });
        let strategy = json!({ "metadata": { "name": "web" }, "batch": { "batches": [{ "replicas": "100%" }] } });
        let rollout = json!({ "metadata": { "name": "web" }, "spec": { "strategyRef": "web", "workloadRef": {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "match": { "selector": { "matchLabels": labels } },
        } } });
        create::<StatefulSet>(&self.east, workload).await;
        create::<RolloutStrategy>(&self.hub, strategy).await;
        create::<Rollout>(&self.hub, rollout).await;
    }

    /// Waits until the member's workload is under the Rollout's control.
    async fn controlled(&self) {
        let api: Api<StatefulSet> = Api::default_namespaced(self.east.client());
        let mut workloads = watcher(api, watcher::Config::default()).applied_objects().boxed();
        while let Some(workload) = workloads.try_next().await.unwrap() {
            if workload.annotations().get(keys::ANNOTATION_NAME).is_some_and(|it| it == "web") {
                return;
            }
        }
    }
}

async fn create<K>(cluster: &Cluster, object: Value)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object).unwrap();
    Api::default_namespaced(cluster.client()).create(&PostParams::default(), &object).await.unwrap();
}

/// Waits until the operator has said that it works, asks it to stop, and gives its exit code and its whole log.
async fn stopped(mut operator: Child, signal: Signal) -> (Option<i32>, String) {
    let mut lines = BufReader::new(operator.stderr.take().unwrap()).lines();
    let (mut log, mut asked) = (String::new(), false);
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("the operator starts") && !asked {
            kill(Pid::from_raw(i32::try_from(operator.id().unwrap()).unwrap()), signal).unwrap();
            asked = true;
        }
        log = log + &line + "\n";
    }
    (operator.wait().await.unwrap().code(), log)
}

#[tokio::test]
async fn it_works_on_hub_and_member_and_stops_when_asked() {
    let setup = Setup::start().await;
    setup.create_rollout().await;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let operator = setup.operator(&["--hub", "hub", "--member", "east=east", "--log-format", "json"]);
        setup.controlled().await;
        let (code, log) = stopped(operator, signal).await;
        assert_eq!(code, Some(0), "{signal}: {log}");
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_ne!(line["level"], "ERROR", "{line}");
        }
        assert!(log.contains(signal.as_str()), "{log}");
    }
}

#[tokio::test]
async fn a_hub_without_the_api_says_what_to_install() {
    let setup = Setup::start().await;
    let output = setup.operator(&["--hub", "east"]).wait_with_output().await.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    for part in ["error: hub http://127.0.0.1", "rolloutruns.rollout.kusionstack.io", "slipway crds | kubectl"] {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[tokio::test]
async fn an_unreachable_member_does_not_keep_the_others_from_working() {
    let setup = Setup::start().await;
    setup.create_rollout().await;
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&setup.kubeconfig).unwrap()).unwrap();
    let gone = json!({ "name": "gone", "cluster": { "server": format!("http://127.0.0.1:{port}") } });
    config["clusters"].as_array_mut().unwrap().push(gone);
    let context = json!({ "name": "gone", "context": { "cluster": "gone", "user": "me" } });
    config["contexts"].as_array_mut().unwrap().push(context);
    std::fs::write(&setup.kubeconfig, config.to_string()).unwrap();

    let operator = setup.operator(&["--member", "east=east", "--member", "gone=gone"]);
    setup.controlled().await;
    let (code, log) = stopped(operator, Signal::SIGTERM).await;
    assert_eq!(code, Some(0), "{log}");
}
