//! Calls to webhooks: how they leave the process, how long they may take, and what their failures are called.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Response;
use serde_json::Value;

use crate::{Clock, object::text};

/// The port of a service that names none.
const DEFAULT_PORT: u64 = 443;
/// How long a webhook may take that does not say.
const DEFAULT_TIMEOUT_S: u64 = 10;

/// A call to a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookCall {
    /// Where it goes: scheme, host, port and path, with the time it may take as a parameter.
    pub url: String,
    /// Host and port to connect to, where they are not those of the URL: a service has an address of its own.
    pub address: Option<String>,
    /// The authorities that may vouch for the server, in PEM. Empty leaves it to the client.
    pub ca_bundle: Bytes,
    /// An `AdmissionReview`, in JSON.
    pub body: Bytes,
}

/// How webhooks are reached. A simulation answers them in the process; else they are asked over HTTPS.
pub trait Webhooks: fmt::Debug + Send + Sync {
    /// Makes a call. The error says what went wrong on the wire. A call that takes too long is dropped.
    fn call(&self, call: WebhookCall) -> BoxFuture<'static, Result<Response<Bytes>, String>>;

    /// Host and port behind a service. There is no network of pods, so nobody knows unless this is told.
    fn resolve(&self, namespace: &str, name: &str, port: u16) -> Result<String, String> {
        let _ = (namespace, port);
        Err(format!("service {name:?} not found"))
    }
}

/// Where a webhook is, and how long it may take.
#[derive(Debug, Clone)]
pub(super) struct Client {
    place: Place,
    ca_bundle: Bytes,
    timeout: Duration,
}

#[derive(Debug, Clone)]
enum Place {
    Url(String),
    Service { namespace: String, name: String, port: u16, path: String },
}

impl Client {
    /// Reads `clientConfig` and `timeoutSeconds`.
    pub(super) fn of_webhook(webhook: &Value) -> Self {
        let config = webhook.get("clientConfig").unwrap_or(&Value::Null);
        let place = match config.get("service").filter(|service| service.is_object()) {
            Some(service) => {
                let port = service.get("port").and_then(Value::as_u64).unwrap_or(DEFAULT_PORT);
                Place::Service {
                    namespace: text(service, &["namespace"]).to_owned(),
                    name: text(service, &["name"]).to_owned(),
                    port: u16::try_from(port).unwrap_or_default(),
                    path: text(service, &["path"]).to_owned(),
                }
            }
            None => Place::Url(text(config, &["url"]).to_owned()),
        };
        let bundle = config.get("caBundle").cloned().unwrap_or_default();
        let bundle: Option<k8s_openapi::ByteString> = serde_json::from_value(bundle).ok();
        let seconds = webhook.get("timeoutSeconds").and_then(Value::as_u64).unwrap_or(DEFAULT_TIMEOUT_S);
        let ca_bundle = bundle.map(|bundle| Bytes::from(bundle.0)).unwrap_or_default();
        Self { place, ca_bundle, timeout: Duration::from_secs(seconds) }
    }

    /// Calls, and waits as long as the webhook may take by the cluster's clock.
    pub(super) async fn call(
        &self,
        body: Bytes,
        webhooks: &Arc<dyn Webhooks>,
        clock: &Clock,
    ) -> Result<Response<Bytes>, String> {
        let url = self.url();
        let failed = |why: String| format!("Post {url:?}: {why}");
        let address = match &self.place {
            Place::Url(_) => None,
            Place::Service { namespace, name, port, .. } => {
                Some(webhooks.resolve(namespace, name, *port).map_err(failed)?)
            }
        };
        let call = webhooks.call(WebhookCall { url: url.clone(), address, ca_bundle: self.ca_bundle.clone(), body });
        tokio::select! {
            biased;
            answer = call => answer.map_err(failed),
            () = clock.sleep(self.timeout) => Err(failed("context deadline exceeded".to_owned())),
        }
    }

    fn url(&self) -> String {
        let timeout = self.timeout.as_secs();
        match &self.place {
            Place::Url(url) => {
                let separator = if url.contains('?') { '&' } else { '?' };
                let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
                let root = if rest.contains('/') { "" } else { "/" };
                format!("{scheme}://{rest}{root}{separator}timeout={timeout}s")
            }
            Place::Service { namespace, name, port, path } => {
                let path = path.trim_start_matches('/');
                format!("https://{name}.{namespace}.svc:{port}/{path}?timeout={timeout}s")
            }
        }
    }
}

/// The body of an answer that is one, or what client-go says of an answer that is none.
pub(super) fn body_of(answer: Response<Bytes>) -> Result<Bytes, String> {
    let code = answer.status().as_u16();
    let content_type = answer.headers().get(http::header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let body = answer.into_body();
    if !(200..=206).contains(&code) {
        return Err(refusal(code, &content_type, &body));
    }
    if body.is_empty() {
        return Err(format!("0-length response with status code: {code} and content type: {content_type}"));
    }
    Ok(body)
}

fn refusal(code: u16, content_type: &str, body: &Bytes) -> String {
    let status: Option<Value> = serde_json::from_slice(body).ok();
    if let Some(status) = status.filter(|it| text(it, &["status"]) == "Failure") {
        return text(&status, &["message"]).to_owned();
    }
    let is_text = content_type.starts_with("text/");
    let told = if is_text && !body.is_empty() { String::from_utf8_lossy(body) } else { "unknown".into() };
    let told = told.trim();
    match code {
        400 => "the server rejected our request for an unknown reason".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 | 415 => told.to_owned(),
        404 => "the server could not find the requested resource".to_owned(),
        405 => "the server does not allow this method on the requested resource".to_owned(),
        406 if told == "unknown" => {
            "the server was unable to respond with a content type that the client supports".to_owned()
        }
        406 => told.to_owned(),
        409 => "the server reported a conflict".to_owned(),
        422 => "the server rejected our request due to an error in our request".to_owned(),
        429 => "the server has received too many requests and has asked us to try again later".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => "the server was unable to return a response in the time allotted, but may still be processing the \
                request"
            .to_owned(),
        500.. => format!("an error on the server ({told:?}) has prevented the request from succeeding"),
        _ => format!("the server responded with the status code {code} but did not return more information"),
    }
}
