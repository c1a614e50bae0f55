//! What an Advanced StatefulSet does that a StatefulSet does not.

use super::*;

/// A set of OpenKruise with this `rollingUpdate`, and all its pods ready.
fn advanced(replicas: i32, rolling: &Value) -> World {
    let mut world = World::new("Parallel", 0, 0);
    world.set["apiVersion"] = "apps.kruise.io/v1beta1".into();
    world.revisions.clear();
    world.set["status"] = json!({});
    world.edit("/updateStrategy/rollingUpdate", rolling.clone()).scale(replicas).rest();
    world
}

fn rolling(partition: i32, more: &Value) -> Value {
    let mut rolling = json!({"partition": partition});
    for (field, value) in more.as_object().into_iter().flatten() {
        rolling[field] = value.clone();
    }
    rolling
}

/// Pods that have not been deleted.
fn staying(world: &World) -> usize {
    world.pods.values().filter(|pod| !object::is_deleting(pod)).count()
}

#[test]
fn everything_of_it_belongs_to_it() {
    let world = advanced(2, &rolling(0, &json!({})));
    for object in world.pods.values().chain(world.revisions.values()) {
        let owner = &object::owners(object)[0];
        assert_eq!((&owner["apiVersion"], &owner["kind"]), (&json!("apps.kruise.io/v1beta1"), &json!("StatefulSet")));
    }
}

#[test]
fn as_many_pods_are_updated_at_once_as_may_be_unavailable() {
    for (bound, staying_after_one_sync) in [
        (json!({}), 4),
        (json!({"maxUnavailable": 0}), 4),
        (json!({"maxUnavailable": 2}), 3),
        (json!({"maxUnavailable": "50%"}), 3),
        (json!({"maxUnavailable": 9}), 1),
    ] {
        let mut world = advanced(5, &rolling(1, &bound));
        world.image("v2").sync();
        assert_eq!(staying(&world), staying_after_one_sync, "{bound}");
        assert_eq!(world.rest().describe(), "0=v1 1=v2 2=v2 3=v2 4=v2", "{bound}");
    }
}

#[test]
fn pods_that_are_down_already_count_against_the_bound() {
    let mut world = advanced(4, &rolling(0, &json!({"maxUnavailable": 2})));
    world.image("bad").rest();
    assert_eq!(world.describe(), "0=v1 1=v1 2=bad! 3=bad!");
    assert_eq!(world.counts(), [4, 2, 2, 2, 2]);
}

#[test]
fn a_paused_set_scales_and_updates_nothing() {
    let mut world = advanced(3, &rolling(2, &json!({"paused": true})));
    world.image("v2").rest();
    assert_eq!(world.describe(), "0=v1 1=v1 2=v1");
    assert_eq!(world.scale(5).rest().describe(), "0=v1 1=v1 2=v1 3=v2 4=v2", "its partition still counts");
    world.edit("/updateStrategy/rollingUpdate/paused", false).rest();
    assert_eq!(world.describe(), "0=v1 1=v1 2=v2 3=v2 4=v2");
}

#[test]
fn an_unordered_update_stays_with_what_it_has_begun() {
    let unordered = json!({"unorderedUpdate": {}});
    let mut world = advanced(5, &rolling(4, &unordered));
    world.image("v2").rest();
    assert_eq!(world.describe(), "0=v1 1=v1 2=v1 3=v1 4=v2");
    world.pods.get_mut("web-1").unwrap()["metadata"]["labels"][REVISION_LABEL] =
        world.set["status"]["updateRevision"].clone();
    world.partition(3).rest();
    assert_eq!(world.describe(), "0=v1 1=v1 2=v1 3=v1 4=v2", "two are updated, whichever they are");

    // A pod that comes back is of the old revision as long as too few others are.
    for (name, image) in [("web-0", "0=v1"), ("web-4", "4=v2")] {
        world.pods.remove(name);
        assert!(world.rest().describe().contains(image), "{name}: {}", world.describe());
    }
}

#[test]
fn scaling_up_at_a_partition() {
    for (more, partition, pods) in [
        (json!({}), 1, "0=v1 1=v2 2=v2 3=v2 4=v2"),
        (json!({}), 4, "0=v1 1=v1 2=v1 3=v1 4=v2"),
        (json!({}), i32::MAX, "0=v1 1=v1 2=v1 3=v1 4=v1"),
        (json!({"unorderedUpdate": {}}), 3, "0=v1 1=v1 2=v1 3=v2 4=v2"),
        (json!({"unorderedUpdate": {}}), i32::MAX, "0=v1 1=v1 2=v1 3=v1 4=v1"),
    ] {
        let mut world = advanced(3, &rolling(partition, &more));
        world.image("v2").rest();
        assert_eq!(world.scale(5).rest().describe(), pods, "{more}, partition {partition}");
    }
}

#[test]
fn its_status_tells_of_updated_pods_and_of_its_selector() {
    let mut world = advanced(4, &rolling(2, &json!({"minReadySeconds": 30, "maxUnavailable": 2})));
    world.now += SignedDuration::from_secs(60);
    world.image("v2").rest();
    let told = |world: &World| {
        let status = &world.set["status"];
        [&status["updatedReplicas"], &status["updatedReadyReplicas"], &status["updatedAvailableReplicas"]]
            .map(Value::clone)
    };
    assert_eq!(told(&world), [2, 2, 0].map(Value::from));
    assert_eq!(world.set["status"]["labelSelector"], "app=web");
    world.now += SignedDuration::from_secs(30);
    world.rest();
    assert_eq!(told(&world), [2; 3].map(Value::from));
    world.partition(0).rest();
    world.now += SignedDuration::from_secs(30);
    world.rest();
    assert_eq!((told(&world), world.image_of("currentRevision")), ([4; 3].map(Value::from), "v2".into()));
}

proptest! {
    #[test]
    fn the_partition_keeps_its_number_of_old_pods(unordered: bool, bound in 0..4, partitions in prop::collection::vec(0..8, 1..6)) {
        let mut more = json!({"maxUnavailable": bound});
        if unordered {
            more["unorderedUpdate"] = json!({});
        }
        let mut world = advanced(6, &rolling(9, &more));
        world.image("v2");
        let mut lowest = 9;
        for partition in partitions {
            lowest = lowest.min(partition);
            world.partition(partition);
            for _ in 0..40 {
                let down = world.pods.values().filter(|pod| !is_ready(pod) || object::is_deleting(pod)).count();
                prop_assert!(down + 6 - world.pods.len() <= usize::try_from(bound).unwrap().max(1), "{}", world.describe());
                let updated = world.describe().matches("v2").count();
                prop_assert!(updated <= usize::try_from(6 - lowest).unwrap_or(0), "{} at {partition}", world.describe());
                world.sync();
                world.kubelet();
            }
            let updated = world.rest().describe().matches("v2").count();
            prop_assert_eq!(updated, usize::try_from(6 - lowest).unwrap_or(0));
        }
    }
}
