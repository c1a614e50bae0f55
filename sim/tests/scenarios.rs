//! Every scenario: its timeline against the reviewed snapshot, every seed that ever failed, and the mutation checks.

#![expect(clippy::unwrap_used, reason = "a test helper may panic")]

use std::path::{Path, PathBuf};

use slipway_sim::{Blow, Options, Sabotage, Scenario, WorkloadKind, run, run_with};

/// The seed of the snapshots.
const SEED: u64 = 1;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// A scenario by the path that messages and replay commands show.
fn scenario(path: &Path) -> Scenario {
    let name = format!("scenarios/{}", path.file_name().unwrap().to_str().unwrap());
    Scenario::parse(&name, &std::fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{error}"))
}

fn named(name: &str) -> Scenario {
    scenario(&folder().join(format!("{name}.yaml")))
}

#[test]
fn timelines() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder().join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::glob!("../../scenarios", "*.yaml", |path| {
            let scenario = scenario(path);
            let outcome = run(&scenario, SEED);
            insta::assert_snapshot!("timeline", outcome.timeline);
            assert!(outcome.ok, "{}", outcome.timeline);
        });
    });
}

#[test]
fn seeds_that_failed_once() {
    let mut files: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "yaml")) {
        let scenario = scenario(path);
        for seed in &scenario.seeds {
            let outcome = run(&scenario, *seed);
            assert!(outcome.ok, "{}", outcome.timeline);
        }
    }
}

const BLOWS: [Blow; 3] = [Blow::CrashBefore, Blow::CrashAfter, Blow::LoseAnswer];

/// The operator crashes at each of its writes in turn, before and after it lands, or its answer is lost, and the end is
/// the same.
#[test]
fn a_crash_at_every_write_changes_nothing() {
    for name in
        ["crash-at-every-write", "canary-crash", "rollback-crash", "hooks-crash-at-every-write", "scale-run-rollback"]
    {
        crash_at_every_write(&named(name));
    }
}

/// Neither loses it a request, nor leaves anything on a route: all writes, by turns before and after they land, or with
/// their answer lost.
#[test]
fn a_crash_at_every_write_loses_no_request() {
    crash_at_writes(&named("traffic-crash"), 1, 1);
    crash_at_writes(&named("traffic-multicluster-crash"), 2, 3);
    for (first, name) in (1..).zip(["traffic-drift-pause", "traffic-drift-cancel"]) {
        crash_at_writes(&named(name), first, 6);
    }
}

/// Nor where copies take over: every third write.
#[test]
fn a_crash_while_copies_take_over_loses_no_request() {
    crash_at_writes(&named("blue-green-crash"), 2, 3);
}

/// The same by an Ingress, of which there are two to write, and with forks of InferencePools, whose pods are counted one by
/// one: of these, in two clusters, every second. Of what differs from others in what is written, and not in when, a third.
#[test]
fn a_crash_at_every_write_loses_no_request_whatever_the_route() {
    crash_at_writes(&named("traffic-ingress"), 1, 3);
    crash_at_writes(&named("traffic-inference"), 2, 4);
    crash_at_writes(&named("traffic-ingress-match"), 2, 6);
    crash_at_writes(&named("traffic-grpc"), 1, 6);
}

fn crash_at_every_write(scenario: &Scenario) {
    let writes = run(scenario, SEED).writes;
    assert!(writes > 10, "only {writes} writes");
    for write in 1..=writes {
        for blow in BLOWS {
            let outcome = run_with(scenario, SEED, Options { blow_at: Some((write, blow)), sabotage: None });
            assert!(outcome.ok, "{blow:?} at write {write}\n{}", outcome.timeline);
        }
    }
}

/// A Deployment is moved in more and other steps, forth and back: all of its writes, by turns before and after they land.
#[test]
fn a_crash_at_every_write_to_deployments_changes_nothing() {
    for name in ["crash-at-every-write", "rollback-crash"] {
        crash_at_writes(&of_kind(name, WorkloadKind::Deployment), 1, 1);
    }
}

/// The same for other kinds of workload, and for a run made by hand. They differ in what is read and written, not in when:
/// so a third of the writes is taken of each, another third each time, by turns before and after it lands.
#[test]
fn a_crash_changes_nothing_whatever_the_kind() {
    crash_in_every_kind("crash-at-every-write", &["poddecorations", "run-by-hand"], 3);
}

/// On the way back, too; of that a sixth of the writes.
#[test]
fn a_crash_in_a_rollback_changes_nothing_whatever_the_kind() {
    crash_in_every_kind("rollback-crash", &["rollback-poddecorations"], 6);
}

/// `name` with each kind that has pods of its own, and other scenarios as they are.
fn crash_in_every_kind(name: &str, others: &[&str], every: usize) {
    let kinds = [WorkloadKind::AdvancedStatefulSet, WorkloadKind::CloneSet, WorkloadKind::CollaSet];
    let kinds = kinds.map(|kind| of_kind(name, kind));
    for (first, scenario) in (0..).zip(kinds.into_iter().chain(others.iter().map(|name| named(name)))) {
        crash_at_writes(&scenario, 1 + first % 3, every);
    }
}

fn of_kind(name: &str, kind: WorkloadKind) -> Scenario {
    let mut scenario = named(name);
    for workload in &mut scenario.application.as_mut().unwrap().workloads {
        workload.kind = kind;
    }
    scenario
}

