//! What clients send.

use std::collections::BTreeMap;

/// A request, as a client sends it or as a backend gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The host, with or without a port.
    pub host: String,
    /// The method.
    pub method: String,
    /// The path; of a call in gRPC `/service/method`.
    pub path: String,
    /// Headers, by name in lower case.
    pub headers: BTreeMap<String, String>,
    /// Query parameters.
    pub query: BTreeMap<String, String>,
}

impl Request {
    /// A plain GET.
    pub fn get(host: &str, path: &str) -> Self {
        Self { host: host.to_owned(), method: "GET".to_owned(), path: path.to_owned(), ..Self::default() }
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_ascii_lowercase(), value.to_owned());
        self
    }

    /// The same with a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The host in lower case without its port.
    pub(super) fn hostname(&self) -> String {
        self.host.split(':').next().unwrap_or_default().to_ascii_lowercase()
    }
}
