//! The graph as a whole, over API servers in this process and under paused time.

mod repairs;
mod server;

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use self::server::{Mode, Server};
use super::{
    cluster::{About, ClusterActor, ClusterArgs, ClusterMsg, Fact, Outcome, Request, Subscription},
    subject::Subject,
    *,
};
use crate::{
    api::keys,
    view::Health,
    workloads::WorkloadKind,
    world::{Clock, Http, HttpAnswer, HttpCall, Member},
};

/// The tests' time: tokio's, which stands still until nothing is runnable.
struct TestClock {
    began: tokio::time::Instant,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let epoch = Timestamp::from_second(1_800_000_000).unwrap();
        epoch + SignedDuration::try_from(self.began.elapsed()).unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A network without endpoints.
struct Nowhere;

impl Http for Nowhere {
    fn post(&self, call: HttpCall) -> BoxFuture<'static, Result<HttpAnswer, String>> {
        Box::pin(async move { Err(format!("no endpoint at {}", call.url)) })
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey { namespace: "ns".to_owned(), name: name.to_owned() }
}

fn world(hub: &Server, members: &[(&str, &Server)]) -> World {
    let members = members.iter().map(|(name, server)| Member { name: (*name).to_owned(), client: server.client() });
    World {
        hub: hub.client(),
        members: members.collect(),
        clock: Arc::new(TestClock { began: tokio::time::Instant::now() }),
        http: Arc::new(Nowhere),
        seed: 7,
        class: String::new(),
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// A Rollout of everything labelled `app: web`, with what it refers to.
fn hub_objects(server: &Server) {
    server.put(
        "rolloutstrategies",
        json!({
            "apiVersion": "rollout.kusionstack.io/v1alpha1", "kind": "RolloutStrategy",
            "metadata": {"namespace": "ns", "name": "gentle"}, "batch": {"batches": [{"replicas": "100%"}]},
        }),
    );
    server.put("traffictopologies", json!({
        "apiVersion": "rollout.kusionstack.io/v1alpha1", "kind": "TrafficTopology",
        "metadata": {"namespace": "ns", "name": "web"}, "spec": {
            "workloadRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "match": {"selector": {"matchLabels": {"app": "web"}}}},
            "trafficType": "InCluster", "backend": {"name": "web"}, "routes": [{"name": "web"}],
        },
    }));
    server.put("rollouts", json!({
        "apiVersion": "rollout.kusionstack.io/v1alpha1", "kind": "Rollout",
        "metadata": {"namespace": "ns", "name": "web", "generation": 1}, "spec": {
            "strategyRef": "gentle", "triggerPolicy": "Manual", "trafficTopologyRefs": ["web"],
            "workloadRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "match": {"selector": {"matchLabels": {"app": "web"}}}},
        },
    }));
}

fn statefulset(server: &Server, name: &str) {
    server.put(
        "statefulsets",
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"namespace": "ns", "name": name, "generation": 1, "labels": {"app": "web"}},
            "spec": {
                "replicas": 3, "serviceName": name, "selector": {"matchLabels": {"app": "web"}}, "template": {},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            },
            "status": {"observedGeneration": 1, "replicas": 3, "currentRevision": "r1", "updateRevision": "r1"},
        }),
    );
}

/// A user takes the partition back, which the graph has to undo.
fn unpark(server: &Server, name: &str) {
    server.put(
        "statefulsets",
        json!({
            "metadata": {"namespace": "ns", "name": name},
            "spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}},
        }),
    );
}

fn is_parked(server: &Server, name: &str) -> bool {
    let Some(set) = server.get("statefulsets", name) else { return false };
    let partition = set.pointer("/spec/updateStrategy/rollingUpdate/partition");
    partition == Some(&json!(i32::MAX)) && set["metadata"]["annotations"][keys::ANNOTATION_NAME] == "web"
}

fn is_write(request: &str) -> bool {
    !request.starts_with("GET ") && !request.starts_with("WATCH ")
}

/// A hub that is its own member, with one workload, and a graph that has settled on it.
async fn settled() -> (Server, Graph) {
    let server = Server::default();
    hub_objects(&server);
    statefulset(&server, "web");
    let graph = start(world(&server, &[])).await.unwrap();
    pass(60).await;
    assert!(is_parked(&server, "web"), "{:?}", server.take_log());
    (server, graph)
}

