use std::ops::{Deref, DerefMut};
use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::controllers::custom::world::{World, template};

const COUNTS: [&str; 5] =
    ["replicas", "readyReplicas", "availableReplicas", "updatedReplicas", "updatedAvailableReplicas"];

/// A namespace with a CloneSet.
struct Web(World);

/// A CloneSet with all its pods ready.
fn start(replicas: i32, strategy: &Value) -> Web {
    let mut world = Web(World::new());
    world.create(json!({
        "apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template("v1"),
            "updateStrategy": strategy,
        },
    }));
    world.rest(&[World::sync::<CloneSet>]);
    world
}

impl Deref for Web {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl DerefMut for Web {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.0
    }
}

impl Web {
    fn web(&mut self, field: &str, value: impl Into<Value>) -> &mut Self {
        self.edit("CloneSet", "web", |spec| *spec.pointer_mut(field).unwrap() = value.into());
        self
    }

    fn image(&mut self, image: &str) -> &mut Self {
        self.web("/template", template(image))
    }

    fn partition(&mut self, partition: impl Into<Value>) -> &mut Self {
        self.edit("CloneSet", "web", |spec| spec["updateStrategy"]["partition"] = partition.into());
        self
    }

    fn settle(&mut self) -> String {
        self.rest(&[World::sync::<CloneSet>]).describe()
    }

    fn told(&self) -> [i64; 5] {
        self.counts("CloneSet", "web", COUNTS)
    }
}

#[test]
fn a_pod_carries_its_revision_in_full_and_in_short() {
    let world = start(1, &json!({}));
    let revision = world.of_kind("ControllerRevision").next().unwrap();
    let pod = world.pods().next().unwrap();
    let name = object::name(revision);
    assert_eq!(object::label(pod, REVISION_LABEL), Some(name));
    assert_eq!(object::label(pod, HASH_LABEL), name.strip_prefix("web-"));
    let owner = json!({
        "apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet", "name": "web", "uid": "uid-1",
        "controller": true, "blockOwnerDeletion": true,
    });
    assert_eq!(pod["metadata"]["ownerReferences"], json!([owner]));
    assert_eq!(revision["metadata"]["ownerReferences"], json!([owner]));
}

#[test]
fn a_partition_walks_down() {
    let mut world = start(5, &json!({"partition": 5}));
    world.image("v2");
    for (partition, pods, told, current) in [
        (json!(5), "v1 v1 v1 v1 v1", [5, 5, 5, 0, 0], "v1"),
        (json!("90%"), "v1 v1 v1 v1 v2", [5, 5, 5, 1, 1], "v1"),
        (json!(2), "v1 v1 v2 v2 v2", [5, 5, 5, 3, 3], "v1"),
        (json!(4), "v1 v1 v2 v2 v2", [5, 5, 5, 3, 3], "v1"),
        (json!("10%"), "v1 v2 v2 v2 v2", [5, 5, 5, 4, 4], "v1"),
        (json!(0), "v2 v2 v2 v2 v2", [5; 5], "v2"),
    ] {
        world.partition(partition.clone());
        assert_eq!((world.settle().as_str(), world.told()), (pods, told), "partition {partition}");
        assert_eq!(world.image_of("CloneSet", "web", "currentRevision"), current, "partition {partition}");
        assert_eq!(world.image_of("CloneSet", "web", "updateRevision"), "v2");
    }
}

#[test]
fn a_percentage_never_means_none_or_all_by_rounding() {
    for (partition, replicas, kept) in [
        (json!(null), 4, 0),
        (json!(3), 4, 3),
        (json!(i32::MAX), 4, 4),
        (json!("0%"), 4, 0),
        (json!("1%"), 4, 1),
        (json!("99%"), 4, 3),
        (json!("100%"), 4, 4),
        (json!("99%"), 1, 1),
        (json!("50%"), 0, 0),
    ] {
        assert_eq!(super::partition(&partition, replicas), kept, "{partition} of {replicas}");
    }
}

