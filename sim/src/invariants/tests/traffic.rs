//! Routes, forks and what gateways have in force.

use std::sync::Arc;

use slipway_fakes::gateway::{Backend, BackendId, Configuration, Endpoint, RouteId};

use super::*;
use crate::facts::Facts;

/// A world with a route `shop` to the Service `web`, which has two forks.
struct Network {
    told: Told,
    jury: Jury,
    configuration: Configuration,
}

fn reference(name: &str, weight: u64) -> Value {
    json!({ "name": name, "port": 80, "weight": weight })
}

fn rule(references: &[Value]) -> Value {
    json!({ "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }], "backendRefs": references })
}

fn route(rules: &[Value]) -> Value {
    json!({ "kind": "HTTPRoute", "metadata": { "name": "shop", "namespace": "default" }, "spec": { "rules": rules } })
}

fn service(name: &str, is_fork: bool) -> Value {
    let labels = if is_fork { json!({ "rollout.kusionstack.io/canary-resource": "true" }) } else { json!({}) };
    json!({ "metadata": { "name": name, "labels": labels } })
}

fn users() -> Value {
    rule(&[reference("web", 3), reference("other", 1)])
}

fn divided(canary: u64) -> Value {
    rule(&[reference("web-stable", 3 * (100 - canary)), reference("web-canary", 3 * canary), reference("other", 100)])
}

impl Network {
    fn new() -> Self {
        let (told, jury) = (waiting(), Jury::new(&BTreeMap::new()).with_traffic());
        let mut network = Self { told, jury, configuration: Configuration::default() };
        network.write(Who::User, "services", "web", &service("web", false));
        network.write(Who::User, "httproutes", "shop", &route(&[users()]));
        for fork in ["web-stable", "web-canary"] {
            network.write(Who::Operator, "services", fork, &service(fork, true));
        }
        network
    }

    fn write(&mut self, who: Who, plural: &str, name: &str, new: &Value) -> Vec<&'static str> {
        tell(&mut self.told, &mut self.jury, who, plural, name, new)
    }

    fn routed(&mut self, who: Who, rules: &[Value]) -> Vec<&'static str> {
        self.write(who, "httproutes", "shop", &route(rules))
    }

    /// A gateway has these rules in force.
    fn in_force(&mut self, rules: &[Value]) -> Vec<&'static str> {
        let id = RouteId::new("HTTPRoute", "default", "shop");
        self.configuration.set_route(&id, Some(&route(rules)));
        self.judge()
    }

    /// A gateway has these pods, by name and uid, in force behind a Service.
    fn behind(&mut self, service: &str, pods: &[(&str, &str)]) -> Vec<&'static str> {
        let endpoint = |(pod, uid): &(&str, &str)| {
            let [cluster, namespace, pod, uid] = ["east", "default", pod, uid].map(str::to_owned);
            Arc::new(Endpoint { cluster, namespace, pod, uid, ..Endpoint::default() })
        };
        let backend = Backend { ports: [80].into(), endpoints: pods.iter().map(endpoint).collect() };
        self.configuration.set_backend(&BackendId::new("Service", "default", service), Some(backend));
        self.judge()
    }

    fn judge(&mut self) -> Vec<&'static str> {
        let Told { facts, .. } = &mut self.told;
        facts.programmed("east", &self.configuration);
        let now = facts.now;
        self.jury.programmed(facts, "east", now).into_iter().map(|(name, _)| name).collect()
    }

    /// The pod `web-4` is of the new version from now on, put there by the operator.
    fn expose(&mut self) {
        self.write(Who::Operator, SETS, "web", &set(5, 4, "v2", "v1", "v2"));
        self.write(Who::Cluster, "pods", "web-4", &Value::Null);
        self.write(Who::Cluster, "pods", "web-4", &pod("b4", "v2", true));
    }
}

