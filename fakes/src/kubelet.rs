//! The kubelets of a cluster, as one: pods start, become ready, lose readiness and end after drawn delays.

mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Notify;

use crate::controllers::cache::{Cache, Name};
use crate::controllers::client::Client;
use crate::controllers::object;
use crate::controllers::queue::Queue;
use crate::delay::{Delay, Delays};
use crate::server::{ApiServer, DeleteOptions};
use crate::status::Status;
use crate::store::{GroupResource, Stored};

/// The stream that pod delays are drawn from.
const CONCERN: u64 = 0x6b_75_62_65_6c_65_74;
/// Pods that name another scheduler are left to it.
const SCHEDULER: &str = "default-scheduler";
/// The first pod address.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

/// How pods live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeletOptions {
    /// From a pod's creation to its readiness.
    pub ready: Delay,
    /// From a pod's deletion to its end, at most its grace period.
    pub stop: Delay,
    /// The node pods are bound to. Without one they stay unscheduled: they become ready all the same, and the API
    /// server removes them at once when they are deleted.
    pub node: Option<String>,
    /// Images that cannot be pulled.
    pub bad_images: BTreeSet<String>,
    /// Images whose containers crash as soon as they run.
    pub crashing_images: BTreeSet<String>,
}

impl Default for KubeletOptions {
    fn default() -> Self {
        Self {
            ready: Delay::between(500, 3_000),
            stop: Delay::between(100, 1_000),
            node: Some("node-0".into()),
            bad_images: BTreeSet::new(),
            crashing_images: BTreeSet::new(),
        }
    }
}

/// A handle on the kubelets of a cluster. Clones are the same kubelets.
#[derive(Clone, Debug)]
pub struct Kubelet {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    seed: u64,
    orders: Mutex<Orders>,
    bell: Notify,
}

/// What was asked for from outside.
#[derive(Debug)]
struct Orders {
    options: KubeletOptions,
    /// Pods by namespace and name that are not ready before this instant.
    unready: BTreeMap<Name, Timestamp>,
    /// Something changed that no write tells of.
    dirty: bool,
}

impl Kubelet {
    /// Kubelets of a cluster; nothing happens before [`Kubelet::run`].
    pub fn new(api: &ApiServer, options: KubeletOptions, seed: u64) -> Self {
        let orders = Mutex::new(Orders { options, unready: BTreeMap::new(), dirty: false });
        let client = Client::new(api, "kubelet");
        Self { shared: Arc::new(Shared { client, seed, orders, bell: Notify::new() }) }
    }

    /// From now on this image cannot be pulled. Containers that run it go on.
    pub fn mark_bad(&self, image: &str) {
        self.order(|orders| {
            orders.options.bad_images.insert(image.to_owned());
        });
    }

    /// From now on every container of this image crashes again and again, those that run included.
    pub fn mark_crashing(&self, image: &str) {
        self.order(|orders| {
            orders.options.crashing_images.insert(image.to_owned());
        });
    }

    /// Containers of this image run again.
    pub fn mark_good(&self, image: &str) {
        self.order(|orders| {
            orders.options.bad_images.remove(image);
            orders.options.crashing_images.remove(image);
        });
    }

    /// Makes a pod unready for some time.
    pub fn lose_readiness(&self, namespace: &str, name: &str, time: Duration) {
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        let until = self.shared.client.store().clock().now().saturating_add(time).unwrap_or(Timestamp::MAX);
        self.order(|orders| {
            orders.unready.insert((namespace.to_owned(), name.to_owned()), until);
        });
    }

    /// Runs until the task is dropped.
    pub async fn run(self) {
        let store = self.shared.client.store().clone();
        let (pods, mut pods_changed) = Cache::new(&store, GroupResource::new("", "pods"));
        let mut node = Node {
            client: self.shared.client.clone(),
            delays: Delays::new(self.shared.seed, CONCERN),
            pods,
            queue: Queue::new(store.clock().clone()),
            waiting: BTreeMap::new(),
            addresses: FIRST_ADDRESS.to_bits(),
        };
        self.shared.register().await;
        loop {
            node.observe(&mut self.shared.orders());
            while let Some(name) = node.queue.pop() {
                let result = node.work(&name, &self.shared).await;
                node.queue.done(name, result.is_ok());
                node.observe(&mut self.shared.orders());
            }
            tokio::select! {
                biased;
                _ = pods_changed.changed() => {}
                () = self.shared.bell.notified() => {}
                () = node.queue.wait() => {}
            }
        }
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        let mut orders = self.shared.orders();
        change(&mut orders);
        orders.dirty = true;
        self.shared.bell.notify_one();
    }
}

