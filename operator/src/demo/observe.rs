//! What a user with watches on every cluster would see.

use std::{collections::BTreeMap, fmt::Debug, hash::Hash};

use futures::{
    StreamExt, TryStreamExt,
    stream::{BoxStream, SelectAll},
};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::NamespaceResourceScope,
    runtime::watcher::{self, Event, watcher},
};
use serde::de::DeserializeOwned;
use slipway_actors::api::{Rollout, RolloutRun, keys};

use super::{
    application,
    clusters::{Clusters, MEMBERS},
};
use crate::{failure::Failure, view::build::Observed};

/// Watches all clusters.
pub(crate) struct Observer {
    /// What the view is built from.
    pub observed: Observed,
    /// The application's pods, by cluster and name.
    pub pods: BTreeMap<(String, String), Pod>,
    changes: SelectAll<BoxStream<'static, Change>>,
}

/// One object as it is now, or is no more.
enum Change {
    Rollout(Box<Option<Rollout>>),
    Run(String, Box<Option<RolloutRun>>),
    Workload(String, String, Box<Option<StatefulSet>>),
    Pod(String, String, Box<Option<Pod>>),
}

impl Observer {
    /// Begins to watch.
    pub(crate) fn start(clusters: &Clusters) -> Self {
        let hub = clusters.hub.client();
        let mut changes = SelectAll::new();
        changes.push(watch::<Rollout>(&hub).map(|(_, it)| Change::Rollout(Box::new(it))).boxed());
        changes.push(watch::<RolloutRun>(&hub).map(|(name, it)| Change::Run(name, Box::new(it))).boxed());
        for (cluster, member) in &clusters.members {
            let client = member.client();
            let of = cluster.clone();
            let workloads = watch(&client).map(move |(name, it)| Change::Workload(of.clone(), name, Box::new(it)));
            changes.push(workloads.boxed());
            let of = cluster.clone();
            changes.push(watch(&client).map(move |(name, it)| Change::Pod(of.clone(), name, Box::new(it))).boxed());
        }
        Self { observed: Observed::default(), pods: BTreeMap::new(), changes }
    }

    /// Waits for the next change and takes it in.
    pub(crate) async fn next(&mut self) -> Result<(), Failure> {
        let Some(change) = self.changes.next().await else {
            return Err(Failure::Broke("the watches of the demo's clusters ended".to_owned()));
        };
        match change {
            Change::Rollout(rollout) => self.observed.rollout = *rollout,
            Change::Run(name, run) => put(&mut self.observed.runs, name, *run),
            Change::Workload(cluster, name, it) => put(&mut self.observed.workloads, (cluster, name), *it),
            Change::Pod(cluster, name, pod) => put(&mut self.pods, (cluster, name), *pod),
        }
        Ok(())
    }

    /// Whether every workload has been seen.
    pub(crate) fn sees_all(&self) -> bool {
        let is_copy = |workload: &&StatefulSet| workload.labels().contains_key(keys::LABEL_CANARY_RESOURCE);
        let originals = self.observed.workloads.values().filter(|workload| !is_copy(workload));
        originals.count() == MEMBERS.len() * application::COMPONENTS.len()
    }

    /// Whether every workload is under the Rollout's control, so that a new template moves no pod by itself.
    pub(crate) fn is_parked(&self) -> bool {
        let parked = |workload: &StatefulSet| {
            let update = workload.spec.as_ref().and_then(|it| it.update_strategy.as_ref()?.rolling_update.as_ref());
            let partition = update.and_then(|it| it.partition).unwrap_or_default();
            workload.labels().contains_key(keys::LABEL_WORKLOAD) && partition >= application::REPLICAS
        };
        self.sees_all() && self.observed.workloads.values().all(parked)
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

/// Name and object of every change of a kind in the application's namespace.
fn watch<K>(client: &Client) -> BoxStream<'static, (String, Option<K>)>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Hash + Eq,
{
    let api: Api<K> = Api::namespaced(client.clone(), application::NAMESPACE);
    let events = watcher(api, watcher::Config::default()).into_stream();
    events
        .filter_map(|event| async move {
            match event {
                Ok(Event::Apply(it) | Event::InitApply(it)) => Some((it.name_any(), Some(it))),
                Ok(Event::Delete(it)) => Some((it.name_any(), None)),
                // The watcher tries again by itself; the servers are in this process.
                Ok(Event::Init | Event::InitDone) | Err(_) => None,
            }
        })
        .boxed()
}
