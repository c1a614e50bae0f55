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
        let fields = self.nodes.iter().map(|(element, node)| {
            let mut child = Map::new();
            if node.member && !node.below.is_empty() {
                child.insert(".".to_owned(), json!({}));
            }
            if let Value::Object(below) = node.below.to_json() {
                child.extend(below);
            }
            (element.text(), Value::Object(child))
        });
        Value::Object(fields.collect())
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
    pub fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        for (element, node) in &other.nodes {
            let own = union.nodes.entry(element.clone()).or_default();
            own.member |= node.member;
            own.below = own.below.union(&node.below);
        }
        union
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |node, other| {
            Some(Node {
                member: node.member && other.is_some_and(|other| other.member),
                below: other.map(|other| node.below.intersection(&other.below)).unwrap_or_default(),
            })
        })
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, |node, other| match other {
            None => Some(node.clone()),
            Some(other) => {
                Some(Node { member: node.member && !other.member, below: node.below.difference(&other.below) })
            }
        })
    }

    /// What is in this set and neither in the other nor below one of its members.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.combine(other, |node, other| match other {
            Some(other) if other.member => None,
            Some(other) => Some(Node { member: node.member, below: node.below.without(&other.below) }),
            None => Some(node.clone()),
        })
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

    fn combine(&self, other: &Self, combined: impl Fn(&Node, Option<&Node>) -> Option<Node>) -> Self {
        let nodes = self.nodes.iter().filter_map(|(element, node)| {
            let node = combined(node, other.nodes.get(element))?;
            (node.member || !node.below.is_empty()).then(|| (element.clone(), node))
        });
        Self { nodes: nodes.collect() }
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
