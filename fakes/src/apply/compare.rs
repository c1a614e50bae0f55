//! What a write changes, as sets of fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    FieldSet, PathElement, Types,
    types::{Items, NEVER_OWNED_METADATA, Type},
};
use crate::object;

/// What a write changes.
#[derive(Debug, Default)]
pub(super) struct Delta {
    /// The fields that are new or have another value.
    pub(super) changed: FieldSet,
    /// The fields that are gone.
    pub(super) removed: FieldSet,
}

impl Delta {
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }

    /// Leaves out the fields of a set and all below them.
    pub(super) fn without(self, set: &FieldSet) -> Self {
        if set.is_empty() {
            return self;
        }
        Self { changed: self.changed.without(set), removed: self.removed.without(set) }
    }
}

/// Compares an object before and after a write. Fields that nobody ever owns are not looked at.
pub(super) fn compare(old: Option<&Value>, new: Option<&Value>, types: &Types<'_>) -> Delta {
    let root = types.root();
    let mut delta = Delta::default();
    let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
    for name in names(old, new) {
        if name == "apiVersion" || name == "kind" {
            continue;
        }
        let child = root.field(name).0;
        // A new built-in object is compared with the empty one of its type, not with nothing.
        let is_there = root.always().contains(&name);
        let (old, new) = (side(old, name, is_there), side(new, name, is_there));
        if name == "metadata" {
            let change = walk_map(old, new, child, &NEVER_OWNED_METADATA);
            delta.put(name, Change { member: Member::No, ..change });
        } else {
            delta.put(name, walk(old, new, child));
        }
    }
    delta
}

impl Delta {
    fn put(&mut self, name: &str, change: Change) {
        self.put_element(|| PathElement::Field(name.to_owned()), change);
    }

    fn put_element(&mut self, element: impl Fn() -> PathElement, change: Change) {
        let Change { member, delta } = change;
        if member == Member::Changed || !delta.changed.is_empty() {
            self.changed.put(element(), member == Member::Changed, delta.changed);
        }
        if member == Member::Removed || !delta.removed.is_empty() {
            self.removed.put(element(), member == Member::Removed, delta.removed);
        }
    }
}

/// What changed at one value and below it.
#[derive(Default)]
struct Change {
    member: Member,
    delta: Delta,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Member {
    #[default]
    No,
    Changed,
    Removed,
}

/// One side of a comparison; null stands for an empty object or list.
#[derive(Clone, Copy)]
enum Side<'a> {
    Missing,
    /// Not written down, but there: the zero value of a field that is never left out.
    Empty,
    There(&'a Value),
}

impl<'a> Side<'a> {
    fn of(value: Option<&'a Value>) -> Self {
        value.map_or(Self::Missing, Self::There)
    }

    fn is_missing(self) -> bool {
        matches!(self, Self::Missing)
    }

    fn map(self) -> Option<&'a Map<String, Value>> {
        match self {
            Self::There(value) => value.as_object(),
            _ => None,
        }
    }

    fn list(self) -> Option<&'a [Value]> {
        match self {
            Self::There(value) => value.as_array().map(Vec::as_slice),
            _ => None,
        }
    }

    fn is_scalar(self) -> bool {
        matches!(self, Self::There(Value::Bool(_) | Value::Number(_) | Value::String(_)))
    }

    fn same(self, other: Self) -> bool {
        match (self, other) {
            (Self::There(left), Self::There(right)) => object::equal(left, right),
            (Self::Missing, Self::Missing) | (Self::Empty, Self::Empty) => true,
            (Self::There(value), Self::Empty) | (Self::Empty, Self::There(value)) => is_zero(value),
            _ => false,
        }
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(flag) => !flag,
    }
}

fn side<'a>(map: Option<&'a Map<String, Value>>, name: &str, is_there: bool) -> Side<'a> {
    match map.and_then(|map| map.get(name)) {
        Some(value) => Side::There(value),
        None if is_there => Side::Empty,
        None => Side::Missing,
    }
}

