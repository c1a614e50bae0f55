//! Content negotiation: which form of an answer the `Accept` header asks for, of those there are.

use crate::status::Status;

/// What answers are written in.
const MEDIA: [(&str, Media); 2] = [("json", Media::Json), ("yaml", Media::Yaml)];

/// What the real server writes; protobuf is left to it.
const PRODUCED: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const STREAMS: &str = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Yaml,
}

/// What an answer shows of the objects it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All of them.
    Plain,
    /// Rows of a table.
    Table,
    /// The metadata of one object.
    Partial,
    /// The metadata of the objects of a list.
    PartialList,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) media: Media,
    pub(crate) pretty: bool,
    pub(crate) shape: Shape,
    /// The version of `meta.k8s.io` that tables and metadata are written in.
    pub(crate) version: &'static str,
}

impl Form {
    /// JSON as it is.
    pub(crate) const PLAIN: Self = Self { media: Media::Json, pretty: false, shape: Shape::Plain, version: "v1" };

    /// The API version of tables and metadata.
    pub(crate) fn api_version(&self) -> String {
        format!("meta.k8s.io/{}", self.version)
    }
}

/// One of the ranges of a header.
struct Clause<'a> {
    media: &'a str,
    sub: &'a str,
    quality: f64,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.trim_matches(' ').split(';');
        let range = parts.next().unwrap_or_default();
        let (media, sub) = match range.split_once('/') {
            Some((media, sub)) if !sub.is_empty() && !sub.contains('/') => {
                (media.trim_matches(' '), sub.trim_matches(' '))
            }
            None if range.trim_matches(' ') == "*" => ("*", "*"),
            _ => return None,
        };
        let mut clause = Self { media, sub, quality: 1.0, parameters: Vec::new() };
        for part in parts {
            let Some((name, value)) = part.split_once('=').filter(|(_, v)| !v.is_empty() && !v.contains('=')) else {
                continue;
            };
            match name.trim_matches(' ') {
                "q" => clause.quality = value.parse().unwrap_or_default(),
                name => clause.parameters.push((name, value.trim_matches(' '))),
            }
        }
        Some(clause)
    }

    fn comes_before(&self, other: &Self) -> bool {
        self.quality > other.quality
            || (self.media != "*" && other.media == "*")
            || (self.sub != "*" && other.sub == "*")
    }

    fn covers(&self, sub: &str) -> bool {
        match self.media {
            "application" => self.sub == sub || self.sub == "*",
            "*" => self.sub == "*",
            _ => false,
        }
    }

    /// The form this range asks for, if it is one there is.
    fn form(&self, media: Media, shapes: bool) -> Option<Form> {
        let mut form = Form { media, ..Form::PLAIN };
        let (mut kind, mut group, mut version) = (None, "", "");
        for (name, value) in &self.parameters {
            match *name {
                "as" => kind = Some(*value),
                "g" => group = value,
                "v" => version = value,
                "pretty" => form.pretty = *value == "1",
                "stream" if media == Media::Yaml || *value != "watch" => return None,
                "sv" if *value != "v1" => return None,
                _ => {}
            }
        }
        let Some(kind) = kind else { return (group.is_empty() && version.is_empty()).then_some(form) };
        form.version = ["v1", "v1beta1"].into_iter().find(|known| *known == version)?;
        form.shape = match kind {
            "Table" => Shape::Table,
            "PartialObjectMetadata" => Shape::Partial,
            "PartialObjectMetadataList" => Shape::PartialList,
            _ => return None,
        };
        (shapes && group == "meta.k8s.io").then_some(form)
    }
}

/// The most wanted form of those there are. `shapes` says whether tables and metadata are among them.
pub(super) fn negotiate(accept: &str, shapes: bool) -> Option<Form> {
    if accept.is_empty() || accept == "application/json" {
        return Some(Form::PLAIN);
    }
    let mut clauses: Vec<Clause<'_>> = accept.split(',').filter_map(Clause::parse).collect();
    // By insertion, as the real server's library sorts: the order it asks for is not one that sorting algorithms agree on.
    for end in 1..clauses.len() {
        for at in (1..=end).rev() {
            if !matches!(&clauses[at - 1..=at], [before, after] if after.comes_before(before)) {
                break;
            }
            clauses.swap(at - 1, at);
        }
    }
    clauses.iter().find_map(|clause| {
        MEDIA.iter().filter(|(sub, _)| clause.covers(sub)).find_map(|(_, media)| clause.form(*media, shapes))
    })
}

/// The first look at the header, which routes of built-in resources take: it knows no ranges but `*/*`. `lists` says whether
/// the route may stream.
pub(super) fn check_route(accept: &str, lists: bool) -> Result<(), Status> {
    let known = |range: &str| {
        let media = range.split(';').next().unwrap_or_default().trim();
        media == "*/*" || PRODUCED.contains(&media)
    };
    if accept.is_empty() || accept.split(',').any(known) {
        return Ok(());
    }
    let also = if lists { format!(", {STREAMS}") } else { String::new() };
    let message = format!("406: Not Acceptable\n\nAvailable representations: {}{also}", PRODUCED.join(", "));
    Err(Status { details: Some(Box::new(serde_json::json!({}))), ..Status::new(406, "NotAcceptable", message) })
}

/// The list of groups comes in forms of its own, beside those of other answers.
pub(super) fn check_discovery(accept: &str) -> Result<(), Status> {
    if accept.contains("as=APIGroupDiscoveryList") || negotiate(accept, false).is_some() {
        return Ok(());
    }
    Err(not_acceptable(false))
}

/// Nothing that the client takes can be made.
pub(super) fn not_acceptable(streaming: bool) -> Status {
    let types = if streaming { STREAMS.to_owned() } else { PRODUCED.join(", ") };
    Status::new(406, "NotAcceptable", format!("only the following media types are accepted: {types}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_form_of_those_there_are_is_answered() {
        let plain = Some((Media::Json, Shape::Plain));
        let table = [
            ("", plain),
            ("*/*", plain),
            ("*", plain),
            ("application/*;q=0.2", plain),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some((Media::Json, Shape::Table))),
            ("application/json,application/json;as=Table;v=v1;g=meta.k8s.io", plain),
            ("application/vnd.kubernetes.protobuf, application/json;q=0.9", plain),
            ("application/json;q=0.5, application/yaml;q=0.9", Some((Media::Yaml, Shape::Plain))),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                Some((Media::Json, Shape::PartialList)),
            ),
            ("application/json;as=Mystery;v=v1;g=meta.k8s.io,application/json", plain),
            ("application/json;as=Table;v=v2;g=meta.k8s.io", None),
            ("application/yaml;stream=watch", None),
            ("application/vnd.kubernetes.protobuf", None),
            ("text/html, a/b/c, ;;, =", None),
        ];
        for (accept, expected) in table {
            assert_eq!(negotiate(accept, true).map(|form| (form.media, form.shape)), expected, "{accept}");
        }
        assert_eq!(negotiate("application/json;as=Table;v=v1;g=meta.k8s.io", false), None);
    }
}
