//! On a real control plane: a canary, a scale-up by somebody else in mid-step, and the way back, with a version whose
//! pods never start.

use anyhow::Result;
use kube::{
    Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use slipway_actors::decide::PARKED;
use slipway_tests::{
    control_plane::ControlPlane,
    kubelet::Kubelet,
    objects::{command, create, images, install_crds, of_kind, until, until_gone},
    operator::{self, Operator},
};

const API: &str = "rollout.kusionstack.io/v1alpha1";

const MANIFESTS: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: web
  labels: { app: web }
spec:
  serviceName: web
  replicas: 4
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers: [{ name: main, image: 'web:v1' }]
---
apiVersion: rollout.kusionstack.io/v1alpha1
kind: RolloutStrategy
metadata: { name: web }
canary:
  replicas: 25%
  templateMetadataPatch: { labels: { track: canary } }
batch:
  batches:
    - replicas: 50%
    - replicas: 100%
      breakpoint: true
---
apiVersion: rollout.kusionstack.io/v1alpha1
kind: Rollout
metadata: { name: web }
spec:
  strategyRef: web
  workloadRef:
    apiVersion: apps/v1
    kind: StatefulSet
    match: { names: [{ name: web }] }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_a_scale_up_and_the_way_back() -> Result<()> {
    let binary = tokio::task::spawn_blocking(operator::binary).await??;
    let plane = ControlPlane::start("hub").await?;
    let client = plane.client()?;
    let _kubelet = Kubelet::with_bad_images(client.clone(), ["web:broken".to_owned()].into());
    install_crds(&client).await?;
    create(&client, MANIFESTS).await?;
    let sets = of_kind(&client, "apps/v1", "StatefulSet");
    let before = until(&sets, "web", "v1 is up", |set| set["status"]["availableReplicas"] == 4).await?;
    let operator = Operator::start(&binary, &plane.kubeconfig_path(), "hub", &[])?;
    until(&sets, "web", "it is parked", |set| partition(set) == Some(PARKED)).await?;

    // A canary beside it, with labels of its own.
    set_image(&client, "web:v2").await?;
    let rollouts = of_kind(&client, API, "Rollout");
    let rollout = until(&rollouts, "web", "a run starts", |it| it["status"]["phase"] == "Progressing").await?;
    let name = rollout["status"]["rolloutID"].as_str().unwrap_or_default().to_owned();
    let runs = of_kind(&client, API, "RolloutRun");
    until(&runs, &name, "it waits with its canary", |run| phase(run) == "Paused").await?;
    let copy = until(&sets, "web-canary", "its canary is there", |set| set["status"]["readyReplicas"] == 1).await?;
    assert_eq!(copy["spec"]["replicas"], 1);
    assert_eq!(images(&client, "track=canary").await?, ["web:v2"]);
    assert_eq!(images(&client, "app=web,track!=canary").await?, ["web:v1"; 4]);
    command(&client, "Rollout", "web", "continue").await?;
    until_gone(&sets, "web-canary").await?;

    // Half of it, then somebody makes it larger: more of the old version, up to half of the new size.
    until(&runs, &name, "it waits at the breakpoint", |run| phase(run) == "Paused").await?;
    let scale = json!({ "spec": { "replicas": 6 } });
    sets.patch("web", &PatchParams::apply("somebody"), &Patch::Merge(&scale)).await?;
    until(&sets, "web", "six pods are up", |set| set["status"]["availableReplicas"] == 6).await?;
    let exposed = images(&client, "app=web").await?.iter().filter(|image| *image == "web:v2").count();
    assert!(exposed <= 4, "{exposed} pods are on v2: two of the step, and at most two that the scale-up made");

    // All of it back, with the operator killed on the way.
    command(&client, "RolloutRun", &name, "rollback").await?;
    until(&runs, &name, "it turns round", |run| run["status"]["rollback"].is_object()).await?;
    operator.kill()?;
    let operator = Operator::start(&binary, &plane.kubeconfig_path(), "hub", &[])?;
    let run = until(&runs, &name, "it is rolled back", |run| phase(run) == "Canceled").await?;
    let condition = &run["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["reason"]), (&json!("Progressing"), &json!("RolledBack")));
    let set = until(&sets, "web", "it is parked again", |set| partition(set) == Some(PARKED)).await?;
    assert_eq!(set["spec"]["template"], before["spec"]["template"]);
    assert_eq!(images(&client, "app=web").await?, ["web:v1"; 6]);

    // A version that never starts, which this StatefulSet's own controller would wait for, and the way back from it.
    set_image(&client, "web:broken").await?;
    let next = |it: &Value| it["status"]["rolloutID"] != json!(name) && it["status"]["phase"] == "Progressing";
    let rollout = until(&rollouts, "web", "the next run starts", next).await?;
    let name = rollout["status"]["rolloutID"].as_str().unwrap_or_default().to_owned();
    until(&sets, "web-canary", "its canary is there", |set| set["status"]["replicas"] == 1).await?;
    command(&client, "RolloutRun", &name, "skip").await?;
    command(&client, "RolloutRun", &name, "force-skip-current-batch").await?;
    let moving = |run: &Value| run["status"]["batchStatus"]["currentBatchState"] == "Running";
    until(&runs, &name, "its first batch runs", moving).await?;
    until(&sets, "web", "a pod is on it", |set| set["status"]["updatedReplicas"] == 1).await?;
    command(&client, "Rollout", "web", "rollback").await?;
    until(&runs, &name, "it is rolled back", |run| phase(run) == "Canceled").await?;
    until(&sets, "web", "six pods are up again", |set| set["status"]["availableReplicas"] == 6).await?;
    assert_eq!(images(&client, "app=web").await?, ["web:v1"; 6]);
    assert!(operator.terminate()?.success(), "the operator does not stop gracefully on SIGTERM");
    Ok(())
}

async fn set_image(client: &Client, image: &str) -> Result<()> {
    let patch = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": image }] } } } });
    let sets = of_kind(client, "apps/v1", "StatefulSet");
    sets.patch("web", &PatchParams::default(), &Patch::Strategic(&patch)).await?;
    Ok(())
}

fn partition(set: &Value) -> Option<i32> {
    set.pointer("/spec/updateStrategy/rollingUpdate/partition")?.as_i64()?.try_into().ok()
}

fn phase(run: &Value) -> &str {
    run["status"]["phase"].as_str().unwrap_or_default()
}
