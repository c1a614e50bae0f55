use serde_json::json;

use super::*;

/// A world of one workload `east/web` and one run, told write by write.
pub(crate) struct Told {
    pub(crate) facts: Facts,
    seconds: u64,
    objects: BTreeMap<(String, String), Value>,
}

impl Told {
    pub(crate) fn new() -> Self {
        Self { facts: Facts::default(), seconds: 0, objects: BTreeMap::new() }
    }

    /// A write, one second after the last; null deletes.
    pub(crate) fn write(&mut self, who: Who, plural: &str, name: &str, new: &Value) -> (Delta, Value, Option<Value>) {
        self.seconds += 1;
        let key = (plural.to_owned(), name.to_owned());
        let old = self.objects.get(&key).cloned();
        let gone = new.is_null();
        let new = if gone { old.clone().unwrap() } else { new.clone() };
        let verb = match (gone, &old) {
            (true, _) => Verb::Delete,
            (false, None) => Verb::Create,
            (false, Some(_)) => Verb::Update,
        };
        let cluster = if plural.starts_with("rollout") { "hub" } else { "east" };
        let change = Change {
            at: Duration::from_secs(self.seconds),
            cluster,
            who,
            verb,
            plural,
            namespace: "default",
            name,
            old: old.as_ref(),
            new: &new,
        };
        let delta = self.facts.apply(&change);
        if gone {
            self.objects.remove(&key)
        } else {
            self.objects.insert(key, new.clone())
        };
        (delta, new, old)
    }

    pub(crate) fn web(&self) -> &WorkloadFacts {
        self.facts.named("east/web").unwrap().1
    }
}

pub(crate) fn set(replicas: i32, partition: i32, image: &str, stable: &str, updated: &str) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "updateStrategy": {"rollingUpdate": {"partition": partition}},
            "template": {"spec": {"containers": [{"name": "main", "image": image}]}},
        },
        "status": {"currentRevision": stable, "updateRevision": updated},
    })
}

