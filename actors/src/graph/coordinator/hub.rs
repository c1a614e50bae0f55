//! The hub's objects, and which Rollout each of them concerns.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::{
    api::{BackendRouting, Rollout, RolloutRun, TrafficTopology},
    decide::{self, scale, standalone},
    graph::{
        cluster::{About, Fact, Listing},
        mirror::Mirror,
        project::Projected,
        rollout::{HubFact, HubKey},
        subject::Subject,
    },
    intent::HubWrite,
    view::{Charge, ObjectKey},
};

/// The hub as last seen.
#[derive(Default)]
pub(super) struct Hub {
    objects: BTreeMap<Subject, Mirror<ObjectKey, Projected>>,
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

    /// The Rollouts, and the stand-ins of runs made by hand and of ScaleRuns.
    pub(super) fn rollouts(&self) -> impl Iterator<Item = ObjectKey> {
        let objects = Subject::HUB.iter().flat_map(|subject| self.of(subject));
        objects.filter_map(|(key, object)| match object {
            Projected::Rollout(_) => Some(key.clone()),
            _ => stand_in(key, object),
        })
    }

    /// The writes that let go of runs whose Rollout is gone.
    pub(super) fn orphans(&self, class: &str) -> Vec<HubWrite> {
        let rollouts: Vec<_> = self.of(&Subject::Rollouts).filter_map(|(key, _)| self.rollout(key)).collect();
        let served = |run: &Arc<RolloutRun>| decide::class::serves(class, &run.metadata);
        let owned = self.runs().map(|(_, run)| run).filter(|run| served(run) && standalone::owner(run).is_some());
        decide::orphans::release(owned, &rollouts)
    }

    /// The TrafficTopologies of a class.
    pub(super) fn topologies(&self, class: &str) -> BTreeMap<ObjectKey, Arc<TrafficTopology>> {
        let all = self.of(&Subject::TrafficTopologies).filter_map(|(key, object)| match object {
            Projected::TrafficTopology(topology) => Some((key.clone(), topology.clone())),
            _ => None,
        });
        all.filter(|(_, topology)| decide::class::serves(class, &topology.metadata)).collect()
    }

    /// The BackendRoutings of a class.
    pub(super) fn routings(&self, class: &str) -> BTreeMap<ObjectKey, Arc<BackendRouting>> {
        let all = self.of(&Subject::BackendRoutings).filter_map(|(key, object)| match object {
            Projected::BackendRouting(routing) => Some((key.clone(), routing.clone())),
            _ => None,
        });
        all.filter(|(_, routing)| decide::class::serves(class, &routing.metadata)).collect()
    }

    fn runs(&self) -> impl Iterator<Item = (&ObjectKey, &Arc<RolloutRun>)> {
        self.of(&Subject::RolloutRuns).filter_map(|(key, object)| match object {
            Projected::RolloutRun(run) => Some((key, run)),
            _ => None,
        })
    }

    /// One Rollout, or one that stands in for one.
    pub(super) fn rollout(&self, key: &ObjectKey) -> Option<Arc<Rollout>> {
        let (charge, run) = standalone::charge(&key.name);
        let subject = match charge {
            Charge::Rollout => Subject::Rollouts,
            Charge::Run => Subject::RolloutRuns,
            Charge::ScaleRun => Subject::ScaleRuns,
        };
        let at = ObjectKey { namespace: key.namespace.clone(), name: run.unwrap_or(&key.name).to_owned() };
        let object = self.objects.get(&subject)?.items().get(&at)?;
        stand_in(&at, object)
            .filter(|stand_in| stand_in == key)
            .or_else(|| (charge == Charge::Rollout).then_some(at))?;
        match object {
            Projected::Rollout(rollout) => Some(rollout.clone()),
            Projected::RolloutRun(run) => Some(Arc::new(standalone::stand_in(run))),
            Projected::ScaleRun(run) => Some(Arc::new(standalone::scale_stand_in(run))),
            _ => None,
        }
    }

    /// The uid of a Rollout.
    pub(super) fn uid(&self, rollout: &ObjectKey) -> Option<String> {
        self.rollout(rollout)?.metadata.uid.clone()
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
        let uid = self.uid(rollout);
        for (key, object) in Subject::HUB.iter().flat_map(|subject| self.of(subject)) {
            if key.namespace == rollout.namespace {
                facts.extend(facts_about(key, object, rollout, uid.as_deref(), true));
            }
        }
        facts
    }

    fn of(&self, subject: &Subject) -> impl Iterator<Item = (&ObjectKey, &Projected)> {
        self.objects.get(subject).into_iter().flat_map(Mirror::items)
    }

