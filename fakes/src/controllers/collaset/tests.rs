use std::ops::{Deref, DerefMut};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::controllers::custom::world::{World, template};

const COUNTS: [&str; 4] = ["replicas", "readyReplicas", "updatedReplicas", "updatedAvailableReplicas"];

/// A namespace with a CollaSet.
struct Web(World);

/// A CollaSet with all its pods ready.
fn start(replicas: i32, partition: impl Into<Value>) -> Web {
    let mut world = Web(World::new());
    world.create(json!({
        "apiVersion": "apps.kusionstack.io/v1alpha1", "kind": "CollaSet", "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template("v1")},
    }));
    world.partition(partition);
    world.settle();
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
    fn set(&mut self, field: &str, value: impl Into<Value>) -> &mut Self {
        self.edit("CollaSet", "web", |spec| spec[field] = value.into());
        self
    }

    fn image(&mut self, image: &str) -> &mut Self {
        self.set("template", template(image))
    }

    fn partition(&mut self, partition: impl Into<Value>) -> &mut Self {
        self.set("updateStrategy", json!({"rollingUpdate": {"byPartition": {"partition": partition.into()}}}))
    }

    fn settle(&mut self) -> String {
        self.rest(&[World::sync::<CollaSet>]).describe()
    }

    fn told(&self) -> [i64; 4] {
        self.counts("CollaSet", "web", COUNTS)
    }

    /// The name of a pod of this image.
    fn one_of(&self, image: &str) -> String {
        let is_of = |pod: &&Value| pod["spec"]["containers"][0]["image"] == image;
        object::name(self.pods().find(is_of).unwrap()).to_owned()
    }
}

#[test]
fn pods_have_identities_that_outlive_them() {
    let mut world = start(3, 3);
    let ids = |world: &World| {
        let mut ids: Vec<_> = world.pods().filter_map(|pod| Pod::read(pod).instance()).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(&world), [0, 1, 2]);
    let contexts = world.get("ResourceContext", "web")["spec"]["contexts"].clone();
    let revision = &world.get("CollaSet", "web")["status"]["currentRevision"];
    let data = json!({"Owner": "web", "Revision": revision, "PodDecorationRevisions": "[]"});
    assert_eq!(contexts[1], json!({"id": 1, "data": data}));

    let lost = world.one_of("v1");
    world.delete(&lost);
    world.settle();
    assert_eq!((ids(&world), &world.get("ResourceContext", "web")["spec"]["contexts"]), (vec![0, 1, 2], &contexts));
    assert!(!world.pods().any(|pod| object::name(pod) == lost));

    world.set("replicas", 1);
    world.settle();
    world.set("replicas", 2);
    world.settle();
    assert_eq!(object::list(&world.get("ResourceContext", "web")["spec"]["contexts"]).len(), 2);
    assert_eq!(ids(&world).len(), 2);
}

#[test]
fn a_partition_walks_down() {
    let mut world = start(5, 5);
    world.image("v2");
    for (partition, pods, told, current) in [
        (json!(i32::MAX), "v1 v1 v1 v1 v1", [5, 5, 0, 0], "v1"),
        (json!(5), "v1 v1 v1 v1 v1", [5, 5, 0, 0], "v1"),
        (json!(4), "v1 v1 v1 v1 v2", [5, 5, 1, 1], "v1"),
        (json!(2), "v1 v1 v2 v2 v2", [5, 5, 3, 3], "v1"),
        (json!(5), "v1 v1 v2 v2 v2", [5, 5, 3, 3], "v1"),
        (json!(null), "v2 v2 v2 v2 v2", [5, 5, 5, 5], "v2"),
    ] {
        world.partition(partition.clone());
        assert_eq!((world.settle().as_str(), world.told()), (pods, told), "partition {partition}");
        assert_eq!(world.image_of("CollaSet", "web", "currentRevision"), current, "partition {partition}");
        assert_eq!(world.image_of("CollaSet", "web", "updatedRevision"), "v2");
    }
}

#[test]
fn all_whose_turn_it_is_go_at_once() {
    let mut world = start(4, 1);
    world.image("v2").sync::<CollaSet>();
    assert_eq!(world.describe(), "v1 v1- v1- v1-");
    assert_eq!(world.told(), [4, 4, 0, 0]);
    world.sync::<CollaSet>();
    assert_eq!(world.told(), [1, 1, 0, 0], "pods that go are not counted");
    assert_eq!(world.settle(), "v1 v2 v2 v2");
}

#[test]
fn scaling_up_at_a_partition() {
    for (partition, replicas, pods) in [
        (json!(i32::MAX), 5, "v1 v1 v1 v1 v1"),
        (json!(3), 5, "v1 v1 v1 v2 v2"),
        (json!(4), 5, "v1 v1 v1 v1 v2"),
        (json!(null), 5, "v2 v2 v2 v2 v2"),
    ] {
        let mut world = start(3, partition.clone());
        world.image("v2").settle();
        world.set("replicas", replicas);
        assert_eq!(world.settle(), pods, "partition {partition}, {replicas} replicas");
    }
}

#[test]
fn a_lost_pod_comes_back_as_it_was() {
    let mut world = start(4, 2);
    world.image("v2").settle();
    for partition in [json!(2), json!(i32::MAX)] {
        world.partition(partition.clone());
        for image in ["v1", "v2"] {
            let lost = world.one_of(image);
            world.delete(&lost);
            assert_eq!(world.settle(), "v1 v1 v2 v2", "{image} was lost at partition {partition}");
        }
    }
}

