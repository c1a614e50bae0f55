//! The command line.

use clap::{Parser, Subcommand};

use crate::{crds, demo, failure::Failure, lint, operator, policy, simulate, webhook};

const EXIT_CODES: &str = "\
Exit codes:
  0    it worked, or the operator was asked to stop
  1    it did not: a rollout ended early, an invariant broke, an object is wrong, a cluster could not be reached
  2    bad usage or bad input; nothing was done
  130  interrupted before the end";

const EXAMPLES: &str = "\
Examples:
  slipway demo                                          watch a rollout over three clusters
  slipway simulate scenarios/quick-start.yaml --seed 7  rehearse one with faults, in virtual time
  slipway lint manifests/                               find what is wrong with them before a cluster does
  slipway crds | kubectl apply -f -                     make a cluster ready to be a hub
  slipway operator --hub hub --member east=k8s-east     roll out for real";

/// Progressive delivery for a Kubernetes clusterset.
///
/// One Rollout moves one application, made of many workloads in many clusters, to a new version: batch by batch,
/// checked, and stoppable at any moment. It serves the KusionStack Rollout API (rollout.kusionstack.io/v1alpha1).
#[derive(Debug, Parser)]
#[command(name = "slipway", version, max_term_width = 110, after_help = EXIT_CODES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Operator(operator::Args),
    Simulate(simulate::Args),
    Lint(lint::Args),
    Crds(crds::Args),
    Webhook(webhook::Args),
    Policy(policy::Args),
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Demo(args) => demo::run(&args),
            Command::Operator(args) => operator::run(&args),
            Command::Simulate(args) => simulate::run(&args),
            Command::Lint(args) => lint::run(&args),
            Command::Crds(args) => crds::run(&args),
            Command::Webhook(args) => webhook::run(&args),
            Command::Policy(args) => policy::run(&args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
