//! How objects moved while something rolled: the part of a watch's events that a controller answers for.
//!
//! The events of two runs differ even on one API server. How often a status is written, and which of two pods comes first
//! that nothing orders, are matters of luck; a comparison of all events would fail every other time, and one of sorted
//! events would miss a controller that takes its steps in a wrong order. What a controller promises is less, and the
//! same each time. So events are reduced twice:
//!
//! 1. to milestones. An object is created, becomes ready, is told to go and is gone; what lies between is noise.
//! 2. to the order that is promised, which the script names:
//!    - `all`: one order of all milestones, where a controller takes a step only after the one before showed its effect,
//!      as a StatefulSet under OrderedReady does, or the update of any StatefulSet;
//!    - `group`: an order within each group of objects of one name, and none between groups. A Deployment with a surge
//!      of one creates its next new pod after the last one is ready, while which of a new and an old pod moves first is
//!      a race between two ReplicaSets;
//!    - `object`: only each object's own order, counted. All that is promised where several objects move at once.
//!
//! Across what is not ordered there are bounds that hold at every moment: the most objects, the fewest ready ones. They
//! are compared as kept or broken, because how near a run comes to them is luck again. Where a bound holds matters, too:
//! a Deployment keeps its surge in what its ReplicaSets are asked for, not in pods, which come and go a little later and
//! in any order. `weight` counts each ReplicaSet as what it is asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::run::get;

/// What a script wants to know of a watch's events.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Moves {
    /// The path of what objects are called by. Objects of one name are a group.
    pub called: String,
    /// The order that is promised.
    pub order: Order,
    /// The objects that were there when the watch began.
    #[serde(default)]
    pub before: Value,
    /// Paths whose every new value is a milestone, too.
    #[serde(default)]
    pub changes: Vec<String>,
    /// Milestones that somebody else answers for, as the end of a pod that was told to go.
    #[serde(default)]
    pub without: Vec<String>,
    /// A path with the number that an object counts for, instead of one.
    pub weight: Option<String>,
    /// No more objects than these at once, those that were told to go apart.
    pub most: Option<u64>,
    /// No fewer ready objects than these at once.
    pub fewest_ready: Option<u64>,
}

/// Which milestones have an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// All of them.
    All,
    /// Those of one group.
    Group,
    /// Those of one object.
    Object,
}

/// An object as the last event showed it.
#[derive(Default)]
struct Seen {
    group: String,
    ready: bool,
    going: bool,
    weight: u64,
    values: Vec<Value>,
    milestones: Vec<String>,
}

/// The objects of a watch, and what happened to them.
#[derive(Default)]
struct Scene {
    objects: BTreeMap<String, Seen>,
    /// Uid and milestone of everything that happened.
    history: Vec<(String, String)>,
}

/// Reduces events to the order that is promised, and says whether the bounds were kept. `before` are the objects that were
/// there when the watch began.
pub(super) fn project(moves: &Moves, before: &Value, events: &Value) -> Value {
    let mut scene = Scene::default();
    for object in before.as_array().into_iter().flatten() {
        scene.objects.insert(uid(object), Seen::of(object, moves));
    }
    let (mut most, mut fewest) = (scene.count(|_| true), scene.count(|seen| seen.ready));
    for event in events.as_array().into_iter().flatten() {
        scene.take(&event["type"], &event["object"], moves);
        most = most.max(scene.count(|_| true));
        fewest = fewest.min(scene.count(|seen| seen.ready));
    }
    let mut result = json!({ "moves": scene.ordered(moves.order) });
    if let Some(bound) = moves.most {
        let kept = most <= bound;
        result["most"] = if kept { format!("no more than {bound}") } else { format!("{most}") }.into();
    }
    if let Some(bound) = moves.fewest_ready {
        let kept = fewest >= bound;
        result["fewestReady"] = if kept { format!("no fewer than {bound}") } else { format!("{fewest}") }.into();
    }
    result
}

impl Seen {
    fn of(object: &Value, moves: &Moves) -> Self {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let conditions = object["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        Self {
            group: text(get(object, &moves.called).unwrap_or_default()),
            ready: conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True"),
            going: !object["metadata"]["deletionTimestamp"].is_null(),
            weight: moves.weight.as_ref().map_or(1, |path| get(object, path).and_then(|it| it.as_u64()).unwrap_or(0)),
            values: moves.changes.iter().map(|path| get(object, path).unwrap_or_default()).collect(),
            milestones: Vec::new(),
        }
    }

    /// What happened between an object's last event and this one.
    fn milestones_since(&self, old: Option<&Self>, moves: &Moves) -> Vec<String> {
        let nothing = Self::default();
        let mut found = Vec::new();
        if old.is_none() {
            found.push("created".to_owned());
        }
        let old = old.unwrap_or(&nothing);
        for (index, path) in moves.changes.iter().enumerate() {
            if self.values.get(index) != old.values.get(index) {
                found.push(format!("{path} {}", self.values.get(index).unwrap_or(&Value::Null)));
            }
        }
        let ready = if self.ready { "ready" } else { "unready" };
        found.extend((self.ready != old.ready).then(|| ready.to_owned()));
        found.extend((self.going && !old.going).then(|| "told to go".to_owned()));
        found
    }
}

