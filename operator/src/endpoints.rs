//! HTTP to endpoints outside the clusters: the operator's way to hooks.
//!
//! One connection a call: hooks are asked every few seconds at most, and a connection that was kept may be half dead.
//! No proxy, no redirect, no compression; TLS is always verified.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use slipway_actors::world::{Http, HttpAnswer, HttpCall, MAX_ANSWER_BYTES};

use crate::failure::chain;

/// Endpoints as they are reached from this machine.
pub(crate) struct Endpoints {
    system: Arc<RootCertStore>,
}

impl Endpoints {
    /// Reads the system's roots, once.
    pub(crate) fn new() -> Self {
        let found = rustls_native_certs::load_native_certs();
        let mut system = RootCertStore::empty();
        let (added, _) = system.add_parsable_certificates(found.certs);
        if added == 0 {
            let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
            tracing::warn!(?errors, "the system has no root certificates: hooks over https need a caBundle");
        }
        Self { system: Arc::new(system) }
    }

    fn roots(&self, ca_bundle: Option<&Bytes>) -> Result<Arc<RootCertStore>, String> {
        let Some(bundle) = ca_bundle else { return Ok(self.system.clone()) };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(bundle) {
            let certificate =
                certificate.map_err(|error| format!("caBundle: expected certificates in PEM: {error}"))?;
            roots.add(certificate).map_err(|error| format!("caBundle: {error}"))?;
        }
        if roots.is_empty() {
            return Err("caBundle: expected certificates in PEM, found none".to_owned());
        }
        Ok(Arc::new(roots))
    }
}

impl Http for Endpoints {
    fn post(&self, call: HttpCall) -> BoxFuture<'static, Result<HttpAnswer, String>> {
        let roots = self.roots(call.ca_bundle.as_ref());
        Box::pin(async move { send(call, roots?).await })
    }
}

async fn send(call: HttpCall, roots: Arc<RootCertStore>) -> Result<HttpAnswer, String> {
    let url: Uri = call.url.parse().map_err(|error| format!("url {:?}: {error}", call.url))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(format!("url {:?}: expected http:// or https://", call.url));
    }
    let request =
        call.headers.into_iter().fold(Request::post(url), |request, (name, value)| request.header(name, value));
    let request = request.body(Full::new(call.body)).map_err(|error| error.to_string())?;
    let client = client(roots)?;
    let answer = client.request(request).await.map_err(|error| chain(&error))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            format!("the answer is longer than {MAX_ANSWER_BYTES} bytes")
        } else {
            format!("the answer breaks off: {}", chain(error.as_ref()))
        }
    })?;
    Ok(HttpAnswer { status, body: body.to_bytes() })
}

fn client(roots: Arc<RootCertStore>) -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, String> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector))
}

#[cfg(test)]
mod tests;
