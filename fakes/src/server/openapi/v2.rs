//! The document of `OpenAPI` v2, without schemas: who finds none goes on without.
//!
//! kubectl looks for kinds in it that v3 does not know, and wants it as protobuf.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::{GIT_VERSION, respond, respond_bytes};
use crate::server::http::ApiBody;

const SWAGGER: &str = "2.0";
const TITLE: &str = "Kubernetes";
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// As clients that are older than the rules for media types ask for it; kubectl is one of them.
const OLD_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The document in the form that is asked for.
pub(in crate::server) fn v2(accept: &str) -> Response<ApiBody> {
    if ![PROTOBUF, OLD_PROTOBUF].into_iter().any(|name| accept.contains(name)) {
        let info = json!({ "title": TITLE, "version": GIT_VERSION });
        return respond(StatusCode::OK, &json!({ "swagger": SWAGGER, "info": info, "paths": {}, "definitions": {} }));
    }
    let info = [field(1, TITLE.as_bytes()), field(2, GIT_VERSION.as_bytes())].concat();
    let document = [field(1, SWAGGER.as_bytes()), field(2, &info), field(8, &[]), field(9, &[])].concat();
    let mut response = respond_bytes(StatusCode::OK, document.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    response
}

/// A field of bytes, of which there are fewer than 128.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap_or_default();
    [&[number << 3 | 2, length], bytes].concat()
}
