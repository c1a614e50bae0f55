//! Sets of fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::PathElement;

/// A set of fields of an object, as a tree of their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    nodes: BTreeMap<PathElement, Node>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    /// Whether the path that ends here is in the set.
    member: bool,
    below: FieldSet,
}

impl FieldSet {
    /// Reads `fieldsV1`; what is no path element is left out.
    pub fn parse(fields: &Value) -> Self {
        let mut set = Self::default();
        for (key, child) in fields.as_object().into_iter().flatten() {
            let Some(element) = PathElement::parse(key) else { continue };
            let below = Self::parse(child);
            let member = child.get(".").is_some() || below.nodes.is_empty();
            set.nodes.insert(element, Node { member, below });
        }
        set
    }

    /// Writes `fieldsV1`.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::with_capacity(self.nodes.len());
        self.write(&mut fields);
        Value::Object(fields)
    }

    fn write(&self, fields: &mut Map<String, Value>) {
        for (element, node) in &self.nodes {
            let has_itself = node.member && !node.below.is_empty();
            let mut child = Map::with_capacity(node.below.nodes.len() + usize::from(has_itself));
            if has_itself {
                child.insert(".".to_owned(), json!({}));
            }
            node.below.write(&mut child);
            fields.insert(element.text(), Value::Object(child));
        }
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether the path is in the set.
    pub fn has(&self, path: &[PathElement]) -> bool {
        match path {
            [] => false,
            [last] => self.nodes.get(last).is_some_and(|node| node.member),
            [first, rest @ ..] => self.nodes.get(first).is_some_and(|node| node.below.has(rest)),
        }
    }

    /// Adds a path.
    pub fn insert(&mut self, path: &[PathElement]) {
        if let [first, rest @ ..] = path {
            let node = self.nodes.entry(first.clone()).or_default();
            if rest.is_empty() {
                node.member = true;
            }
            node.below.insert(rest);
        }
    }

    /// What is in either set.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        for (element, node) in other.nodes {
            let own = self.nodes.entry(element).or_default();
            own.member |= node.member;
            own.below = std::mem::take(&mut own.below).union(node.below);
        }
        self
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Self::default();
        for (element, node) in &self.nodes {
            if let Some(other) = other.nodes.get(element) {
                both.put(element.clone(), node.member && other.member, node.below.intersection(&other.below));
            }
        }
        both
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn difference(mut self, other: &Self) -> Self {
        self.retain_in(other, |node, other| {
            node.member &= !other.member;
            node.below = std::mem::take(&mut node.below).difference(&other.below);
        });
        self
    }

    /// What is in this set and neither in the other nor below one of its members.
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        self.retain_in(other, |node, other| {
            if other.member {
                *node = Node::default();
            } else {
                node.below = std::mem::take(&mut node.below).without(&other.below);
            }
        });
        self
    }

    /// Changes what the other set has too, and leaves out what is nothing then.
    fn retain_in(&mut self, other: &Self, change: impl Fn(&mut Node, &Node)) {
        for (element, other) in &other.nodes {
            if let Some(node) = self.nodes.get_mut(element) {
                change(node, other);
                if !node.member && node.below.is_empty() {
                    self.nodes.remove(element);
                }
            }
        }
    }

    /// Whether the other set has all of this one.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.nodes.iter().all(|(element, node)| {
            let other = other.nodes.get(element);
            let has = !node.member || other.is_some_and(|other| other.member);
            has && (node.below.is_empty() || other.is_some_and(|other| node.below.is_subset(&other.below)))
        })
    }

    /// Every path, those of one level before those below it.
    pub fn paths(&self) -> Vec<Vec<PathElement>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, prefix: &mut Vec<PathElement>, paths: &mut Vec<Vec<PathElement>>) {
        let members = self.nodes.iter().filter(|(_, node)| node.member);
        paths.extend(members.map(|(element, _)| prefix.iter().chain([element]).cloned().collect()));
        for (element, node) in &self.nodes {
            prefix.push(element.clone());
            node.below.collect(prefix, paths);
            prefix.pop();
        }
    }
}

/// What the walks of this module build sets with.
impl FieldSet {
    pub(super) fn put(&mut self, element: PathElement, member: bool, below: Self) {
        if member || !below.is_empty() {
            self.nodes.insert(element, Node { member, below });
        }
    }

    pub(super) fn is_member(&self, element: &PathElement) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    pub(super) fn below(&self, element: &PathElement) -> Option<&Self> {
        self.nodes.get(element).map(|node| &node.below).filter(|below| !below.is_empty())
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (&PathElement, bool, &Self)> {
        self.nodes.iter().map(|(element, node)| (element, node.member, &node.below))
    }
}
