//! Real control planes to try things by hand.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use futures::future::try_join_all;
use slipway_tests::control_plane::{self, Binaries, ControlPlane};
use slipway_tests::kubelet::Kubelet;

/// Real Kubernetes control planes on loopback, with pods that become ready at once.
#[derive(Parser)]
enum Command {
    /// Find or build the binaries and print their folder.
    Build,
    /// Start control planes and keep them until Ctrl-C.
    Up {
        /// A control plane, and the name of its context. Repeatable.
        #[arg(long = "name", default_value = "hub")]
        names: Vec<String>,
        /// An image whose pods never become ready. Repeatable.
        #[arg(long = "bad-image")]
        bad_images: Vec<String>,
        /// Where to write the kubeconfig with a context per control plane [default: a file in the first one's folder].
        #[arg(long)]
        kubeconfig: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Command::parse() {
        Command::Build => build(),
        Command::Up { names, bad_images, kubeconfig } => up(&names, bad_images.into_iter().collect(), kubeconfig).await,
    }
}

fn build() -> Result<()> {
    println!("{}", Binaries::find()?.folder().display());
    Ok(())
}

async fn up(names: &[String], bad_images: BTreeSet<String>, kubeconfig: Option<PathBuf>) -> Result<()> {
    let planes = try_join_all(names.iter().map(|name| ControlPlane::start(name))).await?;
    let mut kubelets = Vec::new();
    for plane in &planes {
        kubelets.push(Kubelet::with_bad_images(plane.client()?, bad_images.clone()));
        let processes: Vec<String> = plane.processes().map(|(name, pid)| format!("{name}={pid}")).collect();
        println!("{} {} {}", plane.name(), plane.url(), processes.join(" "));
    }
    let path = kubeconfig.unwrap_or_else(|| planes[0].kubeconfig_path());
    control_plane::write(&control_plane::merge(&planes), &path)?;
    println!("KUBECONFIG={}", path.display());
    tokio::signal::ctrl_c().await?;
    Ok(())
}
