//! The entries of `managedFields`.

use serde_json::{Map, Value, json};

use super::{Conflict, FieldSet, Write, compare::Delta, jsonform};
use crate::schema::go;

/// How many managers of updates are kept apart; the oldest beyond it are merged.
const MAX_UPDATE_MANAGERS: usize = 10;

/// The entries of an object's `managedFields`.
#[derive(Debug, Default)]
pub(super) struct Entries {
    entries: Vec<Entry>,
    /// Whether anything differs from what was read.
    dirty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

#[derive(Debug)]
struct Entry {
    manager: String,
    operation: Operation,
    api_version: String,
    subresource: String,
    time: Option<String>,
    /// `fieldsV1`, parsed only when it changes.
    fields: Value,
}

impl Entries {
    /// Reads `managedFields`; none if they are missing or malformed.
    pub(super) fn from_json(json: Option<Value>) -> Option<Self> {
        let Value::Array(list) = json? else { return None };
        let mut entries: Vec<Entry> = Vec::with_capacity(list.len());
        for entry in list {
            let entry = Entry::from_json(entry)?;
            // Of two entries of one manager the second counts.
            entries.retain(|other| !other.is_like(&entry));
            entries.push(entry);
        }
        Some(Self { entries, dirty: false })
    }

    /// Keeps who updated one field apart from what else is theirs, in entries of no time. Appliers stay as they are.
    pub(super) fn set_apart(&mut self, field: &FieldSet) {
        let mut apart = Vec::new();
        self.entries.retain_mut(|entry| {
            if entry.operation == Operation::Apply || !jsonform::touches(&entry.fields, field) {
                return true;
            }
            apart.push(Entry {
                manager: entry.manager.clone(),
                operation: entry.operation,
                api_version: entry.api_version.clone(),
                subresource: entry.subresource.clone(),
                time: None,
                fields: field.to_json(),
            });
            let left = entry.set().difference(field);
            entry.fields = left.to_json();
            !left.is_empty()
        });
        self.dirty |= !apart.is_empty();
        self.entries.append(&mut apart);
    }

