//! A small drill of the lossy network: every invariant holds, and the faults really strike.

use std::path::Path;

use slipway_sim::{Scenario, coverage::Situation, drill};

/// Seeds of every test run. `slipway drill` takes more.
const SEEDS: u64 = 40;

#[test]
fn a_lossy_network_breaks_nothing() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/lossy-network.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let scenario = Scenario::parse("scenarios/lossy-network.yaml", &text).unwrap_or_else(|error| panic!("{error}"));
    let summary = drill(&scenario, 100..100 + SEEDS, 2);
    assert!(summary.ok(), "{summary}");
    for situation in [
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
    ] {
        assert!(summary.coverage.of(situation) > 0, "never reached: {}\n{summary}", situation.name());
    }
}
