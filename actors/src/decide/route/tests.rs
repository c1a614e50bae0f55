use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::*;
use crate::{
    intent::BackendWrite,
    routes::{Canary, Share, Stable},
    view::{ObjectKey, RouteKind},
};

/// The Ingresses of a namespace, to which what is decided about `shop` is done.
struct World {
    ingresses: BTreeMap<String, Value>,
    version: u64,
    log: Vec<String>,
}

fn backend() -> Backend {
    Backend {
        kind: "Service".into(),
        namespace: "default".into(),
        origin: "web".into(),
        stable: "web-stable".into(),
        canary: "web-canary".into(),
        ..Backend::default()
    }
}

fn ingress(name: &str, to: &str, annotations: &Value) -> Value {
    let backend = json!({ "service": { "name": to, "port": { "number": 80 } } });
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "namespace": "default", "name": name, "annotations": annotations },
        "spec": { "rules": [{ "host": "shop.example", "http": { "paths": [
            { "path": "/", "pathType": "Prefix", "backend": backend },
        ] } }] },
    })
}

fn weight(percent: i32) -> Forwarding {
    let canary = Canary { share: Share::Weight(percent), filters: Vec::new() };
    Forwarding { canary: Some(canary), ..Forwarding::default() }
}

fn rest() -> Forwarding {
    Forwarding::default()
}

impl World {
    fn new() -> Self {
        let mut world = Self { ingresses: BTreeMap::new(), version: 0, log: Vec::new() };
        world.put(ingress("shop", "web", &json!({})));
        world
    }

    fn put(&mut self, mut ingress: Value) {
        self.version += 1;
        let name = ingress["metadata"]["name"].as_str().unwrap().to_owned();
        ingress["metadata"]["resourceVersion"] = json!(self.version.to_string());
        ingress["metadata"]["uid"] = json!(format!("uid of {name}"));
        self.ingresses.insert(name, ingress);
    }

    fn edit(&mut self, name: &str, what: &str, patch: &Value) {
        let mut ingress = self.ingresses[name].clone();
        json_patch::merge(&mut ingress, patch);
        self.put(ingress);
        self.log.push(format!("{what}:"));
    }

    fn route(&self, name: &str) -> Arc<Route> {
        let ingress = &self.ingresses[name];
        let (metadata, text) = (&ingress["metadata"], |value: &Value| value.as_str().unwrap_or_default().to_owned());
        Arc::new(Route {
            kind: RouteKind::Ingress,
            key: ObjectKey { namespace: "default".into(), name: name.into() },
            uid: text(&metadata["uid"]),
            resource_version: text(&metadata["resourceVersion"]),
            generation: 1,
            rules: ingress["spec"].clone(),
            rules_manager: None,
            deleting: false,
            marks: json!({ "labels": metadata["labels"], "annotations": metadata["annotations"] }),
            unaccepted: None,
            extension: None,
        })
    }

    fn report(&self) -> RouteReport {
        let others = self.ingresses.keys().filter(|name| *name != "shop").map(|name| self.route(name));
        RouteReport {
            listed: true,
            route: Some(self.route("shop")),
            canaries: others.filter(|route| may_be_canary(route, "shop")).collect(),
            error: None,
        }
    }

    /// Does what is decided, until there is nothing left to do.
    fn settle(&mut self, what: &str, part: impl Into<Option<Forwarding>>) {
        self.log.push(format!("{what}:"));
        let goal = RouteGoal { backend: backend(), part: part.into(), hold: false, only_over: None };
        for _ in 0..5 {
            let write = match route(&self.report(), &goal) {
                Ok(Some(write)) => write,
                Ok(None) => return,
                Err(refusal) => return self.log.push(format!("  refused: {refusal}")),
            };
            self.write(write);
        }
        panic!("it never settles: {}", self.log.join("\n"));
    }

    fn write(&mut self, write: RouteWrite) {
        match write {
            RouteWrite::Patch(patch) => {
                let mut ingress = self.ingresses["shop"].clone();
                let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
                json_patch::patch(&mut ingress, &patch).unwrap();
                let to = ingress.pointer("/spec/rules/0/http/paths/0/backend/service/name").cloned();
                self.log.push(format!("  shop leads to {}", to.unwrap_or_default()));
                self.put(ingress);
            }
            RouteWrite::Canary(BackendWrite::Create { object, .. }) => {
                self.log.push(format!("  create with {}", object["metadata"]["annotations"]));
                self.put(object);
            }
            RouteWrite::Canary(BackendWrite::Patch { key, mut patch }) => {
                patch["metadata"]["resourceVersion"].take();
                self.log.push(format!("  patch with {patch}"));
                let mut ingress = self.ingresses[&key.name].clone();
                json_patch::merge(&mut ingress, &patch);
                self.put(ingress);
            }
            RouteWrite::Canary(BackendWrite::Delete { key, .. }) => {
                self.log.push(format!("  delete {}", key.name));
                self.ingresses.remove(&key.name);
            }
        }
    }
}

