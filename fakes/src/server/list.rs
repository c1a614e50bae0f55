//! Lists: selection, pages, and the revision they are true for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ApiServer, FIRST_REVISION, Target, http::Query};
use crate::{
    schema::Cause,
    selector::{FieldSelector, LabelSelector},
    status::Status,
    store::{Gone, GroupResource, Stored},
};

/// Part of a list.
pub(super) struct Page {
    pub(super) items: Vec<Arc<Stored>>,
    pub(super) revision: u64,
    next: Option<String>,
    remaining: Option<usize>,
    /// Lists of custom resources say that nothing follows.
    custom: bool,
}

impl Page {
    /// The list's own metadata.
    pub(super) fn metadata(&self) -> Value {
        let mut metadata = json!({ "resourceVersion": self.revision.to_string() });
        match &self.next {
            Some(next) => metadata["continue"] = json!(next),
            None if self.custom => metadata["continue"] = json!(""),
            None => {}
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = json!(remaining);
        }
        metadata
    }
}

/// Which objects a request is about.
#[derive(Debug)]
pub(super) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    pub(super) fn read(target: &Target, query: &Query<'_>, also: Option<&str>) -> Result<Self, Status> {
        let bad = |why: String| Status::bad_request(why);
        let labels = LabelSelector::parse(query.get("labelSelector").unwrap_or_default()).map_err(bad)?;
        let asked = query.get("fieldSelector").unwrap_or_default();
        let both = also.map(|also| format!("{asked},{also}"));
        let fields = FieldSelector::parse(both.as_deref().unwrap_or(asked)).map_err(bad)?;
        let known = |field: &str| {
            field == "metadata.name"
                || (field == "metadata.namespace" && target.resource.namespaced)
                || target.version().selectable.iter().any(|selectable| selectable == field)
        };
        if let Some(unknown) = fields.fields().find(|field| !known(field)) {
            return Err(Status::bad_request(if target.resource.custom || !target.version().selectable.is_empty() {
                format!("field label not supported: {unknown}")
            } else {
                format!("{unknown:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
            }));
        }
        Ok(Self { labels, fields })
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.fields().next().is_none()
    }
}

/// A continue token: where the next page starts, and at which revision. Clients treat it as opaque.
#[derive(Debug, PartialEq, Eq)]
struct Token {
    /// None when the snapshot is gone and the rest is taken from the present.
    revision: Option<u64>,
    namespace: String,
    name: String,
}

impl Token {
    fn encode(&self) -> String {
        let revision = self.revision.map_or(json!(-1), |revision| json!(revision));
        let start = format!("{}/{}", self.namespace, self.name);
        let token = json!({ "v": "meta.k8s.io/v1", "rv": revision, "start": start }).to_string();
        let encoded = json!(k8s_openapi::ByteString(token.into_bytes()));
        encoded.as_str().unwrap_or_default().trim_end_matches('=').replace('+', "-").replace('/', "_")
    }

    fn bytes(text: &str) -> Option<Vec<u8>> {
        let mut padded = text.replace('-', "+").replace('_', "/");
        while !padded.len().is_multiple_of(4) {
            padded.push('=');
        }
        let bytes: k8s_openapi::ByteString = serde_json::from_value(json!(padded)).ok()?;
        Some(bytes.0)
    }

