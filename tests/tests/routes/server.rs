//! The API server, asked as the operator asks it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::Request;
use kube::Client;
use serde_json::Value;
use slipway_tests::gateway_api;

/// A minute on a busy machine; all of it is only used up by a failure.
const POLLS: usize = 300;
const POLL: Duration = Duration::from_millis(200);

pub(crate) struct Server(pub(crate) Client);

impl Server {
    /// Installs a definition of the Gateway API, and waits until it is served.
    pub(crate) async fn define(&self, plural: &str) -> Result<()> {
        let path = tokio::task::spawn_blocking({
            let plural = plural.to_owned();
            move || gateway_api::definition(&plural)
        })
        .await??;
        let definition: Value = serde_saphyr::from_str(&fs::read_to_string(path)?)?;
        self.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await?;
        for _ in 0..POLLS {
            let path = format!("/apis/gateway.networking.k8s.io/v1/{plural}");
            if self.0.request::<Value>(Request::get(path).body(Vec::new())?).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("waited in vain until {plural} are served")
    }

    pub(crate) async fn create(&self, group: &str, object: &Value) -> Result<Value> {
        let request = Request::post(group).header("content-type", "application/json");
        self.send(request.body(serde_json::to_vec(object)?)?).await
    }

    /// `how` is `json-patch` or `merge-patch`.
    pub(crate) async fn patch(&self, path: &str, how: &str, change: &Value) -> Result<Value> {
        let request = Request::patch(path).header("content-type", format!("application/{how}+json"));
        self.send(request.body(serde_json::to_vec(change)?)?).await
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Value> {
        let what = format!("{} {}", request.method(), request.uri());
        self.0.request(request).await.context(what)
    }
}