#[test]
fn a_fork_without_pods_gets_no_request() {
    let serving = || {
        let mut network = Network::new();
        for service in ["web", "web-stable", "other"] {
            assert!(network.behind(service, &[("web-0", "a0")]).is_empty());
        }
        network
    };
    let mut network = serving();
    assert!(network.in_force(&[users()]).is_empty());
    assert!(network.in_force(&[divided(0)]).is_empty(), "a weight of zero is no request");
    assert_eq!(network.in_force(&[divided(10)]), ["no_lost_request"], "the fork is not there");
    let mut network = serving();
    assert!(network.behind("web-canary", &[]).is_empty());
    assert_eq!(network.in_force(&[divided(10)]), ["no_lost_request"], "the fork is empty");
    let mut network = serving();
    network.behind("web-canary", &[("web-4", "a4")]);
    assert!(network.in_force(&[divided(10)]).is_empty());
    assert_eq!(network.behind("web-canary", &[]), ["no_lost_request"], "its pods go while it has requests");
    let mut network = serving();
    network.behind("web", &[]);
    network.behind("web-stable", &[]);
    assert!(network.in_force(&[divided(0)]).is_empty(), "nobody would have served them");
    assert_eq!(network.behind("web", &[("web-0", "a0")]), ["no_lost_request"]);
}

#[test]
fn pods_that_are_gone_serve_nobody() {
    let mut network = Network::new();
    for (service, pods) in [("web", &["web-0", "web-4"][..]), ("web-stable", &["web-0"]), ("web-canary", &["web-4"])] {
        let uids = pods.iter().map(|pod| (*pod, if *pod == "web-0" { "a0" } else { "a4" }));
        network.behind(service, &uids.collect::<Vec<_>>());
    }
    network.behind("other", &[("other-0", "o0")]);
    assert!(network.in_force(&[divided(10)]).is_empty());
    let mut gone = |pod: &str| {
        let uid = format!("a{}", &pod[4..]);
        network.write(Who::Cluster, "pods", pod, &self::pod(&uid, "v1", true));
        network.write(Who::User, "pods", pod, &Value::Null)
    };
    assert!(gone("web-1").is_empty());
    assert_eq!(gone("web-4"), ["no_lost_request"], "the gateway does not know yet");
}

#[test]
fn the_users_part_stays() {
    let clone = json!({ "name": "0.canary.rollout.kusionstack.io", "backendRefs": [reference("web-canary", 1)] });
    let mirrored = |to: &str| {
        let mut rule = rule(&[reference("web-stable", 3), reference("other", 1)]);
        let mirror = json!({ "type": "RequestMirror", "requestMirror": { "backendRef": { "name": to, "port": 80 } } });
        rule["filters"] = json!([mirror]);
        rule
    };
    for ours in [
        vec![users()],
        vec![divided(10)],
        vec![divided(100)],
        vec![rule(&[reference("web-stable", 3), reference("other", 1)]), clone.clone()],
        vec![mirrored("web-canary")],
    ] {
        let mut network = Network::new();
        assert!(network.routed(Who::Operator, &ours).is_empty(), "{ours:?}");
        assert!(network.routed(Who::Operator, &[users()]).is_empty(), "and away again");
    }
    for wrong in [
        vec![],
        vec![users(), users()],
        vec![rule(&[reference("web", 300), reference("other", 100)])],
        vec![rule(&[reference("web-stable", 270), reference("web-canary", 20), reference("other", 100)])],
        vec![rule(&[reference("web-stable", 3)])],
        vec![mirrored("other")],
        vec![json!({ "backendRefs": [reference("web", 3), reference("other", 1)] })],
    ] {
        let mut network = Network::new();
        assert_eq!(network.routed(Who::Operator, &wrong), ["users_route_untouched"], "{wrong:?}");
    }
    let mut network = Network::new();
    assert_eq!(network.write(Who::Operator, "httproutes", "shop", &Value::Null), ["users_route_untouched"]);
    let mut network = Network::new();
    assert!(network.write(Who::User, "httproutes", "shop", &Value::Null).is_empty());
    // A GitOps tool's controller is nobody of ours, and no user either.
    let mut network = Network::new();
    assert_eq!(network.routed(Who::Cluster, &[divided(10), users()]), ["users_route_untouched"]);
}