#[tokio::test(start_paused = true)]
async fn a_graph_at_rest_writes_nothing_and_reads_nothing_but_its_watches() {
    let (server, graph) = settled().await;
    server.take_log();
    pass(3600).await;
    let log = server.take_log();
    assert_eq!(log.iter().filter(|request| !request.starts_with("WATCH ")).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(!log.is_empty(), "watches are kept up");
    graph.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_watch_serves_all_who_ask() {
    let server = Server::default();
    hub_objects(&server);
    for name in ["web", "api"] {
        statefulset(&server, name);
    }
    let graph = start(world(&server, &[])).await.unwrap();
    pass(30).await;
    let lists = server.take_log().into_iter().filter(|request| request == "GET statefulsets").count();
    assert_eq!(lists, 1);
    graph.stop().await;
}

#[tokio::test(start_paused = true)]
async fn workloads_of_every_member_are_worked_on_and_one_lost_member_holds_up_no_other() {
    let (hub, east, west) = (Server::default(), Server::default(), Server::default());
    hub_objects(&hub);
    statefulset(&east, "web");
    statefulset(&west, "web");
    west.set_mode(Mode::Hanging);
    let graph = start(world(&hub, &[("east", &east), ("west", &west)])).await.unwrap();
    pass(60).await;
    assert_eq!((is_parked(&east, "web"), is_parked(&west, "web")), (true, false));
    west.set_mode(Mode::Well);
    pass(120).await;
    assert!(is_parked(&west, "web"));
    assert!(hub.take_log().iter().all(|request| !request.contains("statefulsets")), "the hub is no member here");
    graph.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_changed_while_a_server_was_away_is_noticed() {
    for mode in [Mode::Down, Mode::Hanging] {
        let (server, graph) = settled().await;
        server.set_mode(mode);
        statefulset(&server, "late");
        unpark(&server, "web");
        pass(300).await;
        server.set_mode(Mode::Well);
        pass(120).await;
        assert!(is_parked(&server, "late") && is_parked(&server, "web"), "{mode:?}");
        graph.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_every_watch_is_not_asked_in_a_loop() {
    let (server, graph) = settled().await;
    server.set_mode(Mode::Hasty);
    server.take_log();
    pass(60).await;
    let asked = server.take_log().into_iter().filter(|request| request == "WATCH statefulsets").count();
    assert!((30..=62).contains(&asked), "{asked} watches in a minute");
    unpark(&server, "web");
    pass(10).await;
    assert!(is_parked(&server, "web"), "and what it shows is seen");
    graph.stop().await;
}

#[tokio::test(start_paused = true)]
async fn health_follows_the_answers() {
    let server = Server::default();
    statefulset(&server, "web");
    server.set_mode(Mode::Hanging);
    let context = Context::new(world(&server, &[]).clock, 7);
    let args = ClusterArgs { context: context.clone(), name: "east".to_owned(), client: server.client() };
    let (cluster, _) = ClusterActor::spawn(None, ClusterActor, args).await.unwrap();
    let subject = Subject::Workloads { kind: WorkloadKind::StatefulSet };
    let subscription = Subscription::new(&context, &cluster, subject, None, || {});
    let health = || {
        let facts = subscription.drain();
        facts.get(&About::Health).map(|fact| match fact {
            Fact::Health(Health::Unreachable { .. }) => "unreachable",
            Fact::Health(Health::Ready) => "ready",
            _ => "syncing",
        })
    };
    pass(1).await;
    assert_eq!(health(), Some("syncing"));
    server.set_mode(Mode::Well);
    pass(30).await;
    assert_eq!(health(), Some("ready"));
    server.set_mode(Mode::Down);
    pass(5).await;
    assert_eq!(health(), Some("unreachable"));
    pass(300).await;
    assert_eq!(health(), None, "nothing new");
    server.set_mode(Mode::Well);
    pass(60).await;
    assert_eq!(health(), Some("ready"));

    // A write that gets no answer says the same, and a later answer to anything takes it back.
    server.set_mode(Mode::Hanging);
    let patch = json!({"spec": {"replicas": 1}});
    let request = Request::Workload { kind: WorkloadKind::StatefulSet, key: key("web"), patch, restore: None };
    let (told, outcome) = futures::channel::oneshot::channel();
    let reply = Box::new(move |outcome| drop(told.send(outcome)));
    let _ = cluster.cast(ClusterMsg::Write { request, reply });
    assert!(matches!(outcome.await, Ok(Outcome::Unreachable(_))));
    assert_eq!(health(), Some("unreachable"));
    server.set_mode(Mode::Well);
    pass(60).await;
    assert_eq!(health(), Some("ready"));
    let _ = cluster.kill_and_wait(None).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_restored_from_a_backup_is_believed() {
    let server = Server::default();
    hub_objects(&server);
    statefulset(&server, "web");
    let backup = server.backup();
    let graph = start(world(&server, &[])).await.unwrap();
    pass(60).await;
    for _ in 0..50 {
        unpark(&server, "web");
        pass(1).await;
    }
    assert!(is_parked(&server, "web"));
    server.restore(backup);
    assert!(!is_parked(&server, "web"));
    pass(60).await;
    assert!(is_parked(&server, "web"));
    graph.stop().await;
}

#[tokio::test(start_paused = true)]
async fn every_actor_that_fails_is_begun_again_and_goes_on() {
    let paths = [
        ActorPath::Cluster(String::new()),
        ActorPath::Rollout(key("web")),
        ActorPath::Workload(key("web"), String::new(), "web".to_owned()),
        ActorPath::Topology(key("web")),
        ActorPath::Routing(key("web-ics")),
        ActorPath::Route(key("web-ics"), String::new(), "web".to_owned()),
    ];
    for path in paths {
        for injury in [Injury::Panic, Injury::Stop] {
            let (server, graph) = settled().await;
            let effects = graph.effects();
            graph.inject(path.clone(), injury);
            pass(60).await;
            unpark(&server, "web");
            statefulset(&server, "late");
            pass(60).await;
            assert!(is_parked(&server, "web") && is_parked(&server, "late"), "{path:?} {injury:?}");
            assert_eq!(graph.effects(), effects, "no watch is lost and none is doubled: {path:?} {injury:?}");
            server.take_log();
            pass(600).await;
            assert_eq!(server.take_log().iter().filter(|request| is_write(request)).count(), 0, "{path:?} {injury:?}");
            graph.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_edit_in_the_way_of_a_write_survives_it() {
    let (server, graph) = settled().await;
    server.interfere("statefulsets", json!({"metadata": {"namespace": "ns", "name": "web"}, "spec": {"replicas": 9}}));
    unpark(&server, "web");
    pass(30).await;
    assert!(is_parked(&server, "web"));
    assert_eq!(server.get("statefulsets", "web").unwrap()["spec"]["replicas"], 9);
    graph.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_not_repeated_if_it_landed() {
    let (server, graph) = settled().await;
    server.lose_next_answer();
    unpark(&server, "web");
    server.take_log();
    pass(300).await;
    assert!(is_parked(&server, "web"));
    let writes: Vec<String> = server.take_log().iter().filter(|request| is_write(request)).cloned().collect();
    assert_eq!(writes, ["PATCH statefulsets/web"]);
    graph.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_served_blinds_no_other_watch() {
    let pool = json!({"apiVersion": "inference.networking.x-k8s.io/v1alpha2", "kind": "InferencePool", "name": "web"});
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"});
    for (plural, spec) in [
        ("httproutes", json!({})),
        ("ingresses", json!({"routes": [ingress]})),
        ("inferencepools", json!({"backend": pool})),
    ] {
        let server = Server::default();
        server.set_refused(plural, Some((404, "NotFound")));
        hub_objects(&server);
        server.put("traffictopologies", json!({"metadata": {"namespace": "ns", "name": "web"}, "spec": spec}));
        statefulset(&server, "web");
        let graph = start(world(&server, &[])).await.unwrap();
        pass(60).await;
        assert!(is_parked(&server, "web"));
        server.take_log();
        pass(600).await;
        let asked = |log: Vec<String>| log.into_iter().filter(|request| *request == format!("GET {plural}")).count();
        assert!((5..=20).contains(&asked(server.take_log())), "{plural}: asked for rarely, and still asked for");
        server.set_refused(plural, None);
        pass(120).await;
        server.take_log();
        pass(600).await;
        assert_eq!(asked(server.take_log()), 0, "{plural}: once served, it is watched");
        graph.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn objects_that_do_not_parse_are_left_alone() {
    let server = Server::default();
    hub_objects(&server);
    statefulset(&server, "web");
    server.put(
        "rollouts",
        json!({"metadata": {"namespace": "ns", "name": "broken"}, "spec": {"strategyRef": {"not": "text"}}}),
    );
    server
        .put("statefulsets", json!({"metadata": {"namespace": "ns", "name": "broken"}, "spec": {"replicas": "many"}}));
    let graph = start(world(&server, &[])).await.unwrap();
    pass(60).await;
    assert!(is_parked(&server, "web"));
    graph.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_is_gone_has_no_actor_and_no_watch() {
    let (server, graph) = settled().await;
    let effects = graph.effects();
    for (plural, name) in [("rollouts", "web"), ("traffictopologies", "web"), ("backendroutings", "web-ics")] {
        server.delete(plural, name);
    }
    pass(60).await;
    assert!(graph.effects() < effects);
    assert_eq!(graph.effects(), 6, "what is left are the hub's own six watches");
    graph.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_a_kill_and_nothing_a_stop() {
    for is_kill in [true, false] {
        let server = Server::default();
        hub_objects(&server);
        statefulset(&server, "web");
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        assert_eq!(tasks(), 0);
        for milliseconds in [0, 1, 500, 60_000] {
            server.set_mode(if milliseconds == 500 { Mode::Hanging } else { Mode::Well });
            let graph = start(world(&server, &[])).await.unwrap();
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            server.set_mode(Mode::Well);
            unpark(&server, "web");
            server.take_log();
            if is_kill {
                graph.kill().await;
            } else {
                graph.stop().await;
            }
            pass(600).await;
            assert_eq!(server.take_log(), Vec::<String>::new(), "killed: {is_kill}, after {milliseconds} ms");
            assert_eq!(tasks(), 0, "killed: {is_kill}, after {milliseconds} ms");
        }
    }
}

/// Whatever was under way: a fact on its way through the actors, a write about to be sent.
#[tokio::test(start_paused = true)]
async fn a_kill_is_immediate_at_every_moment() {
    for polls in 0..60 {
        let (server, graph) = settled().await;
        unpark(&server, "web");
        for _ in 0..polls {
            tokio::task::yield_now().await;
        }
        server.take_log();
        graph.kill().await;
        pass(60).await;
        assert_eq!(server.take_log(), Vec::<String>::new(), "after {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_graph_begun_after_a_kill_goes_on() {
    let (server, graph) = settled().await;
    unpark(&server, "web");
    graph.kill().await;
    pass(60).await;
    assert!(!is_parked(&server, "web"));
    let graph = start(world(&server, &[])).await.unwrap();
    pass(60).await;
    assert!(is_parked(&server, "web"));
    graph.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_workloads_then_rollouts_then_clusters() {
    let (_server, graph) = settled().await;
    Ends::listen();
    graph.stop().await;
    assert_eq!(
        Ends::heard(),
        ["workload ends", "rollout ends", "topology ends", "route ends", "routing ends", "cluster ends"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_world_gives_the_same_requests() {
    let mut logs = Vec::new();
    for _ in 0..2 {
        let (server, graph) = settled().await;
        graph.inject(ActorPath::Rollout(key("web")), Injury::Panic);
        server.set_mode(Mode::Down);
        pass(100).await;
        server.set_mode(Mode::Well);
        statefulset(&server, "late");
        pass(100).await;
        graph.stop().await;
        logs.push(server.take_log());
    }
    assert_eq!(logs[0], logs[1]);
}

#[tokio::test]
async fn members_need_names_of_their_own() {
    let server = Server::default();
    for names in [&["", "east"][..], &["east", "east"]] {
        let members: Vec<_> = names.iter().map(|name| (*name, &server)).collect();
        assert!(matches!(start(world(&server, &members)).await, Err(StartError::MemberName(_))));
    }
}

/// Collects the messages of this thread that say an actor ends. There is one for all tests, and for good: scoped ones
/// that come and go on other threads now and then make `tracing` miss a message.
struct Ends;

thread_local! {
    static ENDS: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Ends {
    fn listen() {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(Self).unwrap());
        ENDS.take();
    }

    fn heard() -> Vec<String> {
        ENDS.take()
    }
}

impl tracing::Subscriber for Ends {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("slipway")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message(String);
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        if message.0.ends_with(" ends") {
            ENDS.with_borrow_mut(|ends| ends.push(message.0));
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
