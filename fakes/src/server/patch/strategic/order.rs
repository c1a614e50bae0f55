//! The order of joined lists: that of the patch for its items, that of the server for the others.

use serde_json::Value;

use super::{DIRECTIVE, Result, failure, no_merge_key};
use crate::status::Status;

/// Whether the items are objects. All have to be of one type, and none may be a list.
pub(super) fn are_maps(left: &[Value], right: &[Value]) -> Result<bool> {
    let mut first: Option<&Value> = None;
    for item in left.iter().chain(right) {
        match first {
            None if item.is_array() => return Err(Status::unprocessable()),
            None => first = Some(item),
            Some(first) if std::mem::discriminant(first) != std::mem::discriminant(item) => {
                return Err(failure("list element types are not identical"));
            }
            Some(_) => {}
        }
    }
    Ok(first.is_some_and(Value::is_object))
}

/// The order that is wanted has all items of the patch, in the order of the patch.
pub(super) fn check(patch: &[Value], wanted: &[Value], key: Option<&str>) -> Result<()> {
    if patch.is_empty() || wanted.is_empty() {
        return Ok(());
    }
    let mut left = patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).peekable();
    for wanted in wanted {
        let Some(item) = left.peek() else { return Ok(()) };
        if identity(item, key)? == identity(wanted, key)? {
            left.next();
        }
    }
    if left.peek().is_none() {
        return Ok(());
    }
    let shown = |list: &[Value]| crate::apply::shown(&Value::Array(list.to_vec()));
    Err(failure(format!(
        "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
        shown(patch),
        shown(wanted)
    )))
}

/// Orders a joined list. Items of the patch follow its order, others keep theirs, and an item of the patch comes before
/// what it is not ordered against.
pub(super) fn normalise(list: Vec<Value>, wanted: &[Value], before: &[Value], key: Option<&str>) -> Result<Vec<Value>> {
    for item in list.iter().chain(wanted) {
        identity(item, key)?;
    }
    let (mut patched, mut kept): (Vec<Value>, Vec<Value>) =
        list.into_iter().partition(|item| place(wanted, item, key).is_some());
    patched.sort_by_key(|item| place(wanted, item, key));
    kept.sort_by_key(|item| place(before, item, key));
    let mut ordered = Vec::with_capacity(patched.len() + kept.len());
    let (mut patched, mut kept) = (patched.into_iter().peekable(), kept.into_iter().peekable());
    while let (Some(left), Some(right)) = (kept.peek(), patched.peek()) {
        let keeps = match (place(before, left, key), place(before, right, key)) {
            (Some(left), Some(right)) => left < right,
            _ => false,
        };
        ordered.extend(if keeps { kept.next() } else { patched.next() });
    }
    ordered.extend(kept);
    ordered.extend(patched);
    Ok(ordered)
}

fn place(list: &[Value], item: &Value, key: Option<&str>) -> Option<usize> {
    let same = |known: &Value| match key {
        Some(key) => known.get(key) == item.get(key),
        None => known == item,
    };
    list.iter().position(same)
}

fn identity<'a>(item: &'a Value, key: Option<&str>) -> Result<&'a Value> {
    let Some(key) = key else { return Ok(item) };
    let Value::Object(map) = item else {
        return Err(failure("expected a map[string]interface {}, but received a string"));
    };
    map.get(key).ok_or_else(|| no_merge_key(map, key))
}
