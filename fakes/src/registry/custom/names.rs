//! Which names of a definition are accepted, and when it is established.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    object::{self, at, strings, text},
    schema::go,
};

/// Writes into the status of a definition which of its names are accepted beside the others of its group, and whether
/// it is established.
pub(crate) fn establish(definition: &mut Value, others: &[&Value], now: &str) {
    let spec = at(definition, &["spec", "names"]).cloned().unwrap_or_default();
    let accepted = at(definition, &["status", "acceptedNames"]).cloned().unwrap_or_default();
    let taken = Taken::by(others);
    let mut names = accepted.clone();
    let mut conflict = None;
    for (field, used, reason) in
        [("plural", &taken.resources, "PluralConflict"), ("singular", &taken.resources, "SingularConflict")]
    {
        one(field, used, reason, &spec, &mut names, &mut conflict);
    }
    short_names(&taken.resources, &spec, &accepted, &mut names, &mut conflict);
    for (field, used, reason) in
        [("kind", &taken.kinds, "KindConflict"), ("listKind", &taken.kinds, "ListKindConflict")]
    {
        one(field, used, reason, &spec, &mut names, &mut conflict);
    }
    put(&mut names, "categories", spec.get("categories"));
    let (names_condition, established) = match conflict {
        None => (
            ("NamesAccepted", "True", "NoConflicts", "no conflicts found".to_owned()),
            ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted".to_owned()),
        ),
        Some((reason, message)) => (
            ("NamesAccepted", "False", reason, message),
            ("Established", "False", "NotAccepted", "not all names are accepted".to_owned()),
        ),
    };
    let was_established = super::is_established(definition);
    let status = object::field_mut(definition, "status");
    status.insert("acceptedNames".to_owned(), names);
    set_condition(status, names_condition, now);
    // A definition that was established once stays so.
    if !was_established {
        set_condition(status, established, now);
    }
}

/// Says in the status that a definition is going.
pub(crate) fn terminate(definition: &mut Value, now: &str) {
    let status = object::field_mut(definition, "status");
    let message = "CustomResource deletion is in progress".to_owned();
    set_condition(status, ("Terminating", "True", "InstanceDeletionInProgress", message), now);
}

/// The names that other definitions of the group have.
struct Taken {
    resources: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Taken {
    fn by(others: &[&Value]) -> Self {
        let names = || others.iter().filter_map(|other| at(other, &["status", "acceptedNames"]));
        let own = |fields: [&'static str; 2]| {
            names().flat_map(move |names| fields.map(|field| text(names, &[field]).to_owned()))
        };
        let short = names().flat_map(|names| strings(names.get("shortNames"))).map(str::to_owned);
        Self {
            resources: own(["plural", "singular"]).chain(short).collect(),
            kinds: own(["kind", "listKind"]).collect(),
        }
    }
}

fn put(names: &mut Value, field: &str, value: Option<&Value>) {
    let names = object::map_mut(names);
    match value {
        Some(value) => names.insert(field.to_owned(), value.clone()),
        None => names.shift_remove(field),
    };
}

fn one(
    field: &str,
    used: &BTreeSet<String>,
    reason: &'static str,
    spec: &Value,
    names: &mut Value,
    conflict: &mut Option<(&'static str, String)>,
) {
    let wanted = text(spec, &[field]);
    if wanted != text(names, &[field]) && used.contains(wanted) {
        *conflict = Some((reason, in_use(wanted)));
    } else {
        put(names, field, spec.get(field));
    }
}

fn short_names(
    used: &BTreeSet<String>,
    spec: &Value,
    accepted: &Value,
    names: &mut Value,
    conflict: &mut Option<(&'static str, String)>,
) {
    let own = strings(accepted.get("shortNames"));
    let wanted = strings(spec.get("shortNames"));
    let lost: Vec<String> =
        wanted.into_iter().filter(|name| !own.contains(name) && used.contains(*name)).map(in_use).collect();
    match lost.as_slice() {
        [] => put(names, "shortNames", spec.get("shortNames")),
        [one] => *conflict = Some(("ShortNamesConflict", one.clone())),
        many => *conflict = Some(("ShortNamesConflict", format!("[{}]", many.join(", ")))),
    }
}

fn in_use(name: &str) -> String {
    format!("{} is already in use", go::quote(name))
}

fn set_condition(
    status: &mut serde_json::Map<String, Value>,
    (kind, state, reason, message): (&str, &str, &str, String),
    now: &str,
) {
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(conditions) = conditions.as_array_mut() else { return };
    let known = conditions.iter().position(|condition| condition.get("type") == Some(&json!(kind)));
    let since = known.and_then(|i| conditions.get(i)).filter(|known| known.get("status") == Some(&json!(state)));
    let since = since.and_then(|known| known.get("lastTransitionTime")).cloned().unwrap_or_else(|| json!(now));
    let condition = json!({
        "type": kind, "status": state, "lastTransitionTime": since, "reason": reason, "message": message,
    });
    match known.and_then(|i| conditions.get_mut(i)) {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}
