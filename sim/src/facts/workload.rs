//! What a workload shows, and who is to answer for which of its pods.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;

use super::{
    Change, DeploymentFacts, OURS, PodFacts, Quantity, Verb, Who,
    species::{Species, selects},
    text,
};

/// The API tells since when a pod is ready in whole seconds, so whoever counts from there may come up to one early.
const RESOLUTION: Duration = Duration::from_secs(1);

/// A workload with its pods.
///
/// A partition opens the ordinals from it upwards to a new revision. Whoever opened an ordinal answers for the pod
/// that is put on the new revision there: a scale-up below which a step stands open, or a partition lowered by hand,
/// is not the operator's doing (it must close again what it can, but cannot be before it).
///
/// Where a partition counts pods instead, they are given ordinals: a pod on the new revision has an open one, and so has
/// a pod that goes to make room for one.
///
/// A Deployment has no partition: [`DeploymentFacts`] says who answers for its pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadFacts {
    /// Its kind.
    pub species: Species,
    /// `spec.replicas`; of a decoration the most pods that it ever told of.
    pub desired: i32,
    /// The partition; zero when there is none.
    pub partition: i32,
    /// `spec.minReadySeconds`.
    pub min_ready_seconds: i32,
    /// The image of the template's first container.
    pub image: String,
    /// The name of that container.
    pub(super) container: String,
    /// `spec.selector.matchLabels`.
    selector: Value,
    /// `status.currentRevision`; of a Deployment the template that all of its pods had last.
    pub stable: String,
    /// `status.updateRevision`, or as the kind calls it.
    pub updated: String,
    /// Labels and annotations of the API on it.
    pub ours: BTreeSet<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What only a Deployment has.
    pub deployment: Option<Box<DeploymentFacts>>,
    /// Its pods by name.
    pub pods: BTreeMap<String, PodFacts>,
    /// Ordinals last opened by someone else than the operator.
    pub foreign: BTreeSet<i32>,
    /// Ordinals that stood open when somebody else changed the template: their pods go down once more for that.
    pub retemplated: BTreeSet<i32>,
    /// Ordinals whose pod was taken down to be updated and is not back, with what the step that opened them allows.
    pub down: BTreeMap<i32, i32>,
    /// The most updated pods authorised so far.
    pub ceiling: i32,
    /// The counts authorised so far.
    authorised: Vec<Quantity>,
    /// What the step that opened an ordinal allows to be down at a time.
    allowances: BTreeMap<i32, i32>,
}

impl WorkloadFacts {
    /// Takes in a write of the workload. `active` is what the run that moves it has authorised, if one does.
    pub(super) fn update(
        &mut self,
        change: &Change<'_>,
        species: Species,
        allowance: i32,
        active: Option<Vec<Quantity>>,
    ) {
        let set = change.new;
        let open_before: BTreeSet<i32> = self.open().collect();
        let container = species.container(set);
        let image_before = std::mem::replace(&mut self.image, text(&container["image"]));
        self.container = text(&container["name"]);
        self.selector = set["spec"]["selector"]["matchLabels"].clone();
        self.species = species;
        self.desired = match species {
            // Pods that go are counted with those that take their places, and for a moment neither may be there.
            Species::PodDecoration => self.desired.max(self.told(set)),
            _ => species.desired(set),
        };
        self.partition = species.partition(set);
        self.min_ready_seconds = species.min_ready_seconds(set);
        self.deleting = set["metadata"]["deletionTimestamp"].is_string();
        self.ours = ours(set);
        for ordinal in self.open().filter(|ordinal| !open_before.contains(ordinal)).collect::<Vec<_>>() {
            self.opened(ordinal, change.who, allowance);
        }
        if change.who != Who::Operator && image_before != self.image {
            self.retemplated = self.open().collect();
            if active.is_none() {
                // Nothing is being rolled: what an unparked workload does with a new template is the user's doing.
                self.foreign.extend(self.open());
            }
        }
        let updated = species.updated_revision(set);
        let allowance = active.is_some().then_some(allowance);
        if updated != self.updated {
            self.authorised = active.unwrap_or_default();
            self.ceiling = 0;
        }
        self.updated = updated;
        self.stable = match species {
            Species::Deployment => self.steered(change, allowance),
            _ => text(&set["status"]["currentRevision"]),
        };
        self.recount();
    }

    /// What a decoration tells of the number of its pods, while none of them goes. Its controller may tell late, of pods that
    /// are gone by then.
    fn told(&self, decoration: &Value) -> i32 {
        let going = self.pods.values().any(|pod| pod.terminating);
        let known = i32::try_from(self.pods.len()).ok().filter(|known| *known > 0).unwrap_or(i32::MAX);
        if going { 0 } else { self.species.desired(decoration).min(known) }
    }

    fn opened(&mut self, ordinal: i32, who: Who, allowance: i32) {
        self.allowances.insert(ordinal, allowance);
        if who == Who::Operator {
            self.foreign.remove(&ordinal);
            self.retemplated.remove(&ordinal);
        } else {
            self.foreign.insert(ordinal);
        }
    }

    /// The ordinals that follow a new template.
    fn open(&self) -> impl Iterator<Item = i32> + use<> {
        self.partition.max(0)..self.desired
    }

    /// Lets a count be reached.
    pub(super) fn authorise(&mut self, quantity: Quantity) {
        if !self.authorised.contains(&quantity) {
            self.authorised.push(quantity);
            self.recount();
        }
    }

    fn recount(&mut self) {
        let most = self.authorised.iter().map(|quantity| quantity.of(self.desired)).max();
        self.ceiling = self.ceiling.max(most.unwrap_or_default());
    }

