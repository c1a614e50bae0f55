//! Who owns whom, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{FOREGROUND, ORPHAN};
use crate::controllers::object;
use crate::server::Propagation;
use crate::store::{GroupResource, Key, Stored};

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
    /// Owners by uid.
    owners: BTreeMap<String, Owner>,
    deleting: bool,
    foreground: bool,
    orphan: bool,
}

/// An owner as its dependent names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    api_version: String,
    kind: String,
    name: String,
    /// Its foreground deletion waits for the dependent.
    blocked: bool,
}

/// What has become of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Solid,
    /// It goes when its dependents are gone.
    Waiting,
    Lost,
    /// Nobody serves such a kind, or an object of the cluster names an owner that lives in a namespace.
    Unknown,
}

/// The resource of an API version and kind, and whether it is namespaced.
pub(super) type Resolve<'a> = &'a dyn Fn(&str, &str) -> Option<(GroupResource, bool)>;

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
        let owners = owners.filter_map(|owner| Some((owner["uid"].as_str()?.to_owned(), Owner::read(owner))));
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

impl Owner {
    fn read(reference: &Value) -> Self {
        let text = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
        Self {
            api_version: text("apiVersion"),
            kind: text("kind"),
            name: text("name"),
            blocked: reference["blockOwnerDeletion"] == true,
        }
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

    /// What an object needs now: writes on it, or on its dependents, in their order. None while that cannot be told.
    pub(super) fn decide(&self, uid: &str, resolve: Resolve<'_>) -> Option<Vec<(String, Step)>> {
        let Some(node) = self.nodes.get(uid) else { return Some(Vec::new()) };
        if node.deleting && node.orphan {
            let release = Step::RemoveOwners(BTreeSet::from([uid.to_owned()]));
            let mut steps: Vec<_> =
                self.dependents_of(uid).map(|(dependent, _)| (dependent.clone(), release.clone())).collect();
            steps.push((uid.to_owned(), Step::RemoveFinalizer(ORPHAN)));
            return Some(steps);
        }
        let steps = if node.waits_for_dependents() {
            let blocked = self
                .dependents_of(uid)
                .any(|(_, dependent)| dependent.owners.get(uid).is_some_and(|owner| owner.blocked));
            if blocked { Vec::new() } else { vec![Step::RemoveFinalizer(FOREGROUND)] }
        } else if node.deleting || node.owners.is_empty() {
            Vec::new()
        } else {
            self.decide_by_owners(uid, node, resolve)?
        };
        Some(steps.into_iter().map(|step| (uid.to_owned(), step)).collect())
    }

    fn decide_by_owners(&self, uid: &str, node: &Node, resolve: Resolve<'_>) -> Option<Vec<Step>> {
        let (mut solid, mut lost, mut waiting) = (false, BTreeSet::new(), false);
        for (owner_uid, owner) in &node.owners {
            match self.standing(owner_uid, owner, node, resolve) {
                Standing::Unknown => return None,
                Standing::Solid => solid = true,
                found => {
                    waiting |= found == Standing::Waiting;
                    lost.insert(owner_uid.clone());
                }
            }
        }
        if solid {
            return Some(if lost.is_empty() { Vec::new() } else { vec![Step::RemoveOwners(lost)] });
        }
        if waiting && self.dependents_of(uid).next().is_some() {
            // A dependent that waits for its own dependents may wait for this very object.
            let circle = self.dependents_of(uid).any(|(_, dependent)| dependent.waits_for_dependents());
            let unblock = circle.then_some(Step::UnblockOwners);
            return Some(unblock.into_iter().chain([Step::Delete(Propagation::Foreground)]).collect());
        }
        let propagation = match node {
            Node { orphan: true, .. } => Propagation::Orphan,
            Node { foreground: true, .. } => Propagation::Foreground,
            _ => Propagation::Background,
        };
        Some(vec![Step::Delete(propagation)])
    }

    /// An owner is looked for where the reference says it is: one of another kind, name or namespace is none, whatever its
    /// uid.
    fn standing(&self, uid: &str, owner: &Owner, dependent: &Node, resolve: Resolve<'_>) -> Standing {
        let Some((resource, namespaced)) = resolve(&owner.api_version, &owner.kind) else { return Standing::Unknown };
        let namespace = &dependent.key.namespace;
        if namespaced && namespace.is_empty() {
            return Standing::Unknown;
        }
        let key = Key::new(&resource, if namespaced { namespace } else { "" }, &owner.name);
        match self.nodes.get(uid).filter(|found| found.key == key) {
            None => Standing::Lost,
            Some(found) if found.waits_for_dependents() => Standing::Waiting,
            Some(_) => Standing::Solid,
        }
    }

    fn dependents_of(&self, uid: &str) -> impl Iterator<Item = (&String, &Node)> {
        let dependents = self.dependents.get(uid).into_iter().flatten();
        dependents.filter_map(|dependent| self.nodes.get_key_value(dependent))
    }
}

#[cfg(test)]
mod tests;
