//! Traffic in the wrong order of writes is noticed, and says when. What is done here by hand in the right order is in
//! `scenarios/gateway-by-hand.yaml`.

use std::path::Path;

use slipway_sim::{Outcome, Scenario, run};

#[path = "traffic/kinds.rs"]
mod kinds;
#[path = "traffic/share.rs"]
mod share;

const SEED: u64 = 1;

/// The scenario with some of its text replaced.
fn by_hand(replacements: &[(&str, &str)]) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/gateway-by-hand.yaml");
    let mut text = std::fs::read_to_string(path).unwrap_or_default();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    Scenario::parse("gateway-by-hand.yaml", &text).unwrap_or_else(|error| panic!("{error}"))
}

fn played(replacements: &[(&str, &str)]) -> Outcome {
    run(&by_hand(replacements), SEED)
}

/// What broke, beside that clients were to see no error.
fn lost(outcome: &Outcome) -> String {
    let mut broken = outcome.broken();
    broken.retain(|name| *name != "finished");
    broken.join(", ")
}

/// Where the copy is made.
const COPY: &str =
    "- after: 10s\n  do:\n    create:\n      cluster: east\n      manifest:\n        apiVersion: apps/v1";
/// Where the forks go.
const FORKS_GO: &str = "- after: 10s\n  do: {delete: {cluster: east, kind: Service, name: web-canary}}";
/// Where the route first gives the copy a share.
const FIRST_SHARE: &str = "- after: 20s\n  do:\n    patch:";

#[test]
fn the_right_order_is_fine_whatever_is_drawn() {
    let scenario = by_hand(&[]);
    for seed in 0..8 {
        let outcome = run(&scenario, seed);
        assert!(outcome.ok, "{}", outcome.timeline);
    }
}

#[test]
fn traffic_before_capacity_is_noticed() {
    // The pod of the copy needs longer than the route.
    let outcome = played(&[("gateway: {", "pods-ready-after: 30s\n  gateway: {")]);
    assert_eq!(lost(&outcome), "no_lost_request", "{}", outcome.timeline);
    assert!(outcome.broken().contains(&"finished"), "clients were to see no error");
    let (_, clients) = outcome.timeline.split_once("CLIENT").unwrap_or_default();
    assert!(clients.lines().nth(1).is_some_and(|shop| shop.contains("503 ")), "{clients}");
    assert!(outcome.timeline.contains("gives weight 10 to Service web-canary, which is empty"), "{}", outcome.timeline);
}

#[test]
fn endpoints_that_lag_are_noticed() {
    // Everything is ready in the API when the route is written, and the gateway does not know it yet.
    let late = [("endpoints-after: 200ms..3s", "endpoints-after: 40s")];
    let outcome = played(&late);
    assert_eq!(lost(&outcome), "no_lost_request", "{}", outcome.timeline);
}

#[test]
fn removal_before_traffic_is_noticed() {
    let early = [(FORKS_GO, "- after: 100ms\n  do: {delete: {cluster: east, kind: Service, name: web-canary}}")];
    let slow = [("routes-after: 200ms..3s", "routes-after: 5s"), early[0]];
    let outcome = played(&slow);
    assert_eq!(lost(&outcome), "no_lost_request", "{}", outcome.timeline);
    assert!(outcome.timeline.contains("which is missing, while Service web serves"), "{}", outcome.timeline);
}

#[test]
fn pods_that_go_before_the_gateway_knows_are_noticed() {
    // The copy goes first, and its pods do not wait until the gateway has noticed.
    let slow = (
        "gateway: {routes-after: 200ms..3s, endpoints-after: 200ms..3s}",
        "gateway: {routes-after: 3s, endpoints-after: 6s}",
    );
    let goes = "- after: 100ms\n  do: {delete: {cluster: east, kind: Deployment, name: web-next}}";
    let then = format!("{goes}\n{FORKS_GO}");
    let last = ("- after: 1s\n  do: {delete: {cluster: east, kind: Deployment, name: web-next}}\n", "");
    let at_once = ("- name: east\n", "- name: east\n  pods-stop-after: 100ms\n");
    let longer = ("- after: 10s\n  do:\n    patch:", "- after: 20s\n  do:\n    patch:");
    let outcome = played(&[slow, last, at_once, longer, (FORKS_GO, &then)]);
    assert_eq!(lost(&outcome), "no_lost_request", "{}", outcome.timeline);
    assert!(outcome.timeline.contains("gone with its pods"), "{}", outcome.timeline);
}

#[test]
fn a_route_without_its_copy_is_noticed() {
    // The copy comes after the share.
    let swapped = [(COPY, &*COPY.replace("10s", "0s")), (FIRST_SHARE, &*FIRST_SHARE.replace("20s", "0s"))];
    let outcome = played(&swapped);
    assert_eq!(lost(&outcome), "no_lost_request", "{}", outcome.timeline);
}

#[test]
fn a_gateway_can_become_late() {
    let late =
        "- at: 30s\n  do: {set-gateway: {cluster: east, gateway: {routes-after: 30s, status-after: 1h}}}\n- at: 30s";
    let outcome = played(&[("- at: 30s", late)]);
    assert_eq!(lost(&outcome), "no_lost_request", "{}", outcome.timeline);
    let said = "gateway   east: is as late as 30s with routes, 100ms..2s with endpoints and 1h with status";
    assert!(outcome.timeline.contains(said), "{}", outcome.timeline);
    assert_eq!(outcome.timeline.matches("Accepted is True").count(), 1, "{}", outcome.timeline);
}

#[test]
fn a_seed_decides_what_clients_see() {
    let scenario = by_hand(&[]);
    let (first, again, other) = (run(&scenario, 1), run(&scenario, 1), run(&scenario, 2));
    assert_eq!((&first.hash, &first.timeline), (&again.hash, &again.timeline));
    assert_ne!(first.hash, other.hash);
}

#[test]
fn without_clients_and_gateways_nothing_is_said_of_traffic() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/quick-start.yaml");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let scenario = Scenario::parse("quick-start.yaml", &text).unwrap_or_else(|error| panic!("{error}"));
    let outcome = run(&scenario, SEED);
    assert!(outcome.verdicts.iter().all(|verdict| verdict.about.name != "no_lost_request"));
    assert!(!outcome.timeline.contains("CLIENT"));
}
