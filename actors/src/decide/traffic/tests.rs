use serde_json::{Value, json};

use super::*;
use crate::{
    api::rolloutrun::RolloutRunBlueGreen,
    decide::fixtures::{self, at, object},
    view::Workload,
};

/// A run with a canary that gets 20 %, and batches of 1, 3 and all of five pods; `traffic` of each batch.
fn run(traffic: &[Option<i32>], status: &Value) -> RolloutRun {
    let target = |replicas: Value| json!([{ "cluster": "east", "name": "web", "replicas": replicas }]);
    let weight = |weight: Option<i32>| weight.map(|weight| json!({ "http": { "weight": weight } }));
    let counts = [json!(1), json!(3), json!("100%")];
    let batches = counts
        .iter()
        .zip(traffic)
        .map(|(count, traffic)| json!({ "targets": target(count.clone()), "traffic": weight(*traffic) }));
    let run = json!({
        "metadata": { "name": "demo-1", "namespace": "default" },
        "spec": {
            "targetType": { "apiVersion": "apps/v1", "kind": "StatefulSet" },
            "trafficTopologyRefs": ["web"],
            "canary": { "targets": target(json!(1)), "traffic": weight(Some(20)) },
            "batch": { "batches": batches.collect::<Vec<_>>() },
        },
        "status": status,
    });
    object::<RolloutRun>(run).as_ref().clone()
}

/// The view of it, with the BackendRouting that the topology has led to.
fn view(workloads: Vec<Workload>, forked: bool) -> RolloutView {
    let mut view = fixtures::view(workloads);
    let topology = json!({
        "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "workloadRef": { "kind": "StatefulSet", "match": { "names": [{ "name": "web" }] } },
            "trafficType": "InCluster", "backend": { "name": "web" },
        },
        "status": { "topologies": [{ "workloadRef": { "cluster": "east", "name": "web" }, "backendRoutingName": "web-ics-east" }] },
    });
    let forks = forked.then(|| json!({ "stable": { "name": "web-stable" }, "canary": { "name": "web-canary" } }));
    let routing = json!({
        "metadata": { "name": "web-ics-east", "namespace": "default" },
        "spec": {
            "trafficType": "InCluster", "forkedBackends": forks,
            "backend": { "apiVersion": "v1", "kind": "Service", "cluster": "east", "name": "web" },
        },
    });
    view.topologies.insert("web".into(), object(topology));
    view.routings.insert("web-ics-east".into(), object(routing));
    view
}

fn shift(view: &RolloutView, run: &RolloutRun) -> String {
    let routing = &view.routings["web-ics-east"];
    match wanted(view, run, run.status.as_ref().unwrap(), routing, at(100)) {
        None => "as it is".to_owned(),
        Some(Shift::Origin) => "the user's own backend".to_owned(),
        Some(Shift::Stable) => "the stable fork".to_owned(),
        Some(Shift::Split(traffic)) => match traffic.http.as_ref().unwrap().weight {
            Some(weight) => format!("{weight} %"),
            None => "the preview".to_owned(),
        },
        Some(Shift::Copies) => "the copies".to_owned(),
    }
}

/// The workload with so many pods updated.
fn updated(count: i32) -> Workload {
    Workload { updated_replicas: count, ..fixtures::workload("east", "web", 5) }
}

fn copy() -> Workload {
    let stable = fixtures::workload("east", "web", 5);
    let labels = [(keys::LABEL_CANARY_RESOURCE.to_owned(), "true".to_owned())].into();
    let copy = fixtures::workload("east", "web-canary", 1);
    Workload { copied_template: Some(stable.template_hash), labels, updated_replicas: 1, ..copy }
}

#[test]
fn a_canary_gets_requests_only_while_it_serves() {
    let (none, up) = (vec![updated(0)], vec![updated(0), copy()]);
    let down = vec![updated(0), Workload { available: 0, ..copy() }];
    let old = vec![updated(0), Workload { copied_template: Some("older".into()), ..copy() }];
    let lines = [
        ("", "Progressing", &none),
        ("Pending", "Progressing", &none),
        ("PreCanaryStepHook", "Progressing", &none),
        ("Running", "Progressing", &none),
        ("Running", "Progressing", &down),
        ("Running", "Progressing", &up),
        ("Running", "Paused", &down),
        ("PostCanaryStepHook", "Progressing", &up),
        ("PostCanaryStepHook", "Progressing", &old),
        ("ResourceRecycling", "Paused", &up),
        ("ResourceRecycling", "Progressing", &up),
        ("ResourceRecycling", "Progressing", &none),
        ("Running", "Canceling", &up),
        ("Running", "Canceling", &none),
    ]
    .map(|(state, phase, workloads)| {
        let run = run(&[None; 3], &json!({ "phase": phase, "canaryStatus": { "state": state } }));
        let copies = match workloads.get(1) {
            None => "no copy",
            Some(copy) if copy.available == 0 => "copy is down",
            Some(copy) if copy.copied_template.as_deref() == Some("older") => "copy is old",
            Some(_) => "copy is up",
        };
        format!("{state:18} {phase:12} {copies:12} → {}", shift(&view(workloads.clone(), true), &run))
    });
    insta::assert_snapshot!(lines.join("\n"));
}

