//! Uniqueness in lists of type `set` and `map`.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Cause, ListType, Schema};

impl Schema {
    /// One cause per repeated item, at the path where it repeats.
    pub(super) fn duplicates(&self, object: &Value) -> Vec<Cause> {
        let mut causes = Vec::new();
        self.find_duplicates(object, &mut String::new(), &mut causes);
        causes
    }

    fn find_duplicates(&self, value: &Value, at: &mut String, causes: &mut Vec<Cause>) {
        if !self.inside.keyed_lists {
            return;
        }
        let before = at.len();
        match value {
            Value::Array(list) => {
                self.list_duplicates(list, at, causes);
                let Some(items) = self.items() else { return };
                for (i, item) in list.iter().enumerate() {
                    let _ = write!(at, "[{i}]");
                    items.find_duplicates(item, at, causes);
                    at.truncate(before);
                }
            }
            Value::Object(map) => {
                for (name, child) in map {
                    if let Some(schema) = self.properties.get(name) {
                        let dot = if before == 0 { "" } else { "." };
                        let _ = write!(at, "{dot}{name}");
                        schema.find_duplicates(child, at, causes);
                    } else if let Some(schema) = self.additional_schema() {
                        let _ = write!(at, "[{name}]");
                        schema.find_duplicates(child, at, causes);
                    }
                    at.truncate(before);
                }
            }
            _ => {}
        }
    }

    fn list_duplicates(&self, list: &[Value], at: &str, causes: &mut Vec<Cause>) {
        match &self.list {
            ListType::Atomic => {}
            ListType::Set => report(list, at, causes),
            ListType::Map(keys) => {
                let odd = list.iter().position(|item| !item.is_object() && !item.is_null());
                if let Some(i) = odd {
                    let detail = "must be an object for an array of list-type map";
                    causes.push(Cause::invalid(&format!("{at}[{i}]"), &list[i], detail));
                    return;
                }
                let identities: Vec<Value> = list.iter().map(|item| identity(item, keys)).collect();
                report(&identities, at, causes);
            }
        }
    }
}

/// The keys of an item of a map list, as an object.
pub(super) fn identity(item: &Value, keys: &[String]) -> Value {
    let mut fields = Map::new();
    for key in keys {
        if let Some(value) = item.get(key) {
            fields.insert(key.clone(), value.clone());
        }
    }
    json!(fields)
}

fn report(values: &[Value], at: &str, causes: &mut Vec<Cause>) {
    for (i, value) in values.iter().enumerate() {
        // A value is reported at its second appearance, and only there.
        if values[..i].iter().filter(|earlier| *earlier == value).count() == 1 {
            causes.push(Cause::duplicate(&format!("{at}[{i}]"), value));
        }
    }
}
