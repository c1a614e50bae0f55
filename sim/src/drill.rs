//! Many seeds of one scenario, in parallel.

use std::{
    fmt,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Coverage, Outcome, Scenario, run};

/// What a drill found.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The scenario's file.
    pub file: String,
    /// How many seeds were run.
    pub runs: u64,
    /// The seeds that broke an invariant, smallest first, with the invariants.
    pub failures: Vec<(u64, Vec<&'static str>)>,
    /// The trace hash of every seed, in order of seeds.
    pub hashes: Vec<(u64, String)>,
    /// Which situations were reached.
    pub coverage: Coverage,
}

impl Summary {
    /// Whether every invariant held in every run.
    pub fn ok(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} runs, {} broken", self.file, self.runs, self.failures.len())?;
        for (seed, broken) in &self.failures {
            writeln!(f, "  {}: slipway simulate {} --seed {seed}", broken.join(", "), self.file)?;
        }
        write!(f, "{}", self.coverage)
    }
}

/// Runs a scenario once for each seed, `jobs` at a time.
pub fn drill(scenario: &Scenario, seeds: Range<u64>, jobs: usize) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary { file: scenario.file.clone(), ..Summary::default() });
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(scenario, seed);
                    summary.lock().unwrap_or_else(PoisonError::into_inner).add(seed, &outcome);
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.failures.sort();
    summary.hashes.sort();
    summary
}

impl Summary {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.runs += 1;
        self.coverage.add(&outcome.coverage);
        self.hashes.push((seed, outcome.hash.clone()));
        if !outcome.ok {
            self.failures.push((seed, outcome.broken()));
        }
    }
}
