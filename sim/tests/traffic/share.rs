//! The share of the new version against what a run's step says. The run is another operator's, so that nobody does anything
//! about it but the users, who write its status and the route.

use slipway_sim::{Scenario, run};

const SCENARIO: &str = "
description: share
clusters: [{name: east, gateway: {}}]
clients: [{name: shop, cluster: east, host: shop.example}]
objects:
- cluster: east
  manifest: &set
    apiVersion: apps/v1
    kind: StatefulSet
    metadata: &named {name: web}
    spec:
      replicas: 3
      serviceName: web
      podManagementPolicy: Parallel
      selector: {matchLabels: &stable {lane: stable}}
      template:
        metadata: {labels: *stable}
        spec: {containers: [{name: main, image: 'web:v1'}]}
- cluster: east
  manifest:
    apiVersion: apps/v1
    kind: StatefulSet
    metadata: {name: web-canary, labels: &ours {rollout.kusionstack.io/canary-resource: 'true'}}
    spec:
      replicas: 1
      serviceName: web
      selector: {matchLabels: &canary {lane: canary}}
      template:
        metadata: {labels: *canary}
        spec: {containers: [{name: main, image: 'web:v2'}]}
- cluster: east
  manifest: {apiVersion: v1, kind: Service, metadata: *named, spec: {selector: *stable, ports: [{port: 80}]}}
- cluster: east
  manifest: {apiVersion: v1, kind: Service, metadata: {name: web-stable, labels: *ours}, spec: {selector: *stable, ports: [{port: 80}]}}
- cluster: east
  manifest: {apiVersion: v1, kind: Service, metadata: {name: web-canary, labels: *ours}, spec: {selector: *canary, ports: [{port: 80}]}}
- cluster: east
  manifest:
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: shop}
    spec: {parentRefs: [{name: public}], rules: [{backendRefs: [{name: web, port: 80}]}]}
- manifest:
    apiVersion: rollout.kusionstack.io/v1alpha1
    kind: RolloutRun
    metadata: {name: others, labels: {rollout.kusionstack.io/rollout-class: other}}
    spec:
      targetType: {apiVersion: apps/v1, kind: StatefulSet}
      canary: {targets: [{cluster: east, name: web, replicas: 1}], traffic: {http: TRAFFIC}}
      batch: {batches: [{targets: [{cluster: east, name: web, replicas: 100%}]}]}
    status: {phase: Progressing, canaryStatus: {state: Running}}
timeline:
- at: 30s
  do: {patch: {cluster: east, kind: HTTPRoute, name: shop, patch: {spec: {rules: RULES}}}}
- after: 30s
  do: {patch: {cluster: east, kind: HTTPRoute, name: shop, patch: {spec: {rules: [{backendRefs: [{name: web, port: 80}]}]}}}}
except: {nothing_left_behind: the run goes on}
rest: 10s
";

/// What breaks when a step says this of traffic and a route is written so.
fn broken(traffic: &str, rules: &str) -> String {
    let text = SCENARIO.replace("TRAFFIC", traffic).replace("RULES", rules);
    let scenario = Scenario::parse("share.yaml", &text).unwrap_or_else(|error| panic!("{error}"));
    let outcome = run(&scenario, 1);
    assert!(!outcome.timeline.contains("refused") && outcome.timeline.contains("web:v2"), "{}", outcome.timeline);
    outcome.broken().join(", ")
}

fn divided(stable: u64, canary: u64) -> String {
    let reference = |name: &str, weight: u64| format!("{{name: {name}, port: 80, weight: {weight}}}");
    format!("[{{backendRefs: [{}, {}]}}]", reference("web-stable", stable), reference("web-canary", canary))
}

#[test]
fn a_weight_is_not_exceeded() {
    assert_eq!(broken("{weight: 10}", &divided(90, 10)), "");
    assert_eq!(broken("{weight: 10}", &divided(9, 1)), "");
    assert_eq!(broken("{weight: 10}", &divided(89, 11)), "traffic_share");
}

#[test]
fn what_does_not_match_stays_where_it_was() {
    let traffic = "{matches: [{headers: [{name: user, value: me}]}]}";
    let clone = "{name: 0.canary.rollout.kusionstack.io, matches: [{headers: [{name: user, value: me}]}], \
                 backendRefs: [{name: web-canary, port: 80}]}";
    let with = |stable, canary| divided(stable, canary).replacen("}]}]", &format!("}}]}}, {clone}]"), 1);
    assert_eq!(broken(traffic, &with(1, 0)), "");
    assert_eq!(broken(traffic, &with(99, 1)), "traffic_share");
}
