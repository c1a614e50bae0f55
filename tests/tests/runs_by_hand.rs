//! On a real control plane: a RolloutRun that nobody but a user made, and a ScaleRun with its way back.

use anyhow::Result;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use slipway_tests::{
    control_plane::ControlPlane,
    kubelet::Kubelet,
    objects::{command, create, images, install_crds, of_kind, until, until_gone},
    operator::{self, Operator},
};

const API: &str = "rollout.kusionstack.io/v1alpha1";

const WORKLOAD: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: web
  labels: { app: web }
spec:
  serviceName: web
  podManagementPolicy: Parallel
  replicas: 4
  selector: { matchLabels: { app: web } }
  updateStrategy: { type: RollingUpdate, rollingUpdate: { partition: 4 } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers: [{ name: main, image: 'web:v1' }]
";

const RUN: &str = "
apiVersion: rollout.kusionstack.io/v1alpha1
kind: RolloutRun
metadata: { name: by-hand }
spec:
  targetType: { apiVersion: apps/v1, kind: StatefulSet }
  batch:
    batches:
    - targets: [{ name: web, replicas: 1 }]
    - targets: [{ name: web, replicas: 100% }]
      breakpoint: true
";

const SCALE_RUN: &str = "
apiVersion: rollout.kusionstack.io/v1alpha1
kind: ScaleRun
metadata: { name: peak }
spec:
  targetType: { apiVersion: apps/v1, kind: StatefulSet }
  batch:
    batches:
    - targets: [{ name: web, replicas: 6 }]
    - targets: [{ name: web, replicas: 8 }]
      breakpoint: true
    - targets: [{ name: web, replicas: 9 }]
      breakpoint: true
";

#[tokio::test(flavor = "multi_thread")]
async fn they_need_no_rollout_and_leave_nothing_behind() -> Result<()> {
    let binary = tokio::task::spawn_blocking(operator::binary).await??;
    let plane = ControlPlane::start("hub").await?;
    let client = plane.client()?;
    let _kubelet = Kubelet::start(client.clone());
    install_crds(&client).await?;
    create(&client, WORKLOAD).await?;
    let sets = of_kind(&client, "apps/v1", "StatefulSet");
    let before = until(&sets, "web", "v1 is up", |set| set["status"]["availableReplicas"] == 4).await?;
    let operator = Operator::start(&binary, &plane.kubeconfig_path(), "hub", &[])?;

    // A RolloutRun, with the operator killed at its breakpoint.
    let image =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": "web:v2" }] } } } });
    sets.patch("web", &PatchParams::default(), &Patch::Strategic(&image)).await?;
    create(&client, RUN).await?;
    let runs = of_kind(&client, API, "RolloutRun");
    until(&runs, "by-hand", "it waits at the breakpoint", |run| phase(run) == "Paused").await?;
    let held = until(&sets, "web", "one pod is on v2", |set| set["status"]["updatedReplicas"] == 1).await?;
    let mark = mark(&held);
    assert_eq!(mark, json!({ "rolloutID": "by-hand", "batch": { "currentBatchIndex": 1 } }));
    operator.kill()?;
    let operator = Operator::start(&binary, &plane.kubeconfig_path(), "hub", &[])?;
    command(&client, "RolloutRun", "by-hand", "continue").await?;
    until(&runs, "by-hand", "it ends", |run| phase(run) == "Succeeded").await?;
    let as_it_was = |set: &Value| {
        let (now, then) = (&set["metadata"], &before["metadata"]);
        set["spec"]["updateStrategy"] == before["spec"]["updateStrategy"]
            && (&now["labels"], &now["annotations"]) == (&then["labels"], &then["annotations"])
    };
    until(&sets, "web", "it is as it was", as_it_was).await?;
    assert_eq!(images(&client, "app=web").await?, ["web:v2"; 4]);
    runs.delete("by-hand", &DeleteParams::default()).await?;
    until_gone(&runs, "by-hand").await?;

    // A ScaleRun, and the way back from before its third batch, with the operator killed in the second.
    create(&client, SCALE_RUN).await?;
    let scales = of_kind(&client, API, "ScaleRun");
    let run = until(&scales, "peak", "it waits at the breakpoint", |run| phase(run) == "Paused").await?;
    let target = &run["status"]["batches"]["records"][0]["targets"][0];
    assert_eq!(
        (&target["scaleFrom"], &target["scaleTo"], &target["availableReplicas"]),
        (&json!(4), &json!(6), &json!(6))
    );
    command(&client, "ScaleRun", "peak", "continue").await?;
    until(&sets, "web", "it grows", |set| set["spec"]["replicas"] == 8).await?;
    operator.kill()?;
    let operator = Operator::start(&binary, &plane.kubeconfig_path(), "hub", &[])?;
    let third = |run: &Value| phase(run) == "Paused" && run["status"]["batches"]["currentBatchIndex"] == 2;
    until(&scales, "peak", "it waits before its third batch", third).await?;
    command(&client, "ScaleRun", "peak", "rollback").await?;
    let run = until(&scales, "peak", "it is rolled back", |run| phase(run) == "Canceled").await?;
    assert_eq!(run["status"]["conditions"][0]["reason"], "RolledBack");
    let set = until(&sets, "web", "it is as it was", as_it_was).await?;
    assert_eq!((&set["spec"]["replicas"], &set["status"]["replicas"]), (&json!(4), &json!(4)));
    scales.delete("peak", &DeleteParams::default()).await?;
    until_gone(&scales, "peak").await?;
    assert!(operator.terminate()?.success(), "the operator does not stop gracefully on SIGTERM");
    Ok(())
}

/// What the workload says of who moves it.
fn mark(set: &Value) -> Value {
    let text = &set["metadata"]["annotations"]["rollout.kusionstack.io/progressing-info"];
    serde_json::from_str(text.as_str().unwrap_or_default()).unwrap_or_default()
}

fn phase(run: &Value) -> &str {
    run["status"]["phase"].as_str().unwrap_or_default()
}
