//! Which requests a rule is for, and which of several rules is the more specific.

use regex::Regex;
use serde_json::Value;

use super::request::Request;
use crate::controllers::object::list;

/// What a request has to be like: all of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Match {
    pub(super) path: Path,
    pub(super) method: Option<String>,
    /// By name in lower case.
    pub(super) headers: Vec<(String, Text)>,
    pub(super) query: Vec<(String, Text)>,
}

/// What a path has to be like.
#[derive(Clone, Debug)]
pub(super) enum Path {
    /// This one.
    Exact(String),
    /// It begins with these elements.
    Prefix(String),
    /// It fits as a whole.
    Pattern(Text),
    /// Its last element is this: a method of any service, in gRPC.
    Last(String),
}

impl Default for Path {
    fn default() -> Self {
        Self::Prefix("/".to_owned())
    }
}

/// What a text has to be like.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Exact(String),
    Pattern(Option<Regex>),
}

/// How specific a match is. The greater wins: the Gateway API's order, field by field. Where it leaves the place of
/// patterns open, they come between exact paths and prefixes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Specificity {
    /// Whether the whole host is named, and how many characters of it.
    host: (bool, usize),
    /// Exact, pattern, prefix or last element, and how many characters of it.
    path: (u8, usize),
    method: bool,
    headers: usize,
    query: usize,
}

impl Match {
    /// A match of an HTTPRoute.
    pub(super) fn of_http(value: &Value) -> Self {
        let path = value["path"]["value"].as_str().unwrap_or("/");
        Self {
            path: match value["path"]["type"].as_str() {
                Some("Exact") => Path::Exact(path.to_owned()),
                Some("RegularExpression") => Path::Pattern(Text::pattern(path)),
                _ => Path::Prefix(path.to_owned()),
            },
            method: value["method"].as_str().map(str::to_owned),
            headers: parts(&value["headers"], true),
            query: parts(&value["queryParams"], false),
        }
    }

    /// A match of a GRPCRoute: service and method are the two elements of the path.
    pub(super) fn of_grpc(value: &Value) -> Self {
        let method = &value["method"];
        let is_pattern = method["type"] == "RegularExpression";
        let path = match (method["service"].as_str(), method["method"].as_str()) {
            (None, None) => Path::default(),
            (service, name) if is_pattern => {
                let [service, name] = [service, name].map(|part| part.unwrap_or("[^/]+"));
                Path::Pattern(Text::pattern(&format!("/(?:{service})/(?:{name})")))
            }
            (Some(service), Some(name)) => Path::Exact(format!("/{service}/{name}")),
            (Some(service), None) => Path::Prefix(format!("/{service}")),
            (None, Some(name)) => Path::Last(name.to_owned()),
        };
        Self { path, headers: parts(&value["headers"], true), ..Self::default() }
    }

    /// How specific it is for a request; none when the request does not match.
    pub(super) fn fits(&self, hosts: &[String], request: &Request) -> Option<Specificity> {
        let host = host(hosts, &request.hostname())?;
        let method = self.method.as_ref().is_none_or(|method| *method == request.method);
        let headers = self.headers.iter().all(|(name, text)| request.headers.get(name).is_some_and(|it| text.fits(it)));
        let query = self.query.iter().all(|(name, text)| request.query.get(name).is_some_and(|it| text.fits(it)));
        (method && headers && query && self.path.fits(&request.path)).then(|| Specificity {
            host,
            path: self.path.specificity(),
            method: self.method.is_some(),
            headers: self.headers.len(),
            query: self.query.len(),
        })
    }

    /// The prefix that a rewrite replaces.
    pub(super) fn prefix(&self) -> &str {
        if let Path::Prefix(prefix) = &self.path { prefix } else { "/" }
    }
}

/// The most specific of a route's host names that a host fits; a route without any takes every host.
fn host(hosts: &[String], host: &str) -> Option<(bool, usize)> {
    if hosts.is_empty() {
        return Some((false, 0));
    }
    let fitting = hosts.iter().filter_map(|wanted| match wanted.strip_prefix('*') {
        Some(domain) => (host.len() > domain.len() && host.ends_with(domain)).then_some((false, wanted.len())),
        None => (wanted == host).then_some((true, wanted.len())),
    });
    fitting.max()
}

impl Path {
    fn fits(&self, path: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == path,
            Self::Prefix(prefix) => {
                let prefix = prefix.trim_end_matches('/');
                path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Pattern(pattern) => pattern.fits(path),
            Self::Last(wanted) => path.rsplit('/').next() == Some(wanted),
        }
    }

    fn specificity(&self) -> (u8, usize) {
        match self {
            Self::Exact(path) => (3, path.len()),
            Self::Pattern(Text::Exact(text)) => (2, text.len()),
            Self::Pattern(Text::Pattern(pattern)) => (2, pattern.as_ref().map_or(0, |it| it.as_str().len())),
            Self::Prefix(prefix) => (1, prefix.trim_end_matches('/').len()),
            Self::Last(name) => (0, name.len()),
        }
    }
}

impl Text {
    /// A pattern for a whole text. A wrong one fits nothing.
    pub(super) fn pattern(text: &str) -> Self {
        Self::Pattern(Regex::new(&format!("^(?:{text})$")).ok())
    }

    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == text,
            Self::Pattern(pattern) => pattern.as_ref().is_some_and(|pattern| pattern.is_match(text)),
        }
    }
}

/// What headers or query parameters have to be like. Of one that is named twice the first counts.
fn parts(value: &Value, ignores_case: bool) -> Vec<(String, Text)> {
    let mut all: Vec<(String, Text)> = Vec::new();
    for part in list(value) {
        let name = part["name"].as_str().unwrap_or_default();
        let name = if ignores_case { name.to_ascii_lowercase() } else { name.to_owned() };
        let wanted = part["value"].as_str().unwrap_or_default();
        let text = match part["type"].as_str() {
            Some("RegularExpression") => Text::pattern(wanted),
            _ => Text::Exact(wanted.to_owned()),
        };
        if all.iter().all(|(known, _)| *known != name) {
            all.push((name, text));
        }
    }
    all
}