fn walk(old: Side<'_>, new: Side<'_>, ty: Type<'_>) -> Change {
    // Most of an object stays as it is, and equality is cheaper than a walk.
    if old.same(new) {
        return Change::default();
    }
    let container = |side: Side<'_>| side.map().is_some() || side.list().is_some();
    match (old.is_scalar(), new.is_scalar()) {
        (true, false) if container(new) => {
            let came = walk(Side::Missing, new, ty).delta;
            return Change { member: Member::Changed, delta: came };
        }
        (false, true) if container(old) => {
            let gone = walk(old, Side::Missing, ty).delta;
            return Change { member: Member::Changed, delta: gone };
        }
        (false, false) => {}
        _ => return leaf(old, new),
    }
    match (old.map().is_some() || new.map().is_some(), old.list().is_some() || new.list().is_some()) {
        (true, false) if !ty.is_atomic_map() => walk_map(old, new, ty, &[]),
        (false, true) if !matches!(ty.items(), Items::Atomic) => walk_list(old, new, ty),
        _ => leaf(old, new),
    }
}

fn leaf(old: Side<'_>, new: Side<'_>) -> Change {
    let member = match (old.is_missing(), new.is_missing()) {
        (false, true) => Member::Removed,
        _ if old.same(new) => Member::No,
        _ => Member::Changed,
    };
    Change { member, delta: Delta::default() }
}

fn walk_map(old: Side<'_>, new: Side<'_>, ty: Type<'_>, skipped: &[&str]) -> Change {
    let (old_map, new_map) = (old.map(), new.map());
    if old_map.is_none_or(Map::is_empty) && new_map.is_none_or(Map::is_empty) {
        return leaf(old, new);
    }
    let mut delta = Delta::default();
    for name in names(old_map, new_map) {
        if skipped.contains(&name) {
            continue;
        }
        let is_struct = ty.always().contains(&name);
        let old_field = side(old_map, name, is_struct && !old.is_missing());
        let new_field = side(new_map, name, is_struct && !new.is_missing());
        delta.put(name, walk(old_field, new_field, ty.field(name).0));
    }
    branch(old, new, delta)
}

/// A container that came or went is itself part of the change.
fn branch(old: Side<'_>, new: Side<'_>, delta: Delta) -> Change {
    let member = match (old.is_missing(), new.is_missing()) {
        (true, _) => Member::Changed,
        (_, true) => Member::Removed,
        _ => Member::No,
    };
    Change { member, delta }
}

fn names<'a>(
    old: Option<&'a Map<String, Value>>,
    new: Option<&'a Map<String, Value>>,
) -> impl Iterator<Item = &'a str> {
    let only_old = old.into_iter().flat_map(Map::keys).filter(move |name| {
        let name: &str = name;
        new.is_none_or(|new| !new.contains_key(name))
    });
    new.into_iter().flat_map(Map::keys).chain(only_old).map(String::as_str)
}

fn walk_list(old: Side<'_>, new: Side<'_>, ty: Type<'_>) -> Change {
    let (old_list, new_list) = (old.list().unwrap_or_default(), new.list().unwrap_or_default());
    if old_list.is_empty() && new_list.is_empty() {
        return leaf(old, new);
    }
    let mut delta = Delta::default();
    let items = ty.items();
    let mut pairs: BTreeMap<PathElement, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
    for item in old_list {
        if let Some(element) = items.element(item) {
            pairs.entry(element).or_default().0.push(item);
        }
    }
    for item in new_list {
        if let Some(element) = items.element(item) {
            pairs.entry(element).or_default().1.push(item);
        }
    }
    for (element, (olds, news)) in pairs {
        let change = walk_items(&olds, &news, ty.item());
        delta.put_element(|| element.clone(), change);
    }
    branch(old, new, delta)
}

/// Items that share a key are owned together, as one value.
fn walk_items(olds: &[&Value], news: &[&Value], ty: Type<'_>) -> Change {
    match (olds.len(), news.len()) {
        (0 | 1, 0 | 1) => walk(Side::of(olds.first().copied()), Side::of(news.first().copied()), ty),
        (2.., 2..) if olds == news => Change::default(),
        (_, 2..) => {
            let gone = walk(Side::of(olds.first().copied()), Side::Missing, ty).delta;
            Change { member: Member::Changed, delta: if olds.len() == 1 { gone } else { Delta::default() } }
        }
        (2.., 1) => {
            let came = walk(Side::Missing, Side::of(news.first().copied()), ty).delta;
            Change { member: Member::Changed, delta: came }
        }
        (_, _) => Change { member: Member::Removed, delta: Delta::default() },
    }
}
