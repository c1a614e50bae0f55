//! The demo's clusters, with a count of what Slipway writes to each.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use kube::{Client, client::Body};
use slipway_actors::{
    api::crd,
    world::{Clock as _, Member},
};
use slipway_fakes::{Clock, Cluster, ClusterOptions, Delay, KubeletOptions};

use crate::{clock::WallClock, failure::Failure};

/// The members' names.
pub(crate) const MEMBERS: [&str; 3] = ["east", "north", "west"];
/// The hub's name in tables and contexts.
pub(crate) const HUB: &str = "hub";

/// A hub and its members.
pub(crate) struct Clusters {
    /// The hub.
    pub hub: Cluster,
    /// The members, by name.
    pub members: BTreeMap<String, Cluster>,
    /// The one clock of them all.
    pub clock: Clock,
    /// What it showed at the start.
    pub epoch: Timestamp,
    writes: BTreeMap<String, Arc<AtomicU64>>,
}

impl Clusters {
    /// Starts them, the API installed in the hub.
    pub(crate) async fn start(seed: u64, scale: u32) -> Result<Self, Failure> {
        let epoch = WallClock.now();
        let clock = Clock::new(epoch, scale);
        let hub = start(HUB, seed, &clock);
        for definition in crd::all() {
            let definition = serde_json::to_value(definition).map_err(|error| Failure::Broke(error.to_string()))?;
            hub.api().install_crd(definition).await.map_err(|status| Failure::Broke(format!("{status:?}")))?;
        }
        let mut members = BTreeMap::new();
        for (name, seed) in MEMBERS.into_iter().zip(seed + 1..) {
            members.insert(name.to_owned(), start(name, seed, &clock));
        }
        let names = MEMBERS.into_iter().chain([HUB]);
        let writes = names.map(|name| (name.to_owned(), Arc::default())).collect();
        Ok(Self { hub, members, clock, epoch, writes })
    }

    /// The hub's client, its writes counted.
    pub(crate) fn counted_hub(&self) -> Client {
        self.counted(HUB, self.hub.client())
    }

    /// The members' clients, their writes counted.
    pub(crate) fn counted_members(&self) -> Vec<Member> {
        let member = |(name, cluster): (&String, &Cluster)| Member {
            name: name.clone(),
            client: self.counted(name, cluster.client()),
        };
        self.members.iter().map(member).collect()
    }

    /// Writes sent so far, by cluster.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.writes.iter().map(|(name, count)| (name.as_str(), count.load(Ordering::Relaxed)))
    }

    fn counted(&self, name: &str, client: Client) -> Client {
        let count = self.writes.get(name).cloned().unwrap_or_default();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            if !matches!(*request.method(), http::Method::GET) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            let client = client.clone();
            async move { client.send(request).await }
        });
        Client::new(service, "default")
    }
}

fn start(name: &str, seed: u64, clock: &Clock) -> Cluster {
    let kubelet = KubeletOptions {
        ready: Delay::between(3_000, 9_000),
        stop: Delay::between(500, 2_000),
        ..KubeletOptions::default()
    };
    Cluster::start(ClusterOptions { name: name.to_owned(), seed, kubelet, ..ClusterOptions::new(clock.clone()) })
}
