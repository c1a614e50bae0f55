use serde_json::json;

use super::*;

const NOW: &str = "2026-01-01T01:00:00Z";

fn set(replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "shop", "uid": "set-uid", "generation": 2},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web", "tier": "front"}, "annotations": {"note": "kept"}},
                "spec": {"containers": [{"name": "main", "image": "v1"}]},
            },
        },
        "status": {"replicas": 0},
    })
}

/// A pod of the set that has been ready since an instant of the last hour.
fn ready(name: &str, since: &str) -> Value {
    let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": format!("2026-01-01T00:{since}Z")});
    let mut pod = pending(name);
    pod["status"] = json!({"phase": "Running", "conditions": [ready]});
    pod
}

fn pending(name: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "uid": name, "labels": {"app": "web", "tier": "front"},
            "ownerReferences": [{"uid": "set-uid", "controller": true}],
        },
        "spec": {"nodeName": "a"},
        "status": {"phase": "Pending"},
    })
}

fn plan(set: &Value, pods: &[Value]) -> Plan {
    let pods: Vec<&Value> = pods.iter().collect();
    sync(&Observed { set, related: pods.clone(), pods, now: NOW.parse().unwrap() })
}

#[test]
fn missing_pods_are_created_from_the_template() {
    let plan = plan(&set(3), &[ready("a", "10:00")]);
    let Change::Create(2, pod) = plan.change else { panic!("{:?}", plan.change) };
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "set-uid",
        "controller": true, "blockOwnerDeletion": true,
    });
    assert_eq!(
        pod["metadata"],
        json!({
            "generateName": "web-", "namespace": "shop", "labels": {"app": "web", "tier": "front"},
            "annotations": {"note": "kept"}, "ownerReferences": [owner],
        })
    );
    assert_eq!(plan.status.replicas, 1, "the status is of before");
}

#[test]
fn no_more_than_a_burst_at_a_time() {
    assert!(matches!(plan(&set(1000), &[]).change, Change::Create(500, _)));
}

#[test]
fn pods_are_counted() {
    let mut stranger = ready("stranger", "10:00");
    stranger["metadata"]["labels"].as_object_mut().unwrap().remove("tier");
    let mut ending = ready("ending", "10:00");
    ending["metadata"]["deletionTimestamp"] = NOW.into();
    let mut finished = pending("finished");
    finished["status"]["phase"] = "Failed".into();
    let mut finishing = finished.clone();
    finishing["metadata"]["deletionTimestamp"] = NOW.into();
    let mut set = set(4);
    set["spec"]["minReadySeconds"] = 30.into();
    let young = ready("young", "59:50");
    let plan = plan(&set, &[ready("a", "10:00"), young, pending("b"), stranger, ending, finished, finishing]);
    assert_eq!(
        plan.status.to_value(),
        json!({
            "replicas": 4, "fullyLabeledReplicas": 3, "readyReplicas": 3, "availableReplicas": 2,
            "terminatingReplicas": 1, "observedGeneration": 2,
        })
    );
    assert_eq!((plan.change, plan.requeue_after), (Change::None, Some(Duration::from_secs(20))));
}

#[test]
fn the_least_useful_pods_go_first() {
    let mut unscheduled = pending("unscheduled");
    unscheduled["spec"] = json!({});
    let mut cheap = ready("cheap", "10:00");
    cheap["metadata"]["annotations"] = json!({"controller.kubernetes.io/pod-deletion-cost": "-1"});
    let mut alone = ready("alone", "59:59");
    alone["spec"]["nodeName"] = "b".into();
    let mut restarted = ready("restarted", "10:00");
    restarted["status"]["containerStatuses"] = json!([{"restartCount": 3}]);
    let mut running = ready("running", "10:00");
    running["status"]["conditions"] = json!([]);
    // 31 and 32 minutes are of one magnitude, so the uid decides; 50 minutes are of the next.
    let (old, older) = (ready("z", "29:00"), ready("y", "28:00"));
    let pods = [
        alone,
        older,
        old,
        ready("young", "59:59"),
        restarted,
        ready("steady", "10:00"),
        cheap,
        running,
        pending("pending"),
        unscheduled,
    ];
    let Change::Delete(names) = plan(&set(1), &pods).change else { panic!("nothing is deleted") };
    let expected = ["unscheduled", "pending", "running", "cheap", "young", "y", "z", "restarted", "steady"];
    assert_eq!(names, expected);
}

#[test]
fn fitting_orphans_are_adopted_and_misfits_let_go() {
    let mut orphan = ready("orphan", "10:00");
    orphan["metadata"]["ownerReferences"] = json!([]);
    let mut misfit = ready("misfit", "10:00");
    misfit["metadata"]["labels"] = json!({});
    let plan = plan(&set(1), &[orphan, misfit]);
    let owners: Vec<_> = plan.claims.iter().map(|pod| (object::name(pod), object::controller_uid(pod))).collect();
    assert_eq!(owners, [("orphan", Some("set-uid")), ("misfit", None)]);
    assert_eq!((plan.change, plan.status.replicas), (Change::None, 1));
}

#[test]
fn a_failure_is_told_until_it_is_over() {
    let now = NOW.parse().unwrap();
    let plan = plan(&set(1), &[]);
    let failed = plan.status.clone().after(&plan.change, Some("no room"), now);
    let condition = json!({
        "type": "ReplicaFailure", "status": "True", "lastTransitionTime": NOW,
        "reason": "FailedCreate", "message": "no room",
    });
    assert_eq!(failed.conditions, [condition]);
    assert_eq!(failed.clone().after(&plan.change, Some("still none"), now), failed);
    assert_eq!(failed.after(&plan.change, None, now), plan.status);
}

#[test]
fn a_set_being_deleted_only_counts() {
    let mut set = set(3);
    set["metadata"]["deletionTimestamp"] = NOW.into();
    let plan = plan(&set, &[ready("a", "10:00")]);
    assert_eq!((plan.change, plan.status.replicas), (Change::None, 1));
}
