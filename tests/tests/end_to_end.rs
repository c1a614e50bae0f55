//! The quick start on real control planes: a hub and two members, the operator as its own process, killed in the middle.

#[path = "end_to_end/deployment.rs"]
mod deployment;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, future::try_join_all};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::{
    Client, ResourceExt,
    api::{Api, DynamicObject, ListParams, Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use slipway_actors::{
    api::{self, RolloutRun},
    decide::PARKED,
};
use slipway_tests::{
    control_plane::{self, ControlPlane},
    kubelet::Kubelet,
    objects::{self, create},
    operator::{self, Operator},
};
use tokio::sync::Mutex;

const MEMBERS: [&str; 2] = ["east", "west"];
const WORKLOADS: [&str; 2] = ["backend", "frontend"];
const REPLICAS: i32 = 5;

/// Two minutes on a busy machine; all of it is only used up by a failure.
const POLLS: usize = 600;
const POLL: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn the_quick_start_survives_a_kill() -> Result<()> {
    let binary = tokio::task::spawn_blocking(operator::binary).await??;
    let planes = try_join_all(["hub", "east", "west"].map(ControlPlane::start)).await?;
    let world = World::new(&planes)?;
    let _kubelets: Vec<_> = world.members.values().map(|client| Kubelet::start(client.clone())).collect();
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    control_plane::write(&control_plane::merge(&planes), &kubeconfig)?;

    world.install_crds().await?;
    for client in world.members.values() {
        create(client, include_str!("../manifests/quick-start.yaml")).await?;
    }
    create(&world.hub, include_str!("../manifests/rollout.yaml")).await?;
    world.sets("v1 is up", |set| set["status"]["availableReplicas"] == REPLICAS).await?;
    let witness = Witness::start(&world);

    let operator = Operator::start(&binary, &kubeconfig, "hub", &MEMBERS)?;
    world.sets("all workloads are parked", |set| partition(set) == Some(PARKED)).await?;
    world.roll_out("shop:v2").await?;
    let run = world.run("it waits at the breakpoint", |run| phase(run) == "Paused").await?;
    let batch = &run["status"]["batchStatus"];
    assert_eq!((&batch["currentBatchIndex"], &batch["currentBatchState"]), (&json!(1), &json!("Pending")));
    assert_eq!(run["status"]["waits"][0]["condition"], "paused at the breakpoint of batch 2");
    world.sets("one pod of each is on v2", |set| set["status"]["updatedReplicas"] == 1).await?;

    world.command("continue").await?;
    world.run("batch 2 has begun", second_has_begun).await?;
    operator.kill()?;
    witness.count("operator killed in batch 2").await;
    let operator = Operator::start(&binary, &kubeconfig, "hub", &MEMBERS)?;

    let run = world.run("the run ends", |run| ["Succeeded", "Canceled"].contains(&phase(run))).await?;
    world.assert_succeeded(&run);
    // Pods are counted one by one, so a run may be ahead of the status that a controller writes of them.
    let is_told = |set: &Value| set["status"]["currentRevision"] == set["status"]["updateRevision"];
    let at_rest = |set: &Value| partition(set) == Some(PARKED) && is_told(set);
    let sets = world.sets("everything is parked again, on one revision", at_rest).await?;
    for (place, set) in &sets {
        assert_eq!(set["status"]["updatedReplicas"], REPLICAS, "{place}");
        let annotations = set["metadata"]["annotations"].as_object().context("annotations")?;
        assert!(!annotations.contains_key("rollout.kusionstack.io/progressing-info"), "{place} still carries the mark");
    }
    // The Rollout hears of its run's end a moment later.
    let is_told = |rollout: &Value| rollout["status"]["phase"] == "Initialized";
    let rollout = objects::until(&world.api("Rollout"), "shop", "its run is over", is_told).await?;
    assert_eq!(rollout["status"]["rolloutID"], run["metadata"]["name"]);
    assert_eq!(world.runs().await?.len(), 1, "one change led to more than one run");
    witness.verify().await?;
    assert!(operator.terminate()?.success(), "the operator does not stop gracefully on SIGTERM");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_alone_is_its_own_member_and_deletion_puts_workloads_back() -> Result<()> {
    let binary = tokio::task::spawn_blocking(operator::binary).await??;
    let plane = ControlPlane::start("hub").await?;
    let _kubelet = Kubelet::start(plane.client()?);
    let client = plane.client()?;
    let world = World { hub: client.clone(), members: BTreeMap::from([(String::new(), client.clone())]) };
    world.install_crds().await?;
    create(&client, include_str!("../manifests/quick-start.yaml")).await?;
    create(&client, include_str!("../manifests/rollout.yaml")).await?;
    world.sets("v1 is up", |set| set["status"]["availableReplicas"] == REPLICAS).await?;
    let before = world.sets("and at rest", |set| partition(set) == Some(0)).await?;

    let _operator = Operator::start(&binary, &plane.kubeconfig_path(), "hub", &[])?;
    world.sets("all workloads are parked", |set| partition(set) == Some(PARKED)).await?;
    let rollouts = world.api("Rollout");
    rollouts.delete("shop", &kube::api::DeleteParams::default()).await?;
    let after = world.sets("all workloads are put back", |set| partition(set) == Some(0)).await?;
    for (place, set) in &after {
        assert_eq!(set["spec"], before[place]["spec"], "{place}");
        assert_eq!(set["metadata"]["labels"], before[place]["metadata"]["labels"], "{place}");
        assert_eq!(set["metadata"]["annotations"], before[place]["metadata"]["annotations"], "{place}");
    }
    for _ in 0..POLLS {
        if rollouts.get_opt("shop").await?.is_none() {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("the Rollout is never finalized");
}

/// The clients of all control planes.
struct World {
    hub: Client,
    members: BTreeMap<String, Client>,
}

impl World {
    fn new(planes: &[ControlPlane]) -> Result<Self> {
        let members = planes[1..].iter().map(|plane| Ok((plane.name().to_owned(), plane.client()?)));
        Ok(Self { hub: planes[0].client()?, members: members.collect::<Result<_>>()? })
    }

    async fn install_crds(&self) -> Result<()> {
        objects::install_crds(&self.hub).await
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        objects::of_kind(&self.hub, &format!("{}/{}", api::GROUP, api::VERSION), kind)
    }

    async fn get(&self, kind: &str, name: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.api(kind).get(name).await?)?)
    }

    async fn runs(&self) -> Result<Vec<Value>> {
        let runs = self.api("RolloutRun").list(&ListParams::default()).await?;
        runs.items.iter().map(|run| Ok(serde_json::to_value(run)?)).collect()
    }

    /// Waits for the run, the first there is, to get somewhere.
    async fn run(&self, what: &str, done: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        for _ in 0..POLLS {
            if let Some(run) = self.runs().await?.pop() {
                if done(&run) {
                    return Ok(run);
                }
                last = run;
            }
            tokio::time::sleep(POLL).await;
        }
        let rollout = self.get("Rollout", "shop").await?;
        bail!("waited in vain until {what}; the run is at {:#}, the Rollout at {:#}", last["status"], rollout["status"])
    }

    /// Waits for every workload to get somewhere.
    async fn sets(&self, what: &str, done: impl Fn(&Value) -> bool) -> Result<BTreeMap<String, Value>> {
        let mut last = BTreeMap::new();
        for _ in 0..POLLS {
            for (cluster, client) in &self.members {
                for set in Api::<StatefulSet>::default_namespaced(client.clone()).list(&ListParams::default()).await? {
                    last.insert(format!("{cluster}/{}", set.name_any()), serde_json::to_value(set)?);
                }
            }
            if last.len() == self.members.len() * WORKLOADS.len() && last.values().all(&done) {
                return Ok(last);
            }
            tokio::time::sleep(POLL).await;
        }
        let rollout = self.get("Rollout", "shop").await?;
        bail!("waited in vain until {what}; workloads: {last:#?}; the Rollout is at {:#}", rollout["status"])
    }

    /// What a release does: new images in every cluster.
    async fn roll_out(&self, image: &str) -> Result<()> {
        let patch =
            json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": image }] } } } });
        for client in self.members.values() {
            for name in WORKLOADS {
                let sets = Api::<StatefulSet>::default_namespaced(client.clone());
                sets.patch(name, &PatchParams::default(), &Patch::Strategic(&patch)).await?;
            }
        }
        Ok(())
    }

    async fn command(&self, command: &str) -> Result<()> {
        let patch = json!({ "metadata": { "annotations": { "rollout.kusionstack.io/manual-command": command } } });
        self.api("Rollout").patch("shop", &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    fn assert_succeeded(&self, run: &Value) {
        let status = &run["status"];
        assert_eq!(status["phase"], "Succeeded", "{status:#}");
        let condition = &status["conditions"][0];
        assert_eq!(
            (&condition["type"], &condition["status"], &condition["reason"]),
            (&json!("Progressing"), &json!("False"), &json!("Completed"))
        );
        assert_eq!(status["command"]["command"], "continue");
        let records = status["batchStatus"]["records"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(records.len(), 3);
        for (record, pods) in records.iter().zip([1, 3, 5]) {
            assert_eq!(record["state"], "Succeeded");
            assert!(record["startTime"].is_string() && record["finishTime"].is_string(), "{record:#}");
            let targets = record["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
            assert_eq!(targets.len(), self.members.len() * WORKLOADS.len());
            for target in targets {
                assert_eq!(target["updatedAvailableReplicas"], pods, "{target:#}");
            }
        }
        assert_eq!(status["waits"], Value::Null);
    }
}

/// Watches every pod all along. Each time a pod on v2 shows up, the hub is asked how far the run has got: what it
/// answers is at least as new as what authorised the pod.
struct Witness {
    seen: Arc<Mutex<Vec<String>>>,
    broken: Arc<Mutex<Vec<String>>>,
    watches: Vec<tokio::task::JoinHandle<()>>,
}

impl Witness {
    fn start(world: &World) -> Self {
        let (seen, broken) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let mut watches = Vec::new();
        for (cluster, client) in &world.members {
            let pods = watcher(Api::<Pod>::default_namespaced(client.clone()), watcher::Config::default());
            let (cluster, seen, broken) = (cluster.clone(), Arc::clone(&seen), Arc::clone(&broken));
            let runs = world.api("RolloutRun");
            watches.push(tokio::spawn(async move {
                let pods = pods.default_backoff().applied_objects();
                let mut pods = std::pin::pin!(pods);
                while let Some(pod) = pods.next().await {
                    let Ok(pod) = pod else { continue };
                    let image = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone());
                    if image.as_deref() != Some("shop:v2") {
                        continue;
                    }
                    let name = format!("{cluster}/{}", pod.name_any());
                    let ordinal: i32 = name.rsplit('-').next().and_then(|text| text.parse().ok()).unwrap_or(-1);
                    let allowed = match runs.list(&ListParams::default()).await {
                        Ok(runs) => runs.items.first().map_or(0, |run| authorised(&json!(run))),
                        Err(error) => {
                            broken.lock().await.push(format!("the hub did not answer: {error}"));
                            continue;
                        }
                    };
                    if ordinal < REPLICAS - allowed {
                        broken.lock().await.push(format!("{name} was on v2 while {allowed} pods were allowed"));
                    }
                    seen.lock().await.push(name);
                }
            }));
        }
        Self { seen, broken, watches }
    }

    async fn count(&self, when: &str) {
        eprintln!("{when}: {} sightings of pods on v2", self.seen.lock().await.len());
    }

    /// Fails if a pod was early, or if the watch was blind.
    async fn verify(&self) -> Result<()> {
        let pods: std::collections::BTreeSet<_> = self.seen.lock().await.iter().cloned().collect();
        let expected = MEMBERS.len() * WORKLOADS.len() * usize::try_from(REPLICAS)?;
        ensure!(pods.len() == expected, "the watch saw {} of {expected} pods on v2", pods.len());
        let broken = self.broken.lock().await;
        ensure!(broken.is_empty(), "exposure ceiling broken: {broken:#?}");
        Ok(())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.watches.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// Pods of each workload that the run has allowed on v2 so far.
fn authorised(run: &Value) -> i32 {
    let Ok(run) = serde_json::from_value::<RolloutRun>(run.clone()) else { return 0 };
    let Some(batch) = run.status.and_then(|status| status.batch_status) else { return 0 };
    let started = batch.records.iter().filter(|record| record.start_time.is_some()).count();
    [0, 1, 3, REPLICAS][started]
}

fn partition(set: &Value) -> Option<i32> {
    set.pointer("/spec/updateStrategy/rollingUpdate/partition")?.as_i64()?.try_into().ok()
}

fn phase(run: &Value) -> &str {
    run["status"]["phase"].as_str().unwrap_or_default()
}

/// Whether the second batch moves pods, or has done so: on a quick machine it may be over before anybody looks.
fn second_has_begun(run: &Value) -> bool {
    run["status"]["batchStatus"]["records"][1]["startTime"].is_string()
}
