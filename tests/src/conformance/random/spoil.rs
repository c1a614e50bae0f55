//! Makes a valid object wrong, in one place.

use serde_json::{Value, json};

use super::dice::Dice;

/// Fields that say what an object is. Their faults have cases of their own.
const IDENTITY: [&str; 4] = ["/apiVersion", "/kind", "/metadata", "/metadata/name"];

/// What is wrong, for the step's words.
type Words = &'static str;

type Fault = fn(&mut Dice, &mut Value) -> Words;

/// The faults, each as often as its number says.
const FAULTS: &[(usize, Fault)] = &[
    (5, mistyped),
    (4, unknown),
    (3, missing),
    (4, odd),
    (2, null),
    (2, odd_name),
    (2, odd_label),
    (1, odd_annotation),
    (1, odd_finalizer),
    (2, odd_owner),
    (1, no_kind),
    (1, other_kind),
    (1, other_version),
    (1, other_namespace),
    (1, with_version),
    (1, with_system_fields),
    (1, with_managed_fields),
    (1, no_object),
];

/// Spoils an object and says how.
pub(super) fn spoil(dice: &mut Dice, object: &mut Value) -> Words {
    dice.weighted(FAULTS)(dice, object)
}

/// Changes a few places of any document, for requests that nobody compares.
pub fn mutate(value: &mut Value, seed: u64) {
    let mut dice = Dice::new(seed, 0);
    for _ in 0..=dice.below(3) {
        let found = pointers(value);
        let pointer = if found.is_empty() { String::new() } else { dice.pick(&found) };
        if dice.chance(1, 4) {
            remove(value, &pointer);
            continue;
        }
        let other =
            if found.is_empty() { Value::Null } else { value.pointer(&dice.pick(&found)).cloned().unwrap_or_default() };
        let Some(place) = value.pointer_mut(&pointer) else { continue };
        *place = match dice.below(4) {
            0 => mistype(&mut dice, place),
            1 => oddity(&mut dice, place),
            2 => other,
            _ => Value::Null,
        };
    }
}

/// Pointers to everything in a value but itself, parents first.
pub(super) fn pointers(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, "", &mut found);
    found
}