pub(crate) fn pod(uid: &str, revision: &str, ready: bool) -> Value {
    json!({
        "metadata": {
            "uid": uid,
            "labels": {"controller-revision-hash": revision},
            "ownerReferences": [{"controller": true, "name": "web"}],
        },
        "spec": {"containers": [{"name": "main", "image": revision}]},
        "status": {"conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    })
}

pub(crate) fn run(index: usize, state: &str, phase: &str) -> Value {
    let batch = |replicas: Value, breakpoint: bool| {
        let target = json!({"cluster": "east", "name": "web", "replicas": replicas, "replicaSlidingWindow": 1});
        json!({"breakpoint": breakpoint, "targets": [target]})
    };
    json!({
        "metadata": {"name": "web-1", "ownerReferences": [{"kind": "Rollout", "name": "web", "controller": true}]},
        "spec": {"batch": {"batches": [batch(json!(1), false), batch(json!("50%"), true), batch(json!("100%"), false)]}},
        "status": {"phase": phase, "batchStatus": {"currentBatchIndex": index, "currentBatchState": state}},
    })
}

/// Five pods on v1, parked, v2 waiting, and a run.
pub(crate) fn waiting() -> Told {
    let mut told = Told::new();
    told.write(Who::User, "statefulsets", "web", &set(5, 0, "v1", "v1", "v1"));
    for ordinal in 0..5 {
        told.write(Who::Cluster, "pods", &format!("web-{ordinal}"), &pod(&format!("a{ordinal}"), "v1", true));
    }
    told.write(Who::Operator, "statefulsets", "web", &set(5, i32::MAX, "v1", "v1", "v1"));
    told.write(Who::User, "statefulsets", "web", &set(5, i32::MAX, "v2", "v1", "v2"));
    told.write(Who::Operator, "rolloutruns", "web-1", &run(0, "", "Progressing"));
    told
}

#[test]
fn ceilings_follow_what_has_begun() {
    let mut told = waiting();
    assert_eq!((told.web().ceiling, told.web().exposed()), (0, 0));
    told.write(Who::Operator, "rolloutruns", "web-1", &run(0, "Running", "Progressing"));
    assert_eq!(told.web().ceiling, 1);
    told.write(Who::Operator, "rolloutruns", "web-1", &run(1, "Running", "Progressing"));
    assert_eq!(told.web().ceiling, 3, "50% of five, rounded up");
    told.write(Who::User, "statefulsets", "web", &set(8, i32::MAX, "v2", "v1", "v2"));
    assert_eq!(told.web().ceiling, 4, "50% of eight");
    told.write(Who::User, "statefulsets", "web", &set(2, i32::MAX, "v2", "v1", "v2"));
    assert_eq!(told.web().ceiling, 4, "what was authorised once stays so");
    told.write(Who::Cluster, "statefulsets", "web", &set(2, i32::MAX, "v3", "v1", "v3"));
    assert_eq!(told.web().ceiling, 1, "a new revision begins with what the active run has begun");
}

#[test]
fn whoever_opens_an_ordinal_answers_for_its_pod() {
    let mut told = waiting();
    told.write(Who::Operator, "rolloutruns", "web-1", &run(0, "Running", "Progressing"));
    told.write(Who::Operator, "statefulsets", "web", &set(5, 4, "v2", "v1", "v2"));
    told.write(Who::Cluster, "pods", "web-4", &Value::Null);
    told.write(Who::Cluster, "pods", "web-4", &pod("b4", "v2", false));
    assert_eq!(told.web().exposed(), 1);
    told.write(Who::User, "statefulsets", "web", &set(7, 4, "v2", "v1", "v2"));
    for ordinal in [5, 6] {
        told.write(Who::Cluster, "pods", &format!("web-{ordinal}"), &pod(&format!("b{ordinal}"), "v2", false));
    }
    assert_eq!(told.web().exposed(), 1, "the scale-up put two more there");
    told.write(Who::Operator, "statefulsets", "web", &set(7, i32::MAX, "v2", "v1", "v2"));
    told.write(Who::Operator, "statefulsets", "web", &set(7, 3, "v2", "v1", "v2"));
    told.write(Who::Cluster, "pods", "web-6", &Value::Null);
    told.write(Who::Cluster, "pods", "web-6", &pod("c6", "v2", false));
    assert_eq!(told.web().exposed(), 2, "opened again by the operator");
}

#[test]
fn a_place_is_down_from_the_roll_until_it_serves_again() {
    let mut told = waiting();
    told.write(Who::Operator, "rolloutruns", "web-1", &run(0, "Running", "Progressing"));
    let (delta, ..) = told.write(Who::User, "pods", "web-2", &Value::Null);
    assert!(matches!(delta, Delta::Pod { taken_down: false, .. }), "a user's own doing");
    told.write(Who::Operator, "statefulsets", "web", &set(5, 4, "v2", "v1", "v2"));
    let mut terminating = pod("a4", "v1", true);
    terminating["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let (delta, ..) = told.write(Who::Cluster, "pods", "web-4", &terminating);
    assert!(matches!(delta, Delta::Pod { taken_down: true, .. }));
    let (delta, ..) = told.write(Who::Cluster, "pods", "web-4", &Value::Null);
    assert!(matches!(delta, Delta::Pod { taken_down: false, .. }), "counted once");
    told.write(Who::Cluster, "pods", "web-4", &pod("b4", "v2", false));
    assert_eq!(told.web().down, BTreeMap::from([(4, 1)]), "a window of one");
    told.write(Who::Cluster, "pods", "web-4", &pod("b4", "v2", true));
    assert!(told.web().down.is_empty());
}

fn collaset(replicas: i32, partition: i32, image: &str, stable: &str, updated: &str) -> Value {
    let mut set = set(replicas, partition, image, stable, updated);
    set["spec"]["updateStrategy"] = json!({"rollingUpdate": {"byPartition": {"partition": partition}}});
    set["status"] = json!({"currentRevision": stable, "updatedRevision": updated});
    set
}

/// The same world with a CollaSet, whose pods' names say nothing.
fn waiting_collaset() -> Told {
    let mut told = Told::new();
    told.write(Who::User, "collasets", "web", &collaset(5, 0, "v1", "v1", "v1"));
    for name in ["a", "b", "c", "d", "e"] {
        told.write(Who::Cluster, "pods", name, &pod(name, "v1", true));
    }
    told.write(Who::Operator, "collasets", "web", &collaset(5, i32::MAX, "v1", "v1", "v1"));
    told.write(Who::User, "collasets", "web", &collaset(5, i32::MAX, "v2", "v1", "v2"));
    told.write(Who::Operator, "rolloutruns", "web-1", &run(0, "", "Progressing"));
    told.write(Who::Operator, "rolloutruns", "web-1", &run(0, "Running", "Progressing"));
    told
}

fn terminating(uid: &str, revision: &str) -> Value {
    let mut pod = pod(uid, revision, true);
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    pod
}

#[test]
fn where_a_partition_counts_pods_any_pod_may_make_room() {
    let mut told = waiting_collaset();
    told.write(Who::Operator, "collasets", "web", &collaset(5, 4, "v2", "v1", "v2"));
    let (delta, ..) = told.write(Who::Cluster, "pods", "c", &terminating("c", "v1"));
    assert!(matches!(delta, Delta::Pod { taken_down: true, .. }));
    told.write(Who::Cluster, "pods", "f", &pod("f", "v2", false));
    assert_eq!((told.web().exposed(), told.web().down.clone()), (1, BTreeMap::from([(4, 1)])));
    told.write(Who::Cluster, "pods", "c", &Value::Null);
    told.write(Who::Cluster, "pods", "f", &pod("f", "v2", true));
    assert!(told.web().down.is_empty());
    let (delta, ..) = told.write(Who::Cluster, "pods", "a", &terminating("a", "v1"));
    assert!(matches!(delta, Delta::Pod { taken_down: false, .. }), "no room was made for another");
}

#[test]
fn pods_beyond_what_the_operator_opened_are_somebody_elses() {
    let mut told = waiting_collaset();
    told.write(Who::Operator, "collasets", "web", &collaset(5, 4, "v2", "v1", "v2"));
    told.write(Who::User, "collasets", "web", &collaset(7, 4, "v2", "v1", "v2"));
    told.write(Who::Cluster, "pods", "c", &terminating("c", "v1"));
    for name in ["f", "g", "h"] {
        told.write(Who::Cluster, "pods", name, &pod(name, "v2", true));
        assert_eq!(told.web().exposed(), 1, "after {name}");
    }
}

#[test]
fn a_decoration_has_the_pods_it_selects() {
    let mut told = Told::new();
    let decoration = |partition: i32, image: &str, stable: &str, updated: &str, matched: i32| {
        json!({
            "spec": {
                "selector": {"matchLabels": {"app": "shop"}},
                "updateStrategy": {"rollingUpdate": {"partition": partition}},
                "template": {"containers": [{"name": "proxy", "image": image}]},
            },
            "status": {"currentRevision": stable, "updatedRevision": updated, "matchedPods": matched},
        })
    };
    let decorated = |uid: &str, revision: &str| {
        let mut pod = pod(uid, "w1", true);
        pod["metadata"]["labels"]["app"] = "shop".into();
        pod["metadata"]["labels"]["poddecoration.kusionstack.io/pd-web"] = revision.into();
        pod["spec"]["containers"] = json!([{"name": "main", "image": "w"}, {"name": "proxy", "image": revision}]);
        pod["metadata"]["ownerReferences"][0]["name"] = "cart".into();
        pod
    };
    told.write(Who::User, "poddecorations", "web", &decoration(0, "p1", "", "", 0));
    told.write(Who::Cluster, "pods", "a", &decorated("a", "p1"));
    told.write(Who::Cluster, "pods", "b", &decorated("b", "p1"));
    told.write(Who::Cluster, "poddecorations", "web", &decoration(0, "p1", "p1", "p1", 2));
    told.write(Who::Operator, "poddecorations", "web", &decoration(i32::MAX, "p1", "p1", "p1", 2));
    told.write(Who::User, "poddecorations", "web", &decoration(i32::MAX, "p2", "p1", "p2", 2));
    told.write(Who::Operator, "rolloutruns", "web-1", &run(0, "", "Progressing"));
    told.write(Who::Operator, "rolloutruns", "web-1", &run(0, "Running", "Progressing"));
    told.write(Who::Operator, "poddecorations", "web", &decoration(1, "p2", "p1", "p2", 2));
    let mut going = decorated("a", "p1");
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    told.write(Who::Cluster, "pods", "a", &going);
    told.write(Who::Cluster, "pods", "c", &decorated("c", "p2"));
    told.write(Who::Cluster, "poddecorations", "web", &decoration(1, "p2", "p1", "p2", 3));
    let web = told.web();
    assert_eq!((web.desired, web.exposed(), web.ceiling), (2, 1, 1), "a pod that goes is not one more");
    assert_eq!(web.pods["c"].image, "p2");
}

#[test]
fn a_continue_counts_for_the_batch_it_was_given_at() {
    let mut told = waiting();
    told.write(Who::Operator, "rolloutruns", "web-1", &run(1, "Pending", "Paused"));
    assert!(told.facts.runs[0].at_breakpoint());
    let mut commanded = run(1, "Pending", "Paused");
    commanded["metadata"]["annotations"] = json!({"rollout.kusionstack.io/manual-command": "continue"});
    told.write(Who::User, "rolloutruns", "web-1", &commanded);
    let continued: Vec<_> = told.facts.runs[0].batches.iter().map(|batch| batch.continued).collect();
    assert_eq!(continued, [false, true, false]);
    assert_eq!(told.facts.runs[0].requests, ["rollout.kusionstack.io/manual-command"]);
}

#[test]
fn a_template_changed_in_a_step_takes_pods_down_on_its_own_account() {
    let mut told = waiting();
    told.write(Who::Operator, "rolloutruns", "web-1", &run(0, "Running", "Progressing"));
    told.write(Who::Operator, "statefulsets", "web", &set(5, 4, "v2", "v1", "v2"));
    told.write(Who::Cluster, "pods", "web-4", &Value::Null);
    told.write(Who::Cluster, "pods", "web-4", &pod("b4", "v2", true));
    told.write(Who::User, "statefulsets", "web", &set(5, 4, "v3", "v1", "v2"));
    let (delta, ..) = told.write(Who::Cluster, "pods", "web-4", &Value::Null);
    assert!(matches!(delta, Delta::Pod { taken_down: false, .. }));
    told.write(Who::Operator, "statefulsets", "web", &set(5, 3, "v3", "v1", "v3"));
    let (delta, ..) = told.write(Who::Cluster, "pods", "web-3", &Value::Null);
    assert!(matches!(delta, Delta::Pod { taken_down: true, .. }), "opened by the operator afterwards");
}

fn deployment(paused: bool, surge: i32, unavailable: i32, image: &str) -> Value {
    json!({
        "metadata": {"name": "web", "generation": 1},
        "spec": {
            "replicas": 5,
            "paused": paused,
            "strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": image}]}},
        },
        "status": {"observedGeneration": 1},
    })
}