#[test]
fn the_canary_ingress_comes_last_and_goes_first() {
    let mut world = World::new();
    let users = world.ingresses["shop"]["spec"].clone();
    world.settle("a canary", weight(20));
    world.settle("a larger one", weight(50));
    world.settle("the same again", weight(50));
    world.settle("no canary", rest());
    world.settle("a canary again", weight(20));
    world.settle("nothing", None);
    assert_eq!(world.ingresses["shop"]["spec"], users);
    insta::assert_snapshot!(world.log.join("\n"));
}

#[test]
fn what_somebody_changes_is_put_back() {
    let mut world = World::new();
    world.settle("a canary", weight(20));
    let share = "nginx.ingress.kubernetes.io/canary-weight";
    world.edit("shop-canary", "more", &json!({ "metadata": { "annotations": { share: "90", "somebody": "else's" } } }));
    world.settle("then", weight(20));
    world.ingresses.remove("shop-canary");
    world.settle("without it", weight(20));
    let git = ingress("shop", "web", &json!({}))["spec"].clone();
    world.edit("shop", "as in git", &json!({ "spec": git }));
    world.settle("then", weight(20));
    // It leads elsewhere: what the canary takes of that, nobody meant.
    let other = ingress("shop", "other", &json!({}))["spec"].clone();
    world.edit("shop", "elsewhere", &json!({ "spec": other }));
    world.settle("then", weight(20));
    insta::assert_snapshot!(world.log.join("\n"));
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is() {
    let header = |header: Value| {
        let matches = serde_json::from_value(json!([{ "headers": [header] }])).unwrap();
        let canary = Canary { share: Share::Matches(matches), filters: Vec::new() };
        Forwarding { canary: Some(canary), ..Forwarding::default() }
    };
    let canary = json!({ "nginx.ingress.kubernetes.io/canary": "true" });
    let mut log = Vec::new();
    for (what, others, part) in [
        ("a regular expression", vec![], header(json!({ "name": "a", "value": "b.*", "type": "RegularExpression" }))),
        ("stable matches", vec![], Forwarding { stable: Some(Stable::default()), ..Forwarding::default() }),
        ("an Ingress of that name", vec![ingress("shop-canary", "beta", &json!({}))], rest()),
        ("a canary of somebody's", vec![ingress("beta", "beta", &canary)], rest()),
    ] {
        let mut world = World::new();
        for other in others {
            world.put(other);
        }
        let before = world.ingresses.clone();
        world.settle(what, part);
        assert_eq!(world.ingresses, before);
        log.extend(world.log);
    }
    insta::assert_snapshot!(log.join("\n"));
}

/// Other paths may have canaries of their own, and the label is what makes one ours.
#[test]
fn somebody_elses_canaries_stay_as_they_are() {
    let mut world = World::new();
    let canary = json!({ "nginx.ingress.kubernetes.io/canary": "true" });
    let mut other = ingress("beta", "beta", &canary);
    other["spec"]["rules"][0]["http"]["paths"][0]["path"] = json!("/beta");
    world.put(other);
    world.settle("a canary", weight(20));
    world.edit("shop-canary", "no label", &json!({ "metadata": { "labels": null } }));
    world.settle("then", weight(20));
    world.settle("nothing", None);
    assert!(lays(&world.report(), "Service", "web-canary"), "requests go there still");
    insta::assert_snapshot!(world.log.join("\n"));
}

/// Our own write is no news: whoever else wrote either of the two is.
#[test]
fn who_changed_our_part_is_who_wrote_either_ingress() {
    let by = |route: &Arc<Route>, manager: &str| {
        Arc::new(Route { rules_manager: Some(manager.to_owned()), ..route.as_ref().clone() })
    };
    let mut world = World::new();
    world.settle("a canary", weight(20));
    let report = world.report();
    let (shop, canary) = (report.route.clone().unwrap(), report.canaries[0].clone());
    let told = |shop_by: &str, canary_by: &str| {
        let (route, canaries) = (Some(by(&shop, shop_by)), vec![by(&canary, canary_by)]);
        changed_by(&RouteReport { route, canaries, ..RouteReport::default() }).map(str::to_owned)
    };
    assert_eq!(told("argocd", "slipway").as_deref(), Some("argocd"));
    assert_eq!(told("slipway", "kubectl-edit").as_deref(), Some("kubectl-edit"));
    assert_eq!(told("slipway", "slipway"), None);
}