#[test]
fn a_users_edit_under_our_part_is_the_users_afterwards() {
    let mut network = Network::new();
    network.routed(Who::Operator, &[divided(10)]);
    let admin = rule(&[reference("admin", 1)]);
    assert!(network.routed(Who::User, &[admin.clone(), divided(10)]).is_empty());
    assert!(network.routed(Who::Operator, &[admin.clone(), divided(50)]).is_empty());
    assert!(network.routed(Who::Operator, &[admin.clone(), users()]).is_empty(), "with the weights of before");
    assert_eq!(network.routed(Who::Operator, &[users()]), ["users_route_untouched"], "the edit is lost");
    let mut network = Network::new();
    network.routed(Who::Operator, &[divided(10)]);
    network.routed(Who::User, &[admin, divided(10)]);
    let scaled = rule(&[reference("web", 300), reference("other", 100)]);
    assert_eq!(network.routed(Who::Operator, &[rule(&[reference("admin", 1)]), scaled]), ["users_route_untouched"]);
}

/// The run's spec with what steps say of traffic.
fn run_with(canary: &Value, batches: [&Value; 2], status: &Value) -> Value {
    let mut run = run(0, "", "Progressing");
    run["spec"]["canary"] =
        json!({ "targets": [{ "cluster": "east", "name": "web", "replicas": 1 }], "traffic": canary });
    for (index, traffic) in batches.into_iter().enumerate() {
        run["spec"]["batch"]["batches"][index]["traffic"] = traffic.clone();
    }
    run["status"] = status.clone();
    run
}

#[test]
fn no_more_requests_than_the_step_gives() {
    let weight = |weight: u64| json!({ "http": { "weight": weight } });
    let (none, matches) = (Value::Null, json!({ "http": { "matches": [{ "headers": [] }] } }));
    let canary = json!({ "phase": "Progressing", "canaryStatus": { "state": "Running" } });
    let batch = |index: usize| {
        json!({ "phase": "Progressing", "canaryStatus": { "state": "Succeeded" },
            "batchStatus": { "currentBatchIndex": index, "currentBatchState": "Running" } })
    };
    let before = json!({ "phase": "Progressing" });
    let ended = json!({ "phase": "Succeeded", "batchStatus": batch(1)["batchStatus"] });
    // The largest share that is fine, of those in the list.
    for (what, run, most) in [
        ("nothing has begun", run_with(&weight(10), [&none, &none], &before), 0),
        ("the canary's", run_with(&weight(10), [&none, &none], &canary), 10),
        ("by matches alone", run_with(&matches, [&none, &none], &canary), 0),
        ("the batch's", run_with(&weight(10), [&weight(50), &none], &batch(0)), 50),
        ("an earlier one's", run_with(&weight(50), [&weight(10), &none], &batch(0)), 50),
        ("not yet the next one's", run_with(&weight(10), [&weight(20), &weight(50)], &batch(0)), 20),
        ("the batch does not say", run_with(&weight(10), [&none, &weight(50)], &batch(0)), 100),
        ("no run is active", run_with(&weight(10), [&weight(20), &weight(50)], &ended), 100),
    ] {
        for share in [0, 10, 11, 20, 21, 50, 51, 100] {
            let mut network = Network::new();
            network.expose();
            network.write(Who::Operator, RUNS, "web-1", &run);
            network.behind("web-stable", &[("web-0", "a0"), ("web-1", "a1"), ("web-4", "a4")]);
            network.behind("web-canary", &[("web-4", "b4")]);
            let found = network.in_force(&[divided(share)]).contains(&"traffic_share");
            assert_eq!(found, share > most, "{what}: {share} of {most}");
        }
    }
}

