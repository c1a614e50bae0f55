//! Objects on real control planes, as end-to-end tests need them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Client, ResourceExt,
    api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use slipway_actors::api;

use crate::gateway_api;

/// Two minutes on a busy machine; all of it is only used up by a failure.
const POLLS: usize = 600;
const POLL: Duration = Duration::from_millis(200);

/// The objects of a kind in the namespace `default`.
pub fn of_kind(client: &Client, api_version: &str, kind: &str) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::default_namespaced_with(client.clone(), &resource)
}

/// Creates every object of a YAML stream.
pub async fn create(client: &Client, manifests: &str) -> Result<()> {
    for value in serde_saphyr::from_multiple::<Value>(manifests)? {
        let object: DynamicObject = serde_json::from_value(value)?;
        let types = object.types.clone().context("apiVersion and kind")?;
        of_kind(client, &types.api_version, &types.kind).create(&PostParams::default(), &object).await?;
    }
    Ok(())
}

/// Installs our definitions, and waits until they are served.
pub async fn install_crds(client: &Client) -> Result<()> {
    let crds = Api::<CustomResourceDefinition>::all(client.clone());
    for crd in api::crd::all() {
        crds.create(&PostParams::default(), &crd).await?;
        let established = kube::runtime::conditions::is_crd_established();
        kube::runtime::wait::await_condition(crds.clone(), &crd.name_any(), established).await?;
        let names = crd.spec.names;
        is_served(&of_kind(client, &ours(), &names.kind)).await?;
    }
    Ok(())
}

/// Installs the namespaced kinds of the Gateway API that an operator may look at, and waits until it is served.
pub async fn install_gateway_api(client: &Client) -> Result<()> {
    let crds = Api::<CustomResourceDefinition>::all(client.clone());
    for plural in ["gateways", "httproutes", "grpcroutes"] {
        let path = tokio::task::spawn_blocking(move || gateway_api::definition(plural)).await??;
        let crd: CustomResourceDefinition = serde_saphyr::from_str(&std::fs::read_to_string(path)?)?;
        crds.create(&PostParams::default(), &crd).await?;
        let names = crd.spec.names;
        is_served(&of_kind(client, "gateway.networking.k8s.io/v1", &names.kind)).await?;
    }
    Ok(())
}

/// Waits until a kind is answered for: one that is established may still be initializing its storage.
async fn is_served(objects: &Api<DynamicObject>) -> Result<()> {
    for _ in 0..POLLS {
        match objects.list(&ListParams::default()).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if [404, 429].contains(&status.code) => tokio::time::sleep(POLL).await,
            Err(error) => return Err(error.into()),
        }
    }
    bail!("waited in vain until {} is served", objects.resource_url())
}

/// Waits for an object to get somewhere, and tells where it was last if it does not.
pub async fn until(
    objects: &Api<DynamicObject>,
    name: &str,
    what: &str,
    done: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let mut last = Value::Null;
    for _ in 0..POLLS {
        if let Some(object) = objects.get_opt(name).await? {
            last = serde_json::to_value(object)?;
            if done(&last) {
                return Ok(last);
            }
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("waited in vain until {what}; {name} is {last:#}")
}

/// Waits for an object to be gone.
pub async fn until_gone(objects: &Api<DynamicObject>, name: &str) -> Result<()> {
    for _ in 0..POLLS {
        if objects.get_opt(name).await?.is_none() {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("waited in vain until {name} is gone")
}

/// The images of the pods that a selector means, in order.
pub async fn images(client: &Client, selector: &str) -> Result<Vec<String>> {
    let pods = Api::<Pod>::default_namespaced(client.clone()).list(&ListParams::default().labels(selector)).await?;
    let live = pods.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let mut images: Vec<_> = live.filter_map(|pod| pod.spec?.containers.first()?.image.clone()).collect();
    images.sort();
    Ok(images)
}

/// Gives a command, once the one before has been taken in.
pub async fn command(client: &Client, kind: &str, name: &str, command: &str) -> Result<()> {
    const COMMAND: &str = "rollout.kusionstack.io/manual-command";
    const PENDING: &str = "slipway.rollout.kusionstack.io/pending-command";
    let objects = of_kind(client, &ours(), kind);
    let free = |object: &Value| {
        let annotations = &object["metadata"]["annotations"];
        annotations[COMMAND].is_null() && annotations[PENDING].is_null()
    };
    until(&objects, name, "no command is on its way", free).await?;
    let patch = json!({ "metadata": { "annotations": { COMMAND: command } } });
    objects.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    until(&objects, name, "the command is taken in", free).await?;
    Ok(())
}

fn ours() -> String {
    format!("{}/{}", api::GROUP, api::VERSION)
}
