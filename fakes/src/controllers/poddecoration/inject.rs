//! Which decorations pods have and should have, and how they get into new pods.
//!
//! Of a decoration's template there are metadata with the policies `Retain` and `Overwrite`, containers, init containers,
//! volumes, and the image and environment of primary containers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{REVISION_LABEL_PREFIX, matched, revision_on};
use crate::controllers::custom::Observed;
use crate::controllers::object::{self, int};
use crate::controllers::{pod, revision};
use crate::selector::LabelSelector;

/// The PodDecorations of a namespace.
pub(crate) struct Decorations<'a> {
    all: Vec<Decoration<'a>>,
    revisions: &'a [&'a Value],
}

struct Decoration<'a> {
    name: &'a str,
    selector: Option<LabelSelector>,
    /// The revisions that its status names; empty when there is none.
    updated: &'a str,
    current: &'a str,
    /// True when its controller has seen what it says.
    observed: bool,
    rule: Rule<'a>,
}

/// Which pods are to have the updated revision.
enum Rule<'a> {
    All,
    Selected(LabelSelector),
    /// All but these.
    Except(BTreeSet<&'a str>),
}

impl<'a> Decorations<'a> {
    pub(crate) fn read(seen: &'a Observed<'a>) -> Self {
        let found = seen.related.iter().copied();
        let found = found.filter(|found| found["kind"] == "PodDecoration" && !object::is_deleting(found));
        Self { all: found.map(|found| Decoration::read(found, &seen.pods)).collect(), revisions: &seen.revisions }
    }

    /// The decorations that a pod has, by name, with their revisions.
    pub(crate) fn on(pod: &Value) -> BTreeMap<String, String> {
        let labels = pod["metadata"]["labels"].as_object();
        let revision = |(key, value): (&String, &Value)| {
            Some((key.strip_prefix(REVISION_LABEL_PREFIX)?.to_owned(), value.as_str()?.to_owned()))
        };
        labels.into_iter().flatten().filter_map(revision).collect()
    }

    /// The decorations that a pod is to have. A partition keeps pods that are there; one that has no name yet gets the
    /// updated revision whatever the partition.
    pub(crate) fn wanted(&self, pod: &Value) -> BTreeMap<String, String> {
        let selecting = self.all.iter().filter(|it| it.selector.as_ref().is_none_or(|selector| selector.matches(pod)));
        let wanted = selecting.filter_map(|it| Some((it.name.to_owned(), it.wanted(pod)?.to_owned())));
        wanted.collect()
    }

    /// Adds decorations to a new pod. A revision that is gone adds nothing.
    pub(crate) fn inject(&self, pod: &mut Value, decorations: &BTreeMap<String, String>) {
        for (name, wanted) in decorations {
            let found = self.revisions.iter().find(|revision| object::name(revision) == wanted);
            let Some(found) = found else { continue };
            decorate(pod, &revision::template(found));
            pod["metadata"]["labels"][format!("{REVISION_LABEL_PREFIX}{name}")] = wanted.as_str().into();
        }
    }
}

impl<'a> Decoration<'a> {
    fn read(decoration: &'a Value, pods: &[&'a Value]) -> Self {
        let status = |field: &str| decoration["status"][field].as_str().unwrap_or_default();
        let rolling = &decoration["spec"]["updateStrategy"]["rollingUpdate"];
        let rule = match (object::selector(&rolling["selector"]), int(&rolling["partition"])) {
            (Some(selector), _) => Rule::Selected(selector),
            (None, Some(kept)) => Rule::Except(kept_back(decoration, pods, kept)),
            (None, None) => Rule::All,
        };
        Self {
            name: object::name(decoration),
            selector: object::selector(&decoration["spec"]["selector"]),
            updated: status("updatedRevision"),
            current: status("currentRevision"),
            observed: decoration["status"]["observedGeneration"] == object::generation(decoration),
            rule,
        }
    }

    fn wanted<'p>(&'p self, pod: &'p Value) -> Option<&'p str> {
        let (name, on) = (object::name(pod), revision_on(pod, self.name));
        if !self.observed && !name.is_empty() {
            return on;
        }
        let updated = match &self.rule {
            Rule::All => true,
            Rule::Selected(selector) => selector.matches(pod),
            Rule::Except(kept) => !kept.contains(name),
        };
        let revision = if updated { self.updated } else { on.unwrap_or(self.current) };
        Some(revision).filter(|revision| !revision.is_empty())
    }
}

/// The pods that a partition keeps back: those that have the updated revision come last.
fn kept_back<'a>(decoration: &Value, pods: &[&'a Value], kept: i32) -> BTreeSet<&'a str> {
    let (name, updated) = (object::name(decoration), decoration["status"]["updatedRevision"].as_str());
    let mut pods: Vec<&Value> = matched(decoration, pods);
    pods.retain(|pod| !object::is_deleting(pod));
    pods.sort_by_key(|pod| (revision_on(pod, name) == updated, !pod::is_ready(pod), object::name(pod)));
    pods.into_iter().take(usize::try_from(kept).unwrap_or(0)).map(object::name).collect()
}

/// Adds what a decoration's template says to a pod.
fn decorate(pod: &mut Value, template: &Value) {
    for metadata in object::list(&template["metadata"]) {
        let overwrite = metadata["patchPolicy"] == "Overwrite";
        for field in ["labels", "annotations"] {
            for (key, value) in metadata[field].as_object().into_iter().flatten() {
                let found = &mut pod["metadata"][field][key];
                if overwrite || found.is_null() {
                    *found = value.clone();
                }
            }
        }
    }
    for primary in object::list(&template["primaryContainers"]) {
        change_primary(pod, primary);
    }
    for container in object::list(&template["containers"]) {
        let mut container = container.clone();
        let policy = container.as_object_mut().and_then(|fields| fields.shift_remove("injectPolicy"));
        put(&mut pod["spec"]["containers"], container, policy.is_none_or(|policy| policy != "AfterPrimaryContainer"));
    }
    for (field, replaces) in [("initContainers", false), ("volumes", true)] {
        for item in object::list(&template[field]) {
            let there = object::list(&pod["spec"][field]).iter().any(|found| found["name"] == item["name"]);
            if replaces || !there {
                put(&mut pod["spec"][field], item.clone(), false);
            }
        }
    }
}

/// Puts an item in the place of the one of its name, or in front of or behind all others.
fn put(list: &mut Value, item: Value, front: bool) {
    let mut items = object::list(list).to_vec();
    match items.iter_mut().find(|found| found["name"] == item["name"]) {
        Some(found) => *found = item,
        None if front => items.insert(0, item),
        None => items.push(item),
    }
    *list = items.into();
}

/// Changes the containers that were in the template already: one by name, or as the policy says the first, all or the last.
fn change_primary(pod: &mut Value, primary: &Value) {
    let Some(containers) = pod["spec"]["containers"].as_array_mut() else { return };
    let last = containers.len().saturating_sub(1);
    for (index, container) in containers.iter_mut().enumerate() {
        let chosen = match (primary["name"].as_str(), primary["targetPolicy"].as_str()) {
            (Some(name), _) => container["name"] == name,
            (None, Some("All")) => true,
            (None, Some("First")) => index == 0,
            (None, _) => index == last,
        };
        if !chosen {
            continue;
        }
        if primary["image"].is_string() {
            container["image"] = primary["image"].clone();
        }
        for variable in object::list(&primary["env"]) {
            put(&mut container["env"], variable.clone(), false);
        }
    }
}
