//! The hub's objects, and which Rollout each of them concerns.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::{
    api::{self, Rollout, RolloutRun},
    decide,
    graph::{
        cluster::{About, Fact, Listing},
        mirror::Mirror,
        project::Projected,
        rollout::{HubFact, HubKey},
        subject::Subject,
    },
    intent::HubWrite,
    view::ObjectKey,
};

/// The hub as last seen.
#[derive(Default)]
pub(super) struct Hub {
    objects: BTreeMap<Subject, Mirror<ObjectKey, Projected>>,
    /// Runs without a Rollout that controls them, said once.
    unowned: BTreeSet<ObjectKey>,
}

/// Something one Rollout's actor is to be told.
pub(super) struct News {
    pub(super) rollout: ObjectKey,
    pub(super) key: HubKey,
    pub(super) fact: HubFact,
}

impl Hub {
    /// Whether everything has been listed.
    pub(super) fn is_listed(&self) -> bool {
        Subject::HUB.iter().all(|subject| self.objects.get(subject).is_some_and(Mirror::is_listed))
    }

    /// The hub's actor was begun anew.
    pub(super) fn restart(&mut self) {
        self.objects.values_mut().for_each(Mirror::restart);
    }

    /// The Rollouts.
    pub(super) fn rollouts(&self) -> impl Iterator<Item = &ObjectKey> {
        self.of(&Subject::Rollouts).map(|(key, _)| key)
    }

    /// The writes that let go of runs without a Rollout.
    pub(super) fn orphans(&self, class: &str) -> Vec<HubWrite> {
        let rollouts: Vec<_> = self.rollouts().filter_map(|key| self.rollout(key)).collect();
        let runs = self.of(&Subject::RolloutRuns).filter_map(|(_, object)| match object {
            Projected::RolloutRun(run) if decide::class::serves(class, &run.metadata) => Some(run),
            _ => None,
        });
        decide::orphans::release(runs, &rollouts)
    }

    /// One Rollout.
    pub(super) fn rollout(&self, key: &ObjectKey) -> Option<&Arc<Rollout>> {
        match self.objects.get(&Subject::Rollouts)?.items().get(key)? {
            Projected::Rollout(rollout) => Some(rollout),
            _ => None,
        }
    }

    /// The uid of a Rollout.
    pub(super) fn uid(&self, rollout: &ObjectKey) -> Option<&str> {
        self.rollout(rollout)?.metadata.uid.as_deref()
    }

