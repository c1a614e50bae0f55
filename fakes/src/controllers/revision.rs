//! ControllerRevisions: how a controller remembers the templates it has seen, and how it names them.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::object;
use crate::schema::go;

/// The label that names a pod's revision.
pub const REVISION_LABEL: &str = "controller-revision-hash";

/// The label that carries a revision's hash.
pub const HASH_LABEL: &str = "controller.kubernetes.io/hash";

/// The longest owner name that leaves room for a hash in an object name.
const MAX_PREFIX: usize = 223;

/// Letters of Kubernetes' safe encoding: no vowels, so that no hash spells a word.
const SAFE_LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Which revisions a set stands between, and what has to be written first so that they exist.
#[derive(Debug, Clone, PartialEq)]
pub struct History<'a> {
    /// The revision `status.currentRevision` names; the update revision when it names none.
    pub current: Cow<'a, Value>,
    /// The revision of the set's own template.
    pub update: Cow<'a, Value>,
    /// How often a new revision's name was taken by another template.
    pub collision_count: i32,
    /// What the update revision needs.
    pub change: Change,
}

/// What has to be done so that the update revision is the newest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is the newest already.
    None,
    /// It has to be created.
    Create,
    /// It exists with an older number: the template went back to it.
    Renumber,
}

impl<'a> History<'a> {
    /// Finds the current and the update revision of a set among its revisions. `foreign` are revisions that take names
    /// in the namespace without being the set's.
    pub fn resolve(set: &Value, revisions: &[&'a Value], foreign: &[&'a Value]) -> Self {
        let mut revisions = revisions.to_vec();
        revisions.sort_by_key(|revision| order(revision));
        let mut collision_count = collisions(set);
        let data = patch(&set["spec"]["template"]);
        let next = revisions.last().map_or(1, |newest| number(newest) + 1);

        let equal = revisions.iter().rposition(|revision| same_data(&revision["data"], &data));
        let (update, change) = match equal {
            Some(index) if index + 1 == revisions.len() => (Cow::Borrowed(revisions[index]), Change::None),
            Some(index) => (Cow::Owned(renumbered(revisions[index], next)), Change::Renumber),
            None => {
                let taken: Vec<&'a Value> = revisions.iter().chain(foreign).copied().collect();
                create(set, &data, next, &taken, &mut collision_count)
            }
        };
        let named = set["status"]["currentRevision"].as_str();
        let current = revisions.iter().find(|revision| named == Some(object::name(revision)));
        let current = current.map_or_else(|| update.clone(), |&current| Cow::Borrowed(current));
        Self { current, update, collision_count, change }
    }
}

/// The names of revisions beyond the limit, oldest first. Those that are in use do not count; without a limit all stay.
pub(crate) fn surplus(
    history: &History<'_>,
    revisions: &[&Value],
    in_use: impl Fn(&str) -> bool,
    limit: Option<usize>,
) -> Vec<String> {
    let Some(limit) = limit else { return Vec::new() };
    let stands = |name: &str| name == object::name(&history.current) || name == object::name(&history.update);
    let old = revisions.iter().filter(|revision| !stands(object::name(revision)) && !in_use(object::name(revision)));
    let mut old: Vec<&Value> = old.copied().collect();
    old.sort_by_key(|revision| order(revision));
    let surplus = old.len().saturating_sub(limit);
    old[..surplus].iter().map(|revision| object::name(revision).to_owned()).collect()
}

/// The template a revision restores.
pub fn template(revision: &Value) -> Value {
    let mut template = revision["data"]["spec"]["template"].clone();
    if let Some(fields) = template.as_object_mut() {
        fields.remove("$patch");
    }
    template
}

/// A revision's number.
pub fn number(revision: &Value) -> i64 {
    revision["revision"].as_i64().unwrap_or_default()
}

/// What revisions are sorted by: number, then age, then name.
pub fn order(revision: &Value) -> (i64, &str, &str) {
    let created = revision["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
    (number(revision), created, object::name(revision))
}

/// The name of an owner's revision with this hash.
pub fn revision_name(owner: &str, hash: &str) -> String {
    let end = (0..=owner.len().min(MAX_PREFIX)).rev().find(|&end| owner.is_char_boundary(end)).unwrap_or(0);
    format!("{}-{hash}", &owner[..end])
}

/// The data of a revision: a patch that puts the template back.
pub fn patch(template: &Value) -> Value {
    let mut template = normalised(template);
    if let Some(fields) = template.as_object_mut() {
        fields.insert("$patch".into(), "replace".into());
        if let Some(spec) = fields.get_mut("spec") {
            spell_out_resources(spec);
        }
    }
    json!({"spec": {"template": template}})
}

/// The hash of a revision's data: FNV-1, 32 bits, over the JSON as Go writes it and the collision count, safely encoded.
pub fn hash(data: &Value, collision_count: i32) -> String {
    let bytes = go::json_text(data) + &collision_count.to_string();
    let sum = bytes.bytes().fold(2_166_136_261_u32, |sum, byte| sum.wrapping_mul(16_777_619) ^ u32::from(byte));
    safely_encoded(sum)
}

/// A hash's digits, each as a letter of the safe encoding.
pub(crate) fn safely_encoded(sum: u32) -> String {
    sum.to_string().bytes().map(|byte| char::from(SAFE_LETTERS[usize::from(byte) % SAFE_LETTERS.len()])).collect()
}

/// A new revision for the data. A name that another template holds counts as a collision and gives the next name.
fn create<'a>(
    set: &Value,
    data: &Value,
    number: i64,
    taken: &[&'a Value],
    collisions: &mut i32,
) -> (Cow<'a, Value>, Change) {
    // The label keeps the hash of the first attempt, as the real controller has it.
    let label = hash(data, *collisions);
    loop {
        let name = revision_name(object::name(set), &hash(data, *collisions));
        let Some(holder) = taken.iter().find(|holder| object::name(holder) == name) else {
            return (Cow::Owned(new_revision(set, data, number, &name, &label)), Change::Create);
        };
        if same_data(&holder["data"], data) {
            return (Cow::Borrowed(*holder), Change::None);
        }
        *collisions += 1;
    }
}

fn new_revision(set: &Value, data: &Value, number: i64, name: &str, hash: &str) -> Value {
    let mut labels = set["spec"]["template"]["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert(HASH_LABEL.into(), hash.into());
    let mut metadata = Map::new();
    metadata.insert("name".into(), name.into());
    metadata.insert("namespace".into(), object::namespace(set).into());
    metadata.insert("labels".into(), labels.into());
    if let Some(annotations) = set["metadata"]["annotations"].as_object().filter(|map| !map.is_empty()) {
        metadata.insert("annotations".into(), annotations.clone().into());
    }
    let owner = object::controller_reference(set);
    metadata.insert("ownerReferences".into(), json!([owner]));
    json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": data,
        "revision": number,
    })
}

