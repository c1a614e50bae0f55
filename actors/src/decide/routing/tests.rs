mod multicluster;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::*;
use crate::{
    decide::fixtures::{at, object},
    intent::{BackendWrite, RouteWrite},
    view::{Backend, Health, ObjectKey, Route, RouteReport},
};

/// A BackendRouting with everything it is about, that does what is decided, as clusters would.
struct World {
    view: RoutingView,
    /// What happened, in words.
    log: Vec<String>,
    second: i64,
    version: i64,
}

const ROUTE: &str = "shop";

fn id() -> RouteId {
    RouteId { cluster: "east".into(), kind: RouteKind::HttpRoute, name: ROUTE.into() }
}

impl World {
    fn new() -> Self {
        let routing = json!({
            "metadata": { "namespace": "default", "name": "web-ics-east", "uid": "u", "generation": 1, "resourceVersion": "1" },
            "spec": {
                "trafficType": "InCluster", "drainSeconds": 10,
                "backend": { "apiVersion": "v1", "kind": "Service", "cluster": "east", "name": "web" },
                "routes": [{
                    "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "cluster": "east", "name": ROUTE,
                }],
            },
        });
        let rules = json!([{ "backendRefs": [{ "name": "web", "port": 80 }] }]);
        let view = RoutingView {
            routing: object(routing),
            health: Some(Health::Ready),
            backends: BTreeMap::new(),
            ready: [("web".to_owned(), 4)].into(),
            errors: BTreeMap::new(),
            routes: [(id(), RouteReport { listed: true, route: Some(route(rules, 1)), ..RouteReport::default() })]
                .into(),
            members: BTreeMap::new(),
            imports: None,
        };
        let mut world = Self { view, log: Vec::new(), second: 0, version: 1 };
        world.store(&json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": "default", "name": "web", "uid": "w" },
            "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80 }] },
        }));
        world
    }

    fn say(&mut self, what: &str) {
        let line = format!("{:>3}s  {what}", self.second);
        self.log.push(line);
    }

    fn store(&mut self, object: &Value) {
        self.version += 1;
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let backend = Backend {
            key: ObjectKey { namespace: "default".into(), name: name.clone() },
            uid: format!("uid-{name}"),
            resource_version: self.version.to_string(),
            deleting: false,
            object,
        };
        self.view.backends.insert(name, Arc::new(backend));
    }

    /// A run changes the spec.
    fn ask(&mut self, forks: Value, forwarding: Value) {
        let mut routing = json!(*self.view.routing);
        let generation = routing["metadata"]["generation"].as_i64().unwrap() + 1;
        routing["metadata"]["generation"] = json!(generation);
        routing["spec"]["forkedBackends"] = forks;
        routing["spec"]["forwarding"] = forwarding;
        self.view.routing = object(routing);
    }

    /// A run changes something else of the spec.
    fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        let spec = &self.view.routing.spec;
        let (forks, forwarding) = (json!(spec.forked_backends), json!(spec.forwarding));
        self.ask(forks, forwarding);
        let mut routing = json!(*self.view.routing);
        change(&mut routing["spec"]);
        self.view.routing = object(routing);
    }

    /// Somebody else changes the route.
    fn change(&mut self, rules: Value) {
        let report = self.view.routes.get_mut(&id()).unwrap();
        let generation = report.route.as_ref().map_or(0, |route| route.generation) + 1;
        report.route = Some(route(rules, generation));
    }

    /// Decides and does what was decided until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..20 {
            let decision = routing(&self.view, at(self.second));
            let mut is_busy = decision.write.is_some() || !decision.backends.is_empty();
            for write in decision.backends {
                self.back(write);
            }
            if let Some(HubWrite::Patch { patch, .. } | HubWrite::PatchStatus { patch, .. }) = decision.write {
                let mut routing = json!(*self.view.routing);
                json_patch::merge(&mut routing, &patch);
                self.version += 1;
                routing["metadata"]["resourceVersion"] = json!(self.version.to_string());
                self.view.routing = object(routing);
            }
            for (id, goal) in decision.routes {
                let report = self.view.routes.get_mut(&id).unwrap();
                let Some(write) = crate::decide::route(report, &goal).ok().flatten() else { continue };
                is_busy = true;
                let what = take(report, write);
                self.say(&what);
            }
            if !is_busy {
                return;
            }
        }
        panic!("it never settles: {}", self.log.join("\n"));
    }

    fn back(&mut self, write: BackendWrite) {
        let name = write.key().name.clone();
        match write {
            BackendWrite::Create { object, .. } => {
                self.say(&format!("create {name} of {}", object["spec"]["selector"]));
                self.store(&object);
            }
            BackendWrite::Patch { patch, .. } => {
                let mut object = self.view.backends[&name].object.clone();
                json_patch::merge(&mut object, &patch);
                self.say(&format!("change {name} to {}", object["spec"]["selector"]));
                self.store(&object);
            }
            BackendWrite::Delete { .. } => {
                self.say(&format!("delete {name}"));
                self.view.backends.remove(&name);
                self.view.ready.remove(&name);
            }
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.second += seconds;
        self.settle();
        let status = self.view.routing.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").cloned();
        let line = ready.map_or("not looked at".to_owned(), |ready| match &*ready.status {
            "True" => "ready".to_owned(),
            _ => ready.message,
        });
        self.say(&format!("  {line}"));
    }
}

