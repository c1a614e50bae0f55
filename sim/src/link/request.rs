//! What a request wants, read off its method and path.

use std::fmt;

use http::{Method, Request};

/// What a request wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The HTTP method.
    pub(crate) verb: &'static str,
    /// The resource's plural name.
    pub(crate) plural: String,
    /// The object's name; empty for the collection.
    pub(crate) name: String,
    /// Whether it is about the status subresource.
    pub(crate) status: bool,
    /// Whether it changes something.
    pub(crate) write: bool,
    /// Whether it is a watch.
    pub(crate) watch: bool,
}

impl Wanted {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let verb = match *request.method() {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => "OTHER",
        };
        let mut parts =
            request.uri().path().trim_matches('/').split('/').skip_while(|part| *part != "namespaces").skip(2);
        let (mut plural, mut name) = (parts.next(), parts.next());
        let subresource = parts.next();
        if plural.is_none() {
            // /api/v1/pods or /apis/apps/v1/statefulsets
            let path = request.uri().path().trim_matches('/');
            plural = path.rsplit('/').next();
            name = None;
        }
        Self {
            verb,
            plural: plural.unwrap_or_default().to_owned(),
            name: name.unwrap_or_default().to_owned(),
            status: subresource == Some("status"),
            write: verb != "GET",
            watch: request.uri().query().is_some_and(|query| query.contains("watch=true") || query.contains("watch=1")),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.watch { "WATCH" } else { self.verb })?;
        write!(f, " {}", self.plural)?;
        if !self.name.is_empty() {
            write!(f, "/{}", self.name)?;
        }
        if self.status { f.write_str("/status") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        for (method, uri, text, write) in [
            ("GET", "/apis/apps/v1/statefulsets?watch=true&resourceVersion=5", "WATCH statefulsets", false),
            ("GET", "/api/v1/namespaces/default/pods?limit=500", "GET pods", false),
            ("PATCH", "/apis/apps/v1/namespaces/default/statefulsets/web?x", "PATCH statefulsets/web", true),
            ("PATCH", "/apis/g/v1/namespaces/d/rolloutruns/r/status", "PATCH rolloutruns/r/status", true),
            ("POST", "/apis/g/v1/namespaces/d/rolloutruns", "POST rolloutruns", true),
        ] {
            let request = Request::builder().method(method).uri(uri).body(()).unwrap();
            let wanted = Wanted::of(&request);
            assert_eq!((wanted.to_string().as_str(), wanted.write), (text, write), "{uri}");
        }
    }
}
