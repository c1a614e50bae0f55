//! The webhook's HTTPS server.

use std::{convert::Infallible, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use slipway_actors::{api::crd, decide::admission};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::certificates::Certificates;

/// Where the path of every kind begins; its name in the singular follows, as upstream has it.
pub(super) const PATH: &str = "/webhooks/validating/";
/// How long a client may take for a handshake or for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest question: two objects of the size that an API server takes, and what is around them.
const BODY_LIMIT_BYTES: usize = 8 << 20;

/// Serves until `stop` is ready, then ends what is under way.
pub(super) async fn serve(listener: TcpListener, mut certificates: Certificates, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(certificates.acceptor(), stream, stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(stopping);
    let _ = tokio::time::timeout(PATIENCE, async { while connections.join_next().await.is_some() {} }).await;
}

/// Serves one client; what it breaks off is its own affair.
async fn serve_connection(acceptor: TlsAcceptor, stream: TcpStream, mut stopped: watch::Receiver<()>) {
    let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await else { return };
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(request).await));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if path == "/healthz" {
        return text(StatusCode::OK, "ok");
    }
    if !path.strip_prefix(PATH).is_some_and(is_kind) {
        return text(StatusCode::NOT_FOUND, &format!("nothing is served at {path}; ask {PATH}rollout or its like"));
    }
    if request.method() != Method::POST {
        return text(StatusCode::METHOD_NOT_ALLOWED, "a webhook is asked by POST");
    }
    let body = match Limited::new(request.into_body(), BODY_LIMIT_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return text(StatusCode::BAD_REQUEST, &format!("the body cannot be read: {error}")),
    };
    let review = serde_json::from_slice(&body).map_err(|error| format!("the body is no JSON: {error}"));
    match review.and_then(|question| admission::review(&question)) {
        Ok(answer) => respond(StatusCode::OK, "application/json", answer.to_string()),
        Err(error) => text(StatusCode::BAD_REQUEST, &error),
    }
}

fn is_kind(singular: &str) -> bool {
    crd::names().iter().any(|names| names.singular.as_deref() == Some(singular))
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