/// Does a write to a route, and says what it was.
fn take(report: &mut RouteReport, write: RouteWrite) -> String {
    let known = report.route.clone().unwrap();
    match write {
        RouteWrite::Patch(patch) if known.kind == RouteKind::Ingress => {
            let mut ingress = json!({ "metadata": { "resourceVersion": known.resource_version }, "spec": known.rules });
            json_patch::patch(&mut ingress, &serde_json::from_value::<json_patch::Patch>(patch).unwrap()).unwrap();
            let (rules, generation) = (ingress["spec"].take(), known.generation + 1);
            let what = format!("ingress: {}", rules["defaultBackend"]["service"]["name"]);
            report.route = Some(Arc::new(Route { generation, rules, ..known.as_ref().clone() }));
            what
        }
        RouteWrite::Patch(patch) => {
            let rules = patch[2]["value"].clone();
            let written = route(rules.clone(), known.generation + 1);
            let unaccepted = known.unaccepted.clone();
            let manager = Some(keys::FIELD_MANAGER.to_owned());
            report.route = Some(Arc::new(Route { unaccepted, rules_manager: manager, ..written.as_ref().clone() }));
            format!("route: {}", told(&rules))
        }
        RouteWrite::Canary(BackendWrite::Create { key, object }) => {
            let metadata = &object["metadata"];
            let marks = json!({ "labels": metadata["labels"], "annotations": metadata["annotations"] });
            let rules = object["spec"].clone();
            let made = Route { key, uid: "c".into(), rules, marks, ..known.as_ref().clone() };
            report.canaries = vec![Arc::new(made)];
            "ingress: a canary".to_owned()
        }
        RouteWrite::Canary(BackendWrite::Delete { .. }) => {
            report.canaries.clear();
            "ingress: no canary".to_owned()
        }
        RouteWrite::Canary(BackendWrite::Patch { patch, .. }) => panic!("{patch}"),
    }
}

fn route(rules: Value, generation: i64) -> Arc<Route> {
    Arc::new(Route {
        kind: RouteKind::HttpRoute,
        key: ObjectKey { namespace: "default".into(), name: ROUTE.into() },
        uid: "r".into(),
        resource_version: generation.to_string(),
        generation,
        rules,
        rules_manager: Some("argocd".into()),
        unaccepted: None,
        extension: None,
        deleting: false,
        marks: Value::Null,
    })
}

/// Rules in short.
fn told(rules: &Value) -> String {
    let rules = rules.as_array().unwrap().iter().map(|rule| {
        let refs = rule["backendRefs"].as_array().unwrap().iter();
        let refs = refs.map(|it| format!("{} {}", it["name"].as_str().unwrap(), it["weight"].as_i64().unwrap_or(1)));
        refs.collect::<Vec<_>>().join(", ")
    });
    rules.collect::<Vec<_>>().join(" | ")
}

fn forks(new: &str) -> Value {
    json!({
        "stable": { "name": "web-stable", "extraLabelSelector": { "controller-revision-hash": "v1" } },
        "canary": { "name": "web-canary", "extraLabelSelector": { "controller-revision-hash": new } },
    })
}

