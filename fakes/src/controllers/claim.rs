//! Who controls what: an owner adopts orphans that fit it and lets go of dependents that no longer do.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::cache::{Cache, Change, Name};
use super::object;
use crate::store::Stored;

/// The outcome of claiming.
pub(crate) struct Claims<'a> {
    /// The owner's dependents, the adopted ones included.
    pub(crate) own: Vec<Cow<'a, Value>>,
    /// Dependents that have to be written, because their owner is another one now.
    pub(crate) writes: Vec<Value>,
}

/// Claims the dependents of an owner. Each of `found` is controlled by it or by nobody.
pub(crate) fn claim<'a>(
    owner: &Value,
    found: impl IntoIterator<Item = &'a Value>,
    fits: impl Fn(&Value) -> bool,
) -> Claims<'a> {
    let mut claims = Claims { own: Vec::new(), writes: Vec::new() };
    let alive = !object::is_deleting(owner);
    for dependent in found {
        let controlled = object::controller_uid(dependent).is_some();
        match (controlled, fits(dependent)) {
            (true, true) => claims.own.push(Cow::Borrowed(dependent)),
            (true, false) if alive => claims.writes.push(without_owner(dependent, owner)),
            (false, true) if alive && !object::is_deleting(dependent) => {
                let adopted = with_owner(dependent, owner);
                claims.writes.push(adopted.clone());
                claims.own.push(Cow::Owned(adopted));
            }
            _ => {}
        }
    }
    claims
}

/// The dependent with the owner as its controller.
pub(crate) fn with_owner(dependent: &Value, owner: &Value) -> Value {
    let mut owners = object::owners(dependent).to_vec();
    owners.push(object::controller_reference(owner));
    let mut dependent = dependent.clone();
    dependent["metadata"]["ownerReferences"] = owners.into();
    dependent
}

fn without_owner(dependent: &Value, owner: &Value) -> Value {
    let mut dependent = dependent.clone();
    let others = object::owners(&dependent).iter().filter(|found| found["uid"] != object::uid(owner));
    let others: Value = others.cloned().collect();
    dependent["metadata"]["ownerReferences"] = others;
    dependent
}

/// The owners of a kind that a change of a dependent concerns: those that control it before or after the change, and
/// for an orphan those that may adopt it.
pub(crate) fn concerned(change: &Change, kind: &str, owners: &Cache) -> Vec<Name> {
    let mut names = Vec::new();
    for stored in [&change.old, &change.new].into_iter().flatten() {
        if object::controller_uid(&stored.value).is_some() {
            names.extend(controller(stored, kind, owners).map(|owner| full_name(owner)));
        } else {
            names.extend(selecting(stored, owners));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// The owner of a kind that controls an object.
pub(crate) fn controller<'a>(dependent: &Stored, kind: &str, owners: &'a Cache) -> Option<&'a Arc<Stored>> {
    let reference = object::owners(&dependent.value).iter().find(|owner| owner["controller"] == true)?;
    let name = (dependent.key.namespace.clone(), reference["name"].as_str()?.to_owned());
    let owner = owners.get(&name).filter(|owner| object::uid(&owner.value) == reference["uid"])?;
    (reference["kind"] == kind).then_some(owner)
}

/// Namespace and name of an object.
pub(crate) fn full_name(stored: &Stored) -> Name {
    (stored.key.namespace.clone(), stored.key.name.clone())
}

fn selecting(orphan: &Stored, owners: &Cache) -> Vec<Name> {
    let owners = owners.with_prefix(&orphan.key.namespace, "");
    let selecting = owners.iter().filter(|owner| {
        object::selector(&owner.value["spec"]["selector"]).is_some_and(|selector| selector.matches(&orphan.value))
    });
    selecting.map(|owner| full_name(owner)).collect()
}
