//! The actor graph: plumbing between API servers and the decisions.
//!
//! ```text
//! RolloutCoordinator          root; owns start and stop, and begins the actors of what the hub holds
//! ├─ ClusterActor ×C          watches, caches, all reads and writes of one API server
//! ├─ RolloutActor ×R          one Rollout and its runs: keeps the view, asks `decide`, sends what it says
//! │  └─ WorkloadActor         one workload in one cluster: brings it to its goal, counts its pods
//! ├─ TopologyActor ×T         one TrafficTopology: a BackendRouting for each cluster
//! └─ RoutingActor ×B          one BackendRouting: the forks of its backend
//!    └─ RouteActor            one route in one cluster: brings our part of it to its goal
//! ```
//!
//! Nothing here decides, and nothing here outlives the graph: all state can be read again from the API servers.

mod backoff;
mod child;
mod cluster;
mod coordinator;
mod effects;
mod inbox;
mod members;
mod mirror;
mod project;
mod rollout;
mod route;
mod routing;
mod subject;
#[cfg(test)]
mod tests;
mod topology;
mod watched;
mod workload;
mod writes;

use std::collections::BTreeSet;

use ractor::{Actor, ActorRef, Message, SpawnErr, concurrency::JoinHandle};

use self::{
    coordinator::{CoordinatorMsg, RolloutCoordinator},
    effects::Context,
};
use crate::{view::ObjectKey, world::World};

/// What an injected failure says, so that it is told from a bug.
const INJECTED: &str = "injected";

/// Why a graph does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Two members with one name, or one without.
    #[error("member cluster name {0:?} must be unique and not empty; rename the member")]
    MemberName(String),
    /// The root actor does not start.
    #[error("the actor graph does not start: {0}")]
    Spawn(#[from] SpawnErr),
}

/// One actor of the graph, by what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActorPath {
    /// The actor of an API server; the hub's name is empty.
    Cluster(String),
    /// The actor of a Rollout.
    Rollout(ObjectKey),
    /// The actor of a Rollout's workload: Rollout, cluster and the workload's name.
    Workload(ObjectKey, String, String),
    /// The actor of a TrafficTopology.
    Topology(ObjectKey),
    /// The actor of a BackendRouting.
    Routing(ObjectKey),
    /// The actor of a BackendRouting's route: BackendRouting, cluster and the route's name.
    Route(ObjectKey, String, String),
}

/// What can be done to an actor in a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injury {
    /// It panics.
    Panic,
    /// It stops, unasked.
    Stop,
}

impl Injury {
    fn inflict<M: Message>(self, victim: &ActorRef<M>) {
        match self {
            Self::Panic => panic!("{INJECTED}"),
            Self::Stop => victim.stop(Some(INJECTED.to_owned())),
        }
    }
}

/// A running graph.
pub struct Graph {
    context: Context,
    root: ActorRef<CoordinatorMsg>,
    ended: JoinHandle<()>,
}

/// Starts the graph in `world`.
pub async fn start(world: World) -> Result<Graph, StartError> {
    let mut names = BTreeSet::new();
    for member in &world.members {
        if member.name.is_empty() || !names.insert(&member.name) {
            return Err(StartError::MemberName(member.name.clone()));
        }
    }
    let context = Context::new(world.clock.clone(), world.seed);
    let (root, ended) = RolloutCoordinator::spawn(None, RolloutCoordinator, (context.clone(), world)).await?;
    Ok(Graph { context, root, ended })
}

impl Graph {
    /// Stops in order: Rollouts with their workloads and routes first, then the clusters, then what is in flight.
    pub async fn stop(self) {
        let _ = self.root.stop_and_wait(None, None).await;
        self.context.close().await;
    }

    /// A crash: every actor and every effect ends now, and nothing happens afterwards.
    pub async fn kill(self) {
        self.context.abort();
        self.root.kill();
        let _ = self.ended.await;
        self.context.close().await;
    }

    /// Hurts one actor. Its supervisor begins it again, and everything goes on.
    pub fn inject(&self, path: ActorPath, injury: Injury) {
        let _ = self.root.cast(CoordinatorMsg::Inject(path, injury));
    }

    /// Completes when the graph has ended by itself, which it does only by a bug in its root.
    pub async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
    }

    /// How many effects are under way: watches, writes, timers.
    pub fn effects(&self) -> usize {
        self.context.running()
    }
}