impl Scene {
    fn take(&mut self, kind: &Value, object: &Value, moves: &Moves) {
        let uid = uid(object);
        let gone = kind == "DELETED";
        let mut new = Seen::of(object, moves);
        let old = self.objects.remove(&uid);
        let mut found = if gone { Vec::new() } else { new.milestones_since(old.as_ref(), moves) };
        found.extend(gone.then(|| "gone".to_owned()));
        found.retain(|milestone| !moves.without.contains(milestone));
        new.going |= gone;
        new.milestones = old.map(|old| old.milestones).unwrap_or_default();
        new.milestones.extend(found.iter().cloned());
        self.history.extend(found.into_iter().map(|milestone| (uid.clone(), milestone)));
        self.objects.insert(uid, new);
    }

    fn count(&self, counts: impl Fn(&Seen) -> bool) -> u64 {
        self.objects.values().filter(|seen| !seen.going && counts(seen)).map(|seen| seen.weight).sum()
    }

    fn ordered(&self, order: Order) -> Value {
        let history = self.history.iter().filter_map(|(uid, what)| Some((&self.objects.get(uid)?.group, what)));
        match order {
            Order::All => history.map(|(group, what)| format!("{group} {what}")).collect(),
            Order::Group => {
                let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                history.for_each(|(group, what)| groups.entry(group).or_default().push(what));
                json!(groups)
            }
            Order::Object => {
                let mut groups: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
                for seen in self.objects.values().filter(|seen| !seen.milestones.is_empty()) {
                    *groups.entry(&seen.group).or_default().entry(seen.milestones.join(", ")).or_default() += 1;
                }
                json!(groups)
            }
        }
    }
}

fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str, image: &str, ready: bool) -> Value {
        let ready = json!({ "type": "Ready", "status": if ready { "True" } else { "False" } });
        json!({ "metadata": { "uid": uid }, "spec": { "image": image }, "status": { "conditions": [ready] } })
    }

    /// A roll of two pods with a surge of one, with a repeated event in it.
    fn roll(order: Order, bound: u64) -> Value {
        let before = json!([pod("a", "1", true), pod("b", "1", true)]);
        let event = |kind: &str, pod: Value| json!({ "type": kind, "object": pod });
        let events = json!([
            event("ADDED", pod("c", "2", false)),
            event("MODIFIED", pod("c", "2", false)),
            event("MODIFIED", pod("c", "2", true)),
            event("DELETED", pod("a", "1", true)),
            event("ADDED", pod("d", "2", false)),
            event("MODIFIED", pod("d", "2", true)),
            event("DELETED", pod("b", "1", true)),
        ]);
        let moves = json!({ "called": "spec.image", "order": "all", "most": bound, "fewest-ready": bound - 1 });
        let moves = Moves { order, ..serde_json::from_value(moves).unwrap() };
        project(&moves, &before, &events)
    }

    #[test]
    fn events_are_reduced_to_what_is_promised() {
        let all = ["2 created", "2 ready", "1 gone", "2 created", "2 ready", "1 gone"];
        assert_eq!(roll(Order::All, 3)["moves"], json!(all));
        let groups = json!({ "1": ["gone", "gone"], "2": ["created", "ready", "created", "ready"] });
        assert_eq!(roll(Order::Group, 3)["moves"], groups);
        let objects = json!({ "1": { "gone": 2 }, "2": { "created, ready": 2 } });
        assert_eq!(roll(Order::Object, 3)["moves"], objects);
    }

    #[test]
    fn bounds_are_kept_or_broken() {
        let bounds = |bound| {
            let result = roll(Order::Object, bound);
            ["most", "fewestReady"].map(|field| result[field].as_str().unwrap().to_owned())
        };
        assert_eq!(bounds(3), ["no more than 3", "no fewer than 2"]);
        assert_eq!(bounds(4), ["no more than 4", "2"]);
        assert_eq!(bounds(2), ["3", "no fewer than 1"]);
    }

    #[test]
    fn changes_and_graceful_ends_are_milestones() {
        let set = |replicas: i64, going: bool| {
            let mut set = json!({ "metadata": { "uid": "s", "name": "s" }, "spec": { "replicas": replicas } });
            if going {
                set["metadata"]["deletionTimestamp"] = "now".into();
            }
            set
        };
        let events = json!([
            { "type": "ADDED", "object": set(1, false) },
            { "type": "MODIFIED", "object": set(1, false) },
            { "type": "MODIFIED", "object": set(2, false) },
            { "type": "MODIFIED", "object": set(2, true) },
            { "type": "DELETED", "object": set(2, true) },
        ]);
        let moves = json!({
            "called": "metadata.name", "order": "group", "changes": ["spec.replicas"], "without": ["gone"],
            "weight": "spec.replicas", "most": 1,
        });
        let result = project(&serde_json::from_value(moves).unwrap(), &Value::Null, &events);
        let expected = ["created", "spec.replicas 1", "spec.replicas 2", "told to go"];
        assert_eq!(result, json!({ "moves": { "s": expected }, "most": "2" }));
    }
}
