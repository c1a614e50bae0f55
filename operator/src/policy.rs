//! `slipway policy`: parking without Slipway.

use crate::{failure::Failure, output};

/// The policies, one per kind of workload.
const PARKING: &str = include_str!("../deploy/policy/parking.yaml");

/// Print the admission policies that park a workload in the very write that changes its template, as YAML.
///
/// They are optional: Slipway parks workloads by itself. They cover the moment before it has done so the first time, and a
/// write that changes the template and the update strategy, or a Deployment's pause, at once. They block no write, with
/// Slipway up or down.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Needs Kubernetes 1.36 in the member clusters.\nExample:\n  slipway policy | kubectl apply -f -"
)]
pub(crate) struct Args {}

/// Prints them.
pub(crate) fn run(_: &Args) -> Result<(), Failure> {
    output::write(PARKING)
}
