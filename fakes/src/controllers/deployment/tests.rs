use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::strategy::Strategy;
use serde_json::json;

use super::*;
use crate::clock::stamp;
use crate::controllers::{object, pod, replicaset};

/// A Deployment, its ReplicaSets and pods, with a kubelet that acts at once.
struct World {
    deployment: Value,
    sets: BTreeMap<String, Value>,
    pods: BTreeMap<String, Value>,
    now: Timestamp,
    created: usize,
    /// The most pods there ever were at once, and the fewest that were available once all were.
    most: usize,
    fewest: Option<usize>,
}

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": image}]}})
}

fn rolling(max_surge: impl Into<Value>, max_unavailable: impl Into<Value>) -> Value {
    let bounds = json!({"maxSurge": max_surge.into(), "maxUnavailable": max_unavailable.into()});
    json!({"type": "RollingUpdate", "rollingUpdate": bounds})
}

impl World {
    fn new(replicas: i32, strategy: &Value) -> Self {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "uid": "web-uid", "generation": 1},
            "spec": {
                "replicas": replicas, "strategy": strategy, "selector": {"matchLabels": {"app": "web"}},
                "template": template("v1"), "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            },
            "status": {},
        });
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let (sets, pods) = Default::default();
        let mut world = Self { deployment, sets, pods, now, created: 0, most: 0, fewest: None };
        world.rest();
        world.watch()
    }

    /// Begins to keep count of pods.
    fn watch(mut self) -> Self {
        (self.most, self.fewest) = (0, Some(usize::MAX));
        self
    }

    fn edit(&mut self, path: &str, value: impl Into<Value>) -> &mut Self {
        let (parent, field) = path.rsplit_once('/').unwrap();
        self.deployment["spec"].pointer_mut(parent).unwrap()[field] = value.into();
        self.deployment["metadata"]["generation"] = (object::generation(&self.deployment) + 1).into();
        self
    }

    fn image(&mut self, image: &str) -> &mut Self {
        self.edit("/template", template(image))
    }

    fn scale(&mut self, replicas: i32) -> &mut Self {
        self.edit("/replicas", replicas)
    }

    /// Whether the only set with pods has as many as the Deployment asks for, and was told another number. Kubernetes takes
    /// that for a scaling that is not over, finds nothing to scale, and does nothing else ever again.
    fn is_stuck(&self) -> bool {
        let size = |set: &Value| set["spec"]["replicas"].as_u64().unwrap();
        let active: Vec<&Value> = self.sets.values().filter(|set| size(set) > 0).collect();
        let [only] = active[..] else { return false };
        let asked = self.deployment["spec"]["replicas"].as_u64().unwrap();
        let told = object::annotation(only, DESIRED_REPLICAS).unwrap();
        size(only) == asked && told != asked.to_string()
    }

    fn plan(&self) -> Plan {
        sync(&Observed {
            deployment: &self.deployment,
            sets: self.sets.values().collect(),
            foreign_sets: Vec::new(),
            pods: self.pods.values().collect(),
            now: self.now,
        })
    }

    /// One sync of the Deployment; says whether it wrote anything.
    fn sync(&mut self) -> bool {
        let plan = self.plan();
        for action in &plan.actions {
            self.act(action);
        }
        !plan.actions.is_empty()
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::CreateSet(set) => {
                let mut set = set.clone();
                self.created += 1;
                set["metadata"]["uid"] = format!("set-{}", self.created).into();
                set["metadata"]["generation"] = 1.into();
                set["metadata"]["creationTimestamp"] = stamp(self.now).into();
                assert_eq!(self.sets.insert(object::name(&set).into(), set), None);
            }
            Action::UpdateSet(set) => {
                let mut set = set.clone();
                let old = &self.sets[object::name(&set)];
                let changed = i64::from(old["spec"] != set["spec"]);
                set["metadata"]["generation"] = (object::generation(old) + changed).into();
                self.sets.insert(object::name(&set).into(), set);
            }
            Action::DeleteSet(name) => drop(self.sets.remove(name).unwrap()),
            Action::UpdateStatus(deployment) => self.deployment = deployment.clone(),
        }
    }

    /// One sync of every ReplicaSet.
    fn sync_sets(&mut self) -> bool {
        let mut wrote = false;
        for name in self.sets.keys().cloned().collect::<Vec<_>>() {
            let set = self.sets[&name].clone();
            let controlled = |pod: &&Value| object::controller_uid(pod) == Some(object::uid(&set));
            let pods = self.pods.values().filter(controlled).collect();
            let plan = replicaset::sync(&replicaset::Observed { set: &set, pods, related: Vec::new(), now: self.now });
            let status = plan.status.after(&plan.change, None, self.now).to_value();
            wrote |= status != set["status"] || plan.change != replicaset::Change::None;
            self.sets.get_mut(&name).unwrap()["status"] = status;
            self.change(plan.change);
        }
        wrote
    }

    fn change(&mut self, change: replicaset::Change) {
        match change {
            replicaset::Change::None => {}
            replicaset::Change::Create(count, pod) => {
                for _ in 0..count {
                    self.created += 1;
                    let name = format!("{}{:04}", pod["metadata"]["generateName"].as_str().unwrap(), self.created);
                    let mut pod = pod.clone();
                    pod["metadata"]["name"] = name.as_str().into();
                    pod["metadata"]["uid"] = name.as_str().into();
                    pod["status"] = json!({"phase": "Pending"});
                    self.pods.insert(name, pod);
                    self.most = self.most.max(self.pods.len());
                }
            }
            replicaset::Change::Delete(names) => {
                for name in names {
                    self.pods.remove(&name).unwrap();
                }
                let ready = self.pods.values().filter(|pod| pod::is_ready(pod)).count();
                self.fewest = self.fewest.map(|fewest| fewest.min(ready));
            }
        }
    }

    /// Makes one pod ready, unless its image is bad.
    fn kubelet(&mut self) -> bool {
        let stamp = stamp(self.now);
        let waits = |pod: &&mut Value| !pod::is_ready(pod) && pod["spec"]["containers"][0]["image"] != "bad";
        let Some(pod) = self.pods.values_mut().find(waits) else { return false };
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": stamp});
        pod["status"] = json!({"phase": "Running", "conditions": [ready]});
        true
    }

    /// Lets everybody act until nobody does any more.
    fn rest(&mut self) -> &mut Self {
        for _ in 0..1000 {
            let wrote = self.sync();
            let wrote = self.sync_sets() || wrote;
            if !(self.kubelet() || wrote) {
                return self;
            }
        }
        panic!("the Deployment never came to rest: {}", self.describe());
    }

    /// `image=pods` of every ReplicaSet by its number, and how many are not ready.
    fn describe(&self) -> String {
        let mut sets: Vec<&Value> = self.sets.values().collect();
        sets.sort_by_key(|set| object::annotation(set, REVISION).unwrap().parse::<i64>().unwrap());
        let describe = |set: &&Value| {
            let pods = self.pods.values().filter(|pod| object::controller_uid(pod) == Some(object::uid(set)));
            let (count, unready) = (pods.clone().count(), pods.filter(|pod| !pod::is_ready(pod)).count());
            let image = set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
            format!("{image}={count}{}", if unready > 0 { format!("-{unready}") } else { String::new() })
        };
        sets.iter().map(describe).collect::<Vec<_>>().join(" ")
    }

    fn condition(&self, kind: &str) -> [&str; 3] {
        let condition = object::condition(&self.deployment, kind).unwrap();
        ["status", "reason", "message"].map(|field| condition[field].as_str().unwrap())
    }

    fn revision(&self) -> &str {
        object::annotation(&self.deployment, REVISION).unwrap()
    }
}

