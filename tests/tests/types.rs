//! The fake's data about built-in types is what a real API server says now.

use anyhow::{Result, bail};
use slipway_tests::{control_plane::ControlPlane, types};

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_types_are_those_of_a_real_api_server() -> Result<()> {
    let plane = ControlPlane::start("real").await?;
    for recorded in types::record(&plane.client()?).await? {
        let kept = recorded.kept()?;
        let first = kept.lines().zip(recorded.content.lines()).find(|(kept, now)| kept != now);
        if kept != recorded.content {
            bail!(
                "`{}` is stale, first at {first:?}: record it with `cargo run -p slipway-tests --bin record-types`",
                recorded.path().display()
            );
        }
    }
    Ok(())
}