#[test]
fn a_set_without_pods_is_always_current() {
    let mut world = start(0, i32::MAX);
    world.image("v2").settle();
    assert_eq!(world.image_of("CollaSet", "web", "currentRevision"), "v2");
}

#[test]
fn pods_with_the_label_are_updated_when_it_goes_by_label() {
    let mut world = start(3, 0);
    world.set("updateStrategy", json!({"rollingUpdate": {"byLabel": {}}}));
    assert_eq!(world.image("v2").settle(), "v1 v1 v1");
    let chosen = world.one_of("v1");
    world.objects.get_mut(&("Pod".to_owned(), chosen)).unwrap()["metadata"]["labels"][INCLUDED_LABEL] = "true".into();
    assert_eq!(world.settle(), "v1 v1 v2");
}

#[test]
fn a_paused_set_does_nothing() {
    let mut world = start(3, 0);
    world.set("paused", true).set("replicas", 5).image("v2");
    assert_eq!((world.settle().as_str(), world.told()), ("v1 v1 v1", [3, 3, 0, 0]));
    world.set("paused", false);
    assert_eq!(world.settle(), "v2 v2 v2 v2 v2");
}

#[test]
fn a_bad_image_leaves_the_old_pods_alone() {
    let mut world = start(3, 2);
    assert_eq!((world.image("bad").settle().as_str(), world.told()), ("bad! v1 v1", [3, 2, 1, 0]));
    assert_eq!(world.image_of("CollaSet", "web", "currentRevision"), "v1");
    assert_eq!(world.image("v3").settle(), "v1 v1 v3", "what is not ready goes first");
}

/// Something a user does.
#[derive(Debug, Clone)]
enum Edit {
    Scale(i32),
    Partition(Option<i32>),
    Image(&'static str),
    /// A pod goes away, the first after so many.
    Lose(usize),
    /// Controller and kubelet go on for so many rounds.
    Go(usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (0..7).prop_map(Edit::Scale),
        prop::option::of(prop_oneof![0..8, Just(i32::MAX)]).prop_map(Edit::Partition),
        prop_oneof![Just("v1"), Just("v2"), Just("v3")].prop_map(Edit::Image),
        (0..7_usize).prop_map(Edit::Lose),
        (0..6_usize).prop_map(Edit::Go),
    ];
    prop::collection::vec(edit, 0..20)
}

proptest! {
    #[test]
    fn whatever_happens_it_comes_to_rest_with_its_pods(edits in edits()) {
        let mut world = start(3, 0);
        for edit in &edits {
            match edit {
                Edit::Scale(replicas) => drop(world.set("replicas", *replicas)),
                Edit::Partition(partition) => drop(world.partition(*partition)),
                Edit::Image(image) => drop(world.image(image)),
                Edit::Lose(index) => {
                    let name = world.pods().nth(*index).map(|pod| object::name(pod).to_owned());
                    if let Some(name) = name {
                        world.delete(&name);
                    }
                }
                Edit::Go(rounds) => for _ in 0..*rounds {
                    world.sync::<CollaSet>();
                    world.kubelet();
                }
            }
        }
        let pods = world.settle();
        let spec = Spec::read(world.get("CollaSet", "web"));
        let [replicas, ready, updated, _] = world.told().map(|count| i32::try_from(count).unwrap());
        prop_assert_eq!((replicas, ready), (spec.replicas, spec.replicas), "{}", pods);
        let kept = if let Rule::Partition(kept) = spec.rule { kept } else { 0 };
        prop_assert!(updated >= spec.replicas.saturating_sub(kept), "{} at {:?}", pods, spec);
        let contexts: usize = world.of_kind("ResourceContext").map(|it| object::list(&it["spec"]["contexts"]).len()).sum();
        prop_assert_eq!(usize::try_from(spec.replicas).unwrap(), contexts);
    }

    #[test]
    fn at_a_standing_partition_no_more_pods_are_updated_than_it_leaves(partition in 0..8_i32, edits in edits()) {
        let mut world = start(4, 9);
        world.image("v2").settle();
        world.partition(partition);
        for edit in edits {
            let mut rounds = 0;
            match edit {
                Edit::Scale(replicas) => drop(world.set("replicas", replicas.max(4))),
                Edit::Lose(index) => {
                    let name = world.pods().nth(index).map(|pod| object::name(pod).to_owned());
                    if let Some(name) = name {
                        world.delete(&name);
                    }
                }
                Edit::Go(some) => rounds = some,
                Edit::Partition(_) | Edit::Image(_) => {}
            }
            for _ in 0..rounds {
                world.sync::<CollaSet>();
                world.kubelet();
            }
        }
        let pods = world.settle();
        let replicas = Spec::read(world.get("CollaSet", "web")).replicas;
        let updated = i32::try_from(pods.matches("v2").count()).unwrap();
        // Scaling down takes pods of either revision, so the partition may be undercut, but never by an update. Where it
        // leaves updated pods alone, theirs is the current revision from then on.
        let closed = world.image_of("CollaSet", "web", "currentRevision") == "v2";
        let most = if closed { replicas } else { (7 - partition).max(0) };
        prop_assert!(updated <= most && updated >= replicas - partition, "{pods} at {partition}");
    }
}
