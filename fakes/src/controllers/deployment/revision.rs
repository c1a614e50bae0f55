//! Numbers of templates: the set of the current template has the highest one, and the Deployment repeats it.

use serde_json::Value;

use super::draft::Draft;
use super::set::{self, Set};
use super::spec::Spec;
use super::status::{self, PROGRESSING};
use super::{Action, DESIRED_REPLICAS, MAX_REPLICAS, Observed, REVISION, REVISION_HISTORY};
use crate::controllers::{object, template_hash};

/// Annotations of a Deployment that are not its sets'.
const OWN_ANNOTATIONS: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];

/// The longest history of numbers, in characters: about a hundred numbers.
const LONGEST_HISTORY: usize = 2000;

/// The longest name of an object.
const LONGEST_NAME: usize = 253;

impl Draft<'_> {
    /// Brings the numbers up to date. Says whether the sync can go on: the new set may have to be written first.
    pub(super) fn revise(&mut self) -> bool {
        let next = self.next_revision();
        let Some(index) = self.new else { return true };
        let Some(set) = self.sets.get(index) else { return true };
        let mut object = Value::clone(&set.object);
        let annotated = annotate(&self.spec, &mut object, next);
        let min_ready_seconds = object::int(&object["spec"]["minReadySeconds"]).unwrap_or(0);
        if annotated || min_ready_seconds != self.spec.min_ready_seconds {
            object::set(&mut object["spec"], "minReadySeconds", self.spec.min_ready_seconds);
            self.plan.actions.push(Action::UpdateSet(object));
            return self.spec.paused || self.spec.deleting;
        }
        let revision = object::annotation(&object, REVISION).unwrap_or_default().to_owned();
        let name = object::name(&object).to_owned();
        self.adopt_revision(&revision, "FoundNewReplicaSet", &format!("Found new replica set {name:?}"));
        true
    }

    /// Creates the set of the current template. Says whether the sync can go on: the set's name may be taken.
    pub(super) fn create_set(&mut self, seen: &Observed<'_>) -> bool {
        let template = &self.spec.deployment["spec"]["template"];
        let hash = template_hash::hash(template, self.status.collision_count);
        let name = set_name(self.spec.name, &hash);
        let taken = |set: &&Value| object::name(set) == name;
        if seen.sets.iter().chain(&seen.foreign_sets).copied().any(|set| taken(&set)) {
            self.status.collision_count = Some(self.status.collision_count.unwrap_or(0).saturating_add(1));
            self.write(None);
            return false;
        }
        let revision = self.next_revision();
        let mut set = set::new_set(&self.spec, &name, &hash);
        set["spec"]["replicas"] = self.spec.room(self.total(), 0).into();
        annotate(&self.spec, &mut set, revision);
        set::note_replicas(&mut set, &self.spec);
        self.plan.actions.push(Action::CreateSet(set.clone()));
        self.new = Some(self.sets.len());
        self.sets.push(Set::read(std::borrow::Cow::Owned(set)));
        self.write_progress(revision, &name);
        true
    }

    fn write_progress(&mut self, revision: i64, name: &str) {
        if self.spec.deadline.is_some() {
            let message = format!("Created new replica set {name:?}");
            self.status.set_condition(status::progressing("True", "NewReplicaSetCreated", &message, self.now));
        }
        self.write(Some(&revision.to_string()));
    }

    /// Repeats the new set's number on the Deployment, and begins to watch over its roll.
    fn adopt_revision(&mut self, revision: &str, reason: &str, message: &str) {
        let differs = object::annotation(self.spec.deployment, REVISION).unwrap_or_default() != revision;
        let begins = self.spec.deadline.is_some() && self.status.condition(PROGRESSING).is_none();
        if begins {
            self.status.set_condition(status::progressing("True", reason, message, self.now));
        }
        if differs || begins {
            self.write(Some(revision));
        }
    }

    fn next_revision(&self) -> i64 {
        let highest = self.old_sets().filter_map(|(_, set)| set.revision()).max();
        highest.unwrap_or(0).max(0).saturating_add(1)
    }
}

/// Gives a set the Deployment's annotations and a number that is no lower than this one. Says whether that changes it.
fn annotate(spec: &Spec<'_>, set: &mut Value, revision: i64) -> bool {
    let old = object::annotation(set, REVISION).map(str::to_owned);
    let wanted = spec.deployment["metadata"]["annotations"].as_object().into_iter().flatten();
    let wanted = wanted.filter(|(name, _)| !OWN_ANNOTATIONS.contains(&name.as_str()));
    let mut changed = false;
    for (name, value) in wanted {
        if set["metadata"]["annotations"].get(name) != Some(value) {
            set["metadata"]["annotations"][name] = value.clone();
            changed = true;
        }
    }
    let number: i64 = match old.as_deref() {
        None | Some("") => 0,
        Some(old) => match old.parse() {
            Ok(number) => number,
            Err(_) => return false,
        },
    };
    if number >= revision {
        return changed;
    }
    if let Some(old) = old {
        note_history(set, &old);
    }
    set["metadata"]["annotations"][REVISION] = revision.to_string().into();
    true
}

/// Adds a number that a set had, and forgets the oldest ones when there are too many.
fn note_history(set: &mut Value, old: &str) {
    let history = object::annotation(set, REVISION_HISTORY).unwrap_or_default().to_owned();
    let mut numbers: Vec<&str> = history.split(',').filter(|number| !number.is_empty()).collect();
    numbers.push(old);
    let length = |numbers: &[&str]| numbers.iter().map(|number| number.len() + 1).sum::<usize>();
    while numbers.len() > 1 && length(&numbers) > LONGEST_HISTORY + 1 {
        numbers.remove(0);
    }
    set["metadata"]["annotations"][REVISION_HISTORY] = numbers.join(",").into();
}

/// The name of the set of a template.
fn set_name(deployment: &str, hash: &str) -> String {
    let longest = LONGEST_NAME.saturating_sub(hash.len() + 1);
    let end = (0..=deployment.len().min(longest)).rev().find(|&end| deployment.is_char_boundary(end)).unwrap_or(0);
    format!("{}-{hash}", &deployment[..end])
}
