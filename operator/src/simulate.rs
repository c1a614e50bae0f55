//! `slipway simulate`: a scenario in virtual time.

use std::{num::NonZeroUsize, ops::Range, path::PathBuf};

use slipway_sim::{Blow, Options, Scenario};

use crate::{failure::Failure, output};

/// Play a scenario in virtual time, with the operator's own code against simulated clusters.
///
/// The seed decides everything: latencies, the order of events, pod start times and which faults strike when. The same
/// file and seed give the same run, byte for byte. Prints the timeline, what every invariant says, and, when one broke,
/// the command that replays it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 every invariant held, 1 one broke, 2 the scenario cannot be read.")]
pub(crate) struct Args {
    /// The scenario, as YAML
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Play this seed
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "seeds")]
    seed: u64,
    /// Play all seeds from A up to, not including, B, and print a summary
    #[arg(long, value_name = "A..B", value_parser = range)]
    seeds: Option<Range<u64>>,
    /// How many seeds are played at a time [default: one per core]
    #[arg(long, value_name = "N", requires = "seeds")]
    jobs: Option<NonZeroUsize>,
    /// Crash the operator right before its Nth write lands
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "crash_after_write"])]
    crash_before_write: Option<u32>,
    /// Crash the operator right after its Nth write has landed
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    crash_after_write: Option<u32>,
    /// Lose the answer of the operator's Nth write, which lands
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "crash_before_write", "crash_after_write"])]
    lose_answer_of_write: Option<u32>,
    /// Print the trace, one line per event, before the timeline
    #[arg(long, conflicts_with = "seeds")]
    trace: bool,
}

impl Args {
    /// What befalls the operator at which write.
    fn blow_at(&self) -> Option<(u32, Blow)> {
        let blows = [
            (self.crash_before_write, Blow::CrashBefore),
            (self.crash_after_write, Blow::CrashAfter),
            (self.lose_answer_of_write, Blow::LoseAnswer),
        ];
        blows.into_iter().find_map(|(write, blow)| Some((write?, blow)))
    }
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    let range: Range<u64> = parsed.ok_or("seeds are written A..B with numbers, for example 0..100")?;
    if range.is_empty() {
        return Err(format!("{text} has no seed in it: B must be greater than A"));
    }
    Ok(range)
}

/// Plays it.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let scenario = Scenario::read(&args.file).map_err(|error| Failure::BadInput(error.to_string()))?;
    match &args.seeds {
        Some(seeds) => drill(&scenario, seeds.clone(), args.jobs),
        None => single(&scenario, args),
    }
}

fn single(scenario: &Scenario, args: &Args) -> Result<(), Failure> {
    let options = Options { blow_at: args.blow_at(), ..Options::default() };
    let outcome = slipway_sim::run_with(scenario, args.seed, options);
    if args.trace {
        output::line(&outcome.trace.join("\n"))?;
    }
    output::line(outcome.timeline.trim_end())?;
    output::line(&format!("seed {}, {} writes, trace {}", args.seed, outcome.writes, outcome.hash))?;
    if outcome.ok { Ok(()) } else { Err(broke(&outcome.broken().join(", "))) }
}

fn drill(scenario: &Scenario, seeds: Range<u64>, jobs: Option<NonZeroUsize>) -> Result<(), Failure> {
    let jobs = jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let summary = slipway_sim::drill(scenario, seeds, jobs);
    output::line(summary.to_string().trim_end())?;
    if summary.ok() { Ok(()) } else { Err(broke(&format!("{} seeds", summary.failures.len()))) }
}

fn broke(what: &str) -> Failure {
    Failure::Broke(format!("invariants broken: {what}; replay with the command above"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range() {
        assert_eq!(range("0..3"), Ok(0..3));
        for text in ["3", "a..b", "0..", "-1..3", "0...3"] {
            assert!(range(text).unwrap_err().contains("A..B"), "{text}");
        }
        for text in ["3..3", "4..3"] {
            assert!(range(text).unwrap_err().contains("no seed"), "{text}");
        }
    }
}
