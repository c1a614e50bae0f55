//! Continue tokens: where the next page starts, and of which revision it is. Clients treat them as opaque.

use serde_json::{Value, json};

use crate::{server::http::syntax, store::Key};

/// What version of tokens this is.
const VERSION: &str = "meta.k8s.io/v1";

/// A continue token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Negative when the snapshot is gone and the rest is taken from the present.
    revision: i64,
    /// A path below the list's own: the first that the next page may show.
    start: String,
}

impl Token {
    /// A page that starts right after an object.
    pub(super) fn after(key: &Key, namespace: Option<&str>, revision: u64) -> Self {
        Self { revision: i64::try_from(revision).unwrap_or(i64::MAX), start: format!("{}\0", path(key, namespace)) }
    }

    /// The same for a page of the present.
    pub(super) fn of_the_present(&self) -> Self {
        Self { revision: -1, start: self.start.clone() }
    }

    /// None for a page of the present.
    pub(super) fn revision(&self) -> Option<u64> {
        u64::try_from(self.revision).ok()
    }

    /// The first `namespace/name` that the next page may show.
    pub(super) fn start(&self, namespace: Option<&str>, namespaced: bool) -> String {
        match namespace {
            None if namespaced => self.start.clone(),
            namespace => format!("{}/{}", namespace.unwrap_or_default(), self.start),
        }
    }

    pub(super) fn encode(&self) -> String {
        let token = json!({ "v": VERSION, "rv": self.revision, "start": self.start }).to_string();
        let encoded = json!(k8s_openapi::ByteString(token.into_bytes()));
        encoded.as_str().unwrap_or_default().trim_end_matches('=').replace('+', "-").replace('/', "_")
    }

    /// Reads a token, or says what is wrong with it.
    pub(super) fn decode(text: &str) -> Result<Self, String> {
        let token: Value = parse(&bytes(text)?)?;
        let version = token.get("v").and_then(Value::as_str).unwrap_or_default();
        if version != VERSION {
            return Err(format!(": server does not recognize this encoded version {version}"));
        }
        let revision = token.get("rv").and_then(Value::as_i64).unwrap_or_default();
        if revision == 0 {
            return Err(format!(": incorrect encoded start resourceVersion (version {VERSION})"));
        }
        let start = token.get("start").and_then(Value::as_str).unwrap_or_default();
        if start.is_empty() {
            return Err(format!(": encoded start key empty (version {VERSION})"));
        }
        let path = start.strip_prefix('/').unwrap_or(start);
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(format!(": {start}"));
        }
        Ok(Self { revision, start: path.to_owned() })
    }
}

/// Where an object is below the list of a namespace or of all.
fn path(key: &Key, namespace: Option<&str>) -> String {
    if namespace.is_some() || key.namespace.is_empty() {
        key.name.clone()
    } else {
        format!("{}/{}", key.namespace, key.name)
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let foreign = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if let Some(at) = text.find(foreign) {
        return Err(format!(": illegal base64 data at input byte {at}"));
    }
    let mut padded = text.replace('-', "+").replace('_', "/");
    while !padded.len().is_multiple_of(4) {
        padded.push('=');
    }
    let bytes: Result<k8s_openapi::ByteString, _> = serde_json::from_value(json!(padded));
    bytes.map(|bytes| bytes.0).map_err(|_| format!(": illegal base64 data at input byte {}", text.len()))
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    if let Ok(token) = serde_json::from_slice::<Value>(bytes) {
        let go = |kind: &str, field: &str, wanted: &str| {
            format!(": json: cannot unmarshal {kind} into Go struct field continueToken.{field} of type {wanted}")
        };
        return match (token.get("v"), token.get("rv"), token.get("start")) {
            (_, Some(Value::String(_)), _) => Err(go("string", "rv", "int64")),
            (Some(Value::Number(_)), ..) => Err(go("number", "v", "string")),
            (_, _, Some(Value::Number(_))) => Err(go("number", "start", "string")),
            _ => Ok(token),
        };
    }
    Err(format!(": {}", syntax::fault(bytes).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::GroupResource;

    #[test]
    fn tokens_come_back_as_they_went_and_garbage_does_not() {
        let key = Key::new(&GroupResource::new("", "pods"), "default", "web-0.x");
        for namespace in [None, Some("default")] {
            let token = Token::after(&key, namespace, u64::from(u32::MAX));
            assert_eq!(token.start(namespace, true), "default/web-0.x\0");
            assert_eq!(Token::decode(&token.encode()), Ok(token));
        }
        for garbage in ["", "x", "e30", "%%%%", "\u{e9}", "bnVsbA", "W10"] {
            assert!(Token::decode(garbage).is_err(), "{garbage}");
        }
    }
}
