use serde_json::{Value, json};

use super::*;
use crate::store::{GroupResource, Store};
use crate::{Clock, controllers::object};

/// An object: uid, its owners (`!` blocks them), and marks: `d`eleting, `f`oreground, `o`rphan.
type Row = (&'static str, &'static str, &'static str);

fn value((uid, owners, marks): Row) -> Value {
    let owner = |owner: &str| {
        let uid = owner.trim_end_matches('!');
        let kind = uid.split_once('-').map_or("Thing", |(kind, _)| kind);
        let kind = if uid.starts_with('_') { "ClusterThing" } else { kind };
        json!({
            "apiVersion": "v1", "kind": kind, "name": uid, "uid": uid, "blockOwnerDeletion": owner.ends_with('!'),
        })
    };
    let mut metadata =
        json!({"name": uid, "uid": uid, "ownerReferences": owners.split_whitespace().map(owner).collect::<Value>()});
    let finalizers = [("f", FOREGROUND), ("o", ORPHAN)].into_iter().filter(|(mark, _)| marks.contains(mark));
    metadata["finalizers"] = finalizers.map(|(_, finalizer)| finalizer).collect();
    if marks.contains('d') {
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    }
    json!({ "metadata": metadata })
}

/// A uid that starts with a capital letter lives in another namespace, one with an underscore in none.
fn key(uid: &str) -> Key {
    let namespace = match uid.chars().next() {
        Some('_') => "",
        Some(first) if first.is_uppercase() => "other",
        _ => "shop",
    };
    Key::new(&GroupResource::new("", "things"), namespace, uid)
}

fn graph(rows: &[Row]) -> (Store, Graph) {
    let store = Store::new(1, Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1));
    let mut graph = Graph::default();
    for row in rows {
        let stored = store.insert(key(row.0), value(*row)).unwrap();
        graph.observe(None, Some(&stored));
    }
    (store, graph)
}

fn resolve(api_version: &str, kind: &str) -> Option<(GroupResource, bool)> {
    assert_eq!(api_version, "v1");
    match kind {
        "Thing" => Some((GroupResource::new("", "things"), true)),
        "ClusterThing" => Some((GroupResource::new("", "things"), false)),
        "Other" => Some((GroupResource::new("", "others"), true)),
        _ => None,
    }
}

fn describe(steps: &[(String, Step)]) -> String {
    let step = |(uid, step): &(String, Step)| match step {
        Step::Delete(propagation) => format!("{uid}: delete {propagation:?}"),
        Step::RemoveOwners(owners) => {
            format!("{uid}: without {}", owners.iter().cloned().collect::<Vec<_>>().join(" "))
        }
        Step::UnblockOwners => format!("{uid}: unblock"),
        Step::RemoveFinalizer(finalizer) => format!("{uid}: without {finalizer}"),
    };
    steps.iter().map(step).collect::<Vec<_>>().join(", ")
}

#[tokio::test(start_paused = true)]
async fn what_an_object_needs_follows_from_its_owners() {
    let table: &[(&str, &[Row], &str)] = &[
        ("its owner lives", &[("set", "", ""), ("pod", "set!", "")], ""),
        ("it has no owner", &[("pod", "", "")], ""),
        ("its owner never was or is gone", &[("pod", "set!", "")], "pod: delete Background"),
        ("its owner is being deleted in the background", &[("set", "", "d"), ("pod", "set!", "")], ""),
        ("one of two owners is gone", &[("set", "", ""), ("pod", "set! lost", "")], "pod: without lost"),
        ("all owners are gone", &[("pod", "lost other", "")], "pod: delete Background"),
        ("it goes already", &[("pod", "lost", "d")], ""),
        ("its finalizer says how", &[("pod", "lost", "f")], "pod: delete Foreground"),
        ("its finalizer says how, too", &[("pod", "lost", "o")], "pod: delete Orphan"),
        ("its owner waits for it", &[("set", "", "df"), ("pod", "set!", "")], "pod: delete Background"),
        ("one owner waits, one stays", &[("set", "", "df"), ("b", "", ""), ("pod", "set! b", "")], "pod: without set"),
        (
            "its owner waits, and it has a dependent",
            &[("set", "", "df"), ("pod", "set!", ""), ("claim", "pod!", "")],
            "pod: delete Foreground",
        ),
        (
            "its owner waits, and its dependent waits too",
            &[("set", "", "df"), ("pod", "set!", ""), ("claim", "pod!", "df")],
            "pod: unblock, pod: delete Foreground",
        ),
        ("it waits for a dependent", &[("pod", "", "df"), ("claim", "pod!", "")], ""),
        ("its dependent does not block", &[("pod", "", "df"), ("claim", "pod", "")], "pod: without foregroundDeletion"),
        ("it has nothing to wait for", &[("pod", "", "df")], "pod: without foregroundDeletion"),
        (
            "it lets its dependents go",
            &[("pod", "", "do"), ("b", "pod!", ""), ("a", "pod", "")],
            "a: without pod, b: without pod, pod: without orphan",
        ),
        ("its owner lives elsewhere", &[("Set", "", ""), ("pod", "Set", "")], "pod: delete Background"),
        ("its owner has no namespace", &[("_node", "", ""), ("pod", "_node", "")], ""),
        ("its owner is of another kind", &[("Other-a", "", ""), ("pod", "Other-a", "")], "pod: delete Background"),
        ("nobody knows what its owner is", &[("Nothing-a", "", ""), ("pod", "Nothing-a", "")], "?"),
    ];
    for (case, rows, expected) in table {
        let (_, graph) = graph(rows);
        let decided = graph.decide("pod", &resolve).map_or("?".to_owned(), |steps| describe(&steps));
        assert_eq!(decided, *expected, "{case}");
    }
    let (_, graph) = graph(&[("owner", "", ""), ("_node", "owner", "")]);
    assert_eq!(graph.decide("_node", &resolve), None, "an object of the cluster has no owner in a namespace");
}

#[tokio::test(start_paused = true)]
async fn a_change_concerns_owners_and_dependents() {
    let rows = [("set", "", ""), ("pod", "set!", ""), ("claim", "pod!", ""), ("lone", "", "")];
    let (store, mut graph) = graph(&rows);
    let mut write = |row: Option<Row>, uid: &str| {
        let old = store.get(&key(uid));
        let new = row.map(|row| store.put(key(uid), value(row), None).unwrap());
        if new.is_none() {
            store.remove(&key(uid), None).unwrap();
        }
        assert!(concerns(old.as_deref(), new.as_deref()) || row == Some(("pod", "set!", "")));
        let affected = graph.observe(old.as_deref(), new.as_deref());
        affected.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(write(Some(("pod", "set!", "")), "pod"), "", "nothing that matters changed");
    assert_eq!(write(Some(("set", "", "df")), "set"), "pod set", "its owner starts to wait");
    assert_eq!(write(Some(("pod", "set!", "d")), "pod"), "claim pod set");
    assert_eq!(write(None, "pod"), "claim set", "the waiting owner is looked at again");
    assert_eq!(write(None, "lone"), "");
    assert_eq!(object::name(&store.get(&key("claim")).unwrap().value), "claim");
}
