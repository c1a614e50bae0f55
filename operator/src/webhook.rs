//! `slipway webhook`: refuses bad objects at the door.

mod certificates;
mod configuration;
mod server;

use std::{net::SocketAddr, path::PathBuf};

use clap::Subcommand;
use tokio::net::TcpListener;

use self::certificates::{Certificates, Files};
use crate::{failure::Failure, log::LogArgs, output, signals::Signals};

/// Serve or configure the webhook that refuses what a Rollout or its like must not ask for.
///
/// It needs no access to a cluster and keeps nothing: run as many as you like. The CRDs refuse most of it already, and
/// what gets past both shows as an InvalidSpec condition, so a webhook that is down need not stop anybody.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(ServeArgs),
    Configuration(configuration::Args),
}

/// Serve the webhook over TLS until asked to stop.
#[derive(Debug, clap::Args)]
#[command(after_help = "Certificates are read again when their files change. \
                        SIGTERM and Ctrl-C stop it gracefully, with exit code 0.")]
struct ServeArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9443")]
    address: SocketAddr,
    /// The certificate with its chain, in PEM
    #[arg(long, value_name = "FILE", requires = "key", required_unless_present = "self_signed")]
    certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Use tls.crt, tls.key and ca.crt in this directory, and make them if none of them is there
    #[arg(long, value_name = "DIR", conflicts_with = "certificate")]
    self_signed: Option<PathBuf>,
    /// A name or an address that a certificate made for --self-signed is valid for; repeat for every one
    #[arg(long = "host", value_name = "HOST", requires = "self_signed", default_values = ["localhost", "127.0.0.1"])]
    hosts: Vec<String>,
    #[command(flatten)]
    log: LogArgs,
}

/// Does what was asked.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Serve(args) => {
            args.log.start();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(serve(args))
        }
        Command::Configuration(args) => output::write(&configuration::yaml(args)?),
    }
}

async fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let certificates = Certificates::open(files(args)?).map_err(Failure::BadInput)?;
    let listener = TcpListener::bind(args.address)
        .await
        .map_err(|error| Failure::Broke(format!("--address {}: {error}; name one that is free", args.address)))?;
    // For whoever asked for a free port, and reads which one it is.
    output::line(&format!("listening on https://{}", listener.local_addr()?))?;
    server::serve(listener, certificates, async move {
        let signal = signals.next().await;
        tracing::info!("{signal}: the webhook stops");
    })
    .await;
    Ok(())
}

fn files(args: &ServeArgs) -> Result<Files, Failure> {
    match (&args.self_signed, &args.certificate, &args.key) {
        (Some(dir), _, _) => certificates::self_signed(dir, &args.hosts).map_err(Failure::BadInput),
        (None, Some(certificate), Some(key)) => Ok(Files { certificate: certificate.clone(), key: key.clone() }),
        _ => Err(Failure::BadInput("--certificate and --key, or --self-signed: name one of them".to_owned())),
    }
}
