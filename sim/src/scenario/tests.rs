use std::path::Path;

use super::*;

const SMALL: &str = "
description: a small one
clusters: [{name: east, latency: 5ms}]
hub: {gateway: {routes-after: 1s}}
clients: [{name: shop, host: shop.example}]
application:
  name: web
  workloads: [{cluster: east, name: web, replicas: 3, image: v1}]
  strategy: {batch: {batches: [{replicas: 1}]}}
timeline:
- at: 5s
  do: {set-image: {image: v2}}
- when: {phase: Paused, batch: 1}
  after: 1s
  do: {command: continue}
- after: 1s
  do: {crash-operator: {}}
faults: {until: 1m, lost-request: 1/100}
expect: {run: {phase: Succeeded}}
";

#[test]
fn a_small_scenario_expands_to_manifests() {
    let scenario = Scenario::parse("small.yaml", SMALL).unwrap();
    let manifests: Vec<_> = scenario.manifests();
    let found: Vec<_> = manifests.iter().map(|(cluster, m)| (cluster.as_str(), m["kind"].as_str().unwrap())).collect();
    assert_eq!(found, [("east", "StatefulSet"), ("hub", "RolloutStrategy"), ("hub", "Rollout")]);
    assert_eq!(manifests[1].1["batch"]["batches"][0]["replicas"], 1);
    assert_eq!(manifests[2].1["spec"]["strategyRef"], "web");
    assert!(matches!(scenario.timeline[1].action, Action::Command(CommandOn::Run(Command::Continue))));
}

/// Every mistake gets one message that names the file, the field and what to do.
#[test]
fn mistakes_are_named() {
    for (from, to, message) in [
        ("latency: 5ms", "latencies: 5ms", "clusters[0].latencies: unknown field `latencies`, expected one of `name`"),
        ("latency: 5ms", "latency: -5ms", "clusters[0].latency: `-5ms` is negative: write zero or more"),
        (
            "latency: 5ms",
            "latency: 5",
            "clusters[0].latency: `5` is no duration: write a whole number and ms, s, m or h",
        ),
        ("gateway: {routes-after: 1s}", "gateway: {routes: 1s}", "hub.gateway.routes: unknown field `routes`"),
        ("gateway: {routes-after: 1s}", "", "clients[0].cluster: hub has no gateway: give it `gateway: {}`"),
        ("host: shop.example", "host: shop.example, every: 0s", "clients[0].every: leaves no time between requests"),
        ("- at: 5s", "- at: -5s", "timeline[0].at: `-5s` is negative"),
        ("- at: 5s\n", "-\n", "timeline[0]: has no time: write `at:`, `after:` or `when:`"),
        (
            "{cluster: east, name: web",
            "{cluster: esat, name: web",
            "application.workloads[0].cluster: unknown cluster `esat`: use one of hub, east",
        ),
        (
            "{set-image: {image: v2}}",
            "{set-image: {image: v2, workloads: [east/wbe]}}",
            "there is no workload `east/wbe`",
        ),
        ("{set-image: {image: v2}}", "{set-imgae: {image: v2}}", "unknown variant `set-imgae`"),
        (
            "{set-image: {image: v2}}",
            "{delete: {kind: Sts, name: web}}",
            "timeline[0].do.delete.kind: unknown kind `Sts`: use one of StatefulSet",
        ),
        (
            "{set-image: {image: v2}}",
            "{fault: {answer: {cluster: east, status: 418}}}",
            "418 cannot be answered: write 429, 500 or 503",
        ),
        (
            "{set-image: {image: v2}}",
            "{injure-actor: {actor: boss, injury: panic}}",
            "unknown actor `boss`: write cluster/NAME",
        ),
        ("command: continue", "command: proceed", "timeline[1].do.command"),
        ("lost-request: 1/100", "lost-request: 2/1", "faults.lost-request: `2/1` is no ratio"),
        ("until: 1m, ", "", "faults.until: is missing, but `lost-request` strikes"),
        ("until: 1m, ", "until: 2h, ", "faults.until: must be before `until`"),
        (
            "expect: {run: {phase: Succeeded}}",
            "expect: {reached: [nonsense]}",
            "expect.reached: unknown situation `nonsense`",
        ),
        (
            "expect: {run: {phase: Succeeded}}",
            "expect: {clients: {shpo: {errors: 0}}}",
            "expect.clients.shpo: is no client",
        ),
        ("expect: {run: {phase: Succeeded}}", "except: {gravity: none}", "except.gravity: unknown invariant `gravity`"),
        ("description: a small one", "", "missing field `description`; add it"),
        ("clusters: [", "clusters: {[", "is no YAML document"),
        ("{name: east, latency: 5ms}", "{name: hub}", "`hub` cannot name a member"),
        ("{name: east, latency: 5ms}", "{name: east}, {name: east}", "`east` is there twice"),
    ] {
        assert!(SMALL.contains(from), "{from}");
        let error = Scenario::parse("small.yaml", &SMALL.replace(from, to)).unwrap_err().to_string();
        assert!(error.starts_with("small.yaml: ") && error.contains(message), "{from} → {to}: {error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Scenario::read(Path::new("/nowhere/to-be.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/to-be.yaml: cannot be read"), "{error}");
}
