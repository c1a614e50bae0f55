//! Requests over HTTP: which handler a request reaches, and the ways in.

mod body;
mod collection;
mod item;
mod request;
mod scale;
mod serve;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::Value;

pub use body::ApiBody;
pub(super) use request::{Format, Incoming, Query};
pub(super) use scale::{scale_of, scaled};

use super::ApiServer;
use crate::{status::Status, store::Stored};

const JSON: &str = "application/json";

impl ApiServer {
    /// Answers a request. Nothing but admission that asks others has this wait, and the stream of a watch goes on after.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<ApiBody> {
        self.answer(&request).await
    }

    async fn answer(&self, request: &Request<Bytes>) -> Response<ApiBody> {
        let incoming = match Incoming::read(request) {
            Ok(incoming) => incoming,
            Err(status) => return refusal(&status),
        };
        let mut response = self.route(&incoming).await.unwrap_or_else(|status| refusal(&status));
        for warning in incoming.warnings.take() {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = format!("299 - \"{quoted}\"").parse() {
                response.headers_mut().append(header::WARNING, value);
            }
        }
        response
    }

    async fn route(&self, incoming: &Incoming<'_>) -> Result<Response<ApiBody>, Status> {
        let segments = &incoming.segments;
        let get = incoming.method == Method::GET;
        match segments.as_slice() {
            ["healthz" | "livez" | "readyz", ..] if get => Ok(text(StatusCode::OK, "ok")),
            ["version"] if get => Ok(json(StatusCode::OK, &super::discovery::version())),
            ["api"] if get => Ok(self.discover_core(incoming)),
            ["apis"] if get => Ok(self.discover_groups(incoming)),
            ["apis", group] if get => Ok(self.discover_group(group)),
            ["api", version] if get => Ok(self.discover_resources("", version)),
            ["apis", group, version] if get => Ok(self.discover_resources(group, version)),
            ["openapi", "v2"] if get => Ok(json(StatusCode::OK, &super::openapi::v2())),
            ["openapi", "v3"] if get => Ok(json(StatusCode::OK, &self.openapi_index())),
            ["openapi", "v3", "api", version] if get => self.openapi_document(incoming, "", version),
            ["openapi", "v3", "apis", group, version] if get => self.openapi_document(incoming, group, version),
            ["api", version, rest @ ..] if !rest.is_empty() => self.resource(incoming, "", version, rest).await,
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                self.resource(incoming, group, version, rest).await
            }
            _ => Ok(not_served()),
        }
    }

    async fn resource(
        &self,
        incoming: &Incoming<'_>,
        group: &str,
        version: &str,
        rest: &[&str],
    ) -> Result<Response<ApiBody>, Status> {
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (plural, rest) = rest.split_first().ok_or_else(Status::no_such_resource)?;
        let Some(target) = self.target(group, version, plural) else {
            if self.registry(|registry| registry.group(group)).iter().all(|resource| resource.custom) {
                return Ok(not_served());
            }
            return Err(Status::no_such_resource());
        };
        if !is_allowed(incoming, &target, rest) {
            return Err(Status::method_not_allowed());
        }
        if let Some(deprecation) = &target.version().deprecation {
            incoming.warnings.push(deprecation.clone());
        }
        match rest {
            [] => self.collection(incoming, &target, namespace).await,
            [name, subresource @ ..] if target.resource.namespaced == namespace.is_some() => {
                self.item(incoming, &target, namespace.unwrap_or_default(), name, subresource).await
            }
            _ => Err(Status::no_such_resource()),
        }
    }
}

/// Whether a built-in resource has the verb that the request stands for.
fn is_allowed(incoming: &Incoming<'_>, target: &super::Target, rest: &[&str]) -> bool {
    let Some(builtin) = target.version().builtin else { return true };
    let verb = match (rest.len(), incoming.method) {
        (0, &Method::GET) => "list",
        (0, &Method::POST) => "create",
        (0, &Method::DELETE) => "deletecollection",
        (1, &Method::GET) => "get",
        (1, &Method::PUT) => "update",
        (1, &Method::PATCH) => "patch",
        (1, &Method::DELETE) => "delete",
        _ => return true,
    };
    builtin.verbs.contains(&verb)
}

fn refusal(status: &Status) -> Response<ApiBody> {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = bytes(code, status.to_bytes());
    if let Some(seconds) = status.details.as_ref().and_then(|details| details.get("retryAfterSeconds")) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.as_u64().unwrap_or(1).into());
    }
    response
}

fn respond(code: StatusCode, content_type: &'static str, body: ApiBody) -> Response<ApiBody> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

pub(super) fn bytes(code: StatusCode, bytes: Bytes) -> Response<ApiBody> {
    respond(code, JSON, ApiBody::full(bytes))
}

pub(super) fn json(code: StatusCode, value: &Value) -> Response<ApiBody> {
    bytes(code, Bytes::from(value.to_string()))
}

pub(super) fn typed(content_type: &'static str, value: &Value) -> Response<ApiBody> {
    respond(StatusCode::OK, content_type, ApiBody::full(Bytes::from(value.to_string())))
}

pub(super) fn not_served() -> Response<ApiBody> {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn text(code: StatusCode, text: &'static str) -> Response<ApiBody> {
    respond(code, "text/plain; charset=utf-8", ApiBody::full(Bytes::from_static(text.as_bytes())))
}

impl ApiServer {
    /// One object in the version and the form a request asks for.
    fn present(
        &self,
        incoming: &Incoming<'_>,
        target: &super::Target,
        code: StatusCode,
        stored: &Stored,
    ) -> Response<ApiBody> {
        match incoming.format {
            Format::Plain if !super::convert::differs(target) => bytes(code, stored.bytes.clone()),
            Format::Plain => json(code, &super::convert::outgoing(target, &stored.value)),
            Format::Partial => json(code, &super::table::partial(&stored.value)),
            Format::Table => json(code, &self.table(target, incoming, &[&stored.value], stored.resource_version)),
        }
    }
}
