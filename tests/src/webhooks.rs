//! A server of admission webhooks, one behaviour a path, over HTTPS on loopback.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer};

use crate::control_plane::ControlPlane;

/// What a webhook may do, by the path it is called at.
pub const BEHAVIOURS: [&str; 32] = [
    "allow",
    "deny",
    "deny-bare",
    "deny-reason",
    "patch",
    "patch-missing",
    "patch-test",
    "patch-junk",
    "patch-unknown",
    "patch-empty",
    "patch-of-other-type",
    "patch-without-type",
    "rubbish",
    "empty",
    "no-kind",
    "array",
    "other-kind",
    "allowed-is-text",
    "response-is-text",
    "patch-is-no-base64",
    "status",
    "no-response",
    "wrong-uid",
    "other-version",
    "truncated",
    "500",
    "500-with-status",
    "404",
    "403",
    "hang",
    "close",
    "reset",
];

/// A running server of webhooks.
pub struct Hooks {
    port: u16,
    ca: String,
    questions: Arc<Mutex<Vec<Value>>>,
}

impl Hooks {
    /// Serves until the runtime ends, with the certificate that an API server made for itself on loopback.
    pub async fn serve(plane: &ControlPlane) -> Result<Self> {
        let (certificate, key) = plane.certificate()?;
        let chain = pem::parse_many(certificate)?.into_iter().map(|it| CertificateDer::from(it.into_contents()));
        let key = PrivatePkcs1KeyDer::from(pem::parse(key)?.into_contents());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain.collect(), PrivateKeyDer::from(key))?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let questions = Arc::<Mutex<Vec<Value>>>::default();
        let heard = questions.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_connection(acceptor.clone(), stream, heard.clone()));
            }
        });
        Ok(Self { port, ca: plane.ca().to_owned(), questions })
    }

    /// The `clientConfig` of a webhook with a behaviour.
    pub fn client_config(&self, path: &str) -> Value {
        let bundle = ByteString(self.ca.clone().into_bytes());
        json!({ "url": format!("https://127.0.0.1:{}/{path}", self.port), "caBundle": bundle })
    }

    /// The questions at `/watch` since the last time they were taken.
    pub fn questions(&self) -> Vec<Value> {
        std::mem::take(&mut *self.questions.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve_connection(acceptor: TlsAcceptor, stream: TcpStream, questions: Arc<Mutex<Vec<Value>>>) {
    // What a client breaks off is its own affair.
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else { return };
    let Ok(tls) = acceptor.accept(stream).await else { return };
    let socket = Arc::new(socket);
    let service = service_fn(move |request: Request<Incoming>| {
        let (questions, socket) = (questions.clone(), socket.clone());
        async move {
            let path = request.uri().path().trim_start_matches('/').to_owned();
            let body = request.into_body().collect().await?.to_bytes();
            let question: Value = serde_json::from_slice(&body)?;
            if path == "watch" {
                questions.lock().unwrap_or_else(PoisonError::into_inner).push(question.clone());
            }
            match path.as_str() {
                "hang" => std::future::pending().await,
                "close" => bail!("closed, as asked"),
                "reset" => {
                    // Without lingering what is closed is reset.
                    SockRef::from(&*socket).set_linger(Some(Duration::ZERO))?;
                    bail!("reset, as asked")
                }
                path => answer(path, &question["request"]),
            }
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(tls), service).await;
}

fn answer(path: &str, request: &Value) -> Result<Response<Full<Bytes>>> {
    let (code, content_type, body) = body(path, request);
    let response = Response::builder().status(code).header(header::CONTENT_TYPE, content_type);
    Ok(response.body(Full::from(body))?)
}

fn body(path: &str, request: &Value) -> (u16, &'static str, String) {
    let review = |response: Value| json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response });
    let json = |value: Value| (200, "application/json", value.to_string());
    let failure =
        json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "as a status", "code": 500 });
    match path {
        "rubbish" => (200, "text/plain", "rubbish".to_owned()),
        "empty" => (200, "application/json", String::new()),
        "truncated" => (200, "application/json", "{\"kind\":\"AdmissionReview\"".to_owned()),
        "no-kind" => json(json!({})),
        "array" => json(json!([1])),
        "other-kind" => json(json!({ "kind": "Pod", "apiVersion": "v1" })),
        "status" => json(failure),
        "no-response" => json(json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1" })),
        "response-is-text" => json(review("text".into())),
        "other-version" => {
            let mut review = review(response("allow", request));
            review["apiVersion"] = "admission.k8s.io/v1beta1".into();
            json(review)
        }
        "500" => (500, "text/plain", "boom\n".to_owned()),
        "500-with-status" => (500, "application/json", failure.to_string()),
        "404" => (404, "text/plain", "not here".to_owned()),
        "403" => (403, "text/plain", "go away".to_owned()),
        path => json(review(response(path, request))),
    }
}

fn response(path: &str, request: &Value) -> Value {
    let uid = &request["uid"];
    let denied = |status: Value| json!({ "uid": uid, "allowed": false, "status": status });
    let patched = |patch: Value, kind: &str| {
        let text = patch.as_str().map_or_else(|| patch.to_string(), str::to_owned);
        json!({ "uid": uid, "allowed": true, "patch": ByteString(text.into_bytes()), "patchType": kind })
    };
    let label = |name: &str| json!([{ "op": "add", "path": format!("/metadata/labels/{name}"), "value": "yes" }]);
    match path {
        "deny" => denied(json!({
            "code": 418, "reason": "Teapot", "message": "no tea",
            "details": { "kind": "tea", "causes": [{ "reason": "r", "message": "m", "field": "f" }] }
        })),
        "deny-bare" => json!({ "uid": uid, "allowed": false }),
        "deny-reason" => denied(json!({ "reason": "Because" })),
        "unready" => denied(json!({ "code": 403 })),
        "ready" => patched(label("ready"), "JSONPatch"),
        "patch" => patched(label("patched"), "JSONPatch"),
        "patch-missing" => patched(json!([{ "op": "replace", "path": "/nothing/here", "value": 1 }]), "JSONPatch"),
        "patch-test" => patched(json!([{ "op": "test", "path": "/data/a", "value": "z" }]), "JSONPatch"),
        "patch-junk" => patched("junk".into(), "JSONPatch"),
        "patch-unknown" => patched(json!([{ "op": "add", "path": "/mystery", "value": 1 }]), "JSONPatch"),
        "patch-empty" => patched(json!([]), "JSONPatch"),
        "patch-of-other-type" => patched(label("x"), "MergePatch"),
        "patch-without-type" => json!({ "uid": uid, "allowed": true, "patch": ByteString(b"[]".to_vec()) }),
        "patch-is-no-base64" => json!({ "uid": uid, "allowed": true, "patch": "!!!", "patchType": "JSONPatch" }),
        "allowed-is-text" => json!({ "uid": uid, "allowed": "yes" }),
        "wrong-uid" => json!({ "uid": "x", "allowed": true }),
        "watch" => json!({ "uid": uid, "allowed": true }),
        _ => json!({ "uid": uid, "allowed": true, "warnings": ["careful"], "auditAnnotations": { "a": "b" } }),
    }
}
