//! Requests over HTTP: which handler a request reaches, and the ways in.

mod accept;
mod answer;
mod body;
mod collection;
mod decode;
mod delete;
mod health;
mod item;
mod options;
mod remote;
mod request;
mod scale;
mod serve;
pub(super) mod syntax;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::Value;

pub(super) use accept::{Form, Shape};
pub use body::ApiBody;
pub(super) use options::ListOptions;
pub(super) use request::{Incoming, Query};
pub(super) use scale::{scale_of, scaled};

use super::{ApiServer, Target, convert, table};
use crate::{status::Status, store::Stored};

const JSON: &str = "application/json";

impl ApiServer {
    /// Answers a request. Nothing but admission that asks others has this wait, and the stream of a watch goes on after.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<ApiBody> {
        self.answer(&request).await
    }

    async fn answer(&self, request: &Request<Bytes>) -> Response<ApiBody> {
        let incoming = Incoming::read(request);
        let mut response = self.route(&incoming).await.unwrap_or_else(|status| refusal(&status));
        for warning in incoming.warnings.take() {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = format!("299 - \"{quoted}\"").parse() {
                response.headers_mut().append(header::WARNING, value);
            }
        }
        answer::finish(&mut response, &incoming);
        response
    }

    async fn route(&self, incoming: &Incoming<'_>) -> Result<Response<ApiBody>, Status> {
        incoming.check_size()?;
        if incoming.path.contains("//") {
            return Err(Status::no_such_resource());
        }
        let segments = &incoming.segments;
        let get = incoming.method == Method::GET;
        match segments.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => Ok(health::answer(incoming)),
            ["version"] if get => Ok(json(StatusCode::OK, &super::discovery::version())),
            ["version"] => Err(Status::method_not_allowed()),
            ["openapi", "v2"] if get => Ok(super::openapi::v2(incoming.accept())),
            ["openapi", "v3"] if get => Ok(json(StatusCode::OK, &self.openapi_index())),
            ["openapi", "v3", "api", version] if get => self.openapi_document(incoming, "", version),
            ["openapi", "v3", "apis", group, version] if get => self.openapi_document(incoming, group, version),
            ["api", version, rest @ ..] if !rest.is_empty() => self.resource(incoming, "", version, rest).await,
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                self.resource(incoming, group, version, rest).await
            }
            _ => self.discover(incoming),
        }
    }

    /// Whether a path leads to a group of built-in resources, which has words of its own for what it does not know.
    fn is_built_in(&self, incoming: &Incoming<'_>) -> bool {
        let group = match incoming.segments.as_slice() {
            ["apis", group, ..] => group,
            _ => "",
        };
        self.registry(|registry| registry.group(group)).iter().any(|resource| !resource.custom)
    }

    fn discover(&self, incoming: &Incoming<'_>) -> Result<Response<ApiBody>, Status> {
        if incoming.segments.len() > 1 && self.is_built_in(incoming) {
            accept::check_route(incoming.accept(), false)?;
        }
        if incoming.segments.as_slice() == ["apis"] {
            accept::check_discovery(incoming.accept())?;
        }
        let answer = match incoming.segments.as_slice() {
            ["api"] => self.discover_core(incoming),
            ["apis"] => self.discover_groups(incoming),
            ["apis", group] => self.discover_group(group),
            ["api", version] => self.discover_resources("", version),
            ["apis", group, version] => self.discover_resources(group, version),
            _ => return Ok(not_served()),
        };
        let served = answer.status() == StatusCode::OK;
        let lists_resources = !matches!(incoming.segments.as_slice(), ["apis"] | ["apis", _]);
        match incoming.segments.as_slice() {
            _ if served && lists_resources && incoming.method != Method::GET => Err(Status::method_not_allowed()),
            ["api", _] | ["apis", _, _] if !served && self.is_built_in(incoming) => Err(Status::no_such_resource()),
            _ => Ok(answer),
        }
    }

    async fn resource(
        &self,
        incoming: &Incoming<'_>,
        group: &str,
        version: &str,
        rest: &[&str],
    ) -> Result<Response<ApiBody>, Status> {
        // The old way to say `?watch=true`.
        let (watch, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            rest => (false, rest),
        };
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (plural, rest) = rest.split_first().ok_or_else(Status::no_such_resource)?;
        let Some(target) = self.target(group, version, plural) else {
            return if self.is_built_in(incoming) { Err(Status::no_such_resource()) } else { Ok(not_served()) };
        };
        if !is_allowed(incoming, &target, rest) {
            return Err(Status::method_not_allowed());
        }
        if let Some(deprecation) = &target.version().deprecation {
            incoming.warnings.push(deprecation.clone());
        }
        let placed = target.resource.namespaced == namespace.is_some();
        let custom = target.resource.custom;
        match rest {
            _ if custom && !placed && !(rest.is_empty() && incoming.method == Method::GET) => Ok(not_served()),
            [_] if custom && incoming.method == Method::POST => {
                self.collection(incoming, &target, namespace, watch).await
            }
            [] if placed || namespace.is_none() => self.collection(incoming, &target, namespace, watch).await,
            [name, subresource @ ..] if placed => {
                let name = request::decode_path(name);
                if name.contains('/') {
                    return Err(Status::no_such_resource());
                }
                let at = (namespace.unwrap_or_default(), &*name);
                if watch && subresource.is_empty() {
                    return self.watch_one(incoming, &target, at, true);
                }
                self.item(incoming, &target, at, subresource).await
            }
            _ => Err(Status::no_such_resource()),
        }
    }

    /// One object in the version and the form a request asks for.
    fn present(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        code: StatusCode,
        stored: &Stored,
    ) -> Result<Response<ApiBody>, Status> {
        let form = incoming.form()?;
        Ok(match form.shape {
            Shape::Plain if !convert::differs(target) => bytes(code, stored.bytes.clone()),
            Shape::Plain => json(code, &convert::outgoing(target, &stored.value)),
            Shape::Partial => json(code, &table::partial(&stored.value, &form)),
            Shape::PartialList => return Err(table::no_list(target)),
            Shape::Table => {
                table::check_include(incoming.include())?;
                let shown = (&form, incoming.include());
                json(code, &self.table(target, shown, &[&stored.value], stored.resource_version))
            }
        })
    }
}

/// Whether a built-in resource has the verb that the request stands for.
fn is_allowed(incoming: &Incoming<'_>, target: &Target, rest: &[&str]) -> bool {
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
    let mut response = json(code, &status.to_value());
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
    bytes(code, Bytes::from(value.to_string() + "\n"))
}

pub(super) fn typed(content_type: &'static str, value: &Value) -> Response<ApiBody> {
    respond(StatusCode::OK, content_type, ApiBody::full(Bytes::from(value.to_string())))
}

pub(super) fn not_served() -> Response<ApiBody> {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn text(code: StatusCode, text: impl Into<Bytes>) -> Response<ApiBody> {
    respond(code, "text/plain; charset=utf-8", ApiBody::full(text.into()))
}
