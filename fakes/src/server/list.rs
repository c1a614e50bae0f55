//! Lists: selection, pages, and the revision they are true for.

mod fields;
mod token;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ApiServer, FIRST_REVISION, Target, http::ListOptions};
use crate::{
    selector::{FieldSelector, LabelSelector},
    status::Status,
    store::{Gone, Range, Stored},
};
use token::Token;

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
    /// What the options select; `name` is the object that the path names.
    pub(super) fn read(target: &Target, options: &ListOptions, name: Option<&str>) -> Result<Self, Status> {
        let mut fields = options.fields.clone();
        fields.rename(|field| fields::find(target, field)).map_err(Status::bad_request)?;
        if let Some(name) = name {
            if fields.is_empty() {
                fields = FieldSelector::exactly("metadata.name", name);
            } else if fields.exact("metadata.name") != Some(name) {
                return Err(Status::bad_request("fieldSelector metadata.name doesn't match requested name"));
            }
        }
        Ok(Self { labels: options.labels.clone(), fields })
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

/// What a page is taken from.
struct Source {
    /// A revision that was; none for the present.
    revision: Option<u64>,
    /// The first path that may be on the page.
    start: String,
    /// What is answered when the revision is forgotten.
    forgotten: Status,
}

impl ApiServer {
    pub(super) fn page(&self, target: &Target, namespace: Option<&str>, options: &ListOptions) -> Result<Page, Status> {
        let selection = Selection::read(target, options, None)?;
        let source =
            if options.token.is_empty() { self.first_page(options)? } else { next_page(target, namespace, options)? };
        // What a cache has is answered at once, whatever its size.
        let limit = if options.version == "0" && options.token.is_empty() { 0 } else { options.limit };
        let range = Range { resource: &target.resource.stored_as, namespace, start: &source.start };
        let ((items, more), revision) = match source.revision {
            None => self.store().read(&range, |objects, revision| (select(objects, &selection, limit), revision)),
            Some(revision) => {
                let read = self.read_past(&range, revision, |objects| select(objects, &selection, limit));
                (read.map_err(|_| source.forgotten)?, revision)
            }
        };
        // One name is one place, and nothing follows it.
        let one =
            selection.fields.exact("metadata.name").filter(|_| namespace.is_some() || !target.resource.namespaced);
        let more = if one.is_some() { 0 } else { more };
        let last = items.last().filter(|_| more > 0);
        let next = last.map(|last| Token::after(&last.key, namespace, revision).encode());
        let remaining = (more > 0 && selection.is_empty()).then_some(more);
        Ok(Page { items, revision, next, remaining, custom: target.resource.custom })
    }

    fn first_page(&self, options: &ListOptions) -> Result<Source, Status> {
        let mut source = Source {
            revision: None,
            start: String::new(),
            forgotten: Status::expired("The resourceVersion for the provided list is too old."),
        };
        let asked = options.version.as_str();
        if asked.is_empty() || asked == "0" {
            return Ok(source);
        }
        let wanted = parse_revision(asked)
            .map_err(|status| Status::bad_request(format!("invalid resource version: {}", status.message)))?;
        self.check_not_future(wanted)?;
        // A page of a version has to be of that version, so that the next one fits.
        if options.matching == "Exact" || (options.matching.is_empty() && options.limit > 0) {
            source.revision = Some(wanted);
        }
        Ok(source)
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

    fn read_past<T>(
        &self,
        range: &Range<'_>,
        revision: u64,
        read: impl FnOnce(&mut dyn Iterator<Item = &Arc<Stored>>) -> T,
    ) -> Result<T, Gone> {
        if revision < FIRST_REVISION {
            return Err(Gone { asked: revision, oldest: FIRST_REVISION });
        }
        self.store().read_at(range, revision, read)
    }
}

fn next_page(target: &Target, namespace: Option<&str>, options: &ListOptions) -> Result<Source, Status> {
    let token = Token::decode(&options.token)
        .map_err(|why| Status::bad_request(format!("invalid continue token: continue key is not valid{why}")))?;
    if !matches!(options.version.as_str(), "" | "0") {
        return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
    }
    let start = token.start(namespace, target.resource.namespaced);
    Ok(Source { revision: token.revision(), start, forgotten: too_old(&token) })
}

/// The selected objects up to the limit, if there is one, and how many objects follow. Whether those are selected is not
/// looked at, and then it is only said whether there are any.
fn select(
    objects: &mut dyn Iterator<Item = &Arc<Stored>>,
    selection: &Selection,
    limit: usize,
) -> (Vec<Arc<Stored>>, usize) {
    let limit = if limit == 0 { usize::MAX } else { limit };
    if selection.is_empty() {
        return ((&mut *objects).take(limit).cloned().collect(), objects.count());
    }
    let selected = (&mut *objects).filter(|stored| selection.matches(&stored.value));
    (selected.take(limit).cloned().collect(), usize::from(objects.next().is_some()))
}

fn too_old(token: &Token) -> Status {
    let mut status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    status.continue_token = Some(token.of_the_present().encode().into());
    status
}

pub(super) fn parse_revision(text: &str) -> Result<u64, Status> {
    text.parse().map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
        Status::new(500, "", format!("resourceVersion: Invalid value: {text:?}: {why}"))
    })
}