fn collect(value: &Value, path: &str, found: &mut Vec<String>) {
    if !path.is_empty() {
        found.push(path.to_owned());
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                collect(value, &format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{path}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// A place in an object other than its identity, if it has one.
fn place(dice: &mut Dice, object: &Value) -> Option<String> {
    let mut found = pointers(object);
    found.retain(|pointer| !IDENTITY.contains(&pointer.as_str()));
    (!found.is_empty()).then(|| dice.pick(&found))
}

fn replace(dice: &mut Dice, object: &mut Value, with: impl FnOnce(&mut Dice, &Value) -> Value) {
    if let Some(found) = place(dice, object).and_then(|pointer| object.pointer_mut(&pointer)) {
        *found = with(dice, found);
    }
}

/// A value of another type.
pub(super) fn mistype(dice: &mut Dice, value: &Value) -> Value {
    let others = [json!("text"), json!(7), json!(true), json!(["item"]), json!({ "field": "x" }), json!(1.5)];
    let differs = |other: &Value| std::mem::discriminant(other) != std::mem::discriminant(value);
    dice.pick(&others.into_iter().filter(differs).collect::<Vec<_>>())
}

/// A value of the same type that is at its edge or beyond.
pub(super) fn oddity(dice: &mut Dice, value: &Value) -> Value {
    let texts = ["", "A_b", "a b", "-a", "a/b", "ü", "0", "true", "a.b.c"].map(str::to_owned);
    match value {
        Value::String(_) if dice.chance(1, 5) => "a".repeat(dice.pick(&[64, 254])).into(),
        Value::String(_) => dice.pick(&texts).into(),
        Value::Number(_) => dice.pick(&[json!(-1), json!(0), json!(65_536), json!(2_147_483_648_u32), json!(i64::MAX)]),
        Value::Array(items) if !items.is_empty() && dice.chance(1, 2) => {
            json!([items, items].into_iter().flatten().collect::<Vec<_>>())
        }
        Value::Array(_) => json!([]),
        Value::Object(_) => json!({}),
        Value::Bool(_) | Value::Null => Value::Null,
    }
}

fn mistyped(dice: &mut Dice, object: &mut Value) -> Words {
    replace(dice, object, mistype);
    "of a wrong type"
}

fn odd(dice: &mut Dice, object: &mut Value) -> Words {
    replace(dice, object, oddity);
    "with an odd value"
}

fn null(dice: &mut Dice, object: &mut Value) -> Words {
    replace(dice, object, |_, _| Value::Null);
    "with a null"
}

fn unknown(dice: &mut Dice, object: &mut Value) -> Words {
    let mut parents: Vec<String> = pointers(object);
    parents.push(String::new());
    parents.retain(|pointer| object.pointer(pointer).is_some_and(Value::is_object));
    let parent = dice.pick(&parents);
    let field = dice.pick(&["odd", "Name", "specs"]);
    if let Some(parent) = object.pointer_mut(&parent) {
        parent[field] = dice.pick(&[json!(1), json!("x"), json!({ "a": 1 })]);
    }
    "with an unknown field"
}

fn missing(dice: &mut Dice, object: &mut Value) -> Words {
    if let Some(pointer) = place(dice, object) {
        remove(object, &pointer);
    }
    "with a field missing"
}

/// Takes out what a pointer points to.
pub(super) fn remove(object: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.shift_remove(&name.replace("~1", "/").replace("~0", "~"));
        }
        Some(Value::Array(items)) => {
            if let Some(index) = name.parse().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

fn odd_name(dice: &mut Dice, object: &mut Value) -> Words {
    let long = "a".repeat(dice.pick(&[64, 254]));
    let names = ["A", "a_b", "-a", "a.", "a..b", "a/b", "0a", "a b", "..", &long];
    object["metadata"]["name"] = dice.pick(&names).into();
    "with an odd name"
}

fn odd_label(dice: &mut Dice, object: &mut Value) -> Words {
    let long = "a".repeat(64);
    let (key, value) = dice.pick(&[
        ("a b", "x"),
        ("", "x"),
        ("/a", "x"),
        ("A.b/c", "x"),
        ("a/b/c", "x"),
        ("app", "a b"),
        ("app", "-a"),
        ("app", &long),
        (&long, "x"),
    ]);
    object["metadata"]["labels"] = json!({ key: value });
    "with an odd label"
}

fn odd_annotation(dice: &mut Dice, object: &mut Value) -> Words {
    let key = dice.pick(&["a b", "", "A.b/C", "a/b/c", "-"]);
    object["metadata"]["annotations"] = json!({ key: "x" });
    "with an odd annotation"
}

fn odd_finalizer(dice: &mut Dice, object: &mut Value) -> Words {
    let finalizers = [json!(["plain"]), json!([""]), json!(["a b/c"]), json!(["orphan", "foregroundDeletion"])];
    object["metadata"]["finalizers"] = dice.pick(&finalizers);
    "with an odd finalizer"
}

fn odd_owner(dice: &mut Dice, object: &mut Value) -> Words {
    let uid = "00000000-0000-0000-0000-000000000000";
    let owner = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": uid, "controller": true });
    let mut other = owner.clone();
    let field = dice.pick(&["apiVersion", "kind", "name", "uid"]);
    other[field] = dice.pick(&["", "a b"]).into();
    let owners = if dice.chance(1, 3) { json!([owner, other]) } else { json!([other]) };
    object["metadata"]["ownerReferences"] = owners;
    "with an odd owner"
}

fn no_kind(dice: &mut Dice, object: &mut Value) -> Words {
    let field = dice.pick(&["/kind", "/apiVersion"]);
    remove(object, field);
    "that does not say what it is"
}

fn other_kind(dice: &mut Dice, object: &mut Value) -> Words {
    object["kind"] = dice.pick(&["Pod", "ConfigMap", "Nothing"]).into();
    "of another kind"
}

fn other_version(dice: &mut Dice, object: &mut Value) -> Words {
    object["apiVersion"] = dice.pick(&["v1", "apps/v1", "apps/v1beta1", "a/b/c", "none.example.com/v1"]).into();
    "of another version"
}

fn other_namespace(dice: &mut Dice, object: &mut Value) -> Words {
    object["metadata"]["namespace"] = dice.pick(&["other", "default", "${ns}"]).into();
    "that names a namespace"
}

fn with_version(dice: &mut Dice, object: &mut Value) -> Words {
    object["metadata"]["resourceVersion"] = dice.pick(&["1", "0", "x", ""]).into();
    "that names a version"
}

fn with_system_fields(dice: &mut Dice, object: &mut Value) -> Words {
    let (field, value) = dice.pick(&[
        ("uid", json!("00000000-0000-0000-0000-000000000000")),
        ("generation", json!(7)),
        ("creationTimestamp", json!("2020-01-01T00:00:00Z")),
        ("creationTimestamp", json!("yesterday")),
        ("deletionTimestamp", json!("2020-01-01T00:00:00Z")),
        ("selfLink", json!("/here")),
        ("generateName", json!("made-")),
    ]);
    object["metadata"][field] = value;
    "that names what the server sets"
}

fn with_managed_fields(dice: &mut Dice, object: &mut Value) -> Words {
    let entry = json!({ "manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": { "f:metadata": {} } });
    let mut broken = entry.clone();
    broken[dice.pick(&["operation", "apiVersion", "fieldsType"])] = "odd".into();
    object["metadata"]["managedFields"] = dice.pick(&[json!([]), json!([entry]), json!([broken]), json!([{}])]);
    "that names managed fields"
}

fn no_object(dice: &mut Dice, object: &mut Value) -> Words {
    *object = dice.pick(&[json!([]), json!("text"), json!(7), json!({}), Value::Null]);
    "that is no object"
}