fn forwarding(weight: Option<i32>) -> Value {
    let canary = weight.map(|weight| json!({ "backendName": "web-canary", "weight": weight }));
    json!({ "http": { "origin": { "backendName": "web-stable" }, "canary": canary } })
}

#[test]
fn capacity_comes_before_traffic_and_traffic_goes_before_removal() {
    let mut world = World::new();
    world.pass(0);
    world.ask(forks("v2"), forwarding(None));
    world.pass(1);
    world.view.ready.insert("web-stable".into(), 4);
    world.pass(1);
    world.pass(5);
    world.pass(6);
    world.pass(11);
    world.ask(forks("v2"), forwarding(Some(20)));
    world.pass(1);
    world.view.ready.insert("web-canary".into(), 1);
    world.pass(1);
    world.pass(11);
    world.pass(11);
    // Its pods are gone for a moment.
    world.view.ready.insert("web-canary".into(), 0);
    world.pass(1);
    world.view.ready.insert("web-canary".into(), 1);
    world.pass(11);
    world.pass(11);
    // The template changes, and with it the pods that the fork is to select.
    world.ask(forks("v3"), forwarding(Some(20)));
    world.pass(1);
    world.pass(11);
    world.pass(11);
    world.pass(11);
    world.ask(Value::Null, Value::Null);
    world.pass(1);
    world.pass(5);
    world.pass(6);
    insta::assert_snapshot!(world.log.join("\n"));
}

