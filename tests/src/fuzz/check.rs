//! What every answer is.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header, response};
use serde_json::Value;

/// A request as text and bytes, so that it can be changed, kept and read.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// The method.
    pub method: String,
    /// Path and query.
    pub url: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// A request taken apart.
    pub fn new(request: &Request<Bytes>) -> Self {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self {
            method: request.method().to_string(),
            url: request.uri().to_string(),
            headers: request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: request.body().to_vec(),
        }
    }

    /// The request, if HTTP lets it through.
    pub fn request(&self) -> Option<Request<Bytes>> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
        }
        let request = Request::builder().method(self.method.as_str()).uri(self.url.as_str());
        let mut request = request.body(Bytes::from(self.body.clone())).ok()?;
        *request.headers_mut() = headers;
        Some(request)
    }

    /// Whether the answer may be a stream.
    pub fn watches(&self) -> bool {
        self.url.contains("watch")
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let end = text.windows(2).position(|it| it == b"\n\n")?;
        let head = std::str::from_utf8(text.get(..end)?).ok()?;
        let mut lines = head.lines();
        let (method, url) = lines.next()?.split_once(' ')?;
        let headers = lines.map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())));
        Some(Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: headers.collect::<Option<_>>()?,
            body: text.get(end + 2..)?.to_vec(),
        })
    }
}

/// As in `fuzz/corpus`: the first line, headers, an empty line, the body.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.method, self.url)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        write!(f, "\n{}", String::from_utf8_lossy(&self.body))
    }
}

/// Says what is wrong with an answer.
pub fn check(message: &Message, answer: &response::Parts, body: &[u8]) -> Result<(), String> {
    let status = answer.status.as_u16();
    if !(200..600).contains(&status) {
        return Err("an unknown status code".to_owned());
    }
    let content_type = answer.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if message.method == "HEAD" || !content_type.starts_with("application/json") {
        return plain(status, content_type, body);
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON ({error})"))?;
    if status >= 400 { refusal(status, &body) } else { Ok(()) }
}

/// What nobody serves is answered in plain text, and so are health checks.
fn plain(status: u16, content_type: &str, body: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(body);
    match status {
        500.. => Err("a fault of the server".to_owned()),
        400.. if content_type.starts_with("text/plain") && text.is_err() => Err("no text".to_owned()),
        _ => Ok(()),
    }
}

/// A refusal is a Status that says so.
fn refusal(status: u16, body: &Value) -> Result<(), String> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if (text("/kind"), text("/apiVersion"), text("/status")) != ("Status", "v1", "Failure") {
        return Err("a refusal that is no Status".to_owned());
    }
    if body.pointer("/code").and_then(Value::as_u64) != Some(u64::from(status)) {
        return Err("a Status with another code".to_owned());
    }
    if text("/message").is_empty() {
        return Err("a Status without a message".to_owned());
    }
    for cause in body.pointer("/details/causes").and_then(Value::as_array).into_iter().flatten() {
        if cause.get("reason").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err("a cause without a reason".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_is_written() {
        let text = "PUT /a?b=c\naccept: x\n\n{\n\n}";
        assert_eq!(Message::parse(text.as_bytes()).unwrap().to_string(), text);
    }

    #[test]
    fn a_refusal_has_to_be_a_status() {
        let good = serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "message": "no"
        });
        assert_eq!(refusal(404, &good), Ok(()));
        for field in ["kind", "apiVersion", "status", "code", "message"] {
            let mut bad = good.clone();
            bad[field] = Value::Null;
            assert!(refusal(404, &bad).is_err(), "{field}");
        }
    }
}
