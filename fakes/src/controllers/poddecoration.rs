//! KusionStack's PodDecoration: what is added to the pods of CollaSets that its selector selects.
//!
//! Its controller keeps revisions and counts pods. Injecting is the CollaSet controller's, by `Decorations`.
//! There is no finalizer: when a decoration is deleted, pods lose it one CollaSet after the other.

mod inject;
mod status;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(crate) use self::inject::Decorations;
use super::collaset::GROUP;
use super::custom::{Observed, Plan, Workload};
use super::object::{self, int};
use crate::store::GroupResource;

/// What labels with the revision of a decoration begin with; its name follows.
pub const REVISION_LABEL_PREFIX: &str = "poddecoration.kusionstack.io/pd-";

/// Revisions that are kept when the decoration does not say how many.
const HISTORY_LIMIT: i32 = 20;

/// The PodDecoration controller.
pub(crate) struct PodDecoration;

impl Workload for PodDecoration {
    const NAME: &'static str = "poddecoration";

    fn resource() -> GroupResource {
        GroupResource::new(GROUP, "poddecorations")
    }

    fn related() -> Vec<GroupResource> {
        vec![GroupResource::new(GROUP, "collasets")]
    }

    fn sync(seen: &Observed<'_>) -> Plan {
        sync(seen)
    }
}

/// Decides what a PodDecoration needs next.
pub fn sync(seen: &Observed<'_>) -> Plan {
    let (history, mut actions) = seen.history();
    let pods = matched(seen.object, &seen.pods);
    let limit = int(&seen.object["spec"]["historyLimit"]).filter(|limit| *limit > 0).unwrap_or(HISTORY_LIMIT);
    let name = object::name(seen.object);
    let in_use = |revision: &str| pods.iter().any(|pod| revision_on(pod, name) == Some(revision));
    actions.extend(seen.surplus(&history, limit, in_use));
    Plan { actions, status: status::status(seen, &history, &pods), requeue_after: None }
}

/// The pods that a decoration is for, those on their way out included.
fn matched<'a>(decoration: &Value, pods: &[&'a Value]) -> Vec<&'a Value> {
    let selector = object::selector(&decoration["spec"]["selector"]);
    let selects = |pod: &Value| selector.as_ref().is_none_or(|selector| selector.matches(pod));
    pods.iter().copied().filter(|pod| collaset_of(pod).is_some() && selects(pod)).collect()
}

/// The name of the CollaSet that controls a pod.
fn collaset_of(pod: &Value) -> Option<&str> {
    let controller = object::owners(pod).iter().find(|owner| owner["controller"] == true)?;
    controller["name"].as_str().filter(|_| controller["kind"] == "CollaSet")
}

/// The revision of a decoration that a pod has.
fn revision_on<'a>(pod: &'a Value, decoration: &str) -> Option<&'a str> {
    object::label(pod, &format!("{REVISION_LABEL_PREFIX}{decoration}"))
}