    fn news(&self, key: &ObjectKey, before: Option<&Projected>, after: Option<&Projected>) -> Vec<News> {
        let mut news = Vec::new();
        let own = after.and_then(|object| match object {
            Projected::Rollout(_) => Some(key.clone()),
            _ => stand_in(key, object),
        });
        if let Some((rollout, now)) = own.and_then(|key| Some((key.clone(), self.rollout(&key)?))) {
            news.push(News { rollout, key: HubKey::Rollout, fact: HubFact::Rollout(now) });
        }
        for rollout in self.rollouts().filter(|rollout| rollout.namespace == key.namespace) {
            let uid = self.uid(&rollout);
            let about = |object: &Projected, is_there| facts_about(key, object, &rollout, uid.as_deref(), is_there);
            let now = after.and_then(|object| about(object, true));
            if let Some((key, fact)) = now.or_else(|| about(before?, false)) {
                news.push(News { rollout: rollout.clone(), key, fact });
            }
        }
        news
    }
}

/// The key of the stand-in for a run that goes by itself, as long as it has something left to do.
fn stand_in(key: &ObjectKey, object: &Projected) -> Option<ObjectKey> {
    let name = match object {
        Projected::RolloutRun(run) if standalone::is_due(run) => standalone::run_name(&key.name),
        Projected::ScaleRun(run) if scale::is_due(run) => standalone::scale_name(&key.name),
        _ => return None,
    };
    Some(ObjectKey { namespace: key.namespace.clone(), name })
}

/// Whether a listing says that what is not there does not exist. ScaleRuns, TrafficTopologies and BackendRoutings are
/// optional: where their CRD is not installed there are none.
fn is_whole(subject: &Subject, listing: &Listing) -> bool {
    match listing {
        Listing::Complete => true,
        Listing::NotServed => {
            matches!(subject, Subject::ScaleRuns | Subject::TrafficTopologies | Subject::BackendRoutings)
        }
        Listing::Pending | Listing::Refused { .. } => false,
    }
}

/// Whether a run is the Rollout's, or what the Rollout stands in for.
fn is_own(run: &ObjectKey, owner: Option<&OwnerReference>, rollout: &ObjectKey, uid: Option<&str>) -> bool {
    match owner {
        Some(owner) => owner.name == rollout.name && Some(&*owner.uid) == uid,
        None => standalone::run_name(&run.name) == rollout.name,
    }
}

/// What the Rollout of that key and uid is told about an object of its namespace, if it is any of its business: what it
/// is now, or that it is there no more.
fn facts_about(
    key: &ObjectKey,
    object: &Projected,
    rollout: &ObjectKey,
    uid: Option<&str>,
    is_there: bool,
) -> Option<(HubKey, HubFact)> {
    let name = key.name.clone();
    Some(match object {
        Projected::Rollout(_) if key == rollout => return None,
        Projected::Rollout(_) => (HubKey::Other(name), HubFact::Other(is_there)),
        Projected::RolloutRun(run) if is_own(key, standalone::owner(run), rollout, uid) => {
            (HubKey::Run(name), HubFact::Run(is_there.then(|| run.clone())))
        }
        Projected::ScaleRun(run) if standalone::scale_name(&key.name) == rollout.name => {
            (HubKey::ScaleRun, HubFact::ScaleRun(is_there.then(|| run.clone())))
        }
        Projected::RolloutRun(_) | Projected::ScaleRun(_) => {
            (HubKey::Other(stand_in(key, object)?.name), HubFact::Other(is_there))
        }
        Projected::RolloutStrategy(strategy) => {
            (HubKey::Strategy(name), HubFact::Strategy(is_there.then(|| strategy.clone())))
        }
        Projected::TrafficTopology(topology) => {
            (HubKey::Topology(name), HubFact::Topology(is_there.then(|| topology.clone())))
        }
        Projected::BackendRouting(routing) => {
            (HubKey::Routing(name), HubFact::Routing(is_there.then(|| routing.clone())))
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
            (
                Subject::RolloutRuns,
                "stray",
                Some(run("stray", None)),
                vec![
                    "rolloutrun/stray: Rollout",
                    "a: Other(\"rolloutrun/stray\")",
                    "b: Other(\"rolloutrun/stray\")",
                    "rolloutrun/stray: Run(\"stray\")",
                ],
            ),
            (
                Subject::RolloutRuns,
                "stray",
                None,
                vec!["a: Other(\"rolloutrun/stray\") gone", "b: Other(\"rolloutrun/stray\") gone"],
            ),
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