fn replica_set(replicas: i32, image: &str) -> Value {
    json!({
        "metadata": {"ownerReferences": [{"controller": true, "kind": "Deployment", "name": "web"}]},
        "spec": {
            "replicas": replicas,
            // Another order, and the label that only a ReplicaSet has.
            "template": {
                "spec": {"containers": [{"image": image, "name": "main"}]},
                "metadata": {"labels": {"app": "web", "pod-template-hash": image}},
            },
        },
    })
}

fn pod_of_set(uid: &str, set: &str, ready: bool) -> Value {
    let mut pod = pod(uid, set, ready);
    pod["metadata"]["ownerReferences"] = json!([{"controller": true, "kind": "ReplicaSet", "name": set}]);
    pod
}

/// The same world with a Deployment, whose own strategy is to surge by two and take none down.
fn waiting_deployment() -> Told {
    let mut told = Told::new();
    told.write(Who::User, "deployments", "web", &deployment(false, 2, 0, "v1"));
    told.write(Who::Cluster, "replicasets", "v1", &replica_set(5, "v1"));
    for name in ["a", "b", "c", "d", "e"] {
        told.write(Who::Cluster, "pods", name, &pod_of_set(name, "v1", true));
    }
    assert!(!told.web().pending() && !told.web().parked());
    told.write(Who::Operator, "deployments", "web", &deployment(true, 2, 0, "v1"));
    told.write(Who::User, "deployments", "web", &deployment(true, 2, 0, "v2"));
    assert!(told.web().pending() && told.web().parked());
    told.write(Who::Operator, "rolloutruns", "web-1", &run(0, "", "Progressing"));
    told.write(Who::Operator, "rolloutruns", "web-1", &run(0, "Running", "Progressing"));
    told
}

