//! Forks in two clusters behind one route.

use std::sync::Arc;

use super::{super::*, ROUTE, forwarding, route, told};
use crate::{
    decide::fixtures::{at, object},
    intent::{BackendWrite, MemberWrite, RouteWrite},
    view::{Backend, Export, Health, MemberBackends, ObjectKey, RouteReport},
};

use serde_json::{Value, json};

/// A BackendRouting over the east and the west, which do what is decided; an import is there as soon as an export is.
struct World {
    view: RoutingView,
    log: Vec<String>,
    second: i64,
    version: i64,
}

const BOTH: [&str; 2] = ["east", "west"];

fn id() -> RouteId {
    RouteId { cluster: String::new(), kind: RouteKind::HttpRoute, name: ROUTE.into() }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey { namespace: "default".into(), name: name.into() }
}

/// Forks that are asked for in these clusters, each with a revision of its own.
fn forks(stable: &[&str], canary: &[&str]) -> Value {
    let of = |cluster: &str, revision: &str| json!({ "name": cluster, "extraLabelSelector": { "controller-revision-hash": format!("{cluster}-{revision}") } });
    let stable: Vec<_> = stable.iter().map(|cluster| of(cluster, "v1")).collect();
    let canary: Vec<_> = canary.iter().map(|cluster| of(cluster, "v2")).collect();
    json!({
        "stable": { "name": "web-stable", "clusters": stable },
        "canary": { "name": "web-canary", "clusters": canary },
    })
}

