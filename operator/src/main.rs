//! `slipway`: progressive delivery for a Kubernetes clusterset.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cli;
mod clock;
mod crds;
mod demo;
mod endpoints;
mod failure;
mod lint;
mod log;
mod operator;
mod output;
mod policy;
mod signals;
mod simulate;
mod terminal;
mod view;
mod webhook;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