/// A canary Ingress goes as an object of its own: the rest goes back once that is in force, and a canary that somebody
/// deletes counts as in force anew once it is there again.
#[test]
fn the_rest_of_an_ingress_goes_back_once_its_canary_is_out_of_force() {
    let mut world = World::new();
    let mut routing = json!(*world.view.routing);
    routing["spec"]["routes"] =
        json!([{ "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "cluster": "east", "name": ROUTE }]);
    world.view.routing = object(routing);
    let id = RouteId { kind: RouteKind::Ingress, ..id() };
    let rules = json!({ "defaultBackend": { "service": { "name": "web", "port": { "number": 80 } } } });
    let ingress = Route { kind: RouteKind::Ingress, ..route(rules, 1).as_ref().clone() };
    let report = RouteReport { listed: true, route: Some(Arc::new(ingress)), ..RouteReport::default() };
    world.view.routes = [(id.clone(), report)].into();
    world.ask(forks("v2"), forwarding(Some(20)));
    world.view.ready.extend([("web-stable".into(), 4), ("web-canary".into(), 1)]);
    for _ in 0..3 {
        world.pass(11);
    }
    world.view.routes.get_mut(&id).unwrap().canaries.clear();
    world.say("somebody deletes the canary");
    // What is seen is put on record before it is put back.
    world.pass(1);
    world.pass(11);
    world.ask(Value::Null, Value::Null);
    for _ in 0..3 {
        world.pass(11);
    }
    insta::assert_snapshot!(world.log.join("\n"));
}

#[test]
fn a_deletion_gives_everything_back_first() {
    let mut world = World::new();
    world.ask(forks("v2"), forwarding(Some(20)));
    world.view.ready.extend([("web-stable".into(), 4), ("web-canary".into(), 1)]);
    world.pass(1);
    world.pass(11);
    world.pass(11);
    let mut routing = json!(*world.view.routing);
    routing["metadata"]["deletionTimestamp"] = json!("2027-01-15T08:00:00Z");
    world.view.routing = object(routing);
    world.pass(1);
    assert!(!world.view.routing.metadata.finalizers.clone().unwrap_or_default().is_empty());
    world.pass(11);
    assert_eq!(world.view.routing.metadata.finalizers, Some(Vec::new()));
    insta::assert_snapshot!(world.log.join("\n"));
}

/// What cannot be written whole is not begun, and a Service that only looks like a fork is left alone.
#[test]
fn what_cannot_be_done_is_told_before_anything_is_written() {
    let mut lines = Vec::new();
    let mut tell = |what: &str, change: &dyn Fn(&mut World)| {
        let mut world = World::new();
        world.view.ready.extend([("web-stable".into(), 4), ("web-canary".into(), 1)]);
        change(&mut world);
        world.ask(forks("v2"), forwarding(Some(20)));
        world.pass(0);
        world.pass(11);
        lines.push(format!("{what}:\n{}", world.log.join("\n")));
    };
    let set_rules = |world: &mut World, rules: Value| {
        world.view.routes.get_mut(&id()).unwrap().route = Some(route(rules, 1));
    };
    tell("a route to something else", &|world| {
        set_rules(world, json!([{ "backendRefs": [{ "name": "api", "port": 80 }] }]));
    });
    tell("a weight that cannot be divided", &|world| {
        set_rules(world, json!([{ "backendRefs": [{ "name": "web", "port": 80, "weight": 999_999 }] }]));
    });
    tell("no route", &|world| world.view.routes.get_mut(&id()).unwrap().route = None);
    tell("no backend", &|world| drop(world.view.backends.remove("web")));
    tell("a user's own Service of that name", &|world| {
        world.store(&json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": "default", "name": "web-canary" }, "spec": {},
        }));
    });
    tell("a gateway that has not accepted the route", &|world| {
        let mut known = route(json!([{ "backendRefs": [{ "name": "web", "port": 80 }] }]), 1).as_ref().clone();
        known.unaccepted = Some("gateway public has not accepted it yet".into());
        world.view.routes.get_mut(&id()).unwrap().route = Some(Arc::new(known));
    });
    insta::assert_snapshot!(lines.join("\n\n"));
}

/// A Service that turns headless makes its forks other ones; the one that requests go to stays until they do not.
#[test]
fn a_fork_that_no_patch_can_change_is_replaced_once_it_is_not_used() {
    let mut world = World::new();
    world.ask(forks("v2"), forwarding(None));
    world.view.ready.insert("web-stable".into(), 4);
    world.pass(11);
    world.pass(11);
    let mut origin = world.view.backends["web"].object.clone();
    origin["spec"]["clusterIP"] = json!("None");
    world.store(&origin);
    let before = world.log.len();
    world.pass(11);
    world.ask(Value::Null, Value::Null);
    world.pass(1);
    world.pass(11);
    insta::assert_snapshot!(world.log[before..].join("\n"), @r#"
    33s  delete web-canary
    33s  create web-canary of {"app":"web","controller-revision-hash":"v2"}
    33s    ready
    34s  delete web-canary
    34s  route: web 1
    34s    Service web-stable to go
    45s  delete web-stable
    45s    ready
    "#);
}

/// An operator that has just started sees some things before others.
#[test]
fn nothing_is_taken_from_a_route_before_its_forks_are_seen() {
    let mut world = World::new();
    world.ask(forks("v2"), forwarding(Some(20)));
    world.view.ready.extend([("web-stable".into(), 4), ("web-canary".into(), 1)]);
    for _ in 0..3 {
        world.pass(11);
    }
    let (backends, ready) = (std::mem::take(&mut world.view.backends), std::mem::take(&mut world.view.ready));
    let before = world.log.len();
    world.view.health = Some(Health::Syncing);
    world.pass(1);
    world.view.backends = backends;
    world.pass(1);
    let route = world.view.routes.get_mut(&id()).unwrap().route.take();
    world.view.ready = ready;
    world.view.routes.get_mut(&id()).unwrap().listed = false;
    world.view.health = Some(Health::Ready);
    world.pass(1);
    *world.view.routes.get_mut(&id()).unwrap() = RouteReport { listed: true, route, ..RouteReport::default() };
    world.pass(1);
    insta::assert_snapshot!(world.log[before..].join("\n"), @r"
    34s    Service web: its cluster is being listed
    35s    Service web: its cluster is being listed
    36s    HTTPRoute shop in cluster east is being looked up
    37s    ready
    ");
}

/// What somebody makes of a route with two rules, of which one is the backend's, and what becomes of it by policy.
#[test]
fn what_becomes_of_drift() {
    let others =
        json!({ "matches": [{ "path": { "value": "/api" } }], "backendRefs": [{ "name": "api", "port": 80 }] });
    let web = |stable: i32, canary: i32| {
        json!({ "backendRefs": [
            { "name": "web-stable", "port": 80, "weight": stable }, { "name": "web-canary", "port": 80, "weight": canary },
        ] })
    };
    let origin = json!({ "backendRefs": [{ "name": "web", "port": 80 }] });
    let changes = [
        ("reverts it", json!([origin, others])),
        ("changes a weight", json!([web(50, 50), others])),
        ("takes the canary out", json!([{ "backendRefs": [{ "name": "web-stable", "port": 80 }] }, others])),
        ("sends all elsewhere", json!([others])),
        ("adds a rule of its own", json!([web(80, 20), others, { "backendRefs": [{ "name": "more", "port": 80 }] }])),
        ("adds a rule of the backend's", json!([web(80, 20), others, origin])),
        ("removes the other rule", json!([web(80, 20)])),
        ("reverts it and adds a rule", json!([origin, others, origin])),
    ];
    let mut lines = Vec::new();
    for (what, rules) in changes {
        lines.push(format!("somebody {what}:"));
        for policy in ["Repair", "Pause", "Cancel"] {
            let mut world = laid(json!([origin, others]), policy);
            let before = world.log.len();
            world.change(rules.clone());
            world.pass(1);
            world.pass(11);
            let steps: Vec<_> = world.log[before..].iter().map(|line| line[4..].trim().to_owned()).collect();
            lines.push(format!("  {policy:6} {}", steps.join(" | ")));
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

/// A run that is told to go on has the drift repaired, and only that one.
#[test]
fn a_drift_is_repaired_once_the_run_says_so() {
    let origin = json!([{ "backendRefs": [{ "name": "web", "port": 80 }] }]);
    let mut world = laid(origin.clone(), "Pause");
    let before = world.log.len();
    let time = |world: &World| {
        let status = world.view.routing.status.clone().unwrap();
        status.routes[0].drift.as_ref().map(|drift| drift.time.clone())
    };
    for _ in 0..2 {
        world.change(origin.clone());
        world.pass(0);
        let seen = time(&world).unwrap();
        world.edit(|spec| spec["routeRepairTime"] = json!(seen));
        world.pass(0);
        assert_eq!(time(&world), None);
    }
    // Its canary loses its endpoints while it has drifted to more than its share.
    world.change(json!([{ "backendRefs": [
        { "name": "web-stable", "port": 80, "weight": 10 }, { "name": "web-canary", "port": 80, "weight": 90 },
    ] }]));
    world.pass(1);
    world.view.ready.insert("web-canary".into(), 0);
    world.pass(1);
    insta::assert_snapshot!(world.log[before..].join("\n"));
}

/// An operator that was away sees the drift all the same; and what it laid but never saw there is laid again.
#[test]
fn a_drift_is_judged_by_what_is_stored() {
    let origin = json!([{ "backendRefs": [{ "name": "web", "port": 80 }] }]);
    let mut world = laid(origin.clone(), "Pause");
    world.change(origin.clone());
    let decision = routing(&world.view, at(world.second));
    let told: Vec<_> = decision.notices.iter().map(|notice| format!("{}: {}", notice.reason, notice.message)).collect();
    assert_eq!(told, ["RouteDrifted: HTTPRoute shop: our part of it was changed by argocd, and stays so"]);
    assert!(decision.routes[&id()].hold);
    let mut routing_ = json!(*world.view.routing);
    routing_["status"]["routes"][0].as_object_mut().unwrap().remove("laid");
    world.view.routing = object(routing_);
    assert!(!routing(&world.view, at(world.second)).routes[&id()].hold);
}

#[test]
fn drift_is_put_back_and_told_with_who_did_it() {
    let reverted = json!([{ "backendRefs": [{ "name": "web", "port": 80 }] }]);
    let mut world = laid(reverted.clone(), "Repair");
    world.change(reverted);
    let decision = routing(&world.view, at(world.second));
    let told: Vec<_> = decision.notices.iter().map(|notice| format!("{}: {}", notice.reason, notice.message)).collect();
    assert_eq!(told, ["RouteDrifted: HTTPRoute shop: our part of it was changed by argocd, and is put back"]);
}

/// All requests go to the canary fork, and back: at once while the old version is there; and to what the workload has become
/// once the stable fork, which got none meanwhile, selects that and is ready.
#[test]
fn all_requests_go_to_a_fork_only_while_it_can_serve_them() {
    let mut world = World::new();
    world.ask(forks("v2"), forwarding(None));
    world.view.ready.extend([("web-stable".into(), 4), ("web-canary".into(), 4)]);
    for _ in 0..3 {
        world.pass(11);
    }
    let before = world.log.len();
    world.say("all to the copies");
    world.ask(forks("v2"), forwarding(Some(100)));
    world.pass(1);
    world.pass(11);
    world.say("the copies fail");
    world.view.ready.insert("web-canary".into(), 0);
    world.pass(1);
    world.view.ready.insert("web-canary".into(), 4);
    world.pass(11);
    world.pass(11);
    world.say("back, and there again");
    world.ask(forks("v2"), forwarding(None));
    world.pass(1);
    world.ask(forks("v2"), forwarding(Some(100)));
    world.pass(12);
    world.pass(12);
    world.say("the old version goes");
    world.view.ready.insert("web-stable".into(), 0);
    world.pass(1);
    world.say("the copies fail, and nothing else is there");
    world.view.ready.insert("web-canary".into(), 0);
    world.pass(1);
    world.view.ready.insert("web-canary".into(), 4);
    world.pass(1);
    world.say("the workload has become v3");
    let mut moved = forks("v2");
    moved["stable"]["extraLabelSelector"] = json!({ "controller-revision-hash": "v3" });
    world.ask(moved.clone(), forwarding(Some(100)));
    world.pass(1);
    world.ask(moved, forwarding(None));
    world.pass(1);
    world.view.ready.insert("web-stable".into(), 4);
    world.pass(1);
    world.pass(12);
    world.pass(12);
    insta::assert_snapshot!(world.log[before..].join("\n"));
}

/// What leads to no pod loses none by selecting others.
#[test]
fn a_fork_that_has_no_pod_may_select_others_while_requests_go_there() {
    let mut world = World::new();
    world.ask(forks("v2"), forwarding(None));
    world.view.ready.insert("web-stable".into(), 4);
    world.pass(11);
    world.pass(11);
    let before = world.log.len();
    let mut others = forks("v2");
    others["stable"]["extraLabelSelector"] = json!({ "controller-revision-hash": "v3" });
    world.ask(others, forwarding(None));
    world.pass(1);
    world.view.ready.insert("web-stable".into(), 0);
    world.pass(1);
    insta::assert_snapshot!(world.log[before..].join("\n"), @r#"
    23s    Service web-stable to select other pods
    24s  change web-stable to {"app":"web","controller-revision-hash":"v3"}
    24s    ready endpoints of Service web-stable
    "#);
}

/// A route with a canary at a fifth, in force.
fn laid(rules: Value, policy: &str) -> World {
    let mut world = World::new();
    world.view.routes.get_mut(&id()).unwrap().route = Some(route(rules, 1));
    world.ask(forks("v2"), forwarding(Some(20)));
    world.edit(|spec| spec["routeDriftPolicy"] = json!(policy));
    world.view.ready.extend([("web-stable".into(), 4), ("web-canary".into(), 1)]);
    for _ in 0..3 {
        world.pass(11);
    }
    world
}

/// Another BackendRouting of the same backend has it forked, with forks of the same names.
#[test]
fn what_another_one_has_laid_is_not_taken_away() {
    let mut world = World::new();
    world.pass(0);
    world.change(json!([{ "backendRefs": [{ "name": "web-stable", "port": 80 }] }]));
    let decision = routing(&world.view, at(1));
    assert_eq!(crate::decide::route(&world.view.routes[&id()], &decision.routes[&id()]), Ok(None));
}

/// A route of nine rules with a match for each has eighteen. Nothing is begun, and nothing made.
#[test]
fn what_a_later_step_could_not_have_is_told_before_the_first_begins() {
    let rules = |count: i32| {
        let rule = |number: i32| json!({ "matches": [{ "path": { "value": format!("/{number}") } }], "backendRefs": [{ "name": "web", "port": 80 }] });
        Value::Array((0..count).map(rule).collect())
    };
    let canary =
        json!({ "backendName": "web-canary", "matches": [{ "headers": [{ "name": "tester", "value": "true" }] }] });
    let http = json!({ "origin": { "backendName": "web-stable" }, "canary": canary });
    let weight =
        json!({ "origin": { "backendName": "web-stable" }, "canary": { "backendName": "web-canary", "weight": 20 } });
    let mut world = World::new();
    world.change(rules(9));
    world.edit(|spec| {
        spec["planned"] = json!([{ "step": "the canary", "http": weight }, { "step": "batch 2", "http": http }]);
    });
    world.pass(0);
    world.change(rules(8));
    world.pass(0);
    insta::assert_snapshot!(world.log.join("\n"));
}