#[test]
fn only_forks_and_what_matches_nothing_is_limited() {
    let run = run_with(&json!({ "http": { "weight": 10 } }), [&Value::Null; 2], &json!({ "phase": "Progressing" }));
    let with = |rules: &[Value]| {
        let mut network = Network::new();
        network.expose();
        network.write(Who::Operator, RUNS, "web-1", &run);
        for (service, pods) in
            [("web", [("web-0", "a0"), ("web-4", "b4")]), ("web-stable", [("web-0", "a0"), ("web-4", "b4")])]
        {
            network.behind(service, &pods);
        }
        network.behind("web-canary", &[("web-4", "b4")]);
        network.in_force(rules)
    };
    assert!(with(&[users()]).is_empty(), "as pods are");
    let clone = json!({ "name": "0.canary.rollout.kusionstack.io", "backendRefs": [reference("web-canary", 1)] });
    assert!(with(&[users(), clone]).is_empty());
    assert_eq!(with(&[divided(0)]), ["traffic_share"], "a pod of the new version behind the stable fork");
}

#[test]
fn a_canary_ingress_takes_what_matches() {
    let ingress = |name: &str, to: &str, annotations: &Value| {
        let backend = json!({ "service": { "name": to, "port": { "number": 80 } } });
        let path = json!({ "path": "/", "pathType": "Prefix", "backend": backend });
        let labels = if name == "shop" { json!({}) } else { service(name, true)["metadata"]["labels"].clone() };
        json!({
            "kind": "Ingress",
            "metadata": { "name": name, "namespace": "default", "labels": labels, "annotations": annotations },
            "spec": { "rules": [{ "host": "shop.example", "http": { "paths": [path] } }] },
        })
    };
    let canary = |annotation: &str, value: &str| {
        let prefix = "nginx.ingress.kubernetes.io/canary";
        json!({ prefix: "true", (format!("{prefix}-{annotation}")): value })
    };
    let run = run_with(
        &json!({ "http": { "weight": 10 } }),
        [&Value::Null; 2],
        &json!({ "phase": "Progressing", "canaryStatus": { "state": "Running" } }),
    );
    for (annotations, expected) in [
        (canary("by-header", "user"), None),
        (canary("weight", "10"), None),
        (canary("weight", "11"), Some("traffic_share")),
    ] {
        let mut network = Network::new();
        network.expose();
        network.write(Who::Operator, RUNS, "web-1", &run);
        network.behind("web-stable", &[("web-0", "a0")]);
        network.behind("web-canary", &[("web-4", "b4")]);
        assert!(network.write(Who::User, "ingresses", "shop", &ingress("shop", "web", &json!({}))).is_empty());
        let forked = ingress("shop", "web-stable", &json!({}));
        assert!(network.write(Who::Operator, "ingresses", "shop", &forked).is_empty(), "its backend is joined again");
        let canary = ingress("shop-canary", "web-canary", &annotations);
        network.write(Who::Operator, "ingresses", "shop-canary", &canary);
        let mut found = Vec::new();
        for ingress in [forked, canary] {
            let id = RouteId::new("Ingress", "default", ingress["metadata"]["name"].as_str().unwrap());
            network.configuration.set_route(&id, Some(&ingress));
            found.extend(network.judge());
        }
        assert_eq!(found.first().copied(), expected, "{annotations}");
    }
}

#[test]
fn nothing_of_ours_is_left_in_routes() {
    let ending = Ending { rested: true, ..Ending::default() };
    let judge = |facts: &Facts| {
        let found = Jury::new(&BTreeMap::new()).finish(facts, &ending, Duration::ZERO);
        found.first().map(|(_, breach)| breach.clone()).unwrap_or_default()
    };
    let mut network = Network::new();
    network.routed(Who::Operator, &[divided(10)]);
    network.write(Who::Operator, RUNS, "web-1", &run(0, "", "Canceled"));
    network.write(Who::User, "rollouts", "web", &json!({ "metadata": { "name": "web" } }));
    assert_eq!(judge(&network.told.facts), "HTTPRoute east/shop still has a reference to web-stable");
    network.routed(Who::Operator, &[users()]);
    assert_eq!(judge(&network.told.facts), "Service east/web-canary is still there");
    for fork in ["web-stable", "web-canary"] {
        network.write(Who::Operator, "services", fork, &Value::Null);
    }
    assert_eq!(judge(&network.told.facts), "");
}
