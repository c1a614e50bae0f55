//! What a request says in its URL and headers.

use std::{
    borrow::Cow,
    num::{IntErrorKind, ParseIntError},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use serde_json::Value;

use super::{
    accept::{self, Form, negotiate, not_acceptable},
    decode, options,
};
use crate::{
    schema::Cause,
    server::{FieldValidation, Target, WriteOptions, options::Warnings},
    status::Status,
    types::Repeated,
};

/// The longest name of a field manager.
const MAX_MANAGER: usize = 128;
/// The largest body the real server takes.
const MAX_BODY_BYTES: usize = 3 * 1024 * 1024;

/// A request with its URL taken apart.
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) segments: Vec<&'a str>,
    pub(crate) query: Query<'a>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
    pub(crate) warnings: Warnings,
}

impl<'a> Incoming<'a> {
    pub(crate) fn read(request: &'a Request<Bytes>) -> Self {
        let uri = request.uri();
        Self {
            method: request.method(),
            path: uri.path(),
            segments: uri.path().split('/').filter(|segment| !segment.is_empty()).collect(),
            query: Query::parse(uri.query().unwrap_or_default()),
            headers: request.headers(),
            body: request.body(),
            warnings: Warnings::default(),
        }
    }

    /// The form of the answer, where tables and metadata are among those there are.
    pub(super) fn form(&self) -> Result<Form, Status> {
        negotiate(self.accept(), true).ok_or_else(|| not_acceptable(false))
    }

    /// The body is not larger than the server takes.
    pub(super) fn check_size(&self) -> Result<(), Status> {
        if self.body.len() <= MAX_BODY_BYTES {
            return Ok(());
        }
        let message = format!("Request entity too large: limit is {MAX_BODY_BYTES}");
        Err(Status::new(413, "RequestEntityTooLarge", message))
    }

    /// The route makes something that the client takes. Those of custom resources look only later.
    pub(super) fn check_accept(&self, target: &Target, lists: bool) -> Result<(), Status> {
        if target.resource.custom { Ok(()) } else { accept::check_route(self.accept(), lists) }
    }

    /// The body is of a type the server reads.
    pub(super) fn check_content_type(&self) -> Result<(), Status> {
        let unsaid = self.headers.get(header::CONTENT_TYPE).is_none_or(header::HeaderValue::is_empty);
        let known = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
        if unsaid || known.contains(&self.content_type()) {
            return Ok(());
        }
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            known.join(", ")
        );
        Err(Status::new(415, "UnsupportedMediaType", message))
    }

    /// What rows of a table are to carry of their objects.
    pub(super) fn include(&self) -> &str {
        self.query.get("includeObject").unwrap_or_default()
    }

    /// What the request accepts, as it says it.
    pub(crate) fn accept(&self) -> &str {
        header_accept(self.headers)
    }

    /// The media type of the body, without parameters.
    pub(crate) fn content_type(&self) -> &str {
        let value = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }

    /// The body as JSON, or as YAML or protobuf where it is not JSON.
    pub(crate) fn value(&self) -> Result<Value, Status> {
        decode::self_describing(self).map(|document| document.value).map_err(Status::bad_request)
    }

    /// Only an apply takes fields from others, and it has to say for whom.
    fn check_force(&self, manager: &str, causes: &mut Vec<Cause>) {
        let applies = self.content_type() == "application/apply-patch+yaml";
        if applies && manager.is_empty() {
            causes.push(Cause::required("fieldManager", "is required for apply patch"));
        }
        if !applies && self.query.get("force").is_some() {
            causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
        }
    }

    /// How a write is to be done. `kind` is what the real server calls the options.
    pub(crate) fn write_options(&self, kind: &str) -> Result<WriteOptions, Status> {
        let manager = self.query.get("fieldManager").unwrap_or_default();
        let validation = self.query.get("fieldValidation").unwrap_or_default();
        let dry_run = self.query.all("dryRun");
        let mut causes = Vec::new();
        options::check_manager(manager, &mut causes);
        options::check_dry_run(&dry_run, &mut causes);
        options::check_field_validation(validation, &mut causes);
        if kind == "PatchOptions" {
            self.check_force(manager, &mut causes);
        }
        if !causes.is_empty() {
            return Err(Status::invalid(kind, "meta.k8s.io", "", &causes));
        }
        let agent = || {
            let agent = self.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("unknown");
            agent.split('/').next().unwrap_or_default().chars().take(MAX_MANAGER).collect()
        };
        Ok(WriteOptions {
            field_manager: if manager.is_empty() { agent() } else { manager.to_owned() },
            dry_run: !dry_run.is_empty(),
            force: self.query.is("force"),
            field_validation: match validation {
                "Strict" => FieldValidation::Strict,
                "Ignore" => FieldValidation::Ignore,
                _ => FieldValidation::Warn,
            },
            check_types: true,
            warnings: self.warnings.clone(),
            repeated: Repeated::default(),
            given: self.given(),
        })
    }

    /// The options of a write as admission is told of them.
    fn given(&self) -> Vec<(&'static str, Value)> {
        let text = |name: &'static str| (name, self.query.get(name).unwrap_or_default().into());
        let given = [text("fieldManager"), text("fieldValidation")].into_iter();
        given.filter(|(_, value): &(_, Value)| *value != "").collect()
    }
}

fn header_accept(headers: &HeaderMap) -> &str {
    headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default()
}

/// The parameters of a URL; of one given twice the first counts.
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(crate) fn parse(query: &'a str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let split = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(split.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_ref())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_ref()).collect()
    }

    /// Whatever is not a word for false is true, as in the real server.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, Status> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|error: ParseIntError| {
            let why = match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: {why}"))
        })
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if text.contains('+') { Cow::Owned(unescape(text, b' ').into_owned()) } else { unescape(text, b'+') }
}

/// A part of a path.
pub(super) fn decode_path(text: &str) -> Cow<'_, str> {
    unescape(text, b'+')
}

fn unescape(text: &str, plus: u8) -> Cow<'_, str> {
    if !text.contains('%') && plus == b'+' {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = if let Some(byte) = escaped {
            bytes.push(byte);
            &tail[2..]
        } else {
            bytes.push(if *first == b'+' { plus } else { *first });
            tail
        };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("labelSelector=app%3Dweb%2Cx+in+%28a%29&watch=1&bad=%zz&watch=false&flag");
        let get = |name| query.get(name);
        assert_eq!(get("labelSelector"), Some("app=web,x in (a)"));
        assert_eq!((get("watch"), get("bad"), get("flag"), get("none")), (Some("1"), Some("%zz"), Some(""), None));
    }
}
