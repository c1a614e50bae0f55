//! The identities of a CollaSet's pods, as its ResourceContext keeps them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::controllers::custom::{Action, Observed, count};
use crate::controllers::object;

const OWNER: &str = "Owner";
const REVISION: &str = "Revision";
const DECORATIONS: &str = "PodDecorationRevisions";

/// The revision of each PodDecoration, by its name.
type Decorations = BTreeMap<String, String>;

/// The identities of one set.
#[derive(Debug)]
pub(super) struct Contexts<'a> {
    set: &'a Value,
    /// The ResourceContext, when there is one.
    stored: Option<&'a Value>,
    own: BTreeMap<i64, Context>,
    /// Identities of other sets that share it.
    others: Vec<Value>,
}

/// What a pod that comes back gets.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Context {
    revision: String,
    /// None until its first pod was made.
    decorations: Option<Decorations>,
}

impl<'a> Contexts<'a> {
    /// The set's identities in the ResourceContext of its name.
    pub(super) fn read(seen: &Observed<'a>) -> Self {
        let name = object::name(seen.object);
        let is_own = |found: &&&Value| found["kind"] == "ResourceContext" && object::name(found) == name;
        let stored = seen.related.iter().find(is_own).copied();
        let all = stored.map_or(&[][..], |stored| object::list(&stored["spec"]["contexts"]));
        let (own, others): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|context| context["data"][OWNER] == name);
        let contexts = own.into_iter().filter_map(|context| Some((context["id"].as_i64()?, Context::read(context))));
        Self { set: seen.object, stored, own: contexts.collect(), others: others.into_iter().cloned().collect() }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        self.own.keys().copied()
    }

    pub(super) fn revision(&self, id: i64) -> Option<&str> {
        self.own.get(&id).map(|context| context.revision.as_str())
    }

    pub(super) fn decorations(&self, id: i64) -> Option<Decorations> {
        self.own.get(&id)?.decorations.clone()
    }

    /// True when a pod may come back with this revision.
    pub(super) fn remembers(&self, revision: &str) -> bool {
        self.own.values().any(|context| context.revision == revision)
    }

    /// From now on a pod of this identity comes back like this; without decorations, with those it would have had.
    pub(super) fn remember(&mut self, id: i64, revision: &str, decorations: Option<Decorations>) {
        let before = self.decorations(id);
        let decorations = decorations.or(before);
        self.own.insert(id, Context { revision: revision.to_owned(), decorations });
    }

    /// Adds identities until there are so many. `revision` says which revision one more gets when so many have `update`;
    /// it is asked for the highest numbers first.
    pub(super) fn allocate<'r>(&mut self, wanted: usize, update: &str, revision: impl Fn(i32) -> &'r str) {
        let taken = |contexts: &BTreeMap<i64, Context>, id: i64| {
            contexts.contains_key(&id) || self.others.iter().any(|other| other["id"] == id)
        };
        let free = (0..).filter(|id| !taken(&self.own, *id));
        let new: Vec<i64> = free.take(wanted.saturating_sub(self.own.len())).collect();
        for id in new.into_iter().rev() {
            let updated = count(self.own.values().filter(|context| context.revision == update));
            let revision = revision(updated).to_owned();
            self.own.insert(id, Context { revision, decorations: None });
        }
    }

    pub(super) fn release(&mut self, id: i64) {
        self.own.remove(&id);
    }

    /// Lets identities without a pod go until there are no more than wanted, the highest numbers first.
    pub(super) fn release_unused(&mut self, wanted: usize, has_pod: impl Fn(i64) -> bool) {
        let surplus = self.own.len().saturating_sub(wanted);
        let unused: Vec<i64> = self.own.keys().rev().copied().filter(|id| !has_pod(*id)).take(surplus).collect();
        for id in unused {
            self.own.remove(&id);
        }
    }

    /// The write that keeps them, when they are not as they were.
    pub(super) fn written(&self) -> Option<Action> {
        let name = object::name(self.set);
        let own = self.own.iter().map(|(id, context)| context.to_value(*id, name));
        let mut all: Vec<Value> = own.chain(self.others.iter().cloned()).collect();
        all.sort_by_key(|context| context["id"].as_i64());
        let Some(stored) = self.stored else {
            let metadata = json!({
                "name": name,
                "namespace": object::namespace(self.set),
                "ownerReferences": [object::controller_reference(self.set)],
            });
            let created = json!({
                "apiVersion": self.set["apiVersion"],
                "kind": "ResourceContext",
                "metadata": metadata,
                "spec": {"contexts": all},
            });
            return (!self.own.is_empty()).then_some(Action::Create(created));
        };
        if object::list(&stored["spec"]["contexts"]) == all {
            return None;
        }
        let mut stored = stored.clone();
        stored["spec"]["contexts"] = all.into();
        Some(Action::Update(stored))
    }
}

impl Context {
    fn read(context: &Value) -> Self {
        let data = &context["data"];
        let decorations = data[DECORATIONS].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let pair = |info: &Value| Some((info["name"].as_str()?.to_owned(), info["revision"].as_str()?.to_owned()));
        Self {
            revision: data[REVISION].as_str().unwrap_or_default().to_owned(),
            decorations: decorations.map(|infos| object::list(&infos).iter().filter_map(pair).collect()),
        }
    }

    fn to_value(&self, id: i64, owner: &str) -> Value {
        let mut data = Map::new();
        data.insert(OWNER.into(), owner.into());
        data.insert(REVISION.into(), self.revision.as_str().into());
        if let Some(decorations) = &self.decorations {
            let infos = decorations.iter().map(|(name, revision)| json!({"name": name, "revision": revision}));
            data.insert(DECORATIONS.into(), infos.collect::<Value>().to_string().into());
        }
        json!({"id": id, "data": data})
    }
}