    /// Writes `managedFields`; none if nobody owns anything.
    pub(super) fn into_json(mut self) -> Option<Value> {
        if self.entries.is_empty() {
            return None;
        }
        if self.dirty {
            self.entries.sort_by(|left, right| left.order().cmp(&right.order()));
        }
        Some(self.entries.into_iter().map(Entry::into_json).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives the writer of an update what it changed.
    pub(super) fn record(&mut self, delta: &Delta, write: &Write<'_>) {
        let mine = &delta.changed;
        self.lose(delta, (!mine.is_empty()).then_some((write, Operation::Update)));
        if !mine.is_empty() {
            let place = self.place_of(write, Operation::Update);
            let entry = &mut self.entries[place];
            if jsonform::touches(&entry.fields, &delta.removed) || !jsonform::covers(&entry.fields, mine) {
                entry.fields = entry.set().difference(&delta.removed).union(mine.clone()).to_json();
            }
            entry.touch(write);
            self.dirty = true;
            self.cap();
        }
    }

    /// Takes what a write changed or removed from every manager but the writer.
    pub(super) fn lose(&mut self, delta: &Delta, writer: Option<(&Write<'_>, Operation)>) {
        let mut dirty = false;
        self.entries.retain_mut(|entry| {
            let is_writer = writer.is_some_and(|(write, operation)| entry.is_of(write, operation));
            let is_hit =
                jsonform::touches(&entry.fields, &delta.changed) || jsonform::touches(&entry.fields, &delta.removed);
            if is_writer || !is_hit {
                return true;
            }
            dirty = true;
            let left = entry.set().difference(&delta.changed).difference(&delta.removed);
            entry.fields = left.to_json();
            !left.is_empty()
        });
        self.dirty |= dirty;
    }

    /// The fields of the writer's entry.
    pub(super) fn fields_of(&self, write: &Write<'_>, operation: Operation) -> Option<FieldSet> {
        self.entries.iter().find(|entry| entry.is_of(write, operation)).map(Entry::set)
    }

    /// The fields of all entries but the writer's.
    pub(super) fn all_but(&self, write: &Write<'_>, operation: Operation) -> FieldSet {
        let others = self.entries.iter().filter(|entry| !entry.is_of(write, operation));
        others.fold(FieldSet::default(), |all, entry| all.union(entry.set()))
    }

    /// The fields among the changed ones that others than the applier own.
    pub(super) fn conflicts(&self, changed: &FieldSet, write: &Write<'_>) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        let mut others: Vec<&Entry> =
            self.entries.iter().filter(|entry| !entry.is_of(write, Operation::Apply)).collect();
        others.sort_by_key(|entry| (&entry.manager, entry.operation));
        for entry in others.into_iter().filter(|entry| jsonform::touches(&entry.fields, changed)) {
            let paths = entry.set().intersection(changed).paths();
            conflicts.extend(paths.into_iter().map(|path| Conflict { manager: entry.shown(), path }));
        }
        conflicts
    }

    /// Sets what the applier owns; its time moves only if the object changed.
    pub(super) fn set_applied(&mut self, set: &FieldSet, write: &Write<'_>, changed: bool) {
        self.dirty = true;
        let place = self.place_of(write, Operation::Apply);
        if set.is_empty() {
            self.entries.remove(place);
            return;
        }
        let entry = &mut self.entries[place];
        write.api_version.clone_into(&mut entry.api_version);
        entry.fields = set.to_json();
        if changed {
            entry.touch(write);
        }
    }

    fn place_of(&mut self, write: &Write<'_>, operation: Operation) -> usize {
        if let Some(place) = self.entries.iter().position(|entry| entry.is_of(write, operation)) {
            return place;
        }
        self.entries.push(Entry {
            manager: manager_of(write).to_owned(),
            operation,
            api_version: write.api_version.to_owned(),
            subresource: write.subresource.to_owned(),
            time: None,
            fields: json!({}),
        });
        self.entries.len() - 1
    }

    /// Merges the oldest entries of updates into one per version, until few enough are left.
    fn cap(&mut self) {
        let mut updates: Vec<usize> =
            (0..self.entries.len()).filter(|&i| self.entries[i].operation == Operation::Update).collect();
        let mut left = updates.len();
        if left <= MAX_UPDATE_MANAGERS {
            return;
        }
        updates.sort_by(|&left, &right| self.entries[left].order().cmp(&self.entries[right].order()));
        let mut firsts: Vec<usize> = Vec::new();
        let mut gone = Vec::new();
        for i in updates {
            if left <= MAX_UPDATE_MANAGERS {
                break;
            }
            let version = &self.entries[i].api_version;
            let Some(&first) = firsts.iter().find(|&&first| self.entries[first].api_version == *version) else {
                firsts.push(i);
                continue;
            };
            let union = self.entries[first].set().union(self.entries[i].set()).to_json();
            let time = self.entries[i].time.clone();
            let bucket = &mut self.entries[first];
            "ancient-changes".clone_into(&mut bucket.manager);
            bucket.subresource.clear();
            bucket.fields = union;
            bucket.time = time;
            gone.push(i);
            left -= 1;
        }
        let mut i = 0;
        self.entries.retain(|_| {
            i += 1;
            !gone.contains(&(i - 1))
        });
    }
}

fn manager_of<'a>(write: &Write<'a>) -> &'a str {
    if write.manager.is_empty() { "unknown" } else { write.manager }
}

impl Entry {
    fn from_json(json: Value) -> Option<Self> {
        let Value::Object(mut map) = json else { return None };
        let mut text = |key: &str| match map.get_mut(key).map(Value::take) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let operation = match text("operation")?.as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        if text("fieldsType")? != "FieldsV1" {
            return None;
        }
        Some(Self {
            manager: text("manager").unwrap_or_default(),
            operation,
            api_version: text("apiVersion").filter(|version| !version.is_empty())?,
            subresource: text("subresource").unwrap_or_default(),
            time: text("time"),
            fields: map.get_mut("fieldsV1").map_or_else(|| json!({}), Value::take),
        })
    }

    fn into_json(self) -> Value {
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
        put("manager", Value::from(self.manager));
        put("operation", Value::from(self.operation.name()));
        put("apiVersion", Value::from(self.api_version));
        if let Some(time) = self.time {
            put("time", Value::from(time));
        }
        put("fieldsType", Value::from("FieldsV1"));
        put("fieldsV1", self.fields);
        if !self.subresource.is_empty() {
            put("subresource", Value::from(self.subresource));
        }
        Value::Object(map)
    }

    /// Moves the time to the write's; writes through `scale` leave none.
    fn touch(&mut self, write: &Write<'_>) {
        if write.subresource != "scale" {
            self.time = Some(write.now.to_owned());
        }
    }

    fn set(&self) -> FieldSet {
        FieldSet::parse(&self.fields)
    }

    /// Whether both are of one manager in the same way.
    fn is_like(&self, other: &Self) -> bool {
        (&self.manager, self.operation, &self.api_version, &self.subresource)
            == (&other.manager, other.operation, &other.api_version, &other.subresource)
    }

    /// Appliers are the same across versions, updaters are not.
    fn is_of(&self, write: &Write<'_>, operation: Operation) -> bool {
        self.operation == operation
            && self.manager == manager_of(write)
            && self.subresource == write.subresource
            && (operation == Operation::Apply || self.api_version == write.api_version)
    }

    fn order(&self) -> (Operation, &str, &str, &str, &str) {
        let time = self.time.as_deref().unwrap_or_default();
        (self.operation, time, &self.manager, &self.api_version, &self.subresource)
    }

    /// As the message of a conflict names it.
    fn shown(&self) -> String {
        let mut shown = go::quote(&self.manager);
        if !self.subresource.is_empty() {
            shown = format!("{shown} with subresource {}", go::quote(&self.subresource));
        }
        if self.operation == Operation::Update {
            shown = format!("{shown} using {}", self.api_version);
        }
        shown
    }
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}