#[test]
fn a_new_deployment_makes_a_set_that_makes_its_pods() {
    let world = World::new(3, &rolling("25%", "25%"));
    assert_eq!((world.describe().as_str(), world.revision()), ("v1=3", "1"));
    let (name, set) = world.sets.first_key_value().unwrap();
    let hash = object::label(set, HASH_LABEL).unwrap();
    assert_eq!(*name, format!("web-{hash}"));
    assert_eq!(set["spec"]["selector"]["matchLabels"], json!({"app": "web", "pod-template-hash": hash}));
    assert_eq!(set["spec"]["template"]["metadata"]["labels"][HASH_LABEL], hash);
    assert_eq!([DESIRED_REPLICAS, MAX_REPLICAS].map(|it| object::annotation(set, it).unwrap()), ["3", "4"]);
    let message = format!("ReplicaSet {name:?} has successfully progressed.");
    assert_eq!(world.condition("Progressing"), ["True", "NewReplicaSetAvailable", message.as_str()]);
    assert_eq!(world.condition("Available")[1], "MinimumReplicasAvailable");
    let status = &world.deployment["status"];
    assert_eq!(status["terminatingReplicas"], 0);
    for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        assert_eq!(status[field], 3, "{field}");
    }
}

#[test]
fn a_roll_keeps_within_surge_and_unavailability() {
    for (replicas, strategy, most, fewest) in [
        (4, rolling(1, 0), 5, 4),
        (4, rolling(0, 1), 4, 3),
        (4, rolling("25%", "25%"), 5, 3),
        (10, rolling("25%", "25%"), 13, 8),
        (3, rolling("0%", "10%"), 3, 2),
        (3, rolling("100%", "0%"), 6, 3),
        (1, rolling(1, 0), 2, 1),
    ] {
        let mut world = World::new(replicas, &strategy);
        world.image("v2").rest();
        assert_eq!(world.describe(), format!("v1=0 v2={replicas}"), "{strategy}");
        assert!(world.most <= most && world.fewest.unwrap() >= fewest, "{strategy}: {} {:?}", world.most, world.fewest);
        assert_eq!((world.revision(), world.condition("Progressing")[1]), ("2", "NewReplicaSetAvailable"));
    }
}