    /// What is wrong with a token that says nothing.
    fn flaw(text: &str) -> String {
        match Self::bytes(text).as_deref() {
            None => "illegal base64 data".to_owned(),
            Some([]) => "unexpected end of JSON input".to_owned(),
            Some([b'{', ..]) => "the start of the next page is missing".to_owned(),
            Some([first, ..]) => {
                let first = char::from(*first);
                let shown =
                    if first.is_ascii_graphic() { first.to_string() } else { format!("\\u{:04x}", u32::from(first)) };
                format!("invalid character '{shown}' looking for beginning of value")
            }
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let token: Value = serde_json::from_slice(&Self::bytes(text)?).ok()?;
        let (namespace, name) = token.get("start")?.as_str()?.split_once('/')?;
        let revision = token.get("rv")?.as_i64()?;
        Some(Self { revision: u64::try_from(revision).ok(), namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl ApiServer {
    pub(super) fn page(&self, target: &Target, namespace: Option<&str>, query: &Query<'_>) -> Result<Page, Status> {
        let selection = Selection::read(target, query, None)?;
        let limit = query.get("limit").and_then(|limit| limit.parse::<usize>().ok()).filter(|limit| *limit > 0);
        let token = query.get("continue").filter(|token| !token.is_empty());
        let (mut items, revision) = match token {
            Some(token) => self.rest_of_list(target, namespace, query, token)?,
            None => self.first_list(target, namespace, query)?,
        };
        if !selection.is_empty() {
            items.retain(|stored| selection.matches(&stored.value));
        }
        let custom = target.resource.custom;
        let Some(limit) = limit.filter(|limit| *limit < items.len()) else {
            return Ok(Page { items, revision, next: None, remaining: None, custom });
        };
        let remaining = selection.is_empty().then_some(items.len() - limit);
        items.truncate(limit);
        let next = items.last().map(|last| {
            let (namespace, name) = (last.key.namespace.clone(), last.key.name.clone());
            Token { revision: Some(revision), namespace, name }.encode()
        });
        Ok(Page { items, revision, next, remaining, custom })
    }

    fn first_list(
        &self,
        target: &Target,
        namespace: Option<&str>,
        query: &Query<'_>,
    ) -> Result<(Vec<Arc<Stored>>, u64), Status> {
        let stored_as = &target.resource.stored_as;
        let asked = query.get("resourceVersion").unwrap_or_default();
        let matching = query.get("resourceVersionMatch").unwrap_or_default();
        check_match(asked, matching)?;
        if asked.is_empty() || asked == "0" {
            return Ok(self.store().snapshot(stored_as, namespace));
        }
        let wanted = parse_revision(asked)?;
        self.check_not_future(wanted)?;
        if matching == "Exact" {
            let items = self.past(stored_as, namespace, wanted);
            let items = items.map_err(|_| Status::expired("The resourceVersion for the provided list is too old."))?;
            return Ok((items, wanted));
        }
        Ok(self.store().snapshot(stored_as, namespace))
    }

    /// Nothing can be told about a revision that is not there yet.
    pub(super) fn check_not_future(&self, wanted: u64) -> Result<(), Status> {
        let current = self.store().revision();
        if wanted <= current {
            return Ok(());
        }
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let mut status = Status::new(504, "Timeout", message);
        status.details = Some(Box::new(json!({
            "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
            "retryAfterSeconds": 1,
        })));
        Err(status)
    }

    fn past(&self, resource: &GroupResource, namespace: Option<&str>, revision: u64) -> Result<Vec<Arc<Stored>>, Gone> {
        if revision < FIRST_REVISION {
            return Err(Gone { asked: revision, oldest: FIRST_REVISION });
        }
        self.store().list_at(resource, namespace, revision)
    }

    fn rest_of_list(
        &self,
        target: &Target,
        namespace: Option<&str>,
        query: &Query<'_>,
        token: &str,
    ) -> Result<(Vec<Arc<Stored>>, u64), Status> {
        if query.get("resourceVersion").is_some_and(|version| !version.is_empty() && version != "0") {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        let token = Token::decode(token).ok_or_else(|| {
            Status::bad_request(format!("invalid continue token: continue key is not valid: {}", Token::flaw(token)))
        })?;
        let stored_as = &target.resource.stored_as;
        let (mut items, revision) = match token.revision {
            None => self.store().snapshot(stored_as, namespace),
            Some(revision) => match self.past(stored_as, namespace, revision) {
                Ok(items) => (items, revision),
                Err(_) => return Err(too_old(&token)),
            },
        };
        let start = (token.namespace, token.name);
        items.retain(|stored| (&stored.key.namespace, &stored.key.name) > (&start.0, &start.1));
        Ok((items, revision))
    }
}

fn too_old(token: &Token) -> Status {
    let rest = Token { revision: None, namespace: token.namespace.clone(), name: token.name.clone() };
    let mut status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    status.continue_token = Some(rest.encode().into());
    status
}

fn check_match(asked: &str, matching: &str) -> Result<(), Status> {
    let cause = match matching {
        "Exact" | "NotOlderThan" if asked.is_empty() => Cause::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        "Exact" if asked == "0" => Cause::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        "" | "Exact" | "NotOlderThan" => return Ok(()),
        other => {
            let choices = ["Exact", "NotOlderThan", ""].map(str::to_owned);
            Cause::not_supported("resourceVersionMatch", &json!(other), &choices)
        }
    };
    Err(Status::invalid("ListOptions", "meta.k8s.io", "", &[cause]))
}

pub(super) fn parse_revision(text: &str) -> Result<u64, Status> {
    text.parse().map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
        Status::new(500, "", format!("resourceVersion: Invalid value: {text:?}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went_and_garbage_does_not() {
        for revision in [Some(0), Some(u64::from(u32::MAX)), None] {
            let token = Token { revision, namespace: "default".to_owned(), name: "web-0.x".to_owned() };
            assert_eq!(Token::decode(&token.encode()), Some(token));
        }
        for garbage in ["", "x", "e30", "%%%%"] {
            assert_eq!(Token::decode(garbage), None, "{garbage}");
        }
    }
}
