//! `slipway operator`: rolls out on real clusters.

mod connect;
mod member;

use std::{path::PathBuf, sync::Arc, time::Duration};

use slipway_actors::{graph, world::World};

use self::member::MemberArg;
use crate::{clock::WallClock, endpoints::Endpoints, failure::Failure, log::LogArgs, signals::Signals};

/// How long a stop may take: below the 30 seconds after which Kubernetes kills a pod.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Roll out on real clusters, named by kubeconfig contexts.
///
/// The hub holds Rollouts, RolloutRuns and strategies; the members hold workloads. Without members the hub is its
/// own. The hub must be reachable at the start and serve the six kinds; a member that cannot be reached is reported and
/// tried again. All state is in API objects: stop, kill and start it at any time.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "SIGTERM and Ctrl-C stop it gracefully, with exit code 0. RUST_LOG sets what is logged (default: info)."
)]
pub(crate) struct Args {
    /// Kubeconfig with all contexts; otherwise KUBECONFIG, ~/.kube/config or the pod's service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the hub; otherwise the current context
    #[arg(long, value_name = "CONTEXT")]
    hub: Option<String>,
    /// A member cluster: its name in manifests and its context; repeat for every member
    #[arg(long = "member", value_name = "NAME=CONTEXT")]
    members: Vec<MemberArg>,
    /// Serve only Rollouts whose label rollout.kusionstack.io/rollout-class is this; otherwise those without it
    #[arg(long, env = "ROLLOUT_CLASS", default_value = "", hide_default_value = true, value_name = "CLASS")]
    rollout_class: String,
    #[command(flatten)]
    log: LogArgs,
}

/// Runs until asked to stop.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    member::check(&args.members).map_err(Failure::BadInput)?;
    args.log.start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(operate(args))
}

async fn operate(args: &Args) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let clusters = tokio::select! {
        biased;
        _ = signals.next() => return Ok(()),
        clusters = connect::connect(args.kubeconfig.as_deref(), args.hub.as_deref(), &args.members) => clusters?,
    };
    let names: Vec<&str> = clusters.members.iter().map(|it| it.name.as_str()).collect();
    tracing::info!(hub = clusters.hub_url, members = ?names, "the operator starts");
    let world = World {
        hub: clusters.hub,
        members: clusters.members,
        clock: Arc::new(WallClock),
        http: Arc::new(Endpoints::new()),
        seed: u64::from(std::process::id()),
        class: args.rollout_class.clone(),
    };
    let mut graph = graph::start(world).await.map_err(|error| Failure::Broke(error.to_string()))?;
    let signal = tokio::select! {
        biased;
        signal = signals.next() => signal,
        () = graph.ended() => {
            return Err(Failure::Broke("the operator ended by itself, which is a bug; start it again".to_owned()));
        }
    };
    tracing::info!("{signal}: the operator stops");
    tokio::select! {
        biased;
        () = graph.stop() => Ok(()),
        _ = signals.next() => Err(Failure::Interrupted),
        () = tokio::time::sleep(STOP_LIMIT) => Err(Failure::Broke(format!(
            "the operator did not stop within {} seconds; it was ended, and nothing is lost by that",
            STOP_LIMIT.as_secs()
        ))),
    }
}