impl World {
    fn new() -> Self {
        let routing = json!({
            "metadata": {
                "namespace": "default", "name": "web-msc", "uid": "u", "generation": 1, "resourceVersion": "1",
                "finalizers": [keys::FINALIZER_PROTECTION],
            },
            "spec": {
                "trafficType": "MultiCluster", "drainSeconds": 10, "clusters": ["east", "west"],
                "backend": { "apiVersion": keys::MULTICLUSTER_API, "kind": "ServiceImport", "name": "web" },
                "routes": [{ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": ROUTE }],
            },
        });
        let rules = json!([{ "backendRefs": [{ "group": "multicluster.x-k8s.io", "kind": "ServiceImport", "name": "web", "port": 80 }] }]);
        let member = || MemberBackends {
            health: Some(Health::Ready),
            exports: Some(BTreeMap::new()),
            ..MemberBackends::default()
        };
        let view = RoutingView {
            routing: object(routing),
            health: Some(Health::Ready),
            backends: BTreeMap::new(),
            ready: BTreeMap::new(),
            errors: BTreeMap::new(),
            routes: [(id(), RouteReport { listed: true, route: Some(route(rules, 1)), ..RouteReport::default() })]
                .into(),
            members: [("east".to_owned(), member()), ("west".to_owned(), member())].into(),
            imports: Some(["web".to_owned()].into()),
        };
        let mut world = Self { view, log: Vec::new(), second: 0, version: 1 };
        for cluster in ["east", "west"] {
            world.store(cluster, json!({
                "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": "default", "name": "web", "uid": "w" },
                "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80 }] },
            }));
        }
        world
    }

    /// With all requests on the stable forks.
    fn stable() -> Self {
        let mut world = Self::new();
        world.ask(forks(&BOTH, &[]), forwarding(None));
        world.ready("east", "web-stable", 4);
        world.ready("west", "web-stable", 4);
        for _ in 0..3 {
            world.pass(11);
        }
        world.log.clear();
        world
    }

    fn member(&mut self, cluster: &str) -> &mut MemberBackends {
        self.view.members.get_mut(cluster).unwrap()
    }

    fn ready(&mut self, cluster: &str, name: &str, pods: usize) {
        self.member(cluster).ready.insert(name.to_owned(), pods);
    }

    fn dark(&mut self, cluster: &str) {
        self.member(cluster).health = Some(Health::Unreachable { since: at(0), error: "timed out".into() });
    }

    fn say(&mut self, what: &str) {
        let line = format!("{:>3}s  {what}", self.second);
        self.log.push(line);
    }

    fn store(&mut self, cluster: &str, mut object: Value) {
        self.version += 1;
        let (name, version) = (object["metadata"]["name"].as_str().unwrap().to_owned(), self.version.to_string());
        object["metadata"]["resourceVersion"] = json!(version);
        let uid = format!("uid-{name}");
        let backend = Backend { key: key(&name), uid, resource_version: version, deleting: false, object };
        self.member(cluster).backends.insert(name, Arc::new(backend));
    }

    fn ask(&mut self, forks: Value, forwarding: Value) {
        let mut routing = json!(*self.view.routing);
        let generation = routing["metadata"]["generation"].as_i64().unwrap() + 1;
        routing["metadata"]["generation"] = json!(generation);
        (routing["spec"]["forkedBackends"], routing["spec"]["forwarding"]) = (forks, forwarding);
        self.view.routing = object(routing);
    }

    fn settle(&mut self) {
        for _ in 0..20 {
            let decision = routing(&self.view, at(self.second));
            let mut is_busy = decision.write.is_some() || !decision.members.is_empty();
            assert!(decision.backends.is_empty(), "the routes' cluster has nothing of ours but its routes");
            for write in decision.members {
                self.write(write);
            }
            if let Some(HubWrite::Patch { patch, .. } | HubWrite::PatchStatus { patch, .. }) = decision.write {
                let mut routing = json!(*self.view.routing);
                json_patch::merge(&mut routing, &patch);
                self.view.routing = object(routing);
            }
            for (id, goal) in decision.routes {
                let report = self.view.routes.get_mut(&id).unwrap();
                let Some(known) = report.route.clone() else { continue };
                let Some(RouteWrite::Patch(patch)) = crate::decide::route(report, &goal).unwrap() else { continue };
                let rules = patch[2]["value"].clone();
                report.route = Some(route(rules.clone(), known.generation + 1));
                is_busy = true;
                self.say(&format!("route: {}", told(&rules)));
            }
            if !is_busy {
                return;
            }
        }
        panic!("it never settles: {}", self.log.join("\n"));
    }

    fn write(&mut self, MemberWrite { cluster, export, write }: MemberWrite) {
        let name = write.key().name.clone();
        match (write, export) {
            (BackendWrite::Create { object, .. }, false) => {
                self.say(&format!("{cluster}: create {name} of {}", object["spec"]["selector"]));
                self.store(&cluster, object);
            }
            (BackendWrite::Create { object, .. }, true) => {
                assert_eq!(object["metadata"]["ownerReferences"][0]["name"], *name);
                self.say(&format!("{cluster}: export {name}"));
                let version = "1".to_owned();
                let export = Export {
                    key: key(&name),
                    uid: "e".into(),
                    resource_version: version,
                    deleting: false,
                    is_fork: true,
                    invalid: None,
                };
                self.member(&cluster).exports.as_mut().unwrap().insert(name.clone(), Arc::new(export));
                self.view.imports.as_mut().unwrap().insert(name);
            }
            (BackendWrite::Patch { patch, .. }, _) => {
                let mut object = self.view.members[&cluster].backends[&name].object.clone();
                json_patch::merge(&mut object, &patch);
                self.say(&format!("{cluster}: change {name} to {}", object["spec"]["selector"]));
                self.store(&cluster, object);
            }
            (BackendWrite::Delete { .. }, true) => {
                self.say(&format!("{cluster}: export {name} no more"));
                self.member(&cluster).exports.as_mut().unwrap().remove(&name);
            }
            (BackendWrite::Delete { .. }, false) => {
                self.say(&format!("{cluster}: delete {name}"));
                self.member(&cluster).backends.remove(&name);
                self.member(&cluster).ready.remove(&name);
            }
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.second += seconds;
        self.settle();
        let status = self.view.routing.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
        let line = if ready.status == "True" { "ready".to_owned() } else { ready.message.clone() };
        self.say(&format!("  {line}"));
    }
}

#[test]
fn requests_wait_for_every_cluster_and_what_is_exported_goes_after_them() {
    let mut world = World::new();
    world.pass(0);
    world.ask(forks(&BOTH, &[]), forwarding(None));
    world.pass(1);
    world.ready("east", "web-stable", 4);
    world.pass(11);
    // However long the east is ready.
    world.pass(11);
    world.ready("west", "web-stable", 4);
    world.pass(1);
    world.pass(11);
    world.pass(11);
    // The east's copy is first.
    world.ask(forks(&BOTH, &["east"]), forwarding(None));
    world.pass(1);
    world.ready("east", "web-canary", 1);
    world.ask(forks(&BOTH, &BOTH), forwarding(Some(20)));
    world.pass(11);
    world.pass(11);
    world.ready("west", "web-canary", 1);
    world.pass(1);
    world.pass(11);
    world.pass(11);
    // The west's is gone, and the east's still serves.
    world.ready("west", "web-canary", 0);
    world.pass(1);
    world.ready("east", "web-canary", 0);
    world.pass(1);
    world.ask(Value::Null, Value::Null);
    world.pass(1);
    world.pass(11);
    assert!(world.view.routing.status.clone().unwrap().clusters.is_empty(), "nothing is left on record");
    insta::assert_snapshot!(world.log.join("\n"));
}

/// What a cluster does not show is there as it was: nothing is shifted, and nothing taken away.
#[test]
fn a_cluster_that_is_out_of_sight_holds() {
    let mut world = World::stable();
    world.ask(forks(&BOTH, &BOTH), forwarding(Some(20)));
    world.ready("east", "web-canary", 1);
    world.dark("west");
    world.pass(1);
    world.pass(11);
    // The run goes on without it.
    world.ask(forks(&["east"], &["east"]), forwarding(Some(20)));
    world.pass(11);
    world.pass(11);
    // No request is shifted further while one that counts is not seen.
    world.member("west").health = Some(Health::Ready);
    world.ready("west", "web-canary", 1);
    world.ask(forks(&BOTH, &BOTH), forwarding(Some(20)));
    world.pass(11);
    world.dark("west");
    world.ask(forks(&BOTH, &BOTH), forwarding(Some(50)));
    world.pass(1);
    // But they are always taken back.
    world.ask(Value::Null, Value::Null);
    world.pass(11);
    world.pass(11);
    let left: Vec<_> = world.view.routing.status.iter().flat_map(|status| &status.clusters).collect();
    assert_eq!(left.iter().map(|known| &*known.name).collect::<Vec<_>>(), ["west"]);
    world.member("west").health = Some(Health::Ready);
    world.pass(1);
    insta::assert_snapshot!(world.log.join("\n"));
}

#[test]
fn what_stands_in_the_way_is_told_with_the_cluster() {
    let mut lines = Vec::new();
    let mut tell = |what: &str, change: &dyn Fn(&mut World)| {
        let mut world = World::new();
        change(&mut world);
        world.pass(0);
        world.ask(forks(&BOTH, &["east"]), forwarding(Some(20)));
        world.pass(1);
        lines.push(format!("{what}:\n{}", world.log.join("\n")));
    };
    tell("the west knows no ServiceExports", &|world| world.member("west").exports = None);
    tell("the hub knows no ServiceImports", &|world| world.view.imports = None);
    tell("nothing is imported", &|world| world.view.imports = Some(std::collections::BTreeSet::new()));
    tell("the west has no Service", &|world| drop(world.member("west").backends.remove("web")));
    tell("the west is no member", &|world| world.member("west").health = None);
    tell("a user's own export of that name", &|world| {
        let export = Export {
            key: key("web-stable"),
            uid: "e".into(),
            resource_version: "1".into(),
            deleting: false,
            is_fork: false,
            invalid: None,
        };
        world.member("west").exports.as_mut().unwrap().insert("web-stable".into(), Arc::new(export));
    });
    insta::assert_snapshot!(lines.join("\n\n"));
}

/// A BackendRouting stays until nothing of it is left in any cluster.
#[test]
fn a_deletion_waits_for_a_cluster_that_is_away() {
    let mut world = World::stable();
    world.dark("west");
    let mut deleted = json!(*world.view.routing);
    deleted["metadata"]["deletionTimestamp"] = json!("2027-01-15T08:00:00Z");
    world.view.routing = object(deleted);
    world.pass(1);
    world.pass(11);
    world.pass(11);
    let finalizers = |world: &World| world.view.routing.metadata.finalizers.clone().unwrap_or_default().len();
    assert_eq!(finalizers(&world), 1);
    world.member("west").health = Some(Health::Ready);
    world.pass(1);
    assert_eq!(finalizers(&world), 0);
    insta::assert_snapshot!(world.log.join("\n"), @r"
    34s  route: web 1
    34s    cluster east: Service web-stable to go
    45s  east: export web-stable no more
    45s  east: delete web-stable
    45s    cluster west: it is unreachable: timed out
    56s    cluster west: it is unreachable: timed out
    57s  west: export web-stable no more
    57s  west: delete web-stable
    57s    cluster west: Service web-stable to go
    ");
}