/// Each state of each batch, there and back, with its pods where they were and where they are to be.
#[test]
fn requests_follow_the_batches_there_and_back() {
    let mut lines = Vec::new();
    for (name, traffic) in [
        ("10 %, 40 %, all", [Some(10), Some(40), None]),
        ("none, 40 %, all", [None, Some(40), None]),
        ("10 %, none, all", [Some(10), None, None]),
        // No pod is left that the rest could go to.
        ("10 %, 40 %, 50 % of none", [Some(10), Some(40), Some(50)]),
    ] {
        lines.push(format!("{name}:"));
        for back in [false, true] {
            for (index, before, after) in [(0, 0, 1), (1, 1, 3), (2, 3, 5)] {
                let (from, to) = if back { (after, before) } else { (before, after) };
                let stage = |state: &str, pods: i32| {
                    let rollback = back.then(|| json!({ "fromBatchIndex": 2 }));
                    let stable = json!([{ "cluster": "east", "name": "web", "revision": "v1" }]);
                    let status = json!({
                        "phase": "Progressing", "canaryStatus": { "state": "Succeeded" },
                        "batchStatus": { "currentBatchIndex": index, "currentBatchState": state, "records": [] },
                        "rollback": rollback, "stableRevisions": stable,
                    });
                    // On the way back the template is the stable one, so that its pods are the updated ones.
                    let workload = if back {
                        Workload { updated_revision: "v1".into(), stable_revision: "v2".into(), ..updated(5 - pods) }
                    } else {
                        updated(pods)
                    };
                    shift(&view(vec![workload], true), &run(&traffic, &status))
                };
                let stages =
                    [stage("", from), stage("PreBatchStepHook", from), stage("Running", from), stage("Running", to)];
                let way = if back { "undo" } else { "do" };
                lines.push(format!("  {way:4} batch {}: {}", index + 1, stages.join(" → ")));
            }
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

/// The way of a run whose copies take over, and each way out of it.
#[test]
fn copies_have_all_requests_from_the_switch_to_the_last_batch() {
    let full = |copy: Workload| Workload { desired: 5, updated_replicas: 5, available: 5, ..copy };
    let stands = || vec![updated(0), full(copy())];
    let one_down = || vec![updated(0), Workload { available: 4, ..full(copy()) }];
    let between = || vec![updated(3), full(copy())];
    let followed = || vec![Workload { stable_revision: "v2".into(), ..updated(5) }, full(copy())];
    let alone = || vec![Workload { stable_revision: "v2".into(), ..updated(5) }];
    let lines = [
        ("the preview", ("PostCanaryStepHook", "Progressing", false), (0, ""), stands()),
        ("it waits for continue", ("Switching", "Paused", false), (0, ""), stands()),
        ("told to continue", ("Switching", "Progressing", false), (0, ""), stands()),
        ("told to, a pod is down", ("Switching", "Progressing", false), (0, ""), one_down()),
        ("the old one is kept", ("Switched", "Progressing", true), (0, ""), one_down()),
        ("kept, and paused", ("Switched", "Paused", true), (0, ""), stands()),
        ("the first batch begins", ("Succeeded", "Progressing", true), (0, "Running"), stands()),
        ("the last batch moves", ("Succeeded", "Progressing", true), (2, "Running"), between()),
        ("workloads have followed", ("Succeeded", "Progressing", true), (2, "ResourceRecycling"), followed()),
        ("one is between two", ("Succeeded", "Progressing", true), (2, "ResourceRecycling"), between()),
        ("copies are gone", ("Succeeded", "Progressing", true), (2, "ResourceRecycling"), alone()),
        ("rolled back while kept", ("ResourceRecycling", "Progressing", false), (0, ""), stands()),
        ("canceled while kept", ("Switched", "Canceling", true), (0, ""), stands()),
        ("canceled before a batch", ("Succeeded", "Canceling", true), (0, "Pending"), stands()),
        ("canceled in a batch", ("Succeeded", "Canceling", true), (1, "Running"), between()),
        ("skipped before the switch", ("Succeeded", "Progressing", false), (0, "Running"), alone()),
    ]
    .map(|(when, (state, phase, switched), (index, batch), workloads)| {
        let since = switched.then(|| at(0).to_string());
        let mut run = run(
            &[None; 3],
            &json!({
                "phase": phase, "canaryStatus": { "state": state, "switchTime": since },
                "batchStatus": { "currentBatchIndex": index, "currentBatchState": batch, "records": [] },
            }),
        );
        let canary = run.spec.canary.as_mut().unwrap();
        canary.blue_green = Some(RolloutRunBlueGreen::default());
        canary.targets[0].replicas = crate::api::IntOrString::String("100%".into());
        canary.traffic = Some(serde_json::from_value(json!({ "http": { "mirror": {} } })).unwrap());
        format!("{when:26} → {}", shift(&view(workloads, true), &run))
    });
    insta::assert_snapshot!(lines.join("\n"));
}

/// One backend is not split by two runs, nor taken from whoever forked it by hand.
#[test]
fn a_backend_that_somebody_else_has_is_waited_for() {
    let status = json!({ "phase": "Progressing", "canaryStatus": { "state": "PreCanaryStepHook" } });
    let run = run(&[None; 3], &status);
    let mark = |rollout: &str, id: &str| json!({ "kind": "Rollout", "rollout": rollout, "rolloutID": id }).to_string();
    let cases = [
        ("nobody", None, false),
        ("this run", Some(mark("demo", "demo-1")), true),
        ("an earlier run of this Rollout", Some(mark("demo", "demo-0")), true),
        ("a Rollout that is gone", Some(mark("gone", "gone-1")), true),
        ("another Rollout", Some(mark("other", "other-1")), true),
        ("a run made by hand", Some(mark("", "hand")), true),
        ("a user", None, true),
    ];
    let lines = cases.map(|(who, mark, forked)| {
        let mut view = view(vec![updated(0)], forked);
        view.other_rollouts = ["other".to_owned(), "rolloutrun/hand".to_owned()].into();
        let routing = Arc::make_mut(view.routings.get_mut("web-ics-east").unwrap());
        let annotations = routing.metadata.annotations.get_or_insert_default();
        annotations.extend(mark.map(|mark| (keys::ANNOTATION_PROGRESSING_INFO.to_owned(), mark)));
        let writes = writes(&view, &run, at(0)).len();
        let waits = waits(&view, &run, run.status.as_ref().unwrap(), at(0));
        let waits: Vec<_> = waits.iter().filter(|wait| wait.object.starts_with("backendrouting")).collect();
        format!("{who}: {writes} write, waits for {}", waits[0].condition)
    });
    insta::assert_snapshot!(lines.join("\n"));
}

/// A fork is made where it has pods, selects them by what they are called there, and nothing waits for it where the run goes
/// on without the cluster.
#[test]
fn forks_over_clusters_follow_the_pods() {
    let east = |count: i32| Workload { updated_replicas: count, ..fixtures::workload("east", "web", 5) };
    let west = |count: i32| Workload {
        stable_revision: "w1".into(),
        updated_revision: "w2".into(),
        updated_replicas: count,
        ..fixtures::workload("west", "web", 5)
    };
    let over = |workloads: Vec<Workload>, known: Value| {
        let mut view = view(workloads, false);
        let mut topology = json!(*view.topologies["web"]);
        let tied = |cluster: &str| json!({ "workloadRef": { "cluster": cluster, "name": "web" }, "backendRoutingName": "web-msc" });
        topology["status"]["topologies"] = json!([tied("east"), tied("west")]);
        view.topologies.insert("web".into(), object(topology));
        let spec = json!({
            "trafficType": "MultiCluster", "clusters": ["east", "west"], "forkedBackends": known,
            "backend": { "apiVersion": keys::MULTICLUSTER_API, "kind": "ServiceImport", "name": "web" },
        });
        let routing = json!({ "metadata": { "name": "web-msc", "namespace": "default" }, "spec": spec });
        view.routings = [("web-msc".to_owned(), object(routing))].into();
        view
    };
    let in_batches = |skipped: Value| {
        let batch = json!({ "currentBatchIndex": 0, "currentBatchState": "Running", "records": [] });
        let phase = json!({ "phase": "Progressing", "canaryStatus": { "state": "Succeeded" }, "batchStatus": batch, "skippedClusters": skipped });
        run(&[Some(10), None, None], &phase)
    };
    let told = |view: &RolloutView, run: &RolloutRun| {
        let (forks, _) = forked::spec(view, run, &view.routings["web-msc"], Shift::Stable).unwrap();
        let forks = forks.unwrap();
        [forks.stable, forks.canary]
            .map(|fork| {
                let of =
                    |labels: &std::collections::BTreeMap<String, String>| labels.values().cloned().collect::<String>();
                let clusters = fork
                    .clusters
                    .iter()
                    .map(|cluster| format!("{} {}", cluster.name, of(&cluster.extra_label_selector)));
                format!("{} of {}", fork.name, clusters.collect::<Vec<_>>().join(", "))
            })
            .join("; ")
    };
    let canary = run(&[None; 3], &json!({ "phase": "Progressing", "canaryStatus": { "state": "Running" } }));
    let known = |clusters: &[&str]| {
        let clusters: Vec<_> = clusters.iter().map(|name| json!({ "name": name })).collect();
        json!({ "stable": { "name": "web-stable", "clusters": clusters }, "canary": { "name": "web-canary", "clusters": clusters } })
    };
    let none = || in_batches(json!([]));
    let skipped = json!([{ "name": "west", "reason": "it is unreachable" }]);
    let lines = [
        ("a canary without copies", told(&over(vec![east(0), west(0)], Value::Null), &canary)),
        ("a canary with a copy in the east", told(&over(vec![east(0), copy(), west(0)], Value::Null), &canary)),
        ("a batch that has moved nothing", told(&over(vec![east(0), west(0)], Value::Null), &none())),
        ("a batch that has moved a pod in the west", told(&over(vec![east(0), west(1)], Value::Null), &none())),
        ("no pod is left on the old version in the east", told(&over(vec![east(5), west(1)], Value::Null), &none())),
        ("the same where the forks are known", told(&over(vec![east(5), west(1)], known(&["east", "west"])), &none())),
        (
            "the west is scaled to nothing",
            told(&over(vec![east(0), Workload { replicas: 0, ..west(0) }], Value::Null), &none()),
        ),
        ("the west is not seen", told(&over(vec![east(1)], known(&["east", "west"])), &none())),
        (
            "the west is gone without",
            told(&over(vec![east(1), west(1)], known(&["east", "west"])), &in_batches(skipped)),
        ),
    ];
    // Who has not seen a cluster yet cannot leave it out.
    let mut unseen = over(vec![east(0), west(0)], Value::Null);
    let west = unseen.members.get_mut("west").unwrap();
    (west.health, west.workloads) = (Health::Unreachable { since: at(0), error: "timed out".into() }, [].into());
    let why = forked::spec(&unseen, &none(), &unseen.routings["web-msc"], Shift::Stable);
    assert_eq!(why.unwrap_err(), "cluster west: its workloads are out of sight");
    let lines: Vec<_> = lines.iter().map(|(when, forks)| format!("{when}:\n  {forks}")).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// Its workload is deleted, and with that the topology's tie to it goes; requests may reach the copy until no route shows
/// that they can.
#[test]
fn a_copy_without_its_workload_goes_only_once_no_request_can_reach_it() {
    let run = run(&[None; 3], &json!({ "phase": "Paused", "canaryStatus": { "state": "ResourceRecycling" } }));
    let goes = |change: &dyn Fn(&mut Value)| {
        let mut view = view(vec![copy()], true);
        view.topologies.clear();
        let mut routing = json!(*view.routings["web-ics-east"]);
        let mark = json!(goals::mark(&run)).to_string();
        routing["metadata"]["annotations"] = json!({ keys::ANNOTATION_PROGRESSING_INFO: mark });
        routing["spec"]["forwarding"] = json!({ "http": { "canary": { "backendName": "web-canary", "weight": 20 } } });
        change(&mut routing);
        view.routings.insert("web-ics-east".into(), object(routing));
        let goals = goals::controlled(&view, Some(&run));
        goals.values().any(|goal| *goal == crate::intent::WorkloadGoal::Discarded)
    };
    let shown = |laid: bool, ready: &str| {
        json!({
            "kind": "HTTPRoute", "name": "shop",
            "condition": { "type": "RouteReady", "status": ready, "reason": "R", "message": "", "lastTransitionTime": "2027-01-15T08:00:00Z" },
            "forwarding": { "canary": laid.then(|| json!({ "backendName": "web-canary" })) },
        })
    };
    assert!(!goes(&|_| {}), "it is asked for");
    assert!(!goes(&|routing| {
        routing["spec"]["forwarding"] = Value::Null;
        routing["status"] = json!({ "routes": [shown(true, "True")] });
    }));
    assert!(!goes(&|routing| {
        routing["spec"]["forwarding"] = Value::Null;
        routing["status"] = json!({ "routes": [shown(false, "False")] });
    }));
    assert!(goes(&|routing| {
        routing["spec"]["forwarding"] = Value::Null;
        routing["status"] = json!({ "routes": [shown(false, "True")] });
    }));
    assert!(goes(&|routing| routing["metadata"]["annotations"] = Value::Null), "it is not the run's");
}
