//! Answers in place of the API server's.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::Answer;

/// An error as an API server writes it.
pub(super) fn status(code: u16, name: &str) -> Answer {
    let (reason, message) = match code {
        409 => ("Conflict", format!("Operation cannot be fulfilled on \"{name}\": the object has been modified")),
        410 => ("Expired", "too old resource version".to_owned()),
        429 => ("TooManyRequests", "too many requests, please try again later".to_owned()),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request".to_owned()),
        _ => ("InternalError", "Internal error occurred".to_owned()),
    };
    let mut answer = answer(&failure(code, reason, &message));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if code == 429 {
        answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    answer
}

/// A watch that is told at once that its resourceVersion is too old.
pub(super) fn expired_watch() -> Answer {
    answer(&json!({"type": "ERROR", "object": failure(410, "Expired", "too old resource version")}))
}

fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    })
}

fn answer(value: &Value) -> Answer {
    let body = Full::new(Bytes::from(format!("{value}\n"))).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}
