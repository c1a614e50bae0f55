//! What an API server with our CRDs says of an object. It is the fake one, in this process.

use http::{Request, header};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;
use slipway_actors::api::{API_VERSION, crd, validate::FieldError};
use slipway_fakes::{ApiServer, Clock};

use super::document::Document;
use crate::failure::{Failure, chain};

/// Where objects are created, which is never done: the namespace of a manifest need not be there.
const NAMESPACE: &str = "default";
/// What is said instead of a field when an object could not be checked any further.
const NO_FIELD: &str = "<nil>";

/// An API server.
pub(super) struct Server(kube::Client);

/// What it says of an object.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) causes: Vec<FieldError>,
    pub(super) warnings: Vec<String>,
}

impl Server {
    /// One that serves our kinds.
    pub(super) async fn start() -> Result<Self, Failure> {
        let api = ApiServer::new(0, Clock::new(jiff::Timestamp::UNIX_EPOCH, 1));
        for definition in crd::all() {
            let definition = serde_json::to_value(definition).map_err(|error| broke(&error))?;
            api.install_crd(definition).await.map_err(|status| Failure::Broke(format!("crds: {status}")))?;
        }
        Ok(Self(api.client()))
    }

    /// What creating it would lead to. A kind that is not served is told elsewhere.
    pub(super) async fn create(&self, document: &Document) -> Result<Answer, Failure> {
        let names = crd::names();
        let Some(names) = names.iter().find(|names| names.kind == document.kind()) else {
            return Ok(Answer::default());
        };
        let mut object = document.object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.insert("namespace".to_owned(), NAMESPACE.into());
        }
        let path = format!("/apis/{API_VERSION}/namespaces/{NAMESPACE}/{}", names.plural);
        let request = Request::post(format!("{path}?dryRun=All&fieldValidation=Warn"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(object.to_string().into_bytes()))
            .map_err(|error| broke(&error))?;
        let response = self.0.send(request).await?;
        let warnings = response.headers().get_all(header::WARNING).iter();
        let warnings: Vec<String> = warnings.filter_map(|value| warning(value.to_str().ok()?)).collect();
        let body = response.into_body().collect().await.map_err(|error| broke(&error))?.to_bytes();
        let body: Value = serde_json::from_slice(&body).map_err(|error| broke(&error))?;
        let causes = if body["kind"] == "Status" { causes(&body) } else { Vec::new() };
        Ok(Answer { causes, warnings })
    }
}

/// The text of a warning header, `299 - "text"`.
fn warning(header: &str) -> Option<String> {
    serde_json::from_str(header.strip_prefix("299 - ")?).ok()
}

fn causes(status: &Value) -> Vec<FieldError> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let causes: Vec<_> = status["details"]["causes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|cause| FieldError { path: text(&cause["field"]), message: text(&cause["message"]) })
        .filter(|cause| cause.path != NO_FIELD)
        .collect();
    if !causes.is_empty() {
        return causes;
    }
    vec![FieldError { path: "metadata".to_owned(), message: text(&status["message"]) }]
}

fn broke(error: &dyn std::error::Error) -> Failure {
    Failure::Broke(format!("the check itself failed: {}", chain(error)))
}
