//! Records what a real API server answers to the conformance scripts.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use clap::Parser;
use futures::{StreamExt, stream};
use slipway_tests::conformance::{record, run, scripts};
use slipway_tests::control_plane::ControlPlane;
use slipway_tests::kubelet::Kubelet;

/// Runs conformance scripts against a real control plane and writes their answers to `conformance/answers`.
#[derive(Parser)]
struct Command {
    /// The scripts to record [default: all].
    scripts: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let scripts = scripts(&Command::parse().scripts)?;
    let plane = ControlPlane::start("real").await?;
    plane.compact().await?;
    let client = plane.client()?;
    let _kubelet = Kubelet::with_bad_images(plane.client()?, BTreeSet::from(["app:bad".to_owned()]));
    let client = &client;
    let results: Vec<Result<()>> = stream::iter(&scripts)
        .map(|script| async move { record(script, &run(client, script).await?) })
        .buffer_unordered(scripts.len().max(1))
        .collect()
        .await;
    let failures: Vec<String> = results.into_iter().filter_map(|it| Some(format!("{:#}", it.err()?))).collect();
    if !failures.is_empty() {
        bail!("not all scripts were recorded:\n{}", failures.join("\n"));
    }
    Ok(())
}