#[test]
fn scaling_keeps_the_partition() {
    for (partition, replicas, pods) in [
        (json!(i32::MAX), 5, "v1 v1 v1 v1 v1"),
        (json!("100%"), 5, "v1 v1 v1 v1 v1"),
        (json!(2), 5, "v1 v1 v2 v2 v2"),
        (json!(2), 1, "v1"),
        (json!(2), 0, ""),
        (json!("50%"), 6, "v1 v1 v1 v2 v2 v2"),
    ] {
        let mut world = start(3, &json!({"partition": partition}));
        world.image("v2").settle();
        world.web("/replicas", replicas);
        assert_eq!(world.settle(), pods, "partition {partition}, {replicas} replicas");
    }
}

#[test]
fn as_many_pods_go_at_once_as_may_be_unavailable() {
    for (strategy, after_one_sync) in [
        (json!({}), "v1 v1 v1 v1-"),
        (json!({"maxUnavailable": 2}), "v1 v1 v1- v1-"),
        (json!({"maxUnavailable": "75%"}), "v1 v1- v1- v1-"),
        (json!({"maxUnavailable": 3, "partition": 3}), "v1 v1 v1 v1-"),
        (json!({"maxUnavailable": 0}), "v1 v1 v1 v1"),
        (json!({"maxUnavailable": 0, "maxSurge": 1}), "v1 v1 v1 v1 v2!"),
        (json!({"maxUnavailable": 0, "maxSurge": "50%"}), "v1 v1 v1 v1 v2! v2!"),
        (json!({"maxUnavailable": 0, "maxSurge": 3, "partition": 3}), "v1 v1 v1 v1 v2!"),
        (json!({"maxSurge": 2, "paused": true}), "v1 v1 v1 v1"),
    ] {
        let mut world = start(4, &strategy);
        world.image("v2").sync::<CloneSet>();
        assert_eq!(world.describe(), after_one_sync, "{strategy}");
    }
}

#[test]
fn a_surge_goes_once_everything_is_updated() {
    let mut world = start(3, &json!({"maxUnavailable": 0, "maxSurge": 2, "partition": 1}));
    assert_eq!(world.image("v2").settle(), "v1 v2 v2");
    assert_eq!(world.partition(0).settle(), "v2 v2 v2");
}

#[test]
fn a_bad_image_stops_the_update() {
    let mut world = start(5, &json!({"maxUnavailable": 2}));
    assert_eq!(world.image("bad").settle(), "bad! bad! v1 v1 v1");
    assert_eq!(world.told(), [5, 3, 3, 2, 0]);
    assert_eq!(world.image("v3").settle(), "v3 v3 v3 v3 v3", "pods that are down go first");
}

#[test]
fn pods_that_are_down_are_updated_no_faster_than_others() {
    let mut world = start(4, &json!({"maxUnavailable": "100%"}));
    assert_eq!(world.image("bad").settle(), "bad! bad! bad! bad!");
    world.edit("CloneSet", "web", |spec| spec["updateStrategy"]["maxUnavailable"] = 1.into());
    world.image("v2").sync::<CloneSet>();
    assert_eq!(world.describe(), "bad! bad! bad! bad-");
    assert_eq!(world.settle(), "v2 v2 v2 v2");
}

#[test]
fn a_lost_pod_comes_back_on_the_side_that_lacks_one() {
    let mut world = start(4, &json!({"partition": 2}));
    world.image("v2").settle();
    for image in ["v1", "v2"] {
        let is_of = |pod: &&Value| pod["spec"]["containers"][0]["image"] == image;
        let name = object::name(world.pods().find(is_of).unwrap()).to_owned();
        world.delete(&name);
        assert_eq!(world.settle(), "v1 v1 v2 v2", "{image} was lost");
    }
}

#[test]
fn pods_become_available_after_min_ready_seconds() {
    let mut world = start(2, &json!({"maxUnavailable": 1}));
    world.now += SignedDuration::from_secs(60);
    world.edit("CloneSet", "web", |spec| spec["minReadySeconds"] = 30.into());
    assert_eq!((world.image("v2").settle().as_str(), world.told()), ("v1 v2", [2, 2, 1, 1, 0]));
    let plan = world.plan::<CloneSet>(world.get("CloneSet", "web"));
    assert_eq!(plan.requeue_after, Some(Duration::from_secs(30)));
    world.now += SignedDuration::from_secs(30);
    assert_eq!(world.settle(), "v2 v2");
}