    /// Takes in a write of one of the pods; true when it took a serving pod down in order to update it.
    pub(super) fn pod(&mut self, change: &Change<'_>, name: &str, now: Duration) -> bool {
        if self.deployment.is_some() {
            return self.pod_of_set(change, now);
        }
        let before = self.pods.get(change.name).cloned();
        let label = self.species.revision_label(name);
        let mut pod = PodFacts::read(change, &label, &self.container, before.as_ref());
        let goes = change.verb == Verb::Delete || pod.terminating;
        if !self.species.has_ordinals() {
            pod.ordinal = self.place(change, &pod, before.as_ref(), goes);
        }
        let ordinal = pod.ordinal;
        // A place that is not wanted was opened by nobody.
        let foreign = self.foreign.contains(&ordinal) || (ordinal >= self.desired && !self.species.has_ordinals());
        pod.foreign = before.as_ref().map_or(foreign, |before| before.foreign);
        let went = before.as_ref().is_some_and(|before| before.uid == pod.uid && before.ready()) && goes;
        if change.verb == Verb::Delete {
            self.pods.remove(change.name);
        } else {
            self.pods.insert(change.name.to_owned(), pod);
        }
        self.settle(now);
        let by_roll = change.who == Who::Cluster && self.open().any(|open| open == ordinal);
        let answered = self.foreign.contains(&ordinal) || self.retemplated.contains(&ordinal);
        let ours = change.who == Who::Operator || (by_roll && !answered);
        if !(went && ours && ordinal < self.desired) || self.is_copy() {
            return false;
        }
        let allowance = self.allowances.get(&ordinal).copied().filter(|_| by_roll).unwrap_or_default();
        self.down.insert(ordinal, allowance);
        true
    }

    /// The place of a pod whose name says nothing of it. One that comes takes a free place on its side of the partition;
    /// one that the controller takes down changes places with a pod that has an open one.
    fn place(&mut self, change: &Change<'_>, pod: &PodFacts, before: Option<&PodFacts>, goes: bool) -> i32 {
        let stays = |other: &&PodFacts| other.uid != pod.uid && !other.terminating;
        let open: Vec<i32> = self.open().collect();
        let Some(before) = before else {
            let taken: BTreeSet<i32> = self.pods.values().filter(stays).map(|other| other.ordinal).collect();
            let mut places: Vec<i32> = (0..self.desired).collect();
            if pod.revision == self.updated {
                // Places that the operator opened are filled first: it answers for no fewer pods than it let go.
                places.sort_by_key(|place| (!open.contains(place), self.foreign.contains(place), -*place));
            }
            return places.into_iter().find(|place| !taken.contains(place)).unwrap_or(self.desired);
        };
        let taken_down = goes && !before.terminating && change.who == Who::Cluster && pod.revision != self.updated;
        if !taken_down || open.contains(&before.ordinal) {
            return before.ordinal;
        }
        let (updated, place) = (self.updated.clone(), before.ordinal);
        let old = |other: &&mut PodFacts| !other.terminating && other.revision != updated;
        let other = self.pods.values_mut().filter(old).find(|other| open.contains(&other.ordinal));
        other.map_or(place, |other| std::mem::replace(&mut other.ordinal, place))
    }

    /// Whether this is a decoration of a pod.
    pub(super) fn decorates(&self, pod: &Value) -> bool {
        self.species == Species::PodDecoration && selects(&self.selector, pod)
    }

    /// Forgets ordinals that are served again or not wanted any more.
    fn settle(&mut self, now: Duration) {
        let up: BTreeSet<i32> =
            self.pods.values().filter(|pod| self.is_available(pod, now)).map(|pod| pod.ordinal).collect();
        let desired = self.desired;
        self.down.retain(|ordinal, _| *ordinal < desired && !up.contains(ordinal));
    }

    pub(super) fn is_available(&self, pod: &PodFacts, now: Duration) -> bool {
        let wait = Duration::from_secs(u64::try_from(self.min_ready_seconds).unwrap_or_default());
        !pod.terminating && pod.ready_since.is_some_and(|since| since + wait <= now + RESOLUTION)
    }

    /// Whether a new template changes no pod.
    pub fn parked(&self) -> bool {
        self.partition >= self.desired && self.partition > 0
    }

    /// Whether it is a canary's copy. Its pods are beside the workload's, so that none of those is exposed or taken down.
    pub fn is_copy(&self) -> bool {
        self.ours.iter().any(|key| key.ends_with("/canary-resource"))
    }

    /// Whether there is a revision to move to.
    pub fn pending(&self) -> bool {
        self.stable != self.updated
    }

    /// The pods the operator put on the update revision, as long as there is one to move to.
    pub fn exposed(&self) -> usize {
        if !self.pending() || self.is_copy() {
            return 0;
        }
        // The place of a Deployment's pod that goes may have been given to another at once.
        let counts = |pod: &&PodFacts| self.deployment.is_none() || !pod.terminating;
        self.pods.values().filter(|pod| pod.revision == self.updated && !pod.foreign).filter(counts).count()
    }

    /// The pods on the update revision, whoever put them there.
    pub fn on_update(&self) -> impl Iterator<Item = &PodFacts> {
        self.pods.values().filter(|pod| pod.revision == self.updated && !pod.terminating)
    }
}

fn ours(set: &Value) -> BTreeSet<String> {
    let maps = [&set["metadata"]["labels"], &set["metadata"]["annotations"]];
    let keys = maps.into_iter().filter_map(Value::as_object).flatten().map(|(key, _)| key);
    keys.filter(|key| key.contains(OURS)).cloned().collect()
}
