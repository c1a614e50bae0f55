//! A real API server and the fake ask the same webhooks the same questions, and make the same of their answers.

use anyhow::{Context, Result};
use kube::{Client, Config};
use regex::Regex;
use serde_json::{Value, json};
use slipway_fakes::{ApiServer, Clock};
use slipway_tests::conformance::{Script, Transcript, compare, normalised, run};
use slipway_tests::control_plane::ControlPlane;
use slipway_tests::webhooks::{BEHAVIOURS, Hooks};

const MAPS: &str = "/api/v1/namespaces/${ns}/configmaps";
const PODS: &str = "/api/v1/namespaces/${ns}/pods";
const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1";

#[tokio::test(flavor = "multi_thread")]
async fn both_servers_ask_webhooks_alike() -> Result<()> {
    let plane = ControlPlane::start("real").await?;
    let hooks = Hooks::serve(&plane).await?;
    let script = script(&hooks)?;
    let (real, real_questions) = ask(&plane.client()?, &script, &hooks).await.context("the real API server")?;
    let (fake, fake_questions) = ask(&serve_fake().await?, &script, &hooks).await.context("the fake")?;
    let differences = compare(&script.name, &real, &fake)?;
    let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "answers differ:\n{}", told.join("\n"));
    let pairs = real_questions.iter().zip(&fake_questions).enumerate();
    let differing: Vec<String> = pairs
        .filter(|(_, (real, fake))| real != fake)
        .map(|(index, (real, fake))| format!("question {index}\n  - real:  {real}\n  + other: {fake}"))
        .collect();
    assert!(differing.is_empty(), "questions differ:\n{}", differing.join("\n"));
    assert_eq!(real_questions.len(), fake_questions.len(), "not as many questions");
    Ok(())
}

async fn serve_fake() -> Result<Client> {
    let api = ApiServer::new(1, Clock::new("2026-01-01T00:00:00Z".parse()?, 1));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let mut config = Config::new(format!("http://{}", listener.local_addr()?).parse()?);
    config.default_retry = false;
    api.serve(listener);
    Ok(Client::try_from(config)?)
}

/// The answers to the script, and the questions that webhooks were asked meanwhile.
async fn ask(client: &Client, script: &Script, hooks: &Hooks) -> Result<(Transcript, Vec<Value>)> {
    let answers = serde_json::to_string(&run(client, script).await?)?;
    // A client's port differs from call to call.
    let answers = Regex::new("read tcp [^ ]*: read:")?.replace_all(&answers, "read tcp <addresses>: read:");
    Ok((serde_json::from_str(&answers)?, normalised(&hooks.questions())))
}

/// Every behaviour a webhook can have, then every way to write.
fn script(hooks: &Hooks) -> Result<Script> {
    let mut steps = vec![configure(hooks, "Mutating"), configure(hooks, "Validating")];
    let mut ready = step("mutating webhooks are in force", "POST", &format!("{MAPS}?dryRun=All"), map("x", "ready"));
    ready["until"] = json!({ "metadata.labels.ready": "yes" });
    let mut unready =
        step("validating webhooks are in force", "POST", &format!("{MAPS}?dryRun=All"), map("x", "unready"));
    unready["until"] = json!({ "code": 403 });
    steps.extend([ready, unready]);
    for behaviour in BEHAVIOURS {
        for kind in ["mutating", "validating"] {
            let label = format!("{kind}-{behaviour}");
            steps.push(step(&label, "POST", &format!("{MAPS}?dryRun=All"), map("x", &label)));
        }
    }
    steps.extend(writes());
    let mut script: Script = serde_json::from_value(json!({ "about": "webhooks", "steps": steps }))?;
    "webhooks".clone_into(&mut script.name);
    Ok(script)
}

