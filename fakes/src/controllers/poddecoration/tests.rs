use std::ops::{Deref, DerefMut};

use serde_json::json;

use super::*;
use crate::controllers::collaset::CollaSet;
use crate::controllers::custom::world::{Sync, World, template};

const ALL: [Sync; 2] = [World::sync::<CollaSet>, World::sync::<PodDecoration>];
const COUNTS: [&str; 4] = ["matchedPods", "injectedPods", "updatedPods", "updatedReadyPods"];

/// A decoration's template that adds a container of this image.
fn sidecar(image: &str) -> Value {
    json!({"containers": [{"name": "proxy", "image": image, "injectPolicy": "AfterPrimaryContainer"}]})
}

/// A namespace with CollaSets and a PodDecoration.
struct Web(World);

/// Two CollaSets of two pods each, and a decoration for them, if any.
fn start(decoration: Option<&Value>) -> Web {
    let mut world = Web(World::new());
    for name in ["a", "b"] {
        world.create(json!({
            "apiVersion": "apps.kusionstack.io/v1alpha1", "kind": "CollaSet", "metadata": {"name": name},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template("v1")},
        }));
    }
    if let Some(decoration) = decoration {
        world.decorate(decoration);
    }
    world.rest(&ALL);
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
    fn decorate(&mut self, template: &Value) {
        self.create(json!({
            "apiVersion": "apps.kusionstack.io/v1alpha1", "kind": "PodDecoration", "metadata": {"name": "mesh"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template},
        }));
    }

    fn partition(&mut self, partition: impl Into<Value>) -> &mut Self {
        let rolling = json!({"rollingUpdate": {"partition": partition.into()}});
        self.edit("PodDecoration", "mesh", |spec| spec["updateStrategy"] = rolling);
        self
    }

    fn sidecar(&mut self, image: &str) -> &mut Self {
        self.edit("PodDecoration", "mesh", |spec| spec["template"] = sidecar(image));
        self
    }

    /// The images of sidecars, `-` for pods without one.
    fn settled(&mut self) -> String {
        self.rest(&ALL);
        let image = |pod: &Value| pod["spec"]["containers"][1]["image"].as_str().unwrap_or("-").to_owned();
        let mut images: Vec<String> = self.pods().map(image).collect();
        images.sort();
        images.join(" ")
    }

    fn told(&self) -> [i64; 4] {
        self.counts("PodDecoration", "mesh", COUNTS)
    }

    /// The sidecar's image in the revision that the status names.
    fn sidecar_of(&self, field: &str) -> String {
        let name = self.get("PodDecoration", "mesh")["status"][field].as_str().unwrap_or_default();
        let revision = self.of_kind("ControllerRevision").find(|revision| object::name(revision) == name);
        let template = revision.map(crate::controllers::revision::template).unwrap_or_default();
        template["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
    }
}

#[test]
fn a_partition_walks_down_over_all_collasets() {
    let mut world = start(Some(&sidecar("p1")));
    assert_eq!((world.settled().as_str(), world.told()), ("p1 p1 p1 p1", [4; 4]));
    world.partition(4).sidecar("p2");
    for (partition, images, told, current) in [
        (json!(i32::MAX), "p1 p1 p1 p1", [4, 4, 0, 0], "p1"),
        (json!(3), "p1 p1 p1 p2", [4, 4, 1, 1], "p1"),
        (json!(1), "p1 p2 p2 p2", [4, 4, 3, 3], "p1"),
        (json!(4), "p1 p2 p2 p2", [4, 4, 3, 3], "p1"),
        (json!(null), "p2 p2 p2 p2", [4, 4, 4, 4], "p2"),
    ] {
        world.partition(partition.clone());
        assert_eq!((world.settled().as_str(), world.told()), (images, told), "partition {partition}");
        assert_eq!(world.sidecar_of("currentRevision"), current, "partition {partition}");
        assert_eq!(world.sidecar_of("updatedRevision"), "p2");
    }
}

#[test]
fn pods_are_decorated_when_a_decoration_comes_and_stripped_when_it_goes() {
    let mut world = start(None);
    assert_eq!(world.settled(), "- - - -");
    world.decorate(&sidecar("p1"));
    assert_eq!(world.settled(), "p1 p1 p1 p1");
    world.objects.remove(&("PodDecoration".to_owned(), "mesh".to_owned()));
    assert_eq!(world.settled(), "- - - -");
}