impl Shared {
    /// Makes the node that pods are bound to, unless somebody made it.
    async fn register(&self) {
        let Some(name) = self.orders().options.node.clone() else { return };
        let nodes = GroupResource::new("", "nodes");
        let store = self.client.store();
        if store.find(&nodes, "", &name).is_some() {
            return;
        }
        let node = status::node(&name, store.clock().now());
        let created = self.client.create(&nodes, node.clone()).await;
        let reported = match created {
            Err(status) => Err(status),
            Ok(_) => self.client.update_status(&nodes, node).await,
        };
        if let Err(status) = reported {
            tracing::warn!("kubelet: node {name} is not registered: {status}");
        }
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loop's own state.
struct Node {
    client: Client,
    delays: Delays,
    pods: Cache,
    queue: Queue<Name>,
    /// Pods that something is drawn for: uid and what.
    waiting: BTreeMap<Name, (String, Work)>,
    addresses: u32,
}

/// What a pod waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Its node.
    Bind,
    /// Its containers.
    Start,
    /// A status that says what is so already.
    Report,
    /// Its end.
    Stop,
}

impl Node {
    fn observe(&mut self, orders: &mut Orders) {
        for change in self.pods.refresh() {
            match (change.new, change.old) {
                (Some(pod), _) => self.look(&pod, orders),
                (None, Some(pod)) => {
                    let name = name(&pod);
                    self.waiting.remove(&name);
                    orders.unready.remove(&name);
                }
                (None, None) => {}
            }
        }
        if std::mem::take(&mut orders.dirty) {
            for pod in self.pods.all() {
                self.look(&pod, orders);
            }
        }
    }

    /// Draws when the pod's next work happens, unless it waits for it already.
    fn look(&mut self, pod: &Stored, orders: &Orders) {
        let name = name(pod);
        let Some(work) = self.next(pod, orders) else {
            self.waiting.remove(&name);
            return;
        };
        let waits_for = (object::uid(&pod.value).to_owned(), work);
        if self.waiting.get(&name) == Some(&waits_for) {
            return;
        }
        let delay = match work {
            Work::Bind | Work::Report => Duration::ZERO,
            Work::Start => self.delays.draw(orders.options.ready),
            Work::Stop => self.delays.draw(orders.options.stop).min(grace(&pod.value)),
        };
        self.waiting.insert(name.clone(), waits_for);
        self.queue.set(name, delay);
    }

    fn next(&self, pod: &Stored, orders: &Orders) -> Option<Work> {
        let scheduled = pod.value["spec"]["nodeName"].is_string();
        if object::is_deleting(&pod.value) {
            return (scheduled && grace(&pod.value) > Duration::ZERO).then_some(Work::Stop);
        }
        if !scheduled
            && let Some(scheduler) = pod.value["spec"]["schedulerName"].as_str()
            && scheduler != SCHEDULER
        {
            return None;
        }
        if !scheduled && orders.options.node.is_some() {
            return Some(Work::Bind);
        }
        if matches!(pod.value["status"]["phase"].as_str(), Some("Failed" | "Succeeded")) {
            return None;
        }
        let wanted = self.wanted(pod, orders, "");
        if wanted == pod.value["status"] {
            return None;
        }
        let starts = status::starts(&pod.value, &wanted);
        Some(if starts { Work::Start } else { Work::Report })
    }

    async fn work(&mut self, name: &Name, shared: &Shared) -> Result<(), Status> {
        let Some(pod) = self.pods.get(name).cloned() else { return Ok(()) };
        let Some(work) = self.next(&pod, &shared.orders()) else { return Ok(()) };
        self.waiting.remove(name);
        match work {
            Work::Bind => {
                let node = shared.orders().options.node.clone();
                node.map_or(Ok(()), |node| self.client.bind(&pod, &node))
            }
            Work::Start | Work::Report => {
                let address = Ipv4Addr::from_bits(self.addresses).to_string();
                let mut reported = Value::clone(&pod.value);
                reported["status"] = self.wanted(&pod, &shared.orders(), &address);
                self.client.update_status(&pod.key.resource, reported).await?;
                self.addresses += u32::from(pod.value["status"]["podIP"].is_null());
                self.recover_later(name, &mut shared.orders());
                Ok(())
            }
            Work::Stop => {
                let uid = object::uid(&pod.value).to_owned();
                let options =
                    DeleteOptions { grace_period_seconds: Some(0), uid: Some(uid), ..DeleteOptions::default() };
                self.client.delete(&pod.key, &options).await
            }
        }
    }

    /// Comes back to a pod when its readiness does.
    fn recover_later(&mut self, name: &Name, orders: &mut Orders) {
        let Some(until) = orders.unready.get(name) else { return };
        let wait = until.duration_since(self.client.store().clock().now());
        match Duration::try_from(wait) {
            Ok(wait) if !wait.is_zero() => self.queue.add(name.clone(), wait),
            _ => drop(orders.unready.remove(name)),
        }
    }

    fn wanted(&self, pod: &Stored, orders: &Orders, address: &str) -> Value {
        let now = self.client.store().clock().now();
        let held = orders.unready.get(&name(pod)).is_some_and(|until| *until > now);
        status::wanted(&pod.value, &orders.options, held, address, now)
    }
}

fn name(pod: &Stored) -> Name {
    (pod.key.namespace.clone(), pod.key.name.clone())
}

fn grace(pod: &Value) -> Duration {
    Duration::from_secs(pod["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(30))
}
