//! What a rule does to requests on their way.

use serde_json::Value;

use super::backend::Reference;
use super::request::Request;
use crate::controllers::object::{int, list};

/// One filter.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    /// Changes headers: set, add, remove.
    Headers { set: Vec<(String, String)>, add: Vec<(String, String)>, remove: Vec<String> },
    /// Answers with a redirect.
    Redirect { status: u16, scheme: Option<String>, host: Option<String>, port: Option<i32>, path: Option<Replace> },
    /// Rewrites host and path.
    Rewrite { host: Option<String>, path: Option<Replace> },
    /// Sends a copy of so many of so many requests elsewhere.
    Mirror { to: Reference, hits: u32, of: u32 },
    /// Changes nothing that is looked at here.
    Nothing,
    /// Not known: requests must not pass it by.
    Unknown,
}

/// What a path is replaced by.
#[derive(Clone, Debug)]
pub(super) enum Replace {
    Whole(String),
    Prefix(String),
}

impl Filter {
    pub(super) fn read(value: &Value, namespace: &str) -> Self {
        match value["type"].as_str() {
            Some("RequestHeaderModifier") => headers(&value["requestHeaderModifier"]),
            Some("ResponseHeaderModifier") => Self::Nothing,
            Some("RequestMirror") => mirror(&value["requestMirror"], namespace),
            Some("RequestRedirect") => redirect(&value["requestRedirect"]),
            Some("URLRewrite") => {
                let rewrite = &value["urlRewrite"];
                Self::Rewrite { host: text(&rewrite["hostname"]), path: Replace::read(&rewrite["path"]) }
            }
            _ => Self::Unknown,
        }
    }

    /// Applies it to a request that matched by `prefix`.
    pub(super) fn apply(&self, request: &mut Request, prefix: &str) {
        match self {
            Self::Headers { set, add, remove } => {
                for (name, value) in set {
                    request.headers.insert(name.clone(), value.clone());
                }
                for (name, value) in add {
                    let known = request.headers.get(name);
                    let value = known.map_or_else(|| value.clone(), |known| format!("{known},{value}"));
                    request.headers.insert(name.clone(), value);
                }
                for name in remove {
                    request.headers.remove(name);
                }
            }
            Self::Rewrite { host, path } => {
                if let Some(host) = host {
                    request.host.clone_from(host);
                }
                if let Some(path) = path {
                    request.path = path.of(&request.path, prefix);
                }
            }
            _ => {}
        }
    }

    /// The status and the location of a redirect.
    pub(super) fn location(&self, request: &Request, prefix: &str) -> Option<(u16, String)> {
        let Self::Redirect { status, scheme, host, port, path } = self else { return None };
        let scheme = scheme.as_deref().unwrap_or("http");
        let host = host.as_deref().unwrap_or(&request.host);
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let path = path.as_ref().map_or_else(|| request.path.clone(), |path| path.of(&request.path, prefix));
        Some((*status, format!("{scheme}://{host}{port}{path}")))
    }
}

impl Replace {
    fn read(value: &Value) -> Option<Self> {
        match value["type"].as_str()? {
            "ReplaceFullPath" => text(&value["replaceFullPath"]).map(Self::Whole),
            _ => text(&value["replacePrefixMatch"]).map(Self::Prefix),
        }
    }

    fn of(&self, path: &str, prefix: &str) -> String {
        match self {
            Self::Whole(path) => path.clone(),
            Self::Prefix(replacement) => {
                let rest = path.strip_prefix(prefix.trim_end_matches('/')).unwrap_or(path);
                let path = format!("{}{rest}", replacement.trim_end_matches('/'));
                if path.is_empty() { "/".to_owned() } else { path }
            }
        }
    }
}

fn headers(value: &Value) -> Filter {
    let pairs = |value: &Value| {
        let pair = |it: &Value| Some((it["name"].as_str()?.to_ascii_lowercase(), text(&it["value"])?));
        list(value).iter().filter_map(pair).collect()
    };
    let remove = list(&value["remove"]).iter().filter_map(|name| Some(name.as_str()?.to_ascii_lowercase()));
    Filter::Headers { set: pairs(&value["set"]), add: pairs(&value["add"]), remove: remove.collect() }
}

fn redirect(value: &Value) -> Filter {
    Filter::Redirect {
        status: value["statusCode"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(302),
        scheme: text(&value["scheme"]),
        host: text(&value["hostname"]),
        port: int(&value["port"]),
        path: Replace::read(&value["path"]),
    }
}

/// Without a share all requests are copied.
fn mirror(value: &Value, namespace: &str) -> Filter {
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let fraction = &value["fraction"];
    let (hits, of) = match (number(&value["percent"]), number(&fraction["numerator"])) {
        (Some(percent), _) => (percent, 100),
        (None, Some(hits)) => (hits, number(&fraction["denominator"]).unwrap_or(100)),
        (None, None) => (1, 1),
    };
    Filter::Mirror { to: Reference::read(&value["backendRef"], namespace), hits, of }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
