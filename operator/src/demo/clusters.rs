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
use slipway_fakes::{Clock, Cluster, ClusterOptions, Delay, KubeletOptions, crds, gateway::GatewayOptions};

use super::traffic::drain_seconds;
use crate::{clock::WallClock, failure::Failure};

/// The members' names.
pub(crate) const MEMBERS: [&str; 3] = ["east", "north", "west"];
/// The hub's name in tables and contexts.
pub(crate) const HUB: &str = "hub";

/// How late the members' gateways are.
const GATEWAY: GatewayOptions = GatewayOptions {
    routes: Delay::between(100, 1_000),
    endpoints: Delay::between(100, 1_000),
    status: Delay::between(50, 500),
};

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
    /// Starts them, the API installed in the hub, and in the members a gateway and the Gateway API.
    pub(crate) async fn start(seed: u64, scale: u32) -> Result<Self, Failure> {
        let epoch = WallClock.now();
        let clock = Clock::new(epoch, scale);
        let hub = start(HUB, seed, &clock, scale, None);
        for definition in crd::all() {
            let definition = serde_json::to_value(definition).map_err(|error| Failure::Broke(error.to_string()))?;
            install(&hub, definition).await?;
        }
        let mut members = BTreeMap::new();
        for (name, seed) in MEMBERS.into_iter().zip(seed + 1..) {
            let member = start(name, seed, &clock, scale, Some(GATEWAY));
            for definition in crds::gateway_api() {
                install(&member, definition.clone()).await?;
            }
            members.insert(name.to_owned(), member);
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

async fn install(cluster: &Cluster, definition: serde_json::Value) -> Result<(), Failure> {
    cluster.api().install_crd(definition).await.map_err(|status| Failure::Broke(format!("{status:?}")))?;
    Ok(())
}

fn start(name: &str, seed: u64, clock: &Clock, scale: u32, gateway: Option<GatewayOptions>) -> Cluster {
    // Pods that are to go serve until no gateway can send them anything: whoever loses no request has such a pause.
    let linger = u64::from(drain_seconds(scale)) * 1_000;
    let kubelet = KubeletOptions {
        ready: Delay::between(3_000, 9_000),
        stop: Delay::between(linger, linger + 1_500),
        ..KubeletOptions::default()
    };
    let name = name.to_owned();
    Cluster::start(ClusterOptions { name, seed, kubelet, gateway, ..ClusterOptions::new(clock.clone()) })
}
