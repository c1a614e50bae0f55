//! A stand-in for an implementation of the Gateway API: it says of every HTTPRoute that its gateways have taken it in, as a
//! conformant one does, and carries no request anywhere.

use std::time::Duration;

use futures::StreamExt;
use kube::{
    Client, ResourceExt,
    api::{Api, DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const CONTROLLER: &str = "slipway.example/gateway";

/// A write that fails for no fault of the route is repeated this often, after such a pause: half a minute in all.
const ATTEMPTS: usize = 60;
const PAUSE: Duration = Duration::from_millis(500);

/// A running stand-in; it stops when dropped.
#[derive(Debug)]
pub struct Gateway(JoinHandle<()>);

impl Gateway {
    /// Accepts every HTTPRoute, in every generation.
    pub fn start(client: Client) -> Self {
        Self(tokio::spawn(run(client)))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(client: Client) {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute"));
    let routes = Api::<DynamicObject>::all_with(client.clone(), &kind);
    watcher(routes, watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .for_each(async |route| match route {
            Ok(route) => {
                let routes =
                    Api::namespaced_with(client.clone(), route.namespace().as_deref().unwrap_or_default(), &kind);
                accept(&routes, &route).await;
            }
            Err(error) => tracing::debug!("gateway: {error:#}"),
        })
        .await;
}

/// Says that the route is accepted as it is. No event would bring one back here whose write was refused in passing.
async fn accept(routes: &Api<DynamicObject>, route: &DynamicObject) {
    let parents = parents(route);
    // Our own write brings the route back.
    if route.data["status"]["parents"] == parents {
        return;
    }
    let patch = Patch::Merge(json!({ "status": { "parents": parents } }));
    for _ in 0..ATTEMPTS {
        match routes.patch_status(&route.name_any(), &PatchParams::apply(CONTROLLER), &patch).await {
            Ok(_) => return,
            // It is gone.
            Err(kube::Error::Api(status)) if status.code == 404 => return,
            Err(error) => tracing::warn!("gateway: {error:#}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What is to be said of each of the route's gateways.
fn parents(route: &DynamicObject) -> Value {
    let condition = |kind: &str, reason: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": "",
            "observedGeneration": route.metadata.generation,
            // It has been true ever since.
            "lastTransitionTime": route.metadata.creation_timestamp,
        })
    };
    let parent = |reference: &Value| {
        json!({
            "parentRef": reference,
            "controllerName": CONTROLLER,
            "conditions": [condition("Accepted", "Accepted"), condition("ResolvedRefs", "ResolvedRefs")],
        })
    };
    let references = route.data["spec"]["parentRefs"].as_array();
    Value::Array(references.into_iter().flatten().map(parent).collect())
}