#[test]
fn a_recreate_has_no_two_templates_at_once() {
    let mut world = World::new(3, &json!({"type": "Recreate"}));
    world.image("v2").sync();
    world.sync_sets();
    assert_eq!((world.pods.len(), world.sets.len()), (0, 1), "the old pods go before the new set comes");
    assert_eq!(world.rest().describe(), "v1=0 v2=3");
    assert_eq!(world.most, 3);
}

#[test]
fn a_recreate_waits_for_pods_that_are_being_deleted() {
    let mut world = World::new(1, &json!({"type": "Recreate"}));
    let mut slow = world.pods.first_key_value().unwrap().1.clone();
    slow["metadata"]["deletionTimestamp"] = stamp(world.now).into();
    world.image("v2").sync();
    world.sync_sets();
    world.pods.insert("slow".into(), slow);
    world.sync();
    world.sync_sets();
    world.sync();
    assert_eq!(world.sets.len(), 1);
    world.pods.remove("slow");
    assert_eq!(world.rest().describe(), "v1=0 v2=1");
}

#[test]
fn a_bad_template_stops_within_its_bounds_until_it_is_undone() {
    let mut world = World::new(4, &rolling(1, 1));
    world.image("bad").rest();
    assert_eq!(world.describe(), "v1=3 bad=2-2");
    assert_eq!(world.condition("Available")[0], "True");
    assert_eq!(world.condition("Progressing")[1], "ReplicaSetUpdated");

    assert!(world.plan().requeue_after.unwrap().as_secs() >= 600, "nothing to do until the deadline");
    world.now += SignedDuration::from_secs(602);
    world.rest();
    let [status, reason, message] = world.condition("Progressing");
    assert_eq!((status, reason), ("False", "ProgressDeadlineExceeded"));
    assert!(message.starts_with("ReplicaSet \"web-") && message.ends_with("\" has timed out progressing."));
    assert_eq!(world.plan(), Plan { actions: Vec::new(), requeue_after: None });

    world.image("v1").rest();
    assert_eq!((world.describe().as_str(), world.revision()), ("bad=0 v1=4", "3"));
    let old = world.sets.values().find(|set| object::annotation(set, REVISION) == Some("3")).unwrap();
    assert_eq!(object::annotation(old, REVISION_HISTORY), Some("1"));
    assert_eq!(world.condition("Progressing")[1], "NewReplicaSetAvailable");
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let mut world = World::new(2, &rolling(1, 0));
    world.edit("/paused", true).image("v2").rest();
    assert_eq!((world.describe().as_str(), world.condition("Progressing")[1]), ("v1=2", "DeploymentPaused"));
    assert_eq!(world.scale(3).rest().describe(), "v1=3");
    world.now += SignedDuration::from_secs(6000);
    world.edit("/paused", false).sync();
    assert_eq!(world.condition("Progressing"), ["Unknown", "DeploymentResumed", "Deployment is resumed"]);
    assert_eq!(world.rest().describe(), "v1=0 v2=3");
}