    /// Takes in one fact, and returns who is to be told what.
    pub(super) fn take_in(&mut self, subject: &Subject, about: About, fact: Fact) -> Vec<News> {
        let objects = self.objects.entry(subject.clone()).or_default();
        match (about, fact) {
            (About::Object(key), Fact::Object(object)) => {
                let before = objects.set(key.clone(), object.clone());
                self.news(&key, before.as_ref(), object.as_ref())
            }
            (_, Fact::Listing(listing)) if is_whole(subject, &listing) => {
                let gone = objects.complete();
                gone.into_iter().flat_map(|(key, before)| self.news(&key, Some(&before), None)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Everything the hub has for the Rollout of that key.
    pub(super) fn facts_for(&self, rollout: &ObjectKey) -> Vec<(HubKey, HubFact)> {
        let mut facts = vec![(HubKey::Listed, HubFact::Listed)];
        for (key, object) in Subject::HUB.iter().flat_map(|subject| self.of(subject)) {
            if key.namespace == rollout.namespace && concerns(key, object, rollout, self.uid(rollout)) {
                facts.extend(fact(key, object, Some(object)));
            }
        }
        facts
    }

    fn of(&self, subject: &Subject) -> impl Iterator<Item = (&ObjectKey, &Projected)> {
        self.objects.get(subject).into_iter().flat_map(Mirror::items)
    }

    fn news(&mut self, key: &ObjectKey, before: Option<&Projected>, after: Option<&Projected>) -> Vec<News> {
        let mut news = Vec::new();
        if let Some(Projected::Rollout(rollout)) = after {
            let fact = HubFact::Rollout(rollout.clone());
            news.push(News { rollout: key.clone(), key: HubKey::Rollout, fact });
        }
        if let (None, Some(Projected::RolloutRun(run))) = (before, after) {
            self.note_unowned(key, run);
        }
        for rollout in self.rollouts().filter(|rollout| rollout.namespace == key.namespace) {
            let uid = self.uid(rollout);
            let concerned = |object: &&Projected| concerns(key, object, rollout, uid);
            let now = after.filter(concerned);
            let Some(object) = now.or_else(|| before.filter(concerned)) else { continue };
            if let Some((key, fact)) = fact(key, object, now) {
                news.push(News { rollout: rollout.clone(), key, fact });
            }
        }
        news
    }

    fn note_unowned(&mut self, key: &ObjectKey, run: &RolloutRun) {
        if owner(run).is_none() && self.unowned.insert(key.clone()) {
            tracing::info!(cluster = "", object = %key, "no rollout controls this run, so it is left alone");
        }
    }
}

/// Whether a listing says that what is not there does not exist. TrafficTopologies are optional: where their CRD is not
/// installed there are none.
fn is_whole(subject: &Subject, listing: &Listing) -> bool {
    match listing {
        Listing::Complete => true,
        Listing::NotServed => *subject == Subject::TrafficTopologies,
        Listing::Pending | Listing::Refused { .. } => false,
    }
}

/// Whether an object of the same namespace is any business of the Rollout of that key and uid.
fn concerns(key: &ObjectKey, object: &Projected, rollout: &ObjectKey, uid: Option<&str>) -> bool {
    match object {
        Projected::Rollout(_) => key != rollout,
        Projected::RolloutRun(run) => {
            owner(run).is_some_and(|owner| owner.name == rollout.name && Some(owner.uid.as_str()) == uid)
        }
        _ => true,
    }
}

/// The Rollout that controls a run.
fn owner(run: &RolloutRun) -> Option<&OwnerReference> {
    let owners = run.metadata.owner_references.as_deref().unwrap_or_default();
    let is_ours = |api_version: &str| api_version.split('/').next() == Some(api::GROUP);
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    (owner.kind == "Rollout" && is_ours(&owner.api_version)).then_some(owner)
}

/// What a Rollout is told about an object: of what kind it is says `object`, what it is now says `now`.
fn fact(key: &ObjectKey, object: &Projected, now: Option<&Projected>) -> Option<(HubKey, HubFact)> {
    let name = key.name.clone();
    Some(match object {
        Projected::Rollout(_) => (HubKey::Other(name), HubFact::Other(now.is_some())),
        Projected::RolloutRun(run) => (HubKey::Run(name), HubFact::Run(now.map(|_| run.clone()))),
        Projected::RolloutStrategy(strategy) => {
            (HubKey::Strategy(name), HubFact::Strategy(now.map(|_| strategy.clone())))
        }
        Projected::TrafficTopology(topology) => {
            (HubKey::Topology(name), HubFact::Topology(now.map(|_| topology.clone())))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey { namespace: "ns".to_owned(), name: name.to_owned() }
    }

    fn rollout(name: &str) -> Projected {
        rollout_of(name, "u")
    }

    fn rollout_of(name: &str, uid: &str) -> Projected {
        let object = json!({"metadata": {"namespace": "ns", "name": name, "uid": uid}});
        Projected::Rollout(Arc::new(serde_json::from_value(object).unwrap()))
    }

    fn run(name: &str, owner: Option<&str>) -> Projected {
        let owners: Vec<_> = owner
            .iter()
            .map(|owner| {
                json!({"apiVersion": "rollout.kusionstack.io/v1alpha1", "kind": "Rollout", "name": owner, "uid": "u", "controller": true})
            })
            .collect();
        let object = json!({"metadata": {"namespace": "ns", "name": name, "ownerReferences": owners}});
        Projected::RolloutRun(Arc::new(serde_json::from_value(object).unwrap()))
    }

    fn topology(name: &str) -> Projected {
        let object = json!({"metadata": {"namespace": "ns", "name": name}, "spec": {
            "workloadRef": {"kind": "StatefulSet", "match": {}}, "trafficType": "InCluster", "backend": {"name": "web"},
        }});
        Projected::TrafficTopology(Arc::new(serde_json::from_value(object).unwrap()))
    }

    /// Who is told about what, as text.
    fn told(hub: &mut Hub, subject: &Subject, name: &str, object: Option<Projected>) -> Vec<String> {
        let news = hub.take_in(subject, About::Object(key(name)), Fact::Object(object));
        let gone = |fact: &HubFact| {
            matches!(
                fact,
                HubFact::Run(None) | HubFact::Strategy(None) | HubFact::Topology(None) | HubFact::Other(false)
            )
        };
        let text = |news: &News| {
            format!("{}: {:?}{}", news.rollout.name, news.key, if gone(&news.fact) { " gone" } else { "" })
        };
        news.iter().map(text).collect()
    }

    #[test]
    fn objects_go_to_the_rollouts_they_concern() {
        let hub = &mut Hub::default();
        told(hub, &Subject::Rollouts, "a", Some(rollout("a")));
        let cases = [
            (Subject::Rollouts, "b", Some(rollout("b")), vec!["b: Rollout", "a: Other(\"b\")"]),
            (Subject::RolloutRuns, "a-1", Some(run("a-1", Some("a"))), vec!["a: Run(\"a-1\")"]),
            (Subject::RolloutRuns, "stray", Some(run("stray", None)), vec![]),
            (Subject::TrafficTopologies, "t", Some(topology("t")), vec!["a: Topology(\"t\")", "b: Topology(\"t\")"]),
            (Subject::TrafficTopologies, "t", None, vec!["a: Topology(\"t\") gone", "b: Topology(\"t\") gone"]),
            (Subject::RolloutRuns, "a-1", Some(run("a-1", Some("b"))), vec!["a: Run(\"a-1\") gone", "b: Run(\"a-1\")"]),
            (Subject::RolloutRuns, "a-1", None, vec!["b: Run(\"a-1\") gone"]),
            (Subject::Rollouts, "b", None, vec!["a: Other(\"b\") gone"]),
        ];
        for (subject, name, object, expected) in cases {
            assert_eq!(told(hub, &subject, name, object), expected);
        }
    }

    #[test]
    fn a_new_actor_is_told_everything_once() {
        let hub = &mut Hub::default();
        for name in ["a", "b"] {
            told(hub, &Subject::Rollouts, name, Some(rollout(name)));
            told(hub, &Subject::RolloutRuns, &format!("{name}-1"), Some(run(&format!("{name}-1"), Some(name))));
        }
        let told: BTreeMap<_, _> = hub.facts_for(&key("a")).into_iter().collect();
        let expected = [HubKey::Run("a-1".to_owned()), HubKey::Other("b".to_owned()), HubKey::Listed];
        assert_eq!(told.into_keys().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_rollout_does_not_adopt_the_runs_of_an_earlier_one_of_its_name() {
        let hub = &mut Hub::default();
        told(hub, &Subject::Rollouts, "a", Some(rollout_of("a", "another")));
        assert_eq!(told(hub, &Subject::RolloutRuns, "a-1", Some(run("a-1", Some("a")))), Vec::<String>::new());
        let facts: Vec<HubKey> = hub.facts_for(&key("a")).into_iter().map(|(key, _)| key).collect();
        assert_eq!(facts, [HubKey::Listed]);
    }

    #[test]
    fn a_missing_topology_crd_does_not_keep_the_hub_from_being_listed() {
        let hub = &mut Hub::default();
        for subject in Subject::HUB {
            assert!(!hub.is_listed());
            let listing = if subject == Subject::TrafficTopologies { Listing::NotServed } else { Listing::Complete };
            hub.take_in(&subject, About::Listing, Fact::Listing(listing));
        }
        assert!(hub.is_listed());
    }
}
