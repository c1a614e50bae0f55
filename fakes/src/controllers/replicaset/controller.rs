//! Carries out what [`sync`] decides, set by set, whenever something of a set changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future;
use serde_json::Value;

use super::{Change, KIND, Observed, Plan, ReplicaSetStatus, sync, wanted};
use crate::controllers::cache::{Cache, Name};
use crate::controllers::claim::{concerned, full_name};
use crate::controllers::client::Client;
use crate::controllers::events::Notice;
use crate::controllers::object;
use crate::controllers::queue::Queue;
use crate::delay::{Delay, Delays};
use crate::server::DeleteOptions;
use crate::status::Status;
use crate::store::{GroupResource, Key, Stored};

/// Runs until the task is dropped. Every sync comes `lag` after the change that made it necessary.
pub(crate) async fn run(client: Client, lag: Delay, delays: Delays) {
    let store = client.store().clone();
    let (sets, mut sets_changed) = Cache::new(&store, GroupResource::new("apps", "replicasets"));
    let (pods, mut pods_changed) = Cache::new(&store, GroupResource::new("", "pods"));
    let queue = Queue::new(store.clock().clone());
    let mut controller = ReplicaSetController { client, lag, delays, sets, pods, queue };
    loop {
        controller.observe();
        while let Some(name) = controller.queue.pop() {
            let result = controller.sync(&name).await;
            if let Err(status) = &result {
                tracing::debug!("replicaset {}/{}: {status}", name.0, name.1);
            }
            controller.queue.done(name, result.is_ok());
            controller.observe();
        }
        tokio::select! {
            biased;
            _ = sets_changed.changed() => {}
            _ = pods_changed.changed() => {}
            () = controller.queue.wait() => {}
        }
    }
}

struct ReplicaSetController {
    client: Client,
    lag: Delay,
    delays: Delays,
    sets: Cache,
    pods: Cache,
    queue: Queue<Name>,
}

impl ReplicaSetController {
    /// Catches up with the store, and queues every set that a change may concern.
    fn observe(&mut self) {
        let (sets, pods) = (self.sets.refresh(), self.pods.refresh());
        let changed = sets.iter().filter_map(|change| change.new.as_ref());
        let mut names: Vec<Name> = changed.map(|stored| full_name(stored)).collect();
        names.extend(pods.iter().flat_map(|change| concerned(change, KIND, &self.sets)));
        for name in names {
            let delay = self.delays.draw(self.lag);
            self.queue.add(name, delay);
        }
    }

    async fn sync(&mut self, name: &Name) -> Result<(), Status> {
        let Some(set) = self.sets.get(name).cloned() else { return Ok(()) };
        let plan = self.plan(&set);
        for pod in &plan.claims {
            self.client.update(&GroupResource::new("", "pods"), pod.clone()).await?;
        }
        let changed = self.change(&set, &plan.change).await;
        let now = self.client.store().clock().now();
        let failure = changed.as_ref().err().map(|status| status.message.as_str());
        let status = plan.status.after(&plan.change, failure, now);
        if status != ReplicaSetStatus::read(&set.value) {
            let mut object = Value::clone(&set.value);
            object["status"] = status.to_value();
            self.client.update_status(&set.key.resource, object).await?;
        }
        changed?;
        if let Some(delay) = plan.requeue_after {
            self.queue.add(name.clone(), delay);
        }
        Ok(())
    }

    fn plan(&self, set: &Stored) -> Plan {
        let pods = self.pods.controlled_by(&set.key.namespace, object::uid(&set.value));
        let related = if pods.len() > wanted(&set.value) { self.related(set) } else { BTreeMap::new() };
        sync(&Observed {
            set: &set.value,
            pods: pods.iter().map(|stored| &*stored.value).collect(),
            related: related.values().map(|stored| &*stored.value).collect(),
            now: self.client.store().clock().now(),
        })
    }

    /// Pods that the selectors of sets with the same controller select, whoever controls the pods.
    fn related(&self, set: &Stored) -> BTreeMap<String, Arc<Stored>> {
        let namespace = &set.key.namespace;
        let Some(controller) = object::controller_uid(&set.value) else { return BTreeMap::new() };
        let siblings = self.sets.controlled_by(namespace, controller);
        let siblings = siblings.iter().filter(|set| object::controller_uid(&set.value).is_some());
        let selectors: Vec<_> = siblings.filter_map(|set| object::selector(&set.value["spec"]["selector"])).collect();
        let pods = self.pods.with_prefix(namespace, "").into_iter();
        let selected = pods.filter(|pod| selectors.iter().any(|selector| selector.matches(&pod.value)));
        selected.map(|pod| (pod.key.name.clone(), pod)).collect()
    }

    async fn change(&self, set: &Stored, change: &Change) -> Result<(), Status> {
        match change {
            Change::None => Ok(()),
            Change::Create(count, pod) => self.create(set, *count, pod).await,
            Change::Delete(names) => {
                let deletions = names.iter().map(|name| self.delete(set, name));
                future::join_all(deletions).await.into_iter().collect()
            }
        }
    }

    /// Creates one pod, then twice as many at a time, so that what refuses one is not asked for all of them.
    async fn create(&self, set: &Stored, count: usize, pod: &Value) -> Result<(), Status> {
        let pods = GroupResource::new("", "pods");
        let (mut left, mut batch) = (count, 1);
        while left > 0 {
            let size = batch.min(left);
            let creations = (0..size).map(|_| self.client.create(&pods, pod.clone()));
            let created = future::join_all(creations).await;
            for created in &created {
                self.tell_created(set, created).await;
            }
            let refused =
                created.into_iter().filter_map(Result::err).find(|status| !object::is_namespace_ending(status));
            if let Some(status) = refused {
                return Err(status);
            }
            (left, batch) = (left - size, size * 2);
        }
        Ok(())
    }

    async fn tell_created(&self, set: &Stored, created: &Result<Arc<Stored>, Status>) {
        let notice = match created {
            Ok(pod) => Notice::normal("SuccessfulCreate", format!("Created pod: {}", pod.key.name)),
            Err(status) if object::is_namespace_ending(status) => return,
            Err(status) => Notice::warning("FailedCreate", format!("Error creating: {}", status.message)),
        };
        self.client.tell(&set.value, notice).await;
    }

    async fn delete(&self, set: &Stored, name: &str) -> Result<(), Status> {
        let key = Key::new(&GroupResource::new("", "pods"), &set.key.namespace, name);
        let deleted = self.client.delete(&key, &DeleteOptions::default()).await;
        let notice = match &deleted {
            Ok(()) => Notice::normal("SuccessfulDelete", format!("Deleted pod: {name}")),
            Err(status) => Notice::warning("FailedDelete", format!("Error deleting: {}", status.message)),
        };
        self.client.tell(&set.value, notice).await;
        deleted.map_err(|status| Status { message: format!("unable to delete pods: {}", status.message), ..status })
    }
}
