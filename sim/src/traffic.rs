//! Begins what carries traffic: gateways that know of each other's clusters, and clients.

use std::sync::Arc;

use slipway_fakes::{ClusterSet, ClusterSetOptions, gateway};

use crate::{
    expectation::differs,
    link::Wire,
    random::{Concern, Dice},
    recorder::Recorder,
    scenario::{Expect, Scenario, cluster_name},
    site::Site,
};

/// Has every gateway watched, what is exported imported, and every client send; answers the clients by name.
pub(crate) fn begin(
    scenario: &Scenario,
    sites: &[(Site, Arc<Wire>)],
    recorder: &Recorder,
    seed: u64,
) -> Vec<(String, gateway::Client)> {
    for (site, _) in sites {
        let Some(gateway) = site.cluster.gateway() else { continue };
        for (other, _) in sites.iter().filter(|(other, _)| other.name != site.name) {
            gateway.join(&other.name, other.cluster.store());
        }
        let (recorder, name) = (recorder.clone(), site.name.clone());
        gateway.observe(Box::new(move |configuration, what| recorder.programmed(&name, configuration, what)));
    }
    if scenario.is_clusterset() {
        let members = sites.iter().map(|(site, _)| (site.name.as_str(), site.cluster.api()));
        let seed = Dice::new(seed, Concern::ClusterSet, 0).any();
        let clusterset = ClusterSet::new(members, ClusterSetOptions::default(), seed);
        clusterset.map(|clusterset| tokio::spawn(clusterset.run()));
    }
    let mut clients = Vec::new();
    for (lane, client) in (0..).zip(&scenario.clients) {
        let cluster = cluster_name(client.cluster.as_deref());
        let gateway = sites.iter().find(|(site, _)| site.name == cluster).and_then(|(site, _)| site.cluster.gateway());
        let Some(gateway) = gateway else { continue };
        let seed = Dice::new(seed, Concern::Client, lane).any();
        let started = gateway::Client::new(gateway, client.options(), seed);
        let (from, sending) = (client.from.0, started.clone());
        tokio::spawn(async move {
            tokio::time::sleep(from).await;
            sending.run().await;
        });
        clients.push((client.name.clone(), started));
    }
    clients
}

/// What clients were to be answered and were not, in words.
pub(crate) fn unmet(expect: &Expect, clients: &[(String, gateway::Client)]) -> Vec<String> {
    let of_client = |(name, client): &(String, gateway::Client)| {
        let (wanted, counts) = (expect.clients.get(name)?, client.counts());
        let images: Vec<String> = counts.by_image().into_keys().collect();
        let errors = differs(&format!("the errors of client {name}"), wanted.errors.as_ref(), &counts.errors(400));
        errors.or_else(|| differs(&format!("what answered client {name}"), wanted.images.as_ref(), &images))
    };
    clients.iter().filter_map(of_client).collect()
}

/// What clients counted, one line each, for the trace.
pub(crate) fn counts(clients: &[(String, gateway::Client)]) -> Vec<String> {
    let line = |(name, client): &(String, gateway::Client)| {
        let counts = client.counts();
        let pods: Vec<_> =
            counts.pods.iter().map(|(pod, count)| format!("{}/{} {count}", pod.cluster, pod.pod)).collect();
        format!("- client {name} {:?} {}", counts.statuses, pods.join(" "))
    };
    clients.iter().map(line).collect()
}