#[test]
fn a_new_decoration_at_a_full_partition_changes_no_pod_that_is_there() {
    let mut world = start(None);
    world.decorate(&sidecar("p1"));
    world.partition(i32::MAX);
    assert_eq!((world.settled().as_str(), world.told()), ("- - - -", [4, 0, 0, 0]));
    assert_eq!(world.sidecar_of("currentRevision"), "", "it never was everywhere");
}

#[test]
fn lost_pods_keep_their_decorations_and_new_ones_get_the_newest() {
    let mut world = start(Some(&sidecar("p1")));
    world.partition(i32::MAX).sidecar("p2");
    assert_eq!(world.settled(), "p1 p1 p1 p1");
    let lost = object::name(world.pods().next().unwrap()).to_owned();
    world.delete(&lost);
    assert_eq!(world.settled(), "p1 p1 p1 p1");
    // A partition keeps pods by name, and a pod to be made has none.
    world.edit("CollaSet", "a", |spec| spec["replicas"] = 3.into());
    assert_eq!(world.settled(), "p1 p1 p1 p1 p2");
}

#[test]
fn an_update_of_the_collaset_leaves_decorations_alone() {
    let mut world = start(Some(&sidecar("p1")));
    world.partition(i32::MAX).sidecar("p2");
    world.edit("CollaSet", "a", |spec| spec["template"] = template("v2"));
    assert_eq!(world.settled(), "p1 p1 p1 p1");
    assert_eq!(world.describe(), "v1 v1 v2 v2");
}

#[test]
fn a_selector_says_whose_turn_it_is() {
    let mut world = start(Some(&sidecar("p1")));
    let rolling = json!({"rollingUpdate": {"selector": {"matchLabels": {"collaset.kusionstack.io/instance-id": "1"}}}});
    world.edit("PodDecoration", "mesh", |spec| spec["updateStrategy"] = rolling);
    world.sidecar("p2");
    assert_eq!(world.settled(), "p1 p1 p2 p2");
}

#[test]
fn its_status_tells_of_every_pod_unless_it_is_asked_not_to() {
    let mut world = start(Some(&sidecar("p1")));
    let details = |world: &World| world.get("PodDecoration", "mesh")["status"]["details"].clone();
    assert_eq!((&details(&world)[1]["collaSet"], &details(&world)[1]["affectedReplicas"]), (&json!("b"), &json!(2)));
    let revision = world.get("PodDecoration", "mesh")["status"]["updatedRevision"].clone();
    assert_eq!(details(&world)[1]["pods"][0]["revision"], revision);
    world.edit("PodDecoration", "mesh", |spec| spec["disablePodDetail"] = true.into()).rest(&ALL);
    assert_eq!(
        details(&world),
        json!([{"collaSet": "a", "affectedReplicas": 2}, {"collaSet": "b", "affectedReplicas": 2}])
    );
}

#[test]
fn a_pod_gets_what_the_template_says() {
    let world = start(Some(&json!({
        "metadata": [
            {"patchPolicy": "Retain", "labels": {"app": "other", "mesh": "on"}},
            {"patchPolicy": "Overwrite", "annotations": {"note": "x"}},
        ],
        "containers": [
            {"name": "front", "image": "f", "injectPolicy": "BeforePrimaryContainer"},
            {"name": "back", "image": "b", "injectPolicy": "AfterPrimaryContainer"},
        ],
        "initContainers": [{"name": "init", "image": "i"}],
        "primaryContainers": [{"targetPolicy": "All", "image": "v9", "env": [{"name": "MESH", "value": "1"}]}],
        "volumes": [{"name": "run", "emptyDir": {}}],
    })));
    let pod = world.pods().next().unwrap();
    assert_eq!(
        pod["spec"],
        json!({
            "containers": [
                {"name": "front", "image": "f"},
                {"name": "main", "image": "v9", "resources": {}, "env": [{"name": "MESH", "value": "1"}]},
                {"name": "back", "image": "b"},
            ],
            "initContainers": [{"name": "init", "image": "i"}],
            "volumes": [{"name": "run", "emptyDir": {}}],
        })
    );
    assert_eq!((object::label(pod, "app"), object::label(pod, "mesh")), (Some("web"), Some("on")));
    assert_eq!(object::annotation(pod, "note"), Some("x"));
}
