//! Lists: selection, pages, and the revision they are true for.

mod fields;
mod token;

use std::{cmp::Ordering, sync::Arc};

use serde_json::{Value, json};

use super::{ApiServer, FIRST_REVISION, Target, http::ListOptions};
use crate::{
    selector::{FieldSelector, LabelSelector},
    status::Status,
    store::{Gone, GroupResource, Key, Stored},
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

impl ApiServer {
    pub(super) fn page(&self, target: &Target, namespace: Option<&str>, options: &ListOptions) -> Result<Page, Status> {
        let selection = Selection::read(target, options, None)?;
        let (items, revision) = if options.token.is_empty() {
            self.first_list(target, namespace, options)?
        } else {
            self.rest_of_list(target, namespace, options)?
        };
        let custom = target.resource.custom;
        // What a cache has is answered at once, whatever its size.
        let limit = if options.version == "0" && options.token.is_empty() { 0 } else { options.limit };
        let all = items.len();
        let mut seen = 0;
        let mut chosen = Vec::new();
        for stored in items {
            if limit > 0 && chosen.len() == limit {
                break;
            }
            seen += 1;
            if selection.is_empty() || selection.matches(&stored.value) {
                chosen.push(stored);
            }
        }
        let items = chosen;
        // Whether what follows is selected is not looked at.
        let left = all - seen;
        if left == 0 {
            return Ok(Page { items, revision, next: None, remaining: None, custom });
        }
        let remaining = selection.is_empty().then_some(left);
        let next = items.last().map(|last| Token::after(&last.key, namespace, revision).encode());
        Ok(Page { items, revision, next, remaining, custom })
    }

    fn first_list(
        &self,
        target: &Target,
        namespace: Option<&str>,
        options: &ListOptions,
    ) -> Result<(Vec<Arc<Stored>>, u64), Status> {
        let stored_as = &target.resource.stored_as;
        let asked = options.version.as_str();
        if asked.is_empty() || asked == "0" {
            return Ok(self.present_list_of(stored_as, namespace));
        }
        let wanted = parse_revision(asked)
            .map_err(|status| Status::bad_request(format!("invalid resource version: {}", status.message)))?;
        self.check_not_future(wanted)?;
        // A page of a version has to be of that version, so that the next one fits.
        if options.matching == "Exact" || (options.matching.is_empty() && options.limit > 0) {
            let items = self.past(stored_as, namespace, wanted);
            let items = items.map_err(|_| Status::expired("The resourceVersion for the provided list is too old."))?;
            return Ok((items, wanted));
        }
        Ok(self.present_list_of(stored_as, namespace))
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

    fn present_list_of(&self, resource: &GroupResource, namespace: Option<&str>) -> (Vec<Arc<Stored>>, u64) {
        let (mut items, revision) = self.store().snapshot(resource, namespace);
        if namespace.is_none() {
            items.sort_by(|a, b| by_path(&a.key, &b.key));
        }
        (items, revision)
    }

    fn past(&self, resource: &GroupResource, namespace: Option<&str>, revision: u64) -> Result<Vec<Arc<Stored>>, Gone> {
        if revision < FIRST_REVISION {
            return Err(Gone { asked: revision, oldest: FIRST_REVISION });
        }
        let mut items = self.store().list_at(resource, namespace, revision)?;
        items.sort_by(|a, b| by_path(&a.key, &b.key));
        Ok(items)
    }

    fn rest_of_list(
        &self,
        target: &Target,
        namespace: Option<&str>,
        options: &ListOptions,
    ) -> Result<(Vec<Arc<Stored>>, u64), Status> {
        let token = Token::decode(&options.token)
            .map_err(|why| Status::bad_request(format!("invalid continue token: continue key is not valid{why}")))?;
        if !matches!(options.version.as_str(), "" | "0") {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        let stored_as = &target.resource.stored_as;
        let (mut items, revision) = match token.revision() {
            None => self.present_list_of(stored_as, namespace),
            Some(revision) => match self.past(stored_as, namespace, revision) {
                Ok(items) => (items, revision),
                Err(_) => return Err(too_old(&token)),
            },
        };
        items.retain(|stored| token.is_reached_by(&stored.key, namespace));
        Ok((items, revision))
    }
}

/// The order of the paths under which the real server keeps objects.
fn by_path(a: &Key, b: &Key) -> Ordering {
    fn path(key: &Key) -> impl Iterator<Item = u8> + '_ {
        key.namespace.bytes().chain([b'/']).chain(key.name.bytes())
    }
    path(a).cmp(path(b))
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
