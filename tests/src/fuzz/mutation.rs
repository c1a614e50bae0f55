//! Changes of requests.

use serde_json::Value;

use super::check::Message;
use crate::conformance::mutate;

const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PURGE"];

/// Pieces of paths.
const SEGMENTS: [&str; 22] = [
    "",
    ".",
    "..",
    "%00",
    "%ff",
    "%",
    "%2F",
    "a%20b",
    "%F0%9F%98%80",
    "api",
    "apis",
    "v1",
    "namespaces",
    "status",
    "scale",
    "finalize",
    "watch",
    "proxy",
    "log",
    "eviction",
    "binding",
    "openapi",
];

/// Names of parameters that mean something somewhere.
const PARAMETERS: [&str; 17] = [
    "labelSelector",
    "fieldSelector",
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "watch",
    "timeoutSeconds",
    "allowWatchBookmarks",
    "sendInitialEvents",
    "dryRun",
    "fieldManager",
    "fieldValidation",
    "force",
    "propagationPolicy",
    "gracePeriodSeconds",
    "pretty",
];

/// Values at the edges of what parameters mean.
const VALUES: [&str; 24] = [
    "",
    "0",
    "1",
    "-1",
    "true",
    "false",
    "All",
    "x",
    "%00",
    "%ff",
    "%",
    "99999999999999999999",
    "1.5",
    "a%3Db",
    "a%20in%20%28",
    "a%20in%20%28b%2C%29",
    "%21",
    "%2C%2C%2C",
    "%28%28%28",
    "a%3Db%2Cc%21%3Dd%2C%21e%2Cf%20notin%20%28g%29",
    "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhXHUwMDAwIn0",
    "bm9uZQ",
    "Exact",
    "NotOlderThan",
];

const HEADERS: [&str; 4] = ["content-type", "accept", "user-agent", "accept-encoding"];

const HEADER_VALUES: [&str; 18] = [
    "",
    "application/json",
    "application/yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "application/apply-patch+cbor",
    "application/vnd.kubernetes.protobuf",
    "application/cbor",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "application/json;stream=watch",
    ";;;,,,q=",
    "*/*",
    "text/plain; charset=\"",
    "gzip",
    "/",
];

/// Bodies that are hard to read.
const BODIES: [&[u8]; 16] = [
    b"",
    b"null",
    b"[]",
    b"\"\"",
    b"0",
    b"{",
    b"{}",
    b"{\"a\":1,\"a\":2}",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"k8s\0",
    b"k8s\0\x0a\xff\xff\xff\xff\x0f",
    b"a: &a [*a]",
    b"a: &a {b: *a}\n<<: *a",
    b"--- x\n--- y",
    b"1e999",
];

/// How deep the deepest body is.
const DEPTH: usize = 20_000;

/// A change of a request: what of it, where, and into what. Any numbers are a change.
#[derive(Debug, Clone, Copy)]
pub struct Mutation {
    /// Which part.
    pub part: u8,
    /// Where in the part.
    pub at: u16,
    /// Into what.
    pub with: u16,
}

impl Mutation {
    /// Changes a message.
    pub fn apply(self, message: &mut Message) {
        let (at, with) = (usize::from(self.at), usize::from(self.with));
        match self.part % 10 {
            0 => METHODS[with % METHODS.len()].clone_into(&mut message.method),
            1 => self.change_path(&mut message.url),
            2 | 3 => add_parameter(&mut message.url, at, with),
            4 => message.headers.push((pick(&HEADERS, at).to_owned(), pick(&HEADER_VALUES, with).to_owned())),
            5 => message.body = BODIES[with % BODIES.len()].to_vec(),
            6 => self.change_bytes(&mut message.body),
            7 if with.is_multiple_of(16) => message.body = deep(with),
            _ => {
                if let Ok(mut body) = serde_json::from_slice(&message.body) {
                    mutate_json(&mut body, (u64::from(self.at) << 16) | u64::from(self.with));
                    message.body = body.to_string().into_bytes();
                }
            }
        }
    }

    fn change_path(self, url: &mut String) {
        let (path, query) = url.split_once('?').map_or((url.as_str(), None), |(path, query)| (path, Some(query)));
        let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
        let at = 1 + usize::from(self.at) % segments.len();
        let segment = pick(&SEGMENTS, self.with.into());
        let segment = if segment == "log" { "a".repeat(400) } else { segment.to_owned() };
        match self.with % 3 {
            0 if at < segments.len() => segments[at] = segment,
            1 if at < segments.len() => drop(segments.remove(at)),
            _ => segments.insert(at, segment),
        }
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        *url = format!("{}{query}", segments.join("/"));
    }

    fn change_bytes(self, body: &mut Vec<u8>) {
        let at = usize::from(self.at) % (body.len() + 1);
        let [byte, kind] = self.with.to_be_bytes();
        match kind % 4 {
            0 => body.insert(at, byte),
            1 => body.truncate(at),
            2 if at < body.len() => drop(body.remove(at)),
            _ => {
                if let Some(found) = body.get_mut(at) {
                    *found ^= byte;
                }
            }
        }
    }
}

/// Changes some places of a document.
pub fn mutate_json(body: &mut Value, seed: u64) {
    mutate(body, seed);
}

fn pick<'a>(choices: &[&'a str], n: usize) -> &'a str {
    choices[n % choices.len()]
}

fn add_parameter(url: &mut String, at: usize, with: usize) {
    let separator = if url.contains('?') { '&' } else { '?' };
    url.push(separator);
    url.extend([pick(&PARAMETERS, at), "=", pick(&VALUES, with)]);
}

fn deep(with: usize) -> Vec<u8> {
    let (open, close) = if with.is_multiple_of(32) { ("[", "]") } else { ("{\"a\":", "}") };
    format!("{}1{}", open.repeat(DEPTH), close.repeat(DEPTH)).into_bytes()
}