fn crash_at_writes(scenario: &Scenario, first: u32, every: usize) {
    let outcome = run(scenario, SEED);
    assert!(outcome.ok, "{}", outcome.timeline);
    assert!(outcome.writes > 10, "only {} writes", outcome.writes);
    for (turn, write) in (first..=outcome.writes).step_by(every).enumerate() {
        let blow = BLOWS[turn % BLOWS.len()];
        let outcome = run_with(scenario, SEED, Options { blow_at: Some((write, blow)), sabotage: None });
        assert!(outcome.ok, "{blow:?} at write {write}\n{}", outcome.timeline);
    }
}

/// A step that goes too far is noticed in every kind.
#[test]
fn a_partition_too_low_is_noticed_whatever_the_kind() {
    for name in ["advanced-statefulsets", "clonesets", "collasets", "deployments", "poddecorations"] {
        let options = Options { blow_at: None, sabotage: Some(Sabotage::PartitionTooLow) };
        let outcome = run_with(&named(name), SEED, options);
        assert!(outcome.broken().contains(&"exposure_ceiling"), "{:?}\n{}", outcome.broken(), outcome.timeline);
    }
}

/// So is what goes wrong with an Ingress, or with forks of an InferencePool.
#[test]
fn defects_are_noticed_whatever_the_route_and_the_backend() {
    for (name, sabotage, invariant) in [
        ("traffic-ingress", Sabotage::ShareTooHigh, "traffic_share"),
        ("traffic-ingress", Sabotage::ShareTooEarly, "no_lost_request"),
        ("traffic-ingress", Sabotage::RuleDropped, "users_route_untouched"),
        ("traffic-inference", Sabotage::ShareTooHigh, "traffic_share"),
        ("traffic-inference", Sabotage::ShareTooEarly, "no_lost_request"),
    ] {
        let outcome = run_with(&named(name), SEED, Options { blow_at: None, sabotage: Some(sabotage) });
        assert!(
            outcome.broken().contains(&invariant),
            "{name} {sabotage:?}: {:?}\n{}",
            outcome.broken(),
            outcome.timeline
        );
    }
}

/// What a gateway sends to other clusters is looked at as what it sends to its own.
#[test]
fn a_wrong_share_over_several_clusters_is_noticed() {
    // Who puts a share right that is wrong again each time does it to the end: soon after the first share.
    let text = std::fs::read_to_string(folder().join("traffic-multicluster.yaml")).unwrap();
    let scenario = Scenario::parse("traffic-multicluster.yaml", &format!("{text}\nuntil: 2m\n")).unwrap();
    // A share for a fork that was never made is one for nobody knows what.
    let early = (Sabotage::ShareTooEarly, "users_route_untouched");
    for (sabotage, invariant) in [(Sabotage::ShareTooHigh, "traffic_share"), early] {
        let outcome = run_with(&scenario, SEED, Options { blow_at: None, sabotage: Some(sabotage) });
        assert!(outcome.broken().contains(&invariant), "{sabotage:?}: {:?}\n{}", outcome.broken(), outcome.timeline);
    }
}

/// Each invariant notices the defect it is there for, and the output says how to see it again.
#[test]
fn every_defect_is_noticed() {
    for (sabotage, invariant) in [
        (Sabotage::AnnotationLeft, "nothing_left_behind"),
        (Sabotage::PartitionTooLow, "exposure_ceiling"),
        (Sabotage::CanaryTooLarge, "exposure_ceiling"),
        (Sabotage::PodsDeleted, "capacity_floor"),
        (Sabotage::UnavailableTooHigh, "capacity_floor"),
        (Sabotage::BreakpointIgnored, "no_step_past_breakpoint"),
        (Sabotage::HookIgnored, "no_step_past_hook"),
        (Sabotage::HookKeyChanged, "one_key_per_hook"),
        (Sabotage::BatchSetBack, "monotone"),
        (Sabotage::ShareTooHigh, "traffic_share"),
        (Sabotage::ShareTooEarly, "no_lost_request"),
        (Sabotage::RuleDropped, "users_route_untouched"),
        (Sabotage::WritesSwallowed, "finished"),
        (Sabotage::WritesAtRest, "silence_at_rest"),
        (Sabotage::ErrorLogged, "no_alarm"),
        (Sabotage::Panic, "no_alarm"),
    ] {
        let name = match sabotage {
            Sabotage::AnnotationLeft => "rollout-deleted",
            Sabotage::CanaryTooLarge => "canary",
            Sabotage::UnavailableTooHigh => "deployments",
            Sabotage::HookIgnored | Sabotage::HookKeyChanged => "hooks",
            Sabotage::ShareTooHigh | Sabotage::ShareTooEarly => "traffic-canary",
            Sabotage::RuleDropped => "traffic-drift",
            _ => "quick-start",
        };
        let outcome = run_with(&named(name), SEED, Options { blow_at: None, sabotage: Some(sabotage) });
        assert!(outcome.broken().contains(&invariant), "{sabotage:?}: {:?}\n{}", outcome.broken(), outcome.timeline);
        let replay = format!("replay: slipway simulate scenarios/{name}.yaml --seed 1");
        assert!(outcome.timeline.contains(&replay), "{}", outcome.timeline);
    }
}
