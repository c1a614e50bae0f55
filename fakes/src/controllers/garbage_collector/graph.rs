//! Who owns whom, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use super::{FOREGROUND, ORPHAN};
use crate::controllers::object;
use crate::server::Propagation;
use crate::store::{Key, Stored};

/// Every object by its uid, and the dependents of every owner, also of owners that are not there.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: BTreeMap<String, Node>,
    dependents: BTreeMap<String, BTreeSet<String>>,
}

/// What matters of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    key: Key,
    /// Owners by uid; true for those whose foreground deletion waits for this object.
    owners: BTreeMap<String, bool>,
    deleting: bool,
    foreground: bool,
    orphan: bool,
}

/// A write on one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Delete(Propagation),
    RemoveOwners(BTreeSet<String>),
    UnblockOwners,
    RemoveFinalizer(&'static str),
}

/// True when a change can matter: events own nothing, and most writes touch neither owners nor deletion.
pub(super) fn concerns(old: Option<&Stored>, new: Option<&Stored>) -> bool {
    let Some(stored) = new.or(old) else { return false };
    let (Some(old), Some(new)) = (old, new) else { return &*stored.key.resource.plural != "events" };
    let fields = ["ownerReferences", "deletionTimestamp", "finalizers"];
    fields.into_iter().any(|field| old.value["metadata"][field] != new.value["metadata"][field])
}

impl Node {
    fn read(stored: &Stored) -> Self {
        let owners = object::owners(&stored.value).iter();
        let owners =
            owners.filter_map(|owner| Some((owner["uid"].as_str()?.to_owned(), owner["blockOwnerDeletion"] == true)));
        Self {
            key: stored.key.clone(),
            owners: owners.collect(),
            deleting: object::is_deleting(&stored.value),
            foreground: object::has_finalizer(&stored.value, FOREGROUND),
            orphan: object::has_finalizer(&stored.value, ORPHAN),
        }
    }

    /// True when the object goes as soon as its dependents are gone.
    fn waits_for_dependents(&self) -> bool {
        self.deleting && self.foreground
    }
}

impl Graph {
    /// Takes in a change and tells which objects have to be looked at.
    pub(super) fn observe(&mut self, old: Option<&Stored>, new: Option<&Stored>) -> BTreeSet<String> {
        let Some(stored) = new.or(old) else { return BTreeSet::new() };
        let uid = object::uid(&stored.value).to_owned();
        if uid.is_empty() || !concerns(None, Some(stored)) {
            return BTreeSet::new();
        }
        let before = self.nodes.remove(&uid);
        let after = new.map(Node::read);
        for owner in before.iter().flat_map(|node| node.owners.keys()) {
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(&uid);
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
        for owner in after.iter().flat_map(|node| node.owners.keys()) {
            self.dependents.entry(owner.clone()).or_default().insert(uid.clone());
        }

        let mut affected = BTreeSet::new();
        if before != after {
            affected.extend([&before, &after].into_iter().flatten().flat_map(|node| node.owners.keys().cloned()));
            affected.extend(self.dependents.get(&uid).into_iter().flatten().cloned());
            affected.insert(uid.clone());
        }
        if let Some(node) = after {
            self.nodes.insert(uid, node);
        }
        affected.retain(|uid| self.nodes.get(uid).is_some_and(|node| node.deleting || !node.owners.is_empty()));
        affected
    }

    pub(super) fn key(&self, uid: &str) -> Option<&Key> {
        self.nodes.get(uid).map(|node| &node.key)
    }

    /// What an object needs now: writes on it, or on its dependents, in their order.
    pub(super) fn decide(&self, uid: &str) -> Vec<(String, Step)> {
        let Some(node) = self.nodes.get(uid) else { return Vec::new() };
        if node.deleting && node.orphan {
            let release = Step::RemoveOwners(BTreeSet::from([uid.to_owned()]));
            let mut steps: Vec<_> =
                self.dependents_of(uid).map(|(dependent, _)| (dependent.clone(), release.clone())).collect();
            steps.push((uid.to_owned(), Step::RemoveFinalizer(ORPHAN)));
            return steps;
        }
        let steps = if node.waits_for_dependents() {
            let blocked = self.dependents_of(uid).any(|(_, dependent)| dependent.owners.get(uid) == Some(&true));
            if blocked { Vec::new() } else { vec![Step::RemoveFinalizer(FOREGROUND)] }
        } else if node.deleting || node.owners.is_empty() {
            Vec::new()
        } else {
            self.decide_by_owners(uid, node)
        };
        steps.into_iter().map(|step| (uid.to_owned(), step)).collect()
    }

    fn decide_by_owners(&self, uid: &str, node: &Node) -> Vec<Step> {
        let (mut solid, mut lost, mut waiting) = (false, BTreeSet::new(), false);
        for owner in node.owners.keys() {
            match self.nodes.get(owner).filter(|owner| may_own(owner, node)) {
                None => drop(lost.insert(owner.clone())),
                Some(found) if found.waits_for_dependents() => {
                    waiting = true;
                    lost.insert(owner.clone());
                }
                Some(_) => solid = true,
            }
        }
        if solid {
            return if lost.is_empty() { Vec::new() } else { vec![Step::RemoveOwners(lost)] };
        }
        if waiting && self.dependents_of(uid).next().is_some() {
            // A dependent that waits for its own dependents may wait for this very object.
            let circle = self.dependents_of(uid).any(|(_, dependent)| dependent.waits_for_dependents());
            let unblock = circle.then_some(Step::UnblockOwners);
            return unblock.into_iter().chain([Step::Delete(Propagation::Foreground)]).collect();
        }
        let propagation = match node {
            Node { orphan: true, .. } => Propagation::Orphan,
            Node { foreground: true, .. } => Propagation::Foreground,
            _ => Propagation::Background,
        };
        vec![Step::Delete(propagation)]
    }

    fn dependents_of(&self, uid: &str) -> impl Iterator<Item = (&String, &Node)> {
        let dependents = self.dependents.get(uid).into_iter().flatten();
        dependents.filter_map(|dependent| self.nodes.get_key_value(dependent))
    }
}

/// An owner in another namespace is as good as absent. An object without namespace whose owner has one is left alone.
fn may_own(owner: &Node, dependent: &Node) -> bool {
    owner.key.namespace.is_empty()
        || dependent.key.namespace.is_empty()
        || owner.key.namespace == dependent.key.namespace
}

#[cfg(test)]
mod tests;
