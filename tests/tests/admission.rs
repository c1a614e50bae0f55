//! Slipway's webhook and policies at the door of a real API server and of the fake: what they refuse, change and let through.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use http::Request;
use kube::{Client, Config};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use slipway_actors::decide::PARKED;
use slipway_fakes::{ApiServer, Clock};
use slipway_tests::{control_plane::ControlPlane, operator};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
};

const RECORD: &str = "slipway.rollout.kusionstack.io/update-strategy";

/// A minute on a busy machine; all of it is only used up by a failure.
const POLLS: usize = 300;
const POLL: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_refuses_in_our_words() -> Result<()> {
    let binary = tokio::task::spawn_blocking(operator::binary).await??;
    let folder = tempfile::tempdir()?;
    let mut webhook = Webhook::start(&binary, folder.path()).await?;
    let configuration = webhook.configuration(&binary, folder.path())?;
    let plane = ControlPlane::start_alone("webhook").await?;
    for (arm, server) in [("real", plane.client()?), ("fake", serve_fake().await?)] {
        let told = ask_webhook(&Server(server), &configuration).await.context(arm)?;
        // Both servers must have it from the webhook, so one text serves for both.
        insta::assert_snapshot!("webhook", told);
    }
    assert!(webhook.terminate().await?, "the webhook does not stop gracefully on SIGTERM");
    Ok(())
}

