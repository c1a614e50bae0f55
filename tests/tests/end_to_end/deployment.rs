//! A Deployment on a real control plane: its own controller moves it, batch by batch, while a witness counts every pod.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    ResourceExt,
    api::{Api, DeleteParams, ListParams, Patch, PatchParams},
    runtime::watcher::{self, Event, watcher},
};
use serde_json::{Value, json};
use slipway_actors::api::RolloutRun;
use slipway_tests::{
    control_plane::ControlPlane,
    kubelet::Kubelet,
    operator::{self, Operator},
};

use super::{POLL, POLLS, World, create, phase, second_has_begun};

const REPLICAS: usize = 6;
/// The user's maxUnavailable.
const MOST_DOWN: usize = 1;

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_goes_through_its_batches() -> Result<()> {
    let binary = tokio::task::spawn_blocking(operator::binary).await??;
    let plane = ControlPlane::start("hub").await?;
    let _kubelet = Kubelet::start(plane.client()?);
    let client = plane.client()?;
    let world = World { hub: client.clone(), members: BTreeMap::from([(String::new(), client.clone())]) };
    world.install_crds().await?;
    create(&client, include_str!("../../manifests/deployment.yaml")).await?;
    let web = Web(Api::default_namespaced(client));
    let before = web.until("v1 is up", |it| it["status"]["availableReplicas"] == REPLICAS).await?;
    let witness = Witness::start(&world, &web.0);

    let operator = Operator::start(&binary, &plane.kubeconfig_path(), "hub", &[])?;
    web.until("it is parked", |it| it["spec"]["paused"] == true).await?;
    let image =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": "shop:v2" }] } } } });
    web.0.patch("web", &PatchParams::default(), &Patch::Strategic(&image)).await?;
    world.run("it waits at the breakpoint", |run| phase(run) == "Paused").await?;
    let held = web.until("one pod is on v2", |it| it["status"]["updatedReplicas"] == 1).await?;
    assert_eq!((&held["spec"]["paused"], &held["status"]["replicas"]), (&json!(true), &json!(REPLICAS)));

    world.command("continue").await?;
    world.run("batch 2 has begun", second_has_begun).await?;
    operator.kill()?;
    let operator = Operator::start(&binary, &plane.kubeconfig_path(), "hub", &[])?;
    let run = world.run("the run ends", |run| ["Succeeded", "Canceled"].contains(&phase(run))).await?;
    assert_eq!(run["status"]["phase"], "Succeeded", "{:#}", run["status"]);
    // Pods are counted one by one, so a run may be ahead of the status that a controller writes of them.
    let at_rest = |it: &Value| it["spec"]["minReadySeconds"] == 1 && it["status"]["updatedReplicas"] == REPLICAS;
    let after = web.until("it is as it was, and parked", at_rest).await?;
    assert_eq!(after["spec"]["paused"], true);
    for field in ["strategy", "minReadySeconds", "progressDeadlineSeconds", "replicas"] {
        assert_eq!(after["spec"][field], before["spec"][field], "{field}");
    }
    witness.verify()?;

    world.api("Rollout").delete("shop", &DeleteParams::default()).await?;
    let free = web.until("it is let go", |it| it["spec"]["paused"] != true).await?;
    let ours = free["metadata"]["annotations"].as_object().context("annotations")?.keys();
    assert_eq!(ours.filter(|key| key.contains("kusionstack")).count(), 0, "{:#}", free["metadata"]);
    assert!(operator.terminate()?.success(), "the operator does not stop gracefully on SIGTERM");
    Ok(())
}

/// The Deployment `web`.
struct Web(Api<Deployment>);

impl Web {
    async fn until(&self, what: &str, done: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        for _ in 0..POLLS {
            last = serde_json::to_value(self.0.get("web").await?)?;
            if done(&last) {
                return Ok(last);
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("waited in vain until {what}: {last:#}");
    }
}

/// Follows every pod, and after each change compares all of them with what the run has allowed by then.
struct Witness {
    seen: Arc<Mutex<Seen>>,
    watch: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// The pods that are not going away: whether each is on v2, and whether it is ready.
    pods: BTreeMap<String, (bool, bool)>,
    most_new: usize,
    broken: Vec<String>,
}

impl Witness {
    fn start(world: &World, web: &Api<Deployment>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (ours, runs) = (Arc::clone(&seen), world.api("RolloutRun"));
        let pods = Api::<Pod>::default_namespaced(web.clone().into_client());
        let watch = tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher(pods, watcher::Config::default()));
            let mut is_listed = false;
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(pod) | Event::InitApply(pod)) => lock(&ours).note(&pod),
                    Ok(Event::Delete(pod)) => drop(lock(&ours).pods.remove(&pod.name_any())),
                    Ok(Event::InitDone) => is_listed = true,
                    Ok(Event::Init) => {}
                    Err(error) => lock(&ours).broken.push(format!("the watch is blind: {error}")),
                }
                if !is_listed {
                    continue;
                }
                // What the hub answers is at least as new as what authorised the pods.
                match runs.list(&ListParams::default()).await {
                    Ok(runs) => lock(&ours).check(runs.items.first().map_or(0, |run| authorised(&json!(run)))),
                    Err(error) => lock(&ours).broken.push(format!("the hub did not answer: {error}")),
                }
            }
        });
        Self { seen, watch }
    }

    /// Fails if there ever was a pod too many on v2, or one too few ready, or if the watch was blind.
    fn verify(&self) -> Result<()> {
        let seen = lock(&self.seen);
        ensure!(seen.broken.is_empty(), "{:#?}", seen.broken);
        ensure!(seen.most_new == REPLICAS, "the watch saw {} of {REPLICAS} pods on v2", seen.most_new);
        Ok(())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Seen {
    fn note(&mut self, pod: &Pod) {
        if pod.metadata.deletion_timestamp.is_some() {
            self.pods.remove(&pod.name_any());
            return;
        }
        let image = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.as_deref());
        let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let is_ready = conditions.any(|it| it.type_ == "Ready" && it.status == "True");
        self.pods.insert(pod.name_any(), (image == Some("shop:v2"), is_ready));
    }

    fn check(&mut self, allowed: usize) {
        let new = self.pods.values().filter(|(is_new, _)| *is_new).count();
        let ready = self.pods.values().filter(|(_, is_ready)| *is_ready).count();
        self.most_new = self.most_new.max(new);
        if new > allowed {
            self.broken.push(format!("{new} pods were on v2 while {allowed} were allowed"));
        }
        if ready + MOST_DOWN < REPLICAS {
            self.broken.push(format!("{ready} of {REPLICAS} pods were ready, {new} on v2"));
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pods that the run has allowed on v2 so far.
fn authorised(run: &Value) -> usize {
    let Ok(run) = serde_json::from_value::<RolloutRun>(run.clone()) else { return 0 };
    let Some(batch) = run.status.and_then(|status| status.batch_status) else { return 0 };
    let started = batch.records.iter().filter(|record| record.start_time.is_some()).count();
    [0, 1, 4, REPLICAS][started]
}
