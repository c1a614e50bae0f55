//! Who sees every state of routes, Services and their endpoints, and can tell which were there at the same time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use kube::{
    Client, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde_json::{Value, json};
use slipway_tests::objects::of_kind;

use super::{GATEWAY_API, POLL, POLLS};

const KINDS: [(&str, &str); 3] =
    [(GATEWAY_API, "HTTPRoute"), ("v1", "Service"), ("discovery.k8s.io/v1", "EndpointSlice")];
const FORKS: [&str; 2] = ["web-stable", "web-canary"];

/// All kinds are in one etcd, so the version of an object tells what came before what.
type Seen = BTreeMap<u64, (&'static str, bool, Value)>;

/// A running witness; it stops when dropped.
pub(crate) struct Witness {
    client: Client,
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Witness {
    pub(crate) fn start(client: &Client) -> Self {
        let seen = Arc::new(Mutex::new(Seen::new()));
        let watch = |(api_version, kind)| tokio::spawn(watch(client.clone(), api_version, kind, seen.clone()));
        let tasks = KINDS.map(watch).into();
        Self { client: client.clone(), seen, tasks }
    }

    /// Holds that no route ever referred to a fork that was not there, or the first time to one without a ready endpoint.
    /// Returns how often a route began to refer to a fork.
    pub(crate) async fn check(&self) -> Result<usize> {
        for (api_version, kind) in KINDS {
            self.catch_up(api_version, kind).await?;
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut now = BTreeMap::<(&str, String), Value>::new();
        let (mut laid, mut begun) = (Vec::new(), 0);
        for (version, (kind, there, object)) in seen {
            let name = object["metadata"]["name"].as_str().context("a name")?.to_owned();
            if there {
                now.insert((kind, name), object);
            } else {
                now.remove(&(kind, name));
            }
            let route = now.get(&("HTTPRoute", "shop".to_owned())).unwrap_or(&Value::Null);
            let refers = FORKS.map(|fork| route["spec"].to_string().contains(&format!("\"{fork}\"")));
            for (fork, _) in FORKS.into_iter().zip(refers).filter(|(_, refers)| *refers) {
                let is_there = now.contains_key(&("Service", fork.to_owned()));
                ensure!(is_there, "at {version} the route refers to Service {fork}, which is not there: {route:#}");
                if !laid.contains(&fork) {
                    begun += 1;
                    let ready = now.iter().any(|((kind, _), slice)| *kind == "EndpointSlice" && is_ready(slice, fork));
                    ensure!(ready, "at {version} the route begins to refer to {fork}, which has no ready endpoint");
                }
            }
            laid = FORKS.into_iter().zip(refers).filter_map(|(fork, refers)| refers.then_some(fork)).collect();
        }
        Ok(begun)
    }

    /// Holds that the route has referred to both forks ever since one of its versions.
    pub(crate) async fn has_always_been_split(&self, since: &DynamicObject) -> Result<()> {
        self.catch_up(GATEWAY_API, "HTTPRoute").await?;
        let since = version(since).context("a version")?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (version, (kind, _, route)) in seen.range(since..) {
            let rules = route["spec"].to_string();
            let is_split = FORKS.iter().all(|fork| rules.contains(&format!("\"{fork}\"")));
            ensure!(*kind != "HTTPRoute" || is_split, "at {version} the route is not split any more: {route:#}");
        }
        Ok(())
    }

    /// Waits until everything of a kind up to now is seen.
    async fn catch_up(&self, api_version: &str, kind: &'static str) -> Result<()> {
        let objects = of_kind(&self.client, api_version, kind);
        let found = objects.list(&ListParams::default()).await?;
        let name = found.items.first().context("one object of each kind")?.name_any();
        let newest = self.seen.lock().unwrap_or_else(PoisonError::into_inner).keys().next_back().copied();
        let mark = json!({ "metadata": { "annotations": { "example.com/seen-to": newest.unwrap_or(0).to_string() } } });
        let marked = objects.patch(&name, &PatchParams::default(), &Patch::Merge(mark)).await?;
        let version = version(&marked).context("a version")?;
        for _ in 0..POLLS {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if seen.range(version..).any(|(_, (seen, ..))| *seen == kind) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("waited in vain until {kind} {name} is seen in version {version}")
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn watch(client: Client, api_version: &'static str, kind: &'static str, seen: Arc<Mutex<Seen>>) {
    let objects = of_kind(&client, api_version, kind);
    let mut events = watcher(objects, watcher::Config::default()).default_backoff().boxed();
    while let Some(event) = events.next().await {
        let (there, object) = match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => (true, object),
            Ok(Event::Delete(object)) => (false, object),
            Ok(_) | Err(_) => continue,
        };
        let Some(version) = version(&object) else { continue };
        let Ok(object) = serde_json::to_value(object) else { continue };
        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(version, (kind, there, object));
    }
}

fn version(object: &DynamicObject) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

fn is_ready(slice: &Value, service: &str) -> bool {
    let endpoints = slice["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    slice["metadata"]["labels"]["kubernetes.io/service-name"] == service
        && endpoints.iter().any(|endpoint| endpoint["conditions"]["ready"] == true)
}
