//! Hooks over real servers on loopback, good ones and bad ones.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{ByteString, api::apps::v1::StatefulSet};
use kube::{
    Api,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use slipway_actors::api::{RolloutRun, RolloutRunPhase, RolloutRunStatus};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use crate::{server::Server, setup::Setup};

/// Far more than it takes on a busy machine; all of it is only used up by a failure.
const LIMIT: Duration = Duration::from_mins(2);

/// A hook whose failure is ignored at once.
fn ignored(name: &str, url: &str) -> Value {
    json!({
        "name": name, "hookTypes": ["PreBatchStepHook"], "failurePolicy": "Ignore", "failureThreshold": 1,
        "clientConfig": { "url": url, "timeoutSeconds": 1 },
    })
}

/// What the operator says from now on. A process that nobody listens to stands still once its pipe is full.
fn log_of(operator: &mut Child) -> Arc<Mutex<Vec<String>>> {
    let mut lines = BufReader::new(operator.stderr.take().unwrap()).lines();
    let log = Arc::new(Mutex::new(Vec::new()));
    let ours = Arc::clone(&log);
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            ours.lock().unwrap().push(line);
        }
    });
    log
}

/// Waits until a run has succeeded, and says where it is if it does not.
async fn succeeded(setup: &Setup, log: &Mutex<Vec<String>>) -> RolloutRunStatus {
    let api: Api<RolloutRun> = Api::default_namespaced(setup.hub.client());
    let mut runs = watcher(api, watcher::Config::default()).applied_objects().boxed();
    let mut last = None;
    let end = async {
        loop {
            let run = runs.try_next().await.unwrap().unwrap();
            last.clone_from(&run.status);
            if let Some(status) = run.status.filter(|status| status.phase == RolloutRunPhase::Succeeded) {
                return status;
            }
        }
    };
    let ended = tokio::time::timeout(LIMIT, end).await;
    ended.unwrap_or_else(|_| panic!("the run never succeeds: {last:#?}\n{}", log.lock().unwrap().join("\n")))
}

#[tokio::test]
async fn hooks_are_asked_over_http_and_https() {
    let (plain, secure) = (Server::http().await, Server::https().await);
    let bundle = ByteString(secure.ca.clone().unwrap().into_bytes());
    let at = |path: &str| format!("{}{path}", plain.url);
    let mut hooks: Vec<Value> = ["hang", "reset", "truncated", "not-json", "endless", "redirect", "busy"]
        .iter()
        .map(|name| ignored(name, &at(&format!("/{name}"))))
        .collect();
    hooks.push(ignored("untrusted", &format!("{}/ok", secure.url)));
    hooks.push(json!({ "name": "plain", "hookTypes": ["PostBatchStepHook"], "clientConfig": { "url": at("/ok") } }));
    hooks.push(json!({
        "name": "secure", "hookTypes": ["PreRollout", "PostRollout"],
        "clientConfig": { "url": format!("{}/ok", secure.url), "caBundle": bundle },
    }));
    let setup = Setup::start().await;
    setup.create_rollout(json!({ "webhooks": hooks })).await;
    let mut operator = setup.operator(&["--hub", "hub", "--member", "east=east"]);
    let log = log_of(&mut operator);
    setup.controlled().await;
    let api: Api<StatefulSet> = Api::default_namespaced(setup.east.client());
    let image = json!([{ "op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "web:v2" }]);
    let image: Patch<()> = Patch::Json(serde_json::from_value(image).unwrap());
    api.patch("web", &PatchParams::default(), &image).await.unwrap();

    let status = succeeded(&setup, &log).await;
    let record = &status.batch_status.as_ref().unwrap().records[0];
    let said = record.webhooks.iter().chain(&status.webhooks).map(|hook| {
        let message: String = hook.message.chars().take(24).collect();
        format!("{:17} {:10} {} {:5} {} {message}", hook.hook_type, hook.name, hook.state, hook.code, hook.reason)
    });
    insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n"));
    let keys: Vec<_> = secure.questions().iter().map(|question| key(&question.head)).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1], "each moment has a key of its own");
}

fn key(head: &str) -> String {
    head.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap().to_owned()
}
