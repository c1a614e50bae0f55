//! Questions about a set in its `fieldsV1` form, so that a write parses only the sets it changes.

use serde_json::Value;

use super::FieldSet;

/// Whether the fields and the set have a path in common.
pub(super) fn touches(fields: &Value, set: &FieldSet) -> bool {
    set.each().any(|(element, member, below)| {
        fields.get(element.text()).is_some_and(|child| (member && is_member(child)) || touches(child, below))
    })
}

/// Whether the fields have every path of the set.
pub(super) fn covers(fields: &Value, set: &FieldSet) -> bool {
    set.each().all(|(element, member, below)| {
        fields.get(element.text()).is_some_and(|child| (!member || is_member(child)) && covers(child, below))
    })
}

fn is_member(child: &Value) -> bool {
    child.as_object().is_some_and(|child| child.is_empty() || child.contains_key("."))
}
