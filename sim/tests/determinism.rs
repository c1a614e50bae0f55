//! The same seed gives the same trace: alone, again, in another process, and as one of many at the same time.

#![expect(clippy::unwrap_used, reason = "a test helper may panic")]

use std::{collections::BTreeMap, path::Path, process::Command};

use slipway_sim::{Scenario, drill, run};

const SEED: u64 = 7;
/// Set in the process that is started to compare with.
const CHILD: &str = "SLIPWAY_SIM_PRINT_HASHES";

fn scenarios() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files.iter().map(|path| Scenario::read(path).unwrap_or_else(|error| panic!("{error}"))).collect()
}

fn hashes() -> BTreeMap<String, String> {
    let name = |scenario: &Scenario| Path::new(&scenario.file).file_stem().unwrap().to_str().unwrap().to_owned();
    scenarios().iter().map(|scenario| (name(scenario), run(scenario, SEED).hash)).collect()
}

/// What the other process runs: prints the hashes. By itself it checks that there is something to compare.
#[test]
fn print_hashes() {
    let hashes = hashes();
    assert!(hashes.len() >= 8, "{} scenarios", hashes.len());
    assert!(hashes.values().all(|hash| hash.len() == 64), "a run came to no end");
    if std::env::var_os(CHILD).is_some() {
        for (name, hash) in &hashes {
            println!("HASH {name} {hash}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_in_another_process() {
    let here = hashes();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["print_hashes", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let there: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once("HASH ")?.1.split_once(' '))
        .map(|(name, hash)| (name.to_owned(), hash.to_owned()))
        .collect();
    assert_eq!(here, there);
}

#[test]
fn the_same_seed_gives_the_same_trace_again_and_among_many() {
    for scenario in scenarios() {
        let first = run(&scenario, SEED);
        let again = run(&scenario, SEED);
        let difference = first.trace.iter().zip(&again.trace).position(|(one, two)| one != two);
        if let Some(line) = difference {
            panic!("{} differs in line {line}:\n{}\n{}", scenario.file, first.trace[line], again.trace[line]);
        }
        assert_eq!(first.hash, again.hash, "{}", scenario.file);
        let many = drill(&scenario, SEED - 1..SEED + 3, 4);
        assert!(many.hashes.contains(&(SEED, first.hash)), "{} differs among parallel runs", scenario.file);
    }
}

#[test]
fn another_seed_gives_another_trace() {
    for scenario in scenarios() {
        assert_ne!(run(&scenario, SEED).hash, run(&scenario, SEED + 1).hash, "{}", scenario.file);
    }
}