fn renumbered(revision: &Value, number: i64) -> Value {
    let mut revision = revision.clone();
    revision["revision"] = number.into();
    revision
}

fn collisions(set: &Value) -> i32 {
    set["status"]["collisionCount"].as_i64().and_then(|count| i32::try_from(count).ok()).unwrap_or_default()
}

fn same_data(stored: &Value, data: &Value) -> bool {
    stored == data || patch(&stored["spec"]["template"]) == *data
}

/// The value without nulls: a typed encoder never writes them.
fn normalised(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), normalised(value))).collect())
        }
        Value::Array(items) => items.iter().map(normalised).collect(),
        other => other.clone(),
    }
}

/// A container's `resources` is a struct in Go, which its encoder writes even when nothing is in it.
fn spell_out_resources(spec: &mut Value) {
    for list in ["containers", "initContainers"] {
        let Some(containers) = spec.get_mut(list).and_then(Value::as_array_mut) else { continue };
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            container.entry("resources").or_insert_with(|| json!({}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaulted(image: &str) -> Value {
        json!({
            "metadata": {"annotations": {"test": "value"}, "labels": {"app": "foo"}, "creationTimestamp": null},
            "spec": {
                "containers": [{
                    "name": "test", "image": image, "imagePullPolicy": "Always",
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                }],
                "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
                "securityContext": {}, "terminationGracePeriodSeconds": 30,
            },
        })
    }

    fn set(image: &str) -> Value {
        json!({
            "metadata": {"name": "test", "namespace": "default", "uid": "u", "annotations": {"note": "kept"}},
            "spec": {"template": defaulted(image)},
            "status": {},
        })
    }

    /// Names that controllers of Kubernetes 1.34 and 1.36 gave.
    #[test]
    fn hashes_equal_recorded_ones() {
        let plain = |app: &str, image: &str, pull: &str| {
            let mut template = defaulted(image);
            template["metadata"] = json!({"labels": {"app": app}});
            template["spec"]["containers"][0]["name"] = "main".into();
            template["spec"]["containers"][0]["imagePullPolicy"] = pull.into();
            template
        };
        for (name, template) in [
            ("test-776999688b", defaulted("test")),
            ("web-5f5678cd86", plain("web", "app:1", "IfNotPresent")),
            ("small-67985b5d9d", plain("small", "app", "Always")),
        ] {
            let (owner, _) = name.split_once('-').unwrap();
            assert_eq!(revision_name(owner, &hash(&patch(&template), 0)), name);
        }
    }

    #[test]
    fn a_long_owner_name_is_cut() {
        assert_eq!(revision_name(&"a".repeat(300), "h"), format!("{}-h", "a".repeat(223)));
    }

    #[test]
    fn the_first_template_becomes_revision_one() {
        let history = History::resolve(&set("v1"), &[], &[]);
        assert_eq!((history.change, number(&history.update)), (Change::Create, 1));
        assert_eq!(history.current, history.update);
        assert_eq!(history.update["metadata"]["annotations"], json!({"note": "kept"}));
        assert_eq!(template(&history.update)["spec"]["containers"][0]["resources"], json!({}));
    }

    #[test]
    fn an_old_template_takes_its_revision_back() {
        let first = History::resolve(&set("v1"), &[], &[]).update.into_owned();
        let second = History::resolve(&set("v2"), &[&first], &[]).update.into_owned();
        assert_eq!(number(&second), 2);

        let mut back = set("v1");
        back["status"]["currentRevision"] = second["metadata"]["name"].clone();
        let history = History::resolve(&back, &[&second, &first], &[]);
        assert_eq!((history.change, number(&history.update)), (Change::Renumber, 3));
        assert_eq!(object::name(&history.update), object::name(&first));
        assert_eq!(*history.current, second);
    }

    #[test]
    fn a_taken_name_is_a_collision() {
        let wanted = History::resolve(&set("v1"), &[], &[]).update.into_owned();
        let mut thief = wanted.clone();
        assert_eq!(History::resolve(&set("v1"), &[], &[&thief]).change, Change::None, "the same data is used as it is");

        thief["data"] = json!({"spec": {"template": {"$patch": "replace"}}});
        let history = History::resolve(&set("v1"), &[], &[&thief]);
        assert_eq!((history.change, history.collision_count), (Change::Create, 1));
        assert_ne!(object::name(&history.update), object::name(&wanted));
        assert_eq!(history.update["metadata"]["labels"][HASH_LABEL], wanted["metadata"]["labels"][HASH_LABEL]);
    }
}