fn going(uid: &str, set: &str) -> Value {
    let mut pod = pod_of_set(uid, set, true);
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    pod
}

#[test]
fn whoever_wrote_the_numbers_answers_for_a_replica_set_that_grows() {
    let mut told = waiting_deployment();
    told.write(Who::Operator, "deployments", "web", &deployment(false, 1, 0, "v2"));
    told.write(Who::Cluster, "replicasets", "v2", &replica_set(1, "v2"));
    told.write(Who::Cluster, "pods", "f", &pod_of_set("f", "v2", false));
    assert_eq!((told.web().exposed(), told.web().ceiling), (1, 1));
    told.write(Who::User, "deployments", "web", &deployment(false, 2, 0, "v2"));
    told.write(Who::Cluster, "replicasets", "v2", &replica_set(2, "v2"));
    told.write(Who::Operator, "deployments", "web", &deployment(true, 1, 0, "v2"));
    told.write(Who::Cluster, "pods", "g", &pod_of_set("g", "v2", false));
    assert_eq!(told.web().exposed(), 1, "the user's, though the operator was the last to write");
    told.write(Who::Operator, "deployments", "web", &deployment(false, 3, 0, "v2"));
    told.write(Who::Cluster, "replicasets", "v2", &replica_set(3, "v2"));
    told.write(Who::Cluster, "pods", "h", &pod_of_set("h", "v2", false));
    assert_eq!(told.web().exposed(), 2, "one more than the batch asks for");
}

