//! A stand-in for kubelets: it makes every pod of a control plane ready at once, without nodes.
//!
//! It binds no pod to a node, so the API server deletes a pod at once and nothing here has to finish deletions. The price:
//! such pods never enter an `EndpointSlice`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// Pods patched at the same time: enough for hundreds of pods at once.
const WORKERS: usize = 16;

/// A running stand-in; it stops when dropped.
#[derive(Debug)]
pub struct Kubelet(JoinHandle<()>);

impl Kubelet {
    /// Makes every pod ready.
    pub fn start(client: Client) -> Self {
        Self::with_bad_images(client, BTreeSet::new())
    }

    /// Makes every pod ready but those with a container of one of these images, which is never pulled.
    pub fn with_bad_images(client: Client, bad: BTreeSet<String>) -> Self {
        Self(tokio::spawn(run(client, bad)))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(client: Client, bad: BTreeSet<String>) {
    let addresses = AtomicU32::new(u32::from(Ipv4Addr::new(10, 244, 0, 1)));
    let pods = watcher(Api::<Pod>::all(client.clone()), watcher::Config::default());
    pods.default_backoff()
        .applied_objects()
        .for_each_concurrent(WORKERS, async |pod| {
            let result = match pod {
                Ok(pod) => report(&client, &pod, &bad, &addresses).await,
                Err(error) => Err(error.into()),
            };
            // A failed patch is a pod that changed or went meanwhile: its next event brings it back here.
            if let Err(error) = result {
                tracing::debug!("kubelet: {error:#}");
            }
        })
        .await;
}

async fn report(client: &Client, pod: &Pod, bad: &BTreeSet<String>, addresses: &AtomicU32) -> Result<()> {
    if pod.metadata.deletion_timestamp.is_some() || is_reported(pod, bad) {
        return Ok(());
    }
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
    let address = address.unwrap_or_else(|| Ipv4Addr::from_bits(addresses.fetch_add(1, Ordering::Relaxed)).to_string());
    let pods = Api::<Pod>::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let patch = json!({
        "metadata": { "uid": pod.metadata.uid },
        "status": status(pod, bad, &address, &now()),
    });
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(patch)).await?;
    Ok(())
}

/// Whether the status already says what this pod's containers do.
fn is_reported(pod: &Pod, bad: &BTreeSet<String>) -> bool {
    let reported = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    containers(pod).iter().all(|container| {
        reported.iter().any(|it| {
            it.name == container.name
                && Some(&it.image) == container.image.as_ref()
                && it.ready != is_bad(container, bad)
        })
    })
}

fn status(pod: &Pod, bad: &BTreeSet<String>, address: &str, now: &str) -> Value {
    let ready = !containers(pod).iter().any(|container| is_bad(container, bad));
    let condition = |kind: &str, status: bool| json!({ "type": kind, "status": if status { "True" } else { "False" }, "lastTransitionTime": now });
    json!({
        "phase": if ready { "Running" } else { "Pending" },
        "observedGeneration": pod.metadata.generation,
        "podIP": address,
        "podIPs": [{ "ip": address }],
        "startTime": now,
        "conditions": [
            condition("PodScheduled", true),
            condition("Initialized", true),
            condition("ContainersReady", ready),
            condition("Ready", ready),
        ],
        "containerStatuses": containers(pod).iter().map(|it| container_status(it, bad, now)).collect::<Vec<_>>(),
    })
}

fn container_status(container: &Container, bad: &BTreeSet<String>, now: &str) -> Value {
    let ready = !is_bad(container, bad);
    let state = if ready {
        json!({ "running": { "startedAt": now } })
    } else {
        json!({ "waiting": { "reason": "ImagePullBackOff", "message": "back-off pulling image" } })
    };
    json!({
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": state,
    })
}

fn containers(pod: &Pod) -> &[Container] {
    pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default()
}

fn is_bad(container: &Container, bad: &BTreeSet<String>) -> bool {
    container.image.as_ref().is_some_and(|image| bad.contains(image))
}

/// A real control plane lives in wall time, and so does what stands in for its nodes.
#[expect(clippy::disallowed_methods, reason = "the stand-in runs beside real servers only")]
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
