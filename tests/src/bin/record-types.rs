//! Records what a real API server says about its built-in types, for the fake.

use std::fs;

use anyhow::Result;
use slipway_tests::{control_plane::ControlPlane, types};

#[tokio::main]
async fn main() -> Result<()> {
    let plane = ControlPlane::start("real").await?;
    for recorded in types::record(&plane.client()?).await? {
        fs::write(recorded.path(), &recorded.content)?;
        println!("{}: {} lines", recorded.path().display(), recorded.content.lines().count());
    }
    Ok(())
}
