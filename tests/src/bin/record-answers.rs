//! Records what a real API server answers to the conformance scripts.

use anyhow::{Result, bail};
use clap::Parser;
use slipway_tests::conformance::{on_real, record, scripts};

/// Runs conformance scripts against a real control plane and writes their answers to `conformance/answers`.
#[derive(Parser)]
struct Command {
    /// The scripts to record [default: all].
    scripts: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let scripts = scripts(&Command::parse().scripts)?;
    let transcripts = on_real(&scripts).await?;
    let results = scripts.iter().zip(transcripts).map(|(script, transcript)| record(script, &transcript?));
    let failures: Vec<String> = results.filter_map(|it| Some(format!("{:#}", it.err()?))).collect();
    if !failures.is_empty() {
        bail!("not all scripts were recorded:\n{}", failures.join("\n"));
    }
    Ok(())
}
