//! What a request says in its URL and headers.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use serde_json::Value;

use crate::{
    server::{DeleteOptions, FieldValidation, Propagation, WriteOptions, options::Warnings},
    status::Status,
    types::{self, Parsed, protobuf},
};

/// The longest name of a field manager.
const MAX_MANAGER: usize = 128;

/// A request with its URL taken apart.
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a Method,
    pub(crate) segments: Vec<&'a str>,
    pub(crate) query: Query<'a>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
    pub(crate) format: Format,
    pub(crate) warnings: Warnings,
}

/// The form in which objects are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As they are.
    Plain,
    /// As rows of a table.
    Table,
    /// Their metadata only.
    Partial,
}

impl<'a> Incoming<'a> {
    pub(crate) fn read(request: &'a Request<Bytes>) -> Result<Self, Status> {
        let uri = request.uri();
        Ok(Self {
            method: request.method(),
            segments: uri.path().split('/').filter(|segment| !segment.is_empty()).collect(),
            query: Query::parse(uri.query().unwrap_or_default()),
            headers: request.headers(),
            body: request.body(),
            format: format(accept(request.headers()))?,
            warnings: Warnings::default(),
        })
    }

    /// What the request accepts, as it says it.
    pub(crate) fn accept(&self) -> &str {
        accept(self.headers)
    }

    /// The media type of the body, without parameters.
    pub(crate) fn content_type(&self) -> &str {
        let value = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }

    /// The body as JSON, or as YAML or protobuf where it is not JSON.
    pub(crate) fn value(&self) -> Result<Value, Status> {
        self.document().map(|document| document.value)
    }

    /// The body with the fields that it has twice.
    pub(crate) fn document(&self) -> Result<Parsed, Status> {
        if self.body.is_empty() {
            return Err(Status::bad_request("the request has no body; send the object as JSON or YAML"));
        }
        let once = |value| Parsed { value, repeated: Vec::new() };
        if self.body.starts_with(protobuf::MAGIC) {
            return protobuf::read(self.body).map(once).map_err(Status::bad_request);
        }
        let error = match types::parse(self.body) {
            Ok(parsed) => return Ok(parsed),
            Err(error) => error,
        };
        if self.content_type().ends_with("json") && !self.content_type().ends_with("yaml") {
            return Err(Status::bad_request(format!("couldn't get version/kind; json parse error: {error}")));
        }
        serde_saphyr::from_slice(self.body)
            .map(once)
            .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))
    }

    pub(crate) fn write_options(&self) -> Result<WriteOptions, Status> {
        let agent = || {
            let agent = self.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("unknown");
            agent.split('/').next().unwrap_or_default().chars().take(MAX_MANAGER).collect()
        };
        let manager = self.query.get("fieldManager").filter(|manager| !manager.is_empty());
        let field_validation = match self.query.get("fieldValidation").unwrap_or_default() {
            "Strict" => FieldValidation::Strict,
            "Ignore" => FieldValidation::Ignore,
            _ => FieldValidation::Warn,
        };
        Ok(WriteOptions {
            field_manager: manager.map_or_else(agent, str::to_owned),
            dry_run: self.dry_run()?,
            force: self.query.is("force"),
            field_validation,
            check_types: true,
            warnings: self.warnings.clone(),
            repeated: Vec::new(),
            patch: None,
            given: self.given(),
        })
    }

    /// The options of a write as admission is told of them.
    fn given(&self) -> Vec<(&'static str, Value)> {
        let text = |name: &'static str| (name, self.query.get(name).unwrap_or_default().into());
        let given = [text("fieldManager"), text("fieldValidation")].into_iter();
        given.filter(|(_, value): &(_, Value)| *value != "").collect()
    }

    fn dry_run(&self) -> Result<bool, Status> {
        match self.query.get("dryRun") {
            None | Some("") => Ok(false),
            Some("All") => Ok(true),
            Some(other) => {
                let cause = crate::schema::Cause::not_supported("dryRun", &other.into(), &["All".to_owned()]);
                Err(Status::invalid("CreateOptions", "meta.k8s.io", "", &[cause]))
            }
        }
    }

    /// Deletion options from body and query; the query wins, as in the real server.
    pub(crate) fn delete_options(&self) -> Result<DeleteOptions, Status> {
        let body = if self.body.is_empty() { Value::Null } else { self.value()? };
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let policy = self.query.get("propagationPolicy").map(str::to_owned).or_else(|| text("/propagationPolicy"));
        let orphans = body.get("orphanDependents").and_then(Value::as_bool);
        let propagation = match (policy.as_deref(), orphans) {
            (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
            (None, None) => None,
            (Some(other), _) => {
                let choices = ["Foreground", "Background", "Orphan"].map(str::to_owned);
                let cause = crate::schema::Cause::not_supported("propagationPolicy", &other.into(), &choices);
                return Err(Status::invalid("DeleteOptions", "meta.k8s.io", "", &[cause]));
            }
        };
        let grace = self.query.get("gracePeriodSeconds").and_then(|seconds| seconds.parse().ok());
        let dry_run = body.get("dryRun").and_then(Value::as_array).is_some_and(|dry| !dry.is_empty());
        Ok(DeleteOptions {
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            propagation,
            grace_period_seconds: grace.or_else(|| body.get("gracePeriodSeconds").and_then(Value::as_i64)),
            dry_run: dry_run || self.dry_run()?,
            warnings: self.warnings.clone(),
            ..DeleteOptions::default()
        })
    }
}

fn accept(headers: &HeaderMap) -> &str {
    headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default()
}

fn format(accept: &str) -> Result<Format, Status> {
    if accept.is_empty() || accept == "application/json" {
        return Ok(Format::Plain);
    }
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !matches!(media, "application/json" | "application/*" | "*/*" | "text/plain") {
            continue;
        }
        let kind = parts.find_map(|part| part.strip_prefix("as="));
        match kind {
            // Discovery reads the header itself.
            None | Some("APIGroupDiscoveryList") => return Ok(Format::Plain),
            Some("Table") => return Ok(Format::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => return Ok(Format::Partial),
            // What is not known here may be followed by what is.
            Some(_) => {}
        }
    }
    let message = "only the following media types are accepted: application/json, application/yaml";
    Err(Status::new(406, "NotAcceptable", message))
}

/// The parameters of a URL; of one given twice the first counts.
pub(crate) struct Query<'a>(BTreeMap<Cow<'a, str>, Cow<'a, str>>);

impl<'a> Query<'a> {
    pub(crate) fn parse(query: &'a str) -> Self {
        let mut parameters = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.entry(decode(name)).or_insert_with(|| decode(value));
        }
        Self(parameters)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Cow::as_ref)
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
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
            bytes.push(if *first == b'+' { b' ' } else { *first });
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

    #[test]
    fn the_first_form_that_is_known_is_answered() {
        let table = [
            ("", Some(Format::Plain)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some(Format::Table)),
            ("application/vnd.kubernetes.protobuf, application/json;q=0.9", Some(Format::Plain)),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Some(Format::Partial)),
            ("application/json;as=Mystery,application/json", Some(Format::Plain)),
            ("application/vnd.kubernetes.protobuf", None),
        ];
        for (accept, expected) in table {
            assert_eq!(format(accept).ok(), expected, "{accept}");
        }
    }
}
