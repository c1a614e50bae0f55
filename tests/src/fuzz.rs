//! Requests that are changed on their way to a fake API server, and answers that are held against what every answer is.

mod check;
mod corpus;
mod mutation;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use slipway_fakes::server::ApiBody;
use slipway_fakes::{ApiServer, Clock};

pub use check::{Message, check};
pub use corpus::corpus;
pub use mutation::{Mutation, mutate_json};

/// A fake whose requests are changed and whose answers are checked.
#[derive(Clone, Debug)]
pub struct Mangled {
    api: ApiServer,
    /// For each request to come, what is changed in it.
    changes: Arc<Mutex<VecDeque<Vec<Mutation>>>>,
    /// Where the request that is being answered is noted, so that one that never returns can be told.
    note: Arc<Mutex<Message>>,
}

/// A fake API server without controllers.
pub fn api_server() -> ApiServer {
    ApiServer::new(1, Clock::new(jiff::Timestamp::UNIX_EPOCH, 1))
}

impl Mangled {
    /// Changes the first requests as `changes` say.
    pub fn new(changes: impl IntoIterator<Item = Vec<Mutation>>, note: Arc<Mutex<Message>>) -> Self {
        Self { api: api_server(), changes: Arc::new(Mutex::new(changes.into_iter().collect())), note }
    }

    /// A client of it.
    pub fn client(self) -> Client {
        let service = tower::service_fn(move |request: Request<Body>| {
            let mangled = self.clone();
            async move { mangled.answer(request).await }
        });
        Client::new(service, "default")
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<ApiBody>, kube::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let mut message = Message::new(&Request::from_parts(parts, body));
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        for change in changes.into_iter().flatten() {
            change.apply(&mut message);
        }
        Ok(send(&self.api, &message, &self.note))
    }
}

/// Sends a message and checks the answer. One that is no HTTP request is answered by nobody.
///
/// # Panics
/// With the message, if the answer is not what every answer is.
pub fn send(api: &ApiServer, message: &Message, note: &Mutex<Message>) -> Response<ApiBody> {
    *note.lock().unwrap_or_else(PoisonError::into_inner) = message.clone();
    let Some(request) = message.request() else { return Response::new(ApiBody::full(Bytes::from_static(b"{}"))) };
    let watches = message.watches();
    let answer = api.handle(request).now_or_never();
    let answer = answer.unwrap_or_else(|| panic!("no answer without waiting\n{message}"));
    let (parts, body) = answer.into_parts();
    if body.is_stream() {
        assert!(watches, "a stream for what is no watch\n{message}");
        return Response::from_parts(parts, body);
    }
    let bytes = body.collect().now_or_never().and_then(Result::ok).map(http_body_util::Collected::to_bytes);
    let bytes = bytes.unwrap_or_else(|| panic!("no whole answer without waiting\n{message}"));
    if let Err(why) = check(message, &parts, &bytes) {
        panic!("{why}: {} {}\n{message}", parts.status, String::from_utf8_lossy(&bytes));
    }
    Response::from_parts(parts, ApiBody::full(bytes))
}