#[test]
fn scaling_during_a_roll_keeps_proportions() {
    let mut world = World::new(10, &rolling(3, 2));
    world.image("bad").rest();
    assert_eq!(world.describe(), "v1=8 bad=5-5");
    assert_eq!(world.scale(15).rest().describe(), "v1=11 bad=7-7");
    assert_eq!(world.scale(5).rest().describe(), "v1=3 bad=5-5");
    assert_eq!(world.scale(0).rest().describe(), "v1=0 bad=0");
}

#[test]
fn history_keeps_its_limit() {
    let mut world = World::new(1, &rolling(1, 0));
    world.edit("/revisionHistoryLimit", 1);
    for image in ["v2", "v3", "v4"] {
        world.now += SignedDuration::from_secs(1);
        world.image(image).rest();
    }
    assert_eq!((world.describe().as_str(), world.revision()), ("v3=0 v4=1", "4"));
    world.edit("/revisionHistoryLimit", 0).rest();
    assert_eq!(world.describe(), "v4=1");
}

#[test]
fn annotations_go_to_the_new_set_but_for_the_controllers_own() {
    let mut world = World::new(1, &rolling(1, 0));
    let last_applied = "kubectl.kubernetes.io/last-applied-configuration";
    world.deployment["metadata"]["annotations"]["kubernetes.io/change-cause"] = "because".into();
    world.deployment["metadata"]["annotations"][last_applied] = "{}".into();
    world.rest();
    let set = world.sets.values().next().unwrap();
    assert_eq!(object::annotation(set, "kubernetes.io/change-cause"), Some("because"));
    assert_eq!(object::annotation(set, last_applied), None);
}

#[test]
fn a_taken_name_is_a_collision() {
    let mut world = World::new(0, &rolling(1, 0));
    let name = world.sets.first_key_value().unwrap().0.clone();
    let mut thief = world.sets.pop_first().unwrap().1;
    thief["metadata"]["ownerReferences"] = json!([{"controller": true, "uid": "other", "kind": "Deployment"}]);
    let plan = |world: &World| {
        sync(&Observed {
            deployment: &world.deployment,
            sets: Vec::new(),
            foreign_sets: vec![&thief],
            pods: Vec::new(),
            now: world.now,
        })
    };
    let first = plan(&world);
    let [Action::UpdateStatus(written)] = &first.actions[..] else { panic!("{:?}", first.actions) };
    assert_eq!(written["status"]["collisionCount"], 1);
    world.deployment = written.clone();
    assert!(matches!(&plan(&world).actions[0], Action::CreateSet(set) if object::name(set) != name));
}

#[test]
fn fitting_orphans_are_adopted_and_misfits_let_go() {
    let mut world = World::new(2, &rolling(1, 0));
    let adopted = |world: &World| world.sets.values().all(|set| object::controller_uid(set) == Some("web-uid"));
    for set in world.sets.values_mut() {
        set["metadata"]["ownerReferences"] = json!([]);
    }
    world.rest();
    assert!(adopted(&world) && world.sets.len() == 1);
    world.sets.values_mut().for_each(|set| set["metadata"]["labels"]["app"] = "other".into());
    world.sync();
    assert!(!adopted(&world));
}

