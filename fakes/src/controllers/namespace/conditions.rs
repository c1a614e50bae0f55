//! What the controller tells in the conditions of a namespace that is going.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Left;
use crate::clock::stamp;
use crate::controllers::object;
use crate::store::GroupResource;

/// Condition types in their order, each with its reason and message while all is well.
const WELL: [(&str, &str, &str); 5] = [
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (CONTENT_FAILURE, "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    (CONTENT_REMAINING, "ContentRemoved", "All content successfully removed"),
    (FINALIZERS_REMAINING, "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
];
const CONTENT_FAILURE: &str = "NamespaceDeletionContentFailure";
const CONTENT_REMAINING: &str = "NamespaceContentRemaining";
const FINALIZERS_REMAINING: &str = "NamespaceFinalizersRemaining";

/// What one look at a namespace found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    left: BTreeMap<GroupResource, Left>,
    failures: Vec<String>,
    /// Conditions that do not hold as they should: type, reason, message.
    troubles: Vec<(&'static str, &'static str, String)>,
}

impl Findings {
    pub(super) fn add(&mut self, resource: &GroupResource, left: Left) {
        if left.objects > 0 {
            self.left.insert(resource.clone(), left);
        }
    }

    pub(super) fn fail(&mut self, why: String) {
        self.failures.push(why);
    }

    pub(super) fn has_left(&self, resource: &GroupResource) -> bool {
        self.left.contains_key(resource)
    }

    /// All failures in one text.
    pub(super) fn failure(&self) -> Option<String> {
        (!self.failures.is_empty()).then(|| self.failures.join(", "))
    }

    /// Makes conditions of what is left.
    pub(super) fn tell_what_is_left(&mut self) {
        if self.left.is_empty() {
            return;
        }
        let mut resources: Vec<String> = self
            .left
            .iter()
            .map(|(it, left)| format!("{}.{} has {} resource instances", it.plural, it.group, left.objects))
            .collect();
        resources.sort();
        let message = format!("Some resources are remaining: {}", resources.join(", "));
        self.troubles.push((CONTENT_REMAINING, "SomeResourcesRemain", message));

        let mut finalizers: BTreeMap<&str, usize> = BTreeMap::new();
        for (finalizer, count) in self.left.values().flat_map(|left| &left.finalizers) {
            *finalizers.entry(finalizer).or_default() += count;
        }
        if !finalizers.is_empty() {
            let mut texts: Vec<String> =
                finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect();
            texts.sort();
            let message = format!("Some content in the namespace has finalizers remaining: {}", texts.join(", "));
            self.troubles.push((FINALIZERS_REMAINING, "SomeFinalizersRemain", message));
        }
    }

    /// Sets the conditions, and tells whether that changed anything.
    pub(super) fn write_conditions(&mut self, status: &mut Value, now: Timestamp) -> bool {
        if !self.failures.is_empty() {
            let mut failures = self.failures.clone();
            failures.sort();
            let message =
                format!("Failed to delete all resource types, {} remaining: {}", failures.len(), failures.join(", "));
            self.troubles.push((CONTENT_FAILURE, "ContentDeletionFailed", message));
        }
        let mut conditions = object::list(&status["conditions"]).to_vec();
        for (kind, reason, message) in WELL {
            let trouble = self.troubles.iter().find(|(troubled, ..)| *troubled == kind);
            let (holds, reason, message) =
                trouble.map_or(("False", reason, message), |(_, reason, message)| ("True", *reason, message.as_str()));
            let old = conditions.iter_mut().find(|old| old["type"] == kind);
            let since = old.as_ref().filter(|old| old["status"] == holds).map(|old| old["lastTransitionTime"].clone());
            let condition = json!({
                "type": kind, "status": holds, "lastTransitionTime": since.unwrap_or_else(|| stamp(now).into()),
                "reason": reason, "message": message,
            });
            match old {
                Some(old) => *old = condition,
                None => conditions.push(condition),
            }
        }
        let conditions = Value::from(conditions);
        let changed = status["conditions"] != conditions;
        crate::object::map_mut(status).insert("conditions".to_owned(), conditions);
        changed
    }
}