/// What becomes of good and bad objects once the webhook is in force.
async fn ask_webhook(server: &Server, configuration: &str) -> Result<String> {
    for (_, definition) in slipway_actors::api::crd::yaml()? {
        server.create_all(&definition).await?;
    }
    server.create_all(configuration).await?;
    let run = |targets: Value| {
        object(
            "RolloutRun",
            &json!({"spec": {
                "targetType": {"apiVersion": "apps/v1", "kind": "StatefulSet"},
                "batch": {"batches": [{"targets": targets}]},
            }}),
        )
    };
    let twice = run(json!([{"name": "web", "replicas": 1}, {"name": "web", "replicas": 2}]));
    // Only the webhook compares targets with each other, so it is asked once it does.
    server.until(|| server.create(&twice, true), |answer| answer.contains("in this step already")).await?;
    let rollout = |change: Value| {
        let spec = json!({
            "strategyRef": "web",
            "workloadRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "match": {"selector": {}}},
        });
        let mut rollout = object("Rollout", &json!({ "spec": spec }));
        merge(&mut rollout, &change);
        rollout
    };
    let annotated = |key: &str, value: &str| json!({"metadata": {"annotations": {key: value}}});
    let hook = json!({"name": "a", "hookTypes": ["PreBatchHook"], "clientConfig": {"url": "hooks.example.com"}});
    let strategy = object("RolloutStrategy", &json!({"batch": {"batches": [{"replicas": 1}]}, "webhooks": [hook]}));
    let scale = object(
        "ScaleRun",
        &json!({"spec": {
            "targetType": {"apiVersion": "apps/v1", "kind": "StatefulSet"},
            "batch": {"batches": [{"targets": [{"name": "web", "replicas": 1}, {"name": "web", "replicas": 2}]}]},
        }}),
    );
    let topology = object(
        "TrafficTopology",
        &json!({"spec": {
            "trafficType": "InCluster",
            "workloadRef": {"kind": "StatefulSet", "match": {"selector": {}}},
            "backend": {"name": "web"}, "routes": [{"name": "web"}, {"name": "web"}],
        }}),
    );
    let routing = object(
        "BackendRouting",
        &json!({"spec": {
            "trafficType": "InCluster",
            "backend": {"apiVersion": "v1", "kind": "Service", "name": ""},
        }}),
    );
    let table = [
        ("a run with one target twice", twice),
        ("a good run", run(json!([{"name": "web", "replicas": 1}]))),
        ("a good rollout", rollout(json!({}))),
        ("a kind nobody rolls", rollout(json!({"spec": {"workloadRef": {"apiVersion": "batch/v1", "kind": "Job"}}}))),
        ("a trigger that names no object", rollout(annotated("rollout.kusionstack.io/trigger", "Web_1"))),
        ("a command nobody knows", rollout(annotated("rollout.kusionstack.io/manual-command", "contineu"))),
        ("a strategy with a hook that cannot be", strategy),
        ("a scale run with one target twice", scale),
        ("a topology with one route twice", topology),
        ("a routing of nothing", routing),
    ];
    let mut told = Vec::new();
    for (what, object) in table {
        told.push(format!("{what}\n  {}\n", server.create(&object, true).await));
    }
    Ok(told.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_park_what_changes_its_template() -> Result<()> {
    let binary = tokio::task::spawn_blocking(operator::binary).await??;
    let policies = String::from_utf8(Command::new(&binary).arg("policy").output()?.stdout)?;
    let plane = ControlPlane::start_alone("policy").await?;
    for (arm, server) in [("real", plane.client()?), ("fake", serve_fake().await?)] {
        let server = Server(server);
        server.create_all(include_str!("../manifests/workload-crds.yaml")).await?;
        server.create_all(&policies).await?;
        for kind in &KINDS {
            kind.check(&server).await.with_context(|| format!("{arm}: {}", kind.plural))?;
        }
    }
    Ok(())
}

/// One kind of workload, as the table of writes needs to know it.
struct Kind {
    api_version: &'static str,
    name: &'static str,
    plural: &'static str,
    /// Where the partition stands, or what takes its place.
    partition: &'static str,
    /// What is recorded of a partition of 2.
    recorded: &'static str,
    /// A strategy under which no partition counts, if there is one.
    unpartitioned: Option<&'static str>,
}

const KINDS: [Kind; 6] = [
    Kind {
        api_version: "apps/v1",
        name: "StatefulSet",
        plural: "statefulsets",
        partition: "/spec/updateStrategy/rollingUpdate/partition",
        recorded: r#"{"type":"RollingUpdate","rollingUpdate":{"partition":2}}"#,
        unpartitioned: Some(r#"{"type":"OnDelete","rollingUpdate":null}"#),
    },
    Kind {
        api_version: "apps/v1",
        name: "Deployment",
        plural: "deployments",
        partition: "/spec/paused",
        recorded: r#"{"paused":false}"#,
        unpartitioned: None,
    },
    Kind {
        api_version: "apps.kruise.io/v1beta1",
        name: "StatefulSet",
        plural: "statefulsets",
        partition: "/spec/updateStrategy/rollingUpdate/partition",
        recorded: r#"{"type":"RollingUpdate","rollingUpdate":{"partition":2}}"#,
        unpartitioned: Some(r#"{"type":"OnDelete","rollingUpdate":null}"#),
    },
    Kind {
        api_version: "apps.kruise.io/v1alpha1",
        name: "CloneSet",
        plural: "clonesets",
        partition: "/spec/updateStrategy/partition",
        recorded: r#"{"partition":2}"#,
        unpartitioned: None,
    },
    Kind {
        api_version: "apps.kusionstack.io/v1alpha1",
        name: "CollaSet",
        plural: "collasets",
        partition: "/spec/updateStrategy/rollingUpdate/byPartition/partition",
        recorded: r#"{"rollingUpdate":{"byPartition":{"partition":2}}}"#,
        unpartitioned: Some(r#"{"rollingUpdate":{"byPartition":null,"byLabel":{}}}"#),
    },
    Kind {
        api_version: "apps.kusionstack.io/v1alpha1",
        name: "PodDecoration",
        plural: "poddecorations",
        partition: "/spec/updateStrategy/rollingUpdate/partition",
        recorded: r#"{"rollingUpdate":{"partition":2}}"#,
        unpartitioned: Some(r#"{"rollingUpdate":{"partition":null,"selector":{}}}"#),
    },
];

impl Kind {
    /// Every write of the table, each to an object as it was created.
    async fn check(&self, server: &Server) -> Result<()> {
        let kind_label = self.name.to_lowercase();
        let label = json!({"metadata": {"labels": {"rollout.kusionstack.io/workload": kind_label}}});
        let canary = json!({"metadata": {"labels": {"rollout.kusionstack.io/canary-resource": "true"}}});
        let unlabel = json!({"metadata": {"labels": {"rollout.kusionstack.io/workload": null}}});
        let record = |text: &str| json!({"metadata": {"annotations": {RECORD: text}}});
        let unrecord = json!({"metadata": {"annotations": {RECORD: null}}});
        let template = json!({"spec": {"template": {"metadata": {"annotations": {"version": "v2"}}}}});
        let [max, users, low] = self.partitions();
        let (parked, lowered) = (self.strategy(&max), self.strategy(&low));
        let none = json!({});
        for (name, parts) in [
            ("free", vec![&none]),
            ("held", vec![&label]),
            ("parked", vec![&label, &record("{}"), &parked]),
            ("canary", vec![&label, &canary]),
        ] {
            server.create(&self.object(name, &parts), false).await.strip_prefix("created").context(name)?;
        }
        let lowered_record = self.recorded.replace('2', "0");
        // What is written to which object → its partition and its record then.
        let table = [
            ("a new template", "held", vec![&template], max.clone(), Some(self.recorded)),
            ("a template with a partition", "held", vec![&template, &lowered], max.clone(), Some(&lowered_record)),
            ("a template with the label", "free", vec![&template, &label], max.clone(), Some(self.recorded)),
            (
                "a template that takes the label off",
                "held",
                vec![&template, &unlabel],
                max.clone(),
                Some(self.recorded),
            ),
            ("a template, parked before", "parked", vec![&template, &lowered], max.clone(), Some("{}")),
            ("a template that takes the record off", "parked", vec![&template, &unrecord], max.clone(), Some("{}")),
            ("a partition alone", "held", vec![&lowered], low.clone(), None),
            ("a partition alone, parked before", "parked", vec![&lowered], low, Some("{}")),
            ("a template of nobody's concern", "free", vec![&template], users.clone(), None),
            ("a template of a canary", "canary", vec![&template], users, None),
        ];
        let ready = || server.patch(self.path("held"), &template);
        server.until(ready, |answer| answer.contains(RECORD)).await?;
        for (what, name, parts, partition, recorded) in table {
            let patch = parts.into_iter().fold(json!({}), |mut all, part| {
                merge(&mut all, part);
                all
            });
            let found: Value = serde_json::from_str(&server.patch(self.path(name), &patch).await).context(what)?;
            // What is false is not stored.
            let found_there = found.pointer(self.partition).unwrap_or(&Value::Bool(false));
            assert_eq!(*found_there, partition, "{}: {what}", self.plural);
            assert_eq!(found["metadata"]["annotations"][RECORD].as_str(), recorded, "{}: {what}", self.plural);
        }
        if self.is_paused_or_not() {
            let patch = json!({"spec": {"paused": true, "template": template["spec"]["template"]}});
            let found: Value = serde_json::from_str(&server.patch(self.path("held"), &patch).await)?;
            assert_eq!(found["metadata"]["annotations"][RECORD], r#"{"paused":true}"#, "the user's own pause");
        }
        if let Some(strategy) = self.unpartitioned {
            let mut patch = template.clone();
            merge(&mut patch, &json!({"spec": {"updateStrategy": serde_json::from_str::<Value>(strategy)?}}));
            let found: Value = serde_json::from_str(&server.patch(self.path("held"), &patch).await)?;
            assert_eq!(found.pointer(self.partition), None, "{}: no partition counts", self.plural);
        }
        Ok(())
    }

    fn object(&self, name: &str, parts: &[&Value]) -> Value {
        let labels = json!({"app": "web"});
        let mut object = json!({
            "apiVersion": self.api_version, "kind": self.name, "metadata": {"name": name},
            "spec": {
                "replicas": 5, "selector": {"matchLabels": labels}, "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "main", "image": "web:v1"}]},
                },
            },
        });
        let [_, users, _] = self.partitions();
        merge(&mut object, &self.strategy(&users));
        for part in parts {
            merge(&mut object, part);
        }
        object
    }

    /// The partition of a parked object, the user's and a lower one. A Deployment is paused, or it is not.
    fn partitions(&self) -> [Value; 3] {
        if self.is_paused_or_not() { [true, false, false].map(Value::from) } else { [PARKED, 2, 0].map(Value::from) }
    }

    fn is_paused_or_not(&self) -> bool {
        self.name == "Deployment"
    }

    /// The partition in its place.
    fn strategy(&self, partition: &Value) -> Value {
        let fields = self.partition.split('/').skip(1).collect::<Vec<_>>();
        fields.into_iter().rev().fold(partition.clone(), |inner, field| json!({ field: inner }))
    }

    fn path(&self, name: &str) -> String {
        format!("/apis/{}/namespaces/default/{}/{name}", self.api_version, self.plural)
    }
}

/// An API server as its client sees it. Answers are texts.
struct Server(Client);

impl Server {
    async fn create_all(&self, manifests: &str) -> Result<()> {
        for object in serde_saphyr::from_multiple::<Value>(manifests)? {
            let answer = self.create(&object, false).await;
            answer.strip_prefix("created").with_context(|| answer.clone())?;
        }
        Ok(())
    }

    /// Creates an object, or would, once its kind is served.
    async fn create(&self, object: &Value, dry_run: bool) -> String {
        let (version, kind) =
            (object["apiVersion"].as_str().unwrap_or_default(), object["kind"].as_str().unwrap_or_default());
        let kind = kind.to_lowercase();
        let plural = kind.strip_suffix('y').map_or_else(|| format!("{kind}s"), |stem| format!("{stem}ies"));
        let place =
            if version.contains("k8s.io/v1") && !version.starts_with("rollout") { "" } else { "/namespaces/default" };
        let path = format!("/apis/{version}{place}/{plural}{}", if dry_run { "?dryRun=All" } else { "" });
        for _ in 0..POLLS {
            match self.send("POST", "application/json", &path, object).await {
                Ok(_) => return "created".to_owned(),
                Err(kube::Error::Api(status)) if status.message.contains("could not find the requested resource") => {
                    tokio::time::sleep(POLL).await;
                }
                Err(kube::Error::Api(status)) => {
                    return format!("{} {}: {}", status.code, status.reason, status.message);
                }
                Err(error) => return error.to_string(),
            }
        }
        format!("{path} is never served")
    }

    /// What a merge patch would lead to, as JSON.
    async fn patch(&self, object: String, change: &Value) -> String {
        let path = format!("{object}?dryRun=All");
        match self.send("PATCH", "application/merge-patch+json", &path, change).await {
            Ok(object) => object.to_string(),
            Err(error) => error.to_string(),
        }
    }

    async fn send(&self, method: &str, content_type: &str, path: &str, body: &Value) -> kube::Result<Value> {
        let request = Request::builder().method(method).uri(path).header("content-type", content_type);
        let request = request.body(body.to_string().into_bytes()).map_err(kube::Error::HttpError)?;
        self.0.request(request).await
    }

    /// Asks again until the answer is as wanted: configurations come into force by and by.
    async fn until<F: Future<Output = String>>(
        &self,
        ask: impl Fn() -> F,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let mut last = String::new();
        for _ in 0..POLLS {
            last = ask().await;
            if wanted(&last) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("never as wanted: {last}")
    }
}

fn object(kind: &str, rest: &Value) -> Value {
    let mut object = json!({"apiVersion": slipway_actors::api::API_VERSION, "kind": kind, "metadata": {"name": "web"}});
    merge(&mut object, rest);
    object
}

/// Lays one document over another; what is null stays, for a merge patch to take it away.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        merge(&mut target[key], value);
    }
}

async fn serve_fake() -> Result<Client> {
    let api = ApiServer::new(1, Clock::new("2026-01-01T00:00:00Z".parse()?, 1));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut config = Config::new(format!("http://{}", listener.local_addr()?).parse()?);
    config.default_retry = false;
    api.serve(listener);
    Ok(Client::try_from(config)?)
}

/// `slipway webhook serve` as its own process. It is killed when dropped.
struct Webhook {
    process: tokio::process::Child,
    url: String,
}

impl Webhook {
    async fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let mut command = tokio::process::Command::new(binary);
        command.args(["webhook", "serve", "--address", "127.0.0.1:0", "--self-signed"]).arg(folder);
        let mut process = command.stdout(Stdio::piped()).stdin(Stdio::null()).kill_on_drop(true).spawn()?;
        let output = process.stdout.take().context("no output")?;
        let line = BufReader::new(output).lines().next_line().await?.context("it says nothing")?;
        let url = line.strip_prefix("listening on ").with_context(|| line.clone())?.to_owned();
        Ok(Self { process, url })
    }

    fn configuration(&self, binary: &Path, folder: &Path) -> Result<String> {
        let mut command = Command::new(binary);
        command.args(["webhook", "configuration", "--failure-policy", "fail", "--url", &self.url, "--ca-bundle"]);
        Ok(String::from_utf8(command.arg(folder.join("ca.crt")).output()?.stdout)?)
    }

    async fn terminate(&mut self) -> Result<bool> {
        let id = self.process.id().context("it has ended")?;
        kill(Pid::from_raw(id.try_into()?), Signal::SIGTERM)?;
        Ok(self.process.wait().await?.success())
    }
}
