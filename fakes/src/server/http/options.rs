//! What the parameters of a URL say of a list, a watch or a write.

use serde_json::{Value, json};

use super::Query;
use crate::{
    schema::Cause,
    selector::{FieldSelector, LabelSelector},
    status::Status,
};

/// What a list or a watch is asked for.
#[derive(Debug)]
pub(crate) struct ListOptions {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    pub(crate) watch: bool,
    pub(crate) bookmarks: bool,
    pub(crate) version: String,
    pub(crate) matching: String,
    /// None is as long as the server likes.
    pub(crate) timeout_seconds: Option<i64>,
    /// Zero is no limit.
    pub(crate) limit: usize,
    pub(crate) token: String,
    pub(crate) initial_events: Option<bool>,
}

impl ListOptions {
    /// Reads and checks them. `watch` is what the path says.
    pub(crate) fn read(query: &Query<'_>, watch: bool) -> Result<Self, Status> {
        let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
        let timeout_seconds = query.int("timeoutSeconds")?;
        let limit = query.int("limit")?.unwrap_or_default();
        let mut options = Self {
            labels: LabelSelector::parse(query.get("labelSelector").unwrap_or_default())
                .map_err(Status::bad_request)?,
            fields: FieldSelector::parse(query.get("fieldSelector").unwrap_or_default())
                .map_err(Status::bad_request)?,
            watch: query.is("watch"),
            bookmarks: query.is("allowWatchBookmarks"),
            version: text("resourceVersion"),
            matching: text("resourceVersionMatch"),
            timeout_seconds,
            limit: usize::try_from(limit).unwrap_or_default(),
            token: text("continue"),
            initial_events: query.get("sendInitialEvents").map(|_| query.is("sendInitialEvents")),
        };
        options.set_defaults();
        let causes = if options.watch { options.check_watch() } else { options.check_list() };
        if !causes.is_empty() {
            return Err(Status::invalid("ListOptions", "meta.k8s.io", "", &causes));
        }
        options.watch |= watch;
        Ok(options)
    }

    /// A watch from nowhere in particular begins with what is there.
    fn set_defaults(&mut self) {
        let unsaid = self.initial_events.is_none() && self.matching.is_empty();
        if self.watch && unsaid && matches!(self.version.as_str(), "" | "0") {
            self.initial_events = Some(true);
            "NotOlderThan".clone_into(&mut self.matching);
        }
    }

    fn check_list(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        let forbidden = |why: &str| Cause::forbidden("resourceVersionMatch", why);
        if !self.matching.is_empty() {
            if self.version.is_empty() {
                causes.push(forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"));
            }
            if !self.token.is_empty() {
                causes.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
            }
            if !matches!(self.matching.as_str(), "Exact" | "NotOlderThan") {
                causes.push(unknown_match(&self.matching, &["Exact", "NotOlderThan", ""]));
            }
            if self.matching == "Exact" && self.version == "0" {
                causes.push(forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
            }
        }
        if self.initial_events.is_some() {
            causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
        causes
    }

    fn check_watch(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        let forbidden = |why: &str| Cause::forbidden("resourceVersionMatch", why);
        let is_valid = self.matching == "NotOlderThan";
        if self.initial_events.is_some() && !is_valid {
            causes.push(forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
        }
        if !self.matching.is_empty() {
            if self.initial_events.is_none() {
                causes.push(forbidden(
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ));
            }
            if !is_valid {
                causes.push(unknown_match(&self.matching, &["NotOlderThan"]));
            }
            if !self.token.is_empty() {
                causes.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
            }
        }
        causes
    }
}

fn unknown_match(matching: &str, known: &[&str]) -> Cause {
    let known: Vec<String> = known.iter().map(|&choice| choice.to_owned()).collect();
    Cause::not_supported("resourceVersionMatch", &json!(matching), &known)
}

/// The faults that options of writes may share.
pub(super) fn check_dry_run(dry_run: &[&str], causes: &mut Vec<Cause>) {
    if dry_run.iter().any(|mode| *mode != "All") {
        causes.push(Cause::not_supported("dryRun", &json!(dry_run), &["All".to_owned()]));
    }
}

pub(super) fn check_manager(manager: &str, causes: &mut Vec<Cause>) {
    /// The longest name of a field manager, in bytes.
    const LONGEST: u64 = 128;
    if manager.len() as u64 > LONGEST {
        causes.push(Cause::too_long("fieldManager", LONGEST));
    }
    let mut at = 0;
    for character in manager.chars() {
        if character.is_control() {
            let why = format!("invalid character U+{:04X} (at position {at})", u32::from(character));
            causes.push(Cause::invalid("fieldManager", &Value::from(manager), &why));
        }
        at += character.len_utf8();
    }
}

pub(super) fn check_field_validation(validation: &str, causes: &mut Vec<Cause>) {
    let known = ["", "Ignore", "Strict", "Warn"];
    if !known.contains(&validation) {
        causes.push(Cause::not_supported("fieldValidation", &json!(validation), &known.map(str::to_owned)));
    }
}
