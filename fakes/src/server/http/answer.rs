//! How answers go out: as JSON on one line or many, as YAML, compressed when they are large and may be.

use std::io::Write;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Method, Response, header};
use serde_json::{Map, Value};

use super::{ApiBody, Form, Incoming, JSON, accept::Media};

const YAML: &str = "application/yaml";
/// Clients find an answer again by the id they gave the request.
const AUDIT_ID: &str = "audit-id";
/// Smaller answers are not worth the work.
const COMPRESSED_FROM_BYTES: usize = 128 * 1024;
/// What people read with. Others get one line.
const READERS: [&str; 3] = ["curl", "Wget", "Mozilla/5.0"];

/// Brings an answer that was made as JSON into the form that was asked for.
pub(super) fn finish(response: &mut Response<ApiBody>, incoming: &Incoming<'_>) {
    let headers = incoming.headers;
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|it| it.as_bytes() == JSON.as_bytes());
    if let Some(body) = response.body().bytes().cloned().filter(|_| is_json) {
        let form = incoming.form().unwrap_or(Form { pretty: true, ..Form::PLAIN });
        let written = match form.media {
            Media::Yaml => {
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(YAML));
                yaml(&body)
            }
            Media::Json if form.pretty || wants_pretty(incoming) => pretty(&body),
            Media::Json => None,
        };
        let body = written.unwrap_or(body);
        *response.body_mut() = ApiBody::full(compress(body, headers, response.headers_mut()));
    }
    let own = response.headers_mut();
    own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    if let Some(id) = headers.get(AUDIT_ID) {
        own.insert(AUDIT_ID, id.clone());
    }
    if incoming.method == Method::HEAD {
        *response.body_mut() = ApiBody::full(Bytes::new());
    }
}

/// Whether an answer is for people: they say so, or use a program for people.
fn wants_pretty(incoming: &Incoming<'_>) -> bool {
    if let Some(asked) = incoming.query.get("pretty").filter(|asked| !asked.is_empty()) {
        return matches!(asked, "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = incoming.headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    READERS.iter().any(|reader| agent.starts_with(reader.as_bytes()))
}

fn pretty(json: &[u8]) -> Option<Bytes> {
    let value: Value = serde_json::from_slice(json).ok()?;
    serde_json::to_vec_pretty(&value).ok().map(Bytes::from)
}

fn yaml(json: &[u8]) -> Option<Bytes> {
    let value: Value = serde_json::from_slice(json).ok()?;
    serde_saphyr::to_string(&sorted(value)).ok().map(Bytes::from)
}

/// The same with fields in the order of their letters.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(fields.into_iter().map(|(name, value)| (name, sorted(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

fn compress(body: Bytes, request: &HeaderMap, response: &mut HeaderMap) -> Bytes {
    let encodings = request.get(header::ACCEPT_ENCODING).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if body.len() <= COMPRESSED_FROM_BYTES || !encodings.split(',').any(|encoding| encoding.trim() == "gzip") {
        return body;
    }
    let mut encoder = GzEncoder::new(BytesMut::new().writer(), Compression::fast());
    let Ok(writer) = encoder.write_all(&body).and_then(|()| encoder.finish()) else { return body };
    response.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    writer.into_inner().freeze()
}
