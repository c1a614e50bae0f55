//! One simulated cluster and how its users talk to it.

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};
use slipway_fakes::controllers::ControllerOptions;
use slipway_fakes::{ApiServer, Clock, Cluster, ClusterOptions, KubeletOptions};
use tower::ServiceExt;

use crate::{
    facts::Who,
    marker::Marker,
    recorder::Recorder,
    scenario::{Gateway, Kind, Scenario, delay},
};

/// A cluster of the simulation.
#[derive(Clone)]
pub(crate) struct Site {
    /// Its name; the hub's is `hub`.
    pub(crate) name: String,
    /// Who is writing to it right now.
    pub(crate) marker: Marker,
    /// The cluster itself.
    pub(crate) cluster: Arc<Cluster>,
}

/// How a request changes an object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patch {
    /// RFC 7396.
    Merge,
    /// RFC 6902.
    Json,
}

impl Site {
    /// Starts a cluster and has every write of it recorded.
    pub(crate) fn start(name: &str, seed: u64, clock: &Clock, scenario: &Scenario, recorder: &Recorder) -> Self {
        let gateway = scenario.gateway(name);
        let (ready, stop) = scenario.pods(name);
        let kubelet = KubeletOptions {
            ready: delay(ready),
            stop: stop.map_or(KubeletOptions::default().stop, delay),
            bad_images: scenario.bad_images.iter().cloned().collect(),
            ..KubeletOptions::default()
        };
        let cluster = Cluster::start(ClusterOptions {
            name: name.to_owned(),
            seed,
            kubelet,
            gateway: gateway.map(Gateway::options),
            // Nothing here reads Events, and without them a run is shorter.
            controllers: ControllerOptions { events: false, ..ControllerOptions::default() },
            ..ClusterOptions::new(clock.clone())
        });
        let site = Self { name: name.to_owned(), marker: Marker::default(), cluster: Arc::new(cluster) };
        let (recorder, marker, name) = (recorder.clone(), site.marker.clone(), site.name.clone());
        let observer = move |event: &slipway_fakes::store::Event| recorder.write(&name, marker.who(), event);
        site.api().store().observe(Box::new(observer));
        site
    }

    /// The API server.
    pub(crate) fn api(&self) -> ApiServer {
        self.cluster.api().clone()
    }

    /// Creates an object.
    pub(crate) async fn create(&self, manifest: &Value) -> Result<Value, String> {
        let kind = Kind::of(manifest)?;
        let namespace = manifest["metadata"]["namespace"].as_str().unwrap_or("default");
        self.request(Who::User, Method::POST, &kind.path(namespace), "application/json", manifest).await
    }

    /// Reads an object of the namespace `default`.
    pub(crate) async fn get(&self, kind: Kind, name: &str) -> Result<Value, String> {
        let path = format!("{}/{name}", kind.path("default"));
        self.request(Who::User, Method::GET, &path, "application/json", &Value::Null).await
    }

    /// Patches an object of the namespace `default`, or a subresource of it.
    pub(crate) async fn patch(
        &self,
        who: Who,
        kind: Kind,
        name: &str,
        patch: Patch,
        body: &Value,
    ) -> Result<Value, String> {
        self.patch_as(None, who, kind, name, patch, body).await
    }

    /// The same under the name of a field manager.
    pub(crate) async fn patch_as(
        &self,
        manager: Option<&str>,
        who: Who,
        kind: Kind,
        name: &str,
        patch: Patch,
        body: &Value,
    ) -> Result<Value, String> {
        let content = match patch {
            Patch::Merge => "application/merge-patch+json",
            Patch::Json => "application/json-patch+json",
        };
        let query = manager.map(|manager| format!("?fieldManager={manager}")).unwrap_or_default();
        let uri = format!("{}/{name}{query}", kind.path("default"));
        self.request(who, Method::PATCH, &uri, content, body).await
    }

    /// Deletes an object of the namespace `default`.
    pub(crate) async fn delete(&self, who: Who, kind: Kind, name: &str) -> Result<Value, String> {
        let path = format!("{}/{name}", kind.path("default"));
        self.request(who, Method::DELETE, &path, "application/json", &json!({})).await
    }

    async fn request(
        &self,
        who: Who,
        method: Method,
        path: &str,
        content: &str,
        body: &Value,
    ) -> Result<Value, String> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, content)
            .body(Body::from(body.to_string().into_bytes()))
            .map_err(|error| error.to_string())?;
        let answer = self.marker.during(who, self.api().oneshot(request)).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        match status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => Ok(value),
            status => Err(format!("{}: {}", status.as_u16(), value["message"].as_str().unwrap_or_default())),
        }
    }
}
