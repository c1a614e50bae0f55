//! An object as a row: what most cells are made of.

use std::fmt::Display;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{object, server::table::age};

pub(super) const NONE: &str = "<none>";
pub(super) const UNSET: &str = "<unset>";

/// An object, now. Its fields are named by JSON pointers.
pub(super) struct Row<'a> {
    pub(super) object: &'a Value,
    pub(super) now: Timestamp,
}

impl<'a> Row<'a> {
    /// The value of a field; null when there is none.
    pub(super) fn at(&self, pointer: &str) -> &'a Value {
        self.object.pointer(pointer).unwrap_or(&Value::Null)
    }

    pub(super) fn has(&self, pointer: &str) -> bool {
        !self.at(pointer).is_null()
    }

    pub(super) fn text(&self, pointer: &str) -> &'a str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    /// The text of a field, or what stands for none.
    pub(super) fn text_or(&self, pointer: &str, none: &str) -> Value {
        or(self.text(pointer), none)
    }

    pub(super) fn int(&self, pointer: &str) -> i64 {
        self.at(pointer).as_i64().unwrap_or_default()
    }

    pub(super) fn flag(&self, pointer: &str) -> bool {
        self.at(pointer).as_bool().unwrap_or_default()
    }

    pub(super) fn list(&self, pointer: &str) -> &'a [Value] {
        self.at(pointer).as_array().map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn map(&self, pointer: &str) -> Option<&'a Map<String, Value>> {
        self.at(pointer).as_object()
    }

    /// How many items a list or fields a map has.
    pub(super) fn count(&self, pointer: &str) -> usize {
        self.list(pointer).len() + self.map(pointer).map_or(0, Map::len)
    }

    /// Since when the object is.
    pub(super) fn age(&self) -> Value {
        self.ago("/metadata/creationTimestamp")
    }

    pub(super) fn ago(&self, pointer: &str) -> Value {
        age::ago(self.text(pointer), self.now)
    }

    /// One field of each item of a list.
    pub(super) fn each(&self, pointer: &str, field: &str) -> Vec<&'a str> {
        self.list(pointer).iter().map(|item| object::text(item, &[field])).collect()
    }

    /// `a=b,c=d`.
    pub(super) fn labels(&self, pointer: &str) -> Value {
        let labels = self.map(pointer).into_iter().flatten();
        let mut pairs: Vec<String> =
            labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        pairs.sort();
        or(&pairs.join(","), NONE)
    }

    /// A selector as a request could carry it.
    pub(super) fn selector(&self, pointer: &str) -> String {
        let labels = self.map(&format!("{pointer}/matchLabels")).into_iter().flatten();
        let labels = labels.map(|(key, value)| (key.as_str(), format!("{key}={}", value.as_str().unwrap_or_default())));
        let expressions = self.list(&format!("{pointer}/matchExpressions")).iter().map(expression);
        let mut all: Vec<(&str, String)> = labels.chain(expressions).collect();
        all.sort();
        all.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
    }

    /// Whether the object has a condition that holds.
    pub(super) fn holds(&self, kind: &str) -> bool {
        self.list("/status/conditions").iter().any(|it| it["type"] == kind && it["status"] == "True")
    }

    pub(super) fn is_deleting(&self) -> bool {
        object::is_deleting(self.object)
    }
}

/// What one expression of a selector asks for, with its key.
fn expression(expression: &Value) -> (&str, String) {
    let key = object::text(expression, &["key"]);
    let mut values = object::strings(expression.get("values"));
    values.sort_unstable();
    let values = values.join(",");
    let text = match object::text(expression, &["operator"]) {
        "In" => format!("{key} in ({values})"),
        "NotIn" => format!("{key} notin ({values})"),
        "DoesNotExist" => format!("!{key}"),
        _ => key.to_owned(),
    };
    (key, text)
}

pub(super) fn or(text: &str, none: &str) -> Value {
    if text.is_empty() { none.into() } else { text.into() }
}

/// The first few of some, and how many more there are.
pub(super) fn first_few<T: Display>(all: &[T], most: usize, separator: &str) -> String {
    let shown: Vec<String> = all.iter().take(most).map(T::to_string).collect();
    let shown = shown.join(separator);
    if all.len() > most { format!("{shown} + {} more...", all.len() - most) } else { shown }
}