#[test]
fn orphans_are_adopted_and_misfits_let_go() {
    let mut world = start(2, &json!({}));
    let names: Vec<_> = world.pods().map(|pod| object::name(pod).to_owned()).collect();
    let pod = |world: &mut World, name: &str, change: &dyn Fn(&mut Value)| {
        change(&mut world.objects.get_mut(&("Pod".to_owned(), name.to_owned())).unwrap()["metadata"]);
    };
    pod(&mut world, &names[0], &|metadata| metadata["ownerReferences"] = json!([]));
    pod(&mut world, &names[1], &|metadata| metadata["labels"]["app"] = "other".into());
    world.settle();
    let owner = |name: &str| object::controller_uid(world.get("Pod", name));
    assert_eq!((owner(&names[0]), owner(&names[1])), (Some("uid-1"), None));
    assert_eq!(world.told(), [2; 5]);
}

#[test]
fn a_set_being_deleted_only_counts() {
    let mut world = start(2, &json!({}));
    world.image("v2").web("/replicas", 4);
    let set = world.objects.get_mut(&("CloneSet".to_owned(), "web".to_owned())).unwrap();
    set["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let plan = world.plan::<CloneSet>(world.get("CloneSet", "web"));
    assert!(!plan.actions.iter().any(|action| matches!(action, Action::Create(pod) if pod["kind"] == "Pod")));
    assert_eq!(plan.status["replicas"], 2);
}

#[test]
fn history_keeps_its_limit_and_what_is_in_use() {
    let mut world = start(2, &json!({"partition": 1}));
    world.edit("CloneSet", "web", |spec| spec["revisionHistoryLimit"] = 1.into());
    world.image("v2").settle();
    world.partition(2);
    for image in ["v3", "v4", "v5"] {
        world.image(image).settle();
    }
    let numbers: Vec<_> = world.of_kind("ControllerRevision").map(revision::number).collect();
    assert_eq!(numbers.len(), 4, "the two pods' own, the one before, the update's: {numbers:?}");
}

/// Something a user does.
#[derive(Debug, Clone)]
enum Edit {
    Scale(i32),
    Partition(i32),
    Image(&'static str),
    /// Controller and kubelet go on for so many rounds.
    Go(usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (0..7).prop_map(Edit::Scale),
        prop_oneof![0..8, Just(i32::MAX)].prop_map(Edit::Partition),
        prop_oneof![Just("v1"), Just("v2"), Just("v3"), Just("bad")].prop_map(Edit::Image),
        (0..6_usize).prop_map(Edit::Go),
    ];
    prop::collection::vec(edit, 0..20)
}

proptest! {
    #[test]
    fn an_update_never_gets_ahead_of_its_partition_and_ends(surge in 0..3, edits in edits()) {
        let mut world = start(3, &json!({"maxUnavailable": 1, "maxSurge": surge}));
        for edit in &edits {
            match edit {
                Edit::Scale(replicas) => drop(world.web("/replicas", *replicas)),
                Edit::Partition(partition) => drop(world.partition(*partition)),
                Edit::Image(image) => drop(world.image(image)),
                Edit::Go(rounds) => for _ in 0..*rounds {
                    let updated = |world: &World| {
                        let update = world.get("CloneSet", "web")["status"]["updateRevision"].clone();
                        world.pods().filter(|pod| pod["metadata"]["labels"][REVISION_LABEL] == update).count()
                    };
                    world.sync::<CloneSet>();
                    let before = updated(&world);
                    world.kubelet();
                    world.sync::<CloneSet>();
                    let spec = Spec::read(world.get("CloneSet", "web"));
                    let most = usize::try_from(spec.replicas - spec.partition).unwrap();
                    prop_assert!(updated(&world) <= most.max(before), "{} at {spec:?}", world.describe());
                }
            }
        }
        let pods = world.settle();
        let spec = Spec::read(world.get("CloneSet", "web"));
        if !pods.contains('!') {
            let [replicas, _, available, updated, _] = world.told().map(|count| i32::try_from(count).unwrap());
            prop_assert_eq!((replicas, available), (spec.replicas, spec.replicas), "{}", pods);
            prop_assert!(updated >= spec.replicas - spec.partition, "{} at {:?}", pods, spec);
        }
    }
}
