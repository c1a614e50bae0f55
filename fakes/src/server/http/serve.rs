//! The ways in: a tower service for clients in the process, a listener for everybody else.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{ApiBody, refusal};
use crate::{server::ApiServer, status::Status};

impl tower::Service<Request<kube::client::Body>> for ApiServer {
    type Response = Response<ApiBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move { Ok(server.collect_and_handle(request).await) })
    }
}

impl ApiServer {
    /// A client of this server.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    /// Serves plain HTTP until the task is aborted; open connections end with it.
    pub fn serve(&self, listener: TcpListener) -> JoinHandle<()> {
        let server = self.clone();
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    biased;
                    Some(_) = connections.join_next() => {}
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => { connections.spawn(serve_connection(server.clone(), stream)); }
                        Err(error) => tracing::warn!(%error, "a connection was not accepted"),
                    },
                }
            }
        })
    }

    async fn collect_and_handle<B>(&self, request: Request<B>) -> Response<ApiBody>
    where
        B: Body<Data = Bytes>,
    {
        let (parts, body) = request.into_parts();
        match body.collect().await {
            Ok(body) => self.handle(Request::from_parts(parts, body.to_bytes())).await,
            Err(_) => refusal(&Status::bad_request("the request's body ended early")),
        }
    }
}

async fn serve_connection(server: ApiServer, stream: TcpStream) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(server.collect_and_handle(request).await) }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection broke off");
    }
}
