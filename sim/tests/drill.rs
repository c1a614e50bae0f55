//! Small drills of the lossy network, without hooks and with: every invariant holds, and the faults really strike.

use std::path::Path;

use slipway_sim::{Scenario, coverage::Situation, drill};

/// Seeds of every test run. `slipway drill` takes more.
const SEEDS: u64 = 40;
/// A run with hooks asks many questions, so that fewer seeds reach what there is to reach.
const SEEDS_WITH_HOOKS: u64 = 12;

#[test]
fn a_lossy_network_breaks_nothing() {
    let situations = [
        Situation::CrashBeforeWrite,
        Situation::CrashAfterWrite,
        Situation::CrashInBatch,
        Situation::LostRequest,
        Situation::LostStatusAnswer,
        Situation::LostWorkloadAnswer,
        Situation::InjectedConflict,
        Situation::Throttled,
        Situation::ServerError,
        Situation::Unavailable,
        Situation::WatchDropped,
        Situation::WatchExpired,
        Situation::UnreachableInBatch,
        Situation::PausedAtBreakpoint,
    ];
    reaches("lossy-network", SEEDS, &situations);
}

#[test]
fn a_lossy_network_breaks_nothing_about_hooks() {
    let situations = [
        Situation::HookAsked,
        Situation::CrashInHook,
        Situation::CrashBeforeWrite,
        Situation::CrashAfterWrite,
        Situation::CrashInBatch,
        Situation::LostRequest,
        Situation::LostStatusAnswer,
        Situation::InjectedConflict,
        Situation::ServerError,
    ];
    reaches("hooks-lossy-network", SEEDS_WITH_HOOKS, &situations);
}

fn reaches(name: &str, seeds: u64, situations: &[Situation]) {
    let file = format!("scenarios/{name}.yaml");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(&file);
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let scenario = Scenario::parse(&file, &text).unwrap_or_else(|error| panic!("{error}"));
    let summary = drill(&scenario, 100..100 + seeds, 2);
    assert!(summary.ok(), "{summary}");
    for &situation in situations {
        assert!(summary.coverage.of(situation) > 0, "never reached: {}\n{summary}", situation.name());
    }
}
