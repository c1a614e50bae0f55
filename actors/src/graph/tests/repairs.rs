//! Moments in which the graph once took a wrong view, or kept quiet about a trouble.

use super::*;
use crate::{
    graph::{
        inbox::Inbox,
        project::{Projected, project},
        workload::{Order, Reports, WorkloadActor, WorkloadArgs},
    },
    intent::{Release, WorkloadGoal},
};

const SETS: Subject = Subject::Workloads { kind: WorkloadKind::StatefulSet };

async fn cluster(server: &Server) -> (Context, ActorRef<ClusterMsg>) {
    let context = Context::new(world(server, &[]).clock, 7);
    let args = ClusterArgs { context: context.clone(), name: "east".to_owned(), client: server.client() };
    let (cluster, _) = ClusterActor::spawn(None, ClusterActor, args).await.unwrap();
    (context, cluster)
}

#[tokio::test(start_paused = true)]
async fn what_a_watch_shows_before_a_late_answer_stands() {
    for is_deleted in [false, true] {
        let server = Server::default();
        statefulset(&server, "web");
        let (context, cluster) = cluster(&server).await;
        let _subscription = Subscription::new(&context, &cluster, SETS, None, || {});
        pass(5).await;
        server.delay_next_answer();
        let patch = json!({"spec": {"replicas": 4}});
        let request = Request::Workload { kind: WorkloadKind::StatefulSet, key: key("web"), patch, restore: None };
        let (told, outcome) = futures::channel::oneshot::channel();
        let reply = Box::new(move |outcome| drop(told.send(outcome)));
        let _ = cluster.cast(ClusterMsg::Write { request, reply });
        pass(1).await;
        if is_deleted {
            server.delete("statefulsets", "web");
        } else {
            let edit = json!({"metadata": {"namespace": "ns", "name": "web"}, "spec": {"replicas": 9}});
            server.put("statefulsets", edit);
        }
        match outcome.await.unwrap() {
            Outcome::Done(Projected::Workload(workload)) => assert_eq!((is_deleted, workload.desired), (false, 9)),
            Outcome::Deleted { key: gone, .. } => assert_eq!((is_deleted, gone), (true, key("web"))),
            other => panic!("{other:?}"),
        }
        let _ = cluster.kill_and_wait(None).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_before_a_late_answer_is_acted_on() {
    let (server, graph) = settled().await;
    server.delay_next_answer();
    unpark(&server, "web");
    pass(2).await;
    assert!(is_parked(&server, "web"), "the write has landed, and its answer is on its way");
    unpark(&server, "web");
    pass(60).await;
    assert!(is_parked(&server, "web"));
    graph.stop().await;
}

/// A run that is being deleted, of the Rollout of that uid.
fn deleted_run(server: &Server, rollout_uid: &str) {
    server.put(
        "rolloutruns",
        json!({
            "apiVersion": "rollout.kusionstack.io/v1alpha1", "kind": "RolloutRun",
            "metadata": {
                "namespace": "ns", "name": "web-1", "deletionTimestamp": "2027-01-15T08:00:00Z",
                "finalizers": [keys::FINALIZER_PROTECTION, "other"],
                "ownerReferences": [{"apiVersion": "rollout.kusionstack.io/v1alpha1", "kind": "Rollout",
                    "name": "web", "uid": rollout_uid, "controller": true}],
            },
        }),
    );
}

fn finalizers(server: &Server) -> serde_json::Value {
    server.get("rolloutruns", "web-1").unwrap()["metadata"]["finalizers"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_deleted_run_without_its_rollout_is_let_go_once() {
    // Without a Rollout, and with one of the same name that is another.
    for has_namesake in [false, true] {
        let server = Server::default();
        if has_namesake {
            hub_objects(&server);
        }
        let graph = start(world(&server, &[])).await.unwrap();
        pass(30).await;
        deleted_run(&server, "an-earlier-uid");
        server.take_log();
        pass(60).await;
        assert_eq!(finalizers(&server), json!(["other"]), "namesake: {has_namesake}");
        let writes = server.take_log().into_iter().filter(|request| request == "PATCH rolloutruns/web-1").count();
        assert_eq!(writes, 1, "namesake: {has_namesake}");
        graph.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_release_of_a_run_is_tried_again() {
    let server = Server::default();
    let graph = start(world(&server, &[])).await.unwrap();
    pass(30).await;
    deleted_run(&server, "an-earlier-uid");
    server.interfere("rolloutruns", json!({"metadata": {"namespace": "ns", "name": "web-1", "labels": {"a": "b"}}}));
    pass(60).await;
    assert_eq!(finalizers(&server), json!(["other"]));
    graph.stop().await;
}

#[tokio::test(start_paused = true)]
async fn workloads_are_let_go_when_the_rollout_names_another_kind() {
    let (server, graph) = settled().await;
    let workload = json!({"kind": "Deployment"});
    server.put(
        "rollouts",
        json!({"metadata": {"namespace": "ns", "name": "web", "generation": 2}, "spec": {"workloadRef": workload}}),
    );
    pass(60).await;
    assert!(!is_parked(&server, "web"));
    graph.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_keeps_its_first_error() {
    let server = Server::default();
    statefulset(&server, "web");
    let (context, cluster) = cluster(&server).await;
    let subscription = Subscription::new(&context, &cluster, SETS, None, || {});
    let health = || subscription.drain().remove(&About::Health);
    pass(5).await;
    server.set_mode(Mode::Down);
    pass(5).await;
    let Some(Fact::Health(Health::Unreachable { .. })) = health() else { panic!("the outage is not told") };
    for mode in [Mode::Hanging, Mode::Down] {
        server.set_mode(mode);
        pass(120).await;
        let news = health();
        assert!(news.is_none(), "{mode:?}: {news:?}");
    }
    server.set_mode(Mode::Well);
    pass(60).await;
    assert!(matches!(health(), Some(Fact::Health(Health::Ready))));
    let _ = cluster.kill_and_wait(None).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_to_list_pods_is_reported() {
    let server = Server::default();
    statefulset(&server, "web");
    let object = serde_json::from_value(server.get("statefulsets", "web").unwrap()).unwrap();
    let Ok(Projected::Workload(workload)) = project("east", &SETS, object) else { panic!("no workload") };
    let (context, cluster) = cluster(&server).await;
    let reports = Reports::new();
    let (rollout, release) = ("web".to_owned(), Release::Parked);
    let goal = WorkloadGoal::Controlled { rollout, release, progressing: None, canary: None, watch_pods: true };
    let args = WorkloadArgs {
        context,
        rollout: key("web"),
        order: Order { goal, workload, copy: None },
        orders: Inbox::new(),
        reports: reports.clone(),
        cluster: cluster.clone(),
    };
    server.set_refused("pods", Some((403, "Forbidden")));
    let (actor, _) = WorkloadActor::spawn(None, WorkloadActor, args).await.unwrap();
    let cases =
        [(Some((403, "Forbidden")), Some("Forbidden")), (Some((404, "NotFound")), Some("not served")), (None, None)];
    for (refusal, expected) in cases {
        server.set_refused("pods", refusal);
        pass(120).await;
        let report = reports.drain().into_values().next().expect("a report");
        let error = report.error.as_deref();
        assert_eq!(report.pods.is_some(), expected.is_none(), "{error:?}");
        let is_said = expected.map_or(error.is_none(), |text| error.is_some_and(|error| error.contains(text)));
        assert!(is_said, "{expected:?}: {error:?}");
    }
    let _ = actor.kill_and_wait(None).await;
    let _ = cluster.kill_and_wait(None).await;
}