#[test]
fn a_refused_set_is_told() {
    let world = World::new(1, &rolling(1, 0));
    let told = refused(&world.deployment, "web-1", "no room", world.now).unwrap();
    let condition = object::condition(&told, "Progressing").unwrap();
    assert_eq!(condition["message"], "Failed to create new replica set \"web-1\": no room");
    let mut careless = world.deployment.clone();
    careless["spec"]["progressDeadlineSeconds"] = i32::MAX.into();
    assert_eq!(refused(&careless, "web-1", "no room", world.now), None);
}

#[test]
fn a_set_that_fails_is_told_by_the_deployment() {
    let mut world = World::new(1, &rolling(1, 0));
    let set = world.sets.values_mut().next().unwrap();
    let failure = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no room"});
    set["status"]["conditions"] = json!([failure]);
    world.sync();
    assert_eq!(world.condition("ReplicaFailure"), ["True", "FailedCreate", "no room"]);
    world.rest();
    assert_eq!(object::condition(&world.deployment, "ReplicaFailure"), None);
}

/// As in Kubernetes; script `deployment-scaled-mid-roll` shows it there.
#[test]
fn scaling_to_what_the_only_set_has_left_is_stuck() {
    let mut world = World::new(3, &rolling(0, 1));
    world.image("v2").sync();
    world.scale(2).rest();
    assert!(world.is_stuck());
    assert_eq!(world.deployment["status"]["updatedReplicas"].as_u64(), None, "{}", world.describe());
    world.scale(3).rest();
    assert!(!world.is_stuck());
    assert_eq!(world.deployment["status"]["updatedReplicas"], 3, "{}", world.describe());
}

#[test]
fn a_deployment_being_deleted_only_counts() {
    let mut world = World::new(3, &rolling(1, 0));
    world.deployment["metadata"]["deletionTimestamp"] = stamp(world.now).into();
    world.image("v2");
    let plan = world.plan();
    assert!(matches!(&plan.actions[..], [Action::UpdateStatus(_)]), "{:?}", plan.actions);
}

/// Something a user does.
#[derive(Debug, Clone)]
enum Edit {
    Scale(i32),
    Image(&'static str),
    Pause(bool),
    /// Controllers and kubelet go on for so many rounds.
    Go(usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (0..9).prop_map(Edit::Scale),
        prop_oneof![Just("v1"), Just("v2"), Just("v3"), Just("bad")].prop_map(Edit::Image),
        any::<bool>().prop_map(Edit::Pause),
        (0..6_usize).prop_map(Edit::Go),
    ];
    prop::collection::vec(edit, 0..16)
}

proptest! {
    #[test]
    fn whatever_happens_the_last_good_template_is_rolled_out(
        surge in 0..4_i32, unavailable in 0..4_i32, recreate: bool, edits in edits()
    ) {
        let bounds = rolling(surge, if surge == 0 { unavailable.max(1) } else { unavailable });
        let recreating = json!({"type": "Recreate"});
        let mut world = World::new(3, if recreate { &recreating } else { &bounds });
        for edit in &edits {
            match edit {
                Edit::Scale(replicas) => drop(world.scale(*replicas)),
                Edit::Image(image) => drop(world.image(image)),
                Edit::Pause(paused) => drop(world.edit("/paused", *paused)),
                Edit::Go(rounds) => for _ in 0..*rounds {
                    world.sync();
                    world.sync_sets();
                    world.kubelet();
                },
            }
        }
        world.edit("/paused", false).image("v4").rest();
        prop_assume!(!world.is_stuck());
        let replicas = world.deployment["spec"]["replicas"].as_u64().unwrap();
        let updated = world.deployment["status"]["updatedReplicas"].as_u64().unwrap_or(0);
        prop_assert_eq!((world.pods.len() as u64, updated), (replicas, replicas), "{}", world.describe());
        prop_assert_eq!(world.condition("Progressing")[1], "NewReplicaSetAvailable");
    }
}