/// A webhook per behaviour, for objects whose label asks for it; one that watches all writes; and one to wait for.
fn configure(hooks: &Hooks, kind: &str) -> Value {
    let webhook = |name: &str, path: &str, selector: Value, resources: Value| {
        json!({
            "name": format!("{name}.example.com"), "clientConfig": hooks.client_config(path), "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "timeoutSeconds": 1, "objectSelector": selector,
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "${ns}" } },
            "rules": [{ "operations": ["*"], "apiGroups": ["", "apps"], "apiVersions": ["*"], "resources": resources }]
        })
    };
    let lower = kind.to_lowercase();
    let mut webhooks: Vec<Value> = BEHAVIOURS
        .iter()
        .map(|behaviour| {
            let selector = json!({ "matchLabels": { "hook": format!("{lower}-{behaviour}") } });
            webhook(behaviour, behaviour, selector, json!(["configmaps"]))
        })
        .collect();
    let ready = if kind == "Mutating" { "ready" } else { "unready" };
    webhooks.push(webhook(ready, ready, json!({ "matchLabels": { "hook": ready } }), json!(["configmaps"])));
    let watched = json!(["configmaps", "pods", "pods/status"]);
    let unlabelled = json!({ "matchExpressions": [{ "key": "hook", "operator": "DoesNotExist" }] });
    webhooks.push(webhook("watch", "watch", unlabelled, watched));
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": format!("{kind}WebhookConfiguration"),
        "metadata": { "name": "webhooks" }, "webhooks": webhooks
    });
    let path = format!("{CONFIGURATIONS}/{lower}webhookconfigurations");
    let mut step = step(&format!("{lower} webhooks"), "POST", &path, configuration);
    step["show"] = json!(["metadata.generation"]);
    step
}

#[expect(clippy::needless_pass_by_value, reason = "so that the steps read well")]
fn step(name: &str, verb: &str, path: &str, body: Value) -> Value {
    json!({ "step": name, "do": format!("{verb} {path}"), "with": body })
}

fn map(name: &str, label: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": { "hook": label } },
        "data": { "a": "1" }
    })
}

/// Writes of all sorts, each of which the watching webhooks are asked about.
fn writes() -> Vec<Value> {
    let plain = |name: &str, more: Value| {
        let mut metadata = json!({ "name": name });
        for (field, value) in more.as_object().into_iter().flatten() {
            metadata[field] = value.clone();
        }
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "a": "1" } })
    };
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" }, "status": { "phase": "Running" },
        "spec": { "containers": [{ "name": "main", "image": "app:1" }] }
    });
    let a = format!("{MAPS}/a");
    let mut steps = vec![
        step("create", "POST", &format!("{MAPS}?fieldManager=fm&fieldValidation=Strict"), plain("a", json!({}))),
        step("create what exists", "POST", MAPS, plain("a", json!({}))),
        step("replace", "PUT", &a, plain("a", json!({ "annotations": { "x": "y" } }))),
        step("replace an old version", "PUT", &a, plain("a", json!({ "resourceVersion": "1" }))),
        step("replace by what is invalid", "PUT", &a, plain("a", json!({ "labels": { "x": "no label" } }))),
        step("patch without storing", "MERGE-PATCH", &format!("{a}?dryRun=All"), json!({ "data": { "b": "1" } })),
        step("apply", "APPLY", &format!("{MAPS}/b?fieldManager=m&force=true"), plain("b", json!({}))),
        step(
            "apply again",
            "APPLY",
            &format!("{MAPS}/b?fieldManager=m"),
            plain("b", json!({ "labels": { "q": "r" } })),
        ),
        step("delete", "DELETE", &a, json!({ "propagationPolicy": "Background" })),
        step("delete what is not there", "DELETE", &a, json!({})),
        step("a pod", "POST", PODS, pod),
        step("its status", "MERGE-PATCH", &format!("{PODS}/p/status"), json!({ "status": { "message": "hm" } })),
    ];
    for step in &mut steps {
        step["show"] = json!(["kind", "reason", "message", "status"]);
    }
    steps
}
