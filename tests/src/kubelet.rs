//! A stand-in for scheduler and kubelets: one node, to which it binds every pod, makes it ready at once, and ends it as soon
//! as somebody deletes it.
//!
//! As with a real scheduler, a pod that names another `schedulerName` is left alone: it stays pending, and the API server
//! deletes it at once.

mod status;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// The node that pods are bound to.
pub const NODE: &str = "node-0";

/// Pods patched at the same time: enough for hundreds of pods at once.
const WORKERS: usize = 16;

/// A write that fails for no fault of the pod is repeated this often, after such a pause: half a minute in all.
const ATTEMPTS: usize = 60;
const PAUSE: Duration = Duration::from_millis(500);

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
    if let Err(error) = register(&client).await {
        tracing::error!("kubelet: node `{NODE}` cannot be registered: {error:#}");
        return;
    }
    let addresses = AtomicU32::new(u32::from(Ipv4Addr::new(10, 244, 0, 1)));
    let pods = watcher(Api::<Pod>::all(client.clone()), watcher::Config::default());
    pods.default_backoff()
        .applied_objects()
        .for_each_concurrent(WORKERS, async |pod| match pod {
            Ok(pod) => work_until_done(&client, &pod, &bad, &addresses).await,
            Err(error) => tracing::debug!("kubelet: {error:#}"),
        })
        .await;
}

/// Makes the node, unless it is there already. A new node is tainted until somebody sees that it is ready.
async fn register(client: &Client) -> Result<()> {
    let nodes = Api::<Node>::all(client.clone());
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": NODE, "labels": { "kubernetes.io/hostname": NODE } },
    });
    match nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        created => drop(created?),
    }
    let untaint = Patch::Merge(json!({ "spec": { "taints": null } }));
    nodes.patch(NODE, &PatchParams::default(), &untaint).await?;
    let ready = Patch::Strategic(json!({ "status": status::of_node(&status::now()) }));
    nodes.patch_status(NODE, &PatchParams::default(), &ready).await?;
    Ok(())
}

/// Does what a pod needs next, again while the server is too busy. No event would bring the pod back here.
async fn work_until_done(client: &Client, pod: &Pod, bad: &BTreeSet<String>, addresses: &AtomicU32) {
    for _ in 0..ATTEMPTS {
        match work(client, pod, bad, addresses).await {
            Ok(()) => return,
            // The pod changed or went meanwhile, which its next event tells.
            Err(kube::Error::Api(status)) if status.code < 500 && status.code != 429 => {
                tracing::debug!("kubelet: {status}");
                return;
            }
            Err(error) => tracing::warn!("kubelet: {error:#}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The next thing that a pod needs.
async fn work(client: &Client, pod: &Pod, bad: &BTreeSet<String>, addresses: &AtomicU32) -> Result<(), kube::Error> {
    let pods = Api::<Pod>::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let Some(spec) = &pod.spec else { return Ok(()) };
    if pod.metadata.deletion_timestamp.is_some() {
        return end(&pods, pod).await;
    }
    if spec.node_name.is_none() {
        let ours = spec.scheduler_name.as_deref().is_none_or(|name| name == "default-scheduler");
        return if ours { bind(&pods, pod).await } else { Ok(()) };
    }
    if status::is_reported(pod, bad) {
        return Ok(());
    }
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
    let address = address.unwrap_or_else(|| Ipv4Addr::from_bits(addresses.fetch_add(1, Ordering::Relaxed)).to_string());
    let patch = json!({
        "metadata": { "uid": pod.metadata.uid },
        "status": status::of_pod(pod, bad, &address, &status::now()),
    });
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(patch)).await?;
    Ok(())
}

async fn bind(pods: &Api<Pod>, pod: &Pod) -> Result<(), kube::Error> {
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding",
        "metadata": { "name": pod.name_any(), "uid": pod.metadata.uid },
        "target": { "apiVersion": "v1", "kind": "Node", "name": NODE },
    });
    pods.create_subresource::<_, Value>("binding", &pod.name_any(), &PostParams::default(), &binding).await?;
    Ok(())
}

/// Ends a pod that waits for its kubelet. One without grace left waits for finalizers only.
async fn end(pods: &Api<Pod>, pod: &Pod) -> Result<(), kube::Error> {
    if pod.metadata.deletion_grace_period_seconds == Some(0) {
        return Ok(());
    }
    let preconditions = Some(Preconditions { uid: pod.metadata.uid.clone(), resource_version: None });
    let options = DeleteParams { grace_period_seconds: Some(0), preconditions, ..DeleteParams::default() };
    pods.delete(&pod.name_any(), &options).await?;
    Ok(())
}