#[test]
fn a_pod_that_goes_after_its_successor_came_is_not_down() {
    let mut told = waiting_deployment();
    told.write(Who::Operator, "deployments", "web", &deployment(false, 1, 1, "v2"));
    told.write(Who::Cluster, "replicasets", "v2", &replica_set(1, "v2"));
    told.write(Who::Cluster, "pods", "f", &pod_of_set("f", "v2", true));
    told.write(Who::Cluster, "replicasets", "v1", &replica_set(4, "v1"));
    let (delta, ..) = told.write(Who::Cluster, "pods", "a", &going("a", "v1"));
    assert!(matches!(delta, Delta::Pod { taken_down: false, .. }), "five others serve");
    let (delta, ..) = told.write(Who::Cluster, "pods", "b", &going("b", "v1"));
    assert!(matches!(delta, Delta::Pod { taken_down: true, .. }));
    assert_eq!(told.web().down, BTreeMap::from([(0, 0)]), "the user's strategy takes none down, whatever the window");
    told.write(Who::Cluster, "pods", "g", &pod_of_set("g", "v1", true));
    told.write(Who::Cluster, "pods", "b", &Value::Null);
    assert!(told.web().down.is_empty());
    told.write(Who::User, "deployments", "web", &deployment(true, 2, 0, "v2"));
    let (delta, ..) = told.write(Who::Cluster, "pods", "c", &going("c", "v1"));
    assert!(matches!(delta, Delta::Pod { taken_down: false, .. }), "a user's own numbers");
}

#[test]
fn what_a_step_changes_of_a_deployment_has_to_come_back() {
    let mut told = waiting_deployment();
    let left = |told: &Told| {
        let web = told.web();
        (web.pending(), web.deployment.as_ref().unwrap().not_put_back(web.pending()))
    };
    assert_eq!(left(&told), (true, None));
    let mut hidden = deployment(false, 1, 0, "v2");
    hidden["spec"]["minReadySeconds"] = json!(7);
    told.write(Who::Operator, "deployments", "web", &hidden);
    assert_eq!(left(&told), (true, Some("minReadySeconds")));
    hidden["spec"]["minReadySeconds"] = json!(0);
    told.write(Who::Operator, "deployments", "web", &hidden);
    assert_eq!(left(&told), (true, None), "between two templates other numbers would move pods");
    for name in ["a", "b", "c", "d", "e"] {
        told.write(Who::Cluster, "pods", name, &Value::Null);
    }
    for field in ["replicas", "updatedReplicas", "readyReplicas"] {
        hidden["status"][field] = json!(5);
    }
    told.write(Who::Cluster, "deployments", "web", &hidden);
    assert_eq!(left(&told), (false, Some("strategy")));
    hidden["spec"]["strategy"] = deployment(false, 2, 0, "v2")["spec"]["strategy"].clone();
    told.write(Who::Operator, "deployments", "web", &hidden);
    assert_eq!(left(&told), (false, None));
}
