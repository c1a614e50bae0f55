//! Webhooks over HTTPS, as a served cluster asks them.

use std::{error::Error, io};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, Uri, header};
use http_body_util::BodyExt;
use kube::{Client, Config, client::Body};

use super::call::{WebhookCall, Webhooks};

/// How the server calls itself.
const USER_AGENT: &str = "kube-apiserver-admission";

/// Asks webhooks over HTTPS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Https;

impl Webhooks for Https {
    fn call(&self, call: WebhookCall) -> BoxFuture<'static, Result<Response<Bytes>, String>> {
        Box::pin(async move { send(call).await })
    }
}

async fn send(call: WebhookCall) -> Result<Response<Bytes>, String> {
    let url: Uri = call.url.parse().map_err(|error| format!("parse {:?}: {error}", call.url))?;
    let authority = url.authority().map(ToString::to_string).unwrap_or_default();
    let host = url.host().unwrap_or_default().to_owned();
    let server = format!("https://{}", call.address.as_deref().unwrap_or(&authority));
    let mut config = Config::new(server.parse().map_err(|error| format!("parse {server:?}: {error}"))?);
    config.default_retry = false;
    config.tls_server_name = call.address.is_some().then_some(host);
    if !call.ca_bundle.is_empty() {
        let authorities = pem::parse_many(&call.ca_bundle).map_err(|error| {
            format!(
                "unable to load root \
            certificates: {error}"
            )
        })?;
        config.root_cert = Some(authorities.into_iter().map(pem::Pem::into_contents).collect());
    }
    let client = Client::try_from(config).map_err(|error| told(&error, &authority))?;
    let request = Request::post(url.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, */*")
        .header(header::USER_AGENT, USER_AGENT)
        .body(Body::from(call.body.to_vec()))
        .map_err(|error| error.to_string())?;
    let response = client.send(request).await.map_err(|error| told(&error, &authority))?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| told(&error, &authority))?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

/// What went wrong on the wire, in Go's words where they are the same in every run.
fn told(error: &(dyn Error + 'static), authority: &str) -> String {
    let mut last = error.to_string();
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(kind) = error.downcast_ref::<io::Error>().map(io::Error::kind) {
            match kind {
                io::ErrorKind::ConnectionRefused => {
                    return format!("dial tcp {authority}: connect: connection refused");
                }
                io::ErrorKind::ConnectionReset => {
                    return format!("read tcp {authority}: read: connection reset by peer");
                }
                io::ErrorKind::UnexpectedEof => return "EOF".to_owned(),
                _ => {}
            }
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
            return "EOF".to_owned();
        }
        last = error.to_string();
        next = error.source();
    }
    if last.contains("UnknownIssuer") {
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority".to_owned();
    }
    last
}
