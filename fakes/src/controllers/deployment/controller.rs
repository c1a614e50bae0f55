//! Carries out what [`sync`] decides, Deployment by Deployment, whenever something of one changed.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Action, CREATE_FAILED, KIND, Observed, Plan, refusal, refused, sync};
use crate::controllers::cache::{Cache, Change, Name};
use crate::controllers::claim::{concerned, controller, full_name};
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
    let (deployments, mut deployments_changed) = Cache::new(&store, GroupResource::new("apps", "deployments"));
    let (sets, mut sets_changed) = Cache::new(&store, GroupResource::new("apps", "replicasets"));
    let (pods, mut pods_changed) = Cache::new(&store, GroupResource::new("", "pods"));
    let queue = Queue::new(store.clock().clone());
    let mut controller = DeploymentController { client, lag, delays, deployments, sets, pods, queue };
    loop {
        controller.observe();
        while let Some(name) = controller.queue.pop() {
            let result = controller.sync(&name).await;
            if let Err(status) = &result {
                tracing::debug!("deployment {}/{}: {status}", name.0, name.1);
            }
            let done = result.as_ref().err().is_none_or(object::is_namespace_ending);
            controller.queue.done(name, done);
            controller.observe();
        }
        tokio::select! {
            biased;
            _ = deployments_changed.changed() => {}
            _ = sets_changed.changed() => {}
            _ = pods_changed.changed() => {}
            () = controller.queue.wait() => {}
        }
    }
}

struct DeploymentController {
    client: Client,
    lag: Delay,
    delays: Delays,
    deployments: Cache,
    sets: Cache,
    pods: Cache,
    queue: Queue<Name>,
}

/// The sets that this sync wrote, by name: a set is written twice when it loses pods for two reasons.
type Written = BTreeMap<String, Arc<Stored>>;

impl DeploymentController {
    /// Catches up with the store, and queues every Deployment that a change may concern.
    fn observe(&mut self) {
        let deployments = self.deployments.refresh();
        let (sets, pods) = (self.sets.refresh(), self.pods.refresh());
        let changed = deployments.iter().filter_map(|change| change.new.as_ref());
        let mut names: Vec<Name> = changed.map(|stored| full_name(stored)).collect();
        names.extend(sets.iter().flat_map(|change| concerned(change, KIND, &self.deployments)));
        names.extend(pods.iter().filter_map(|change| self.waiting(change)));
        for name in names {
            let delay = self.delays.draw(self.lag);
            self.queue.add(name, delay);
        }
    }

    /// The Deployment that waits for a pod to be gone before it creates new ones.
    fn waiting(&self, change: &Change) -> Option<Name> {
        let pod = change.old.as_ref().filter(|_| change.new.is_none())?;
        let set = controller(pod, "ReplicaSet", &self.sets)?;
        let deployment = controller(set, KIND, &self.deployments)?;
        is_recreated(deployment).then(|| full_name(deployment))
    }

    async fn sync(&mut self, name: &Name) -> Result<(), Status> {
        let Some(deployment) = self.deployments.get(name).cloned() else { return Ok(()) };
        let plan = self.plan(&deployment);
        let mut written = Written::new();
        for action in plan.actions {
            self.act(&deployment, action, &mut written).await?;
        }
        if let Some(delay) = plan.requeue_after {
            self.queue.add(name.clone(), delay);
        }
        Ok(())
    }

    fn plan(&self, deployment: &Stored) -> Plan {
        let (namespace, uid) = (&deployment.key.namespace, object::uid(&deployment.value));
        let sets = self.sets.controlled_by(namespace, uid);
        let foreign = self.sets.with_prefix(namespace, &format!("{}-", deployment.key.name));
        let is_foreign =
            |stored: &&Arc<Stored>| object::controller_uid(&stored.value).is_some_and(|controller| controller != uid);
        let pods = if is_recreated(deployment) { self.pods_of(&sets) } else { Vec::new() };
        sync(&Observed {
            deployment: &deployment.value,
            sets: sets.iter().map(|stored| &*stored.value).collect(),
            foreign_sets: foreign.iter().filter(is_foreign).map(|stored| &*stored.value).collect(),
            pods: pods.iter().map(|stored| &*stored.value).collect(),
            now: self.client.store().clock().now(),
        })
    }

    fn pods_of(&self, sets: &[Arc<Stored>]) -> Vec<Arc<Stored>> {
        let pods = sets.iter().flat_map(|set| self.pods.controlled_by(&set.key.namespace, object::uid(&set.value)));
        pods.filter(|pod| object::controller_uid(&pod.value).is_some()).collect()
    }

    async fn act(&self, deployment: &Stored, action: Action, written: &mut Written) -> Result<(), Status> {
        let sets = GroupResource::new("apps", "replicasets");
        match action {
            Action::CreateSet(set) => self.create(deployment, &sets, set).await,
            Action::UpdateSet(set) => self.update(deployment, set, written).await,
            Action::DeleteSet(name) => {
                let key = Key::new(&sets, &deployment.key.namespace, &name);
                self.client.delete(&key, &DeleteOptions::default()).await
            }
            Action::UpdateStatus(status) => self.client.update_status(&deployment.key.resource, status).await.map(drop),
        }
    }

    async fn update(&self, deployment: &Stored, mut set: Value, written: &mut Written) -> Result<(), Status> {
        let name = object::name(&set).to_owned();
        let cached = self.sets.get(&(deployment.key.namespace.clone(), name.clone()));
        if let Some(own) = written.get(&name) {
            set["metadata"]["resourceVersion"] = own.resource_version.to_string().into();
        }
        let before = written.get(&name).or(cached).map(|stored| replicas(&stored.value));
        let after = self.client.update(&GroupResource::new("apps", "replicasets"), set).await?;
        if let Some(before) = before {
            self.tell_scaled(deployment, &name, before, replicas(&after.value)).await;
        }
        written.insert(name, after);
        Ok(())
    }

    async fn tell_scaled(&self, deployment: &Stored, set: &str, before: i64, after: i64) {
        let way = match after.cmp(&before) {
            Ordering::Equal => return,
            Ordering::Greater => "up",
            Ordering::Less => "down",
        };
        let message = format!("Scaled {way} replica set {set} from {before} to {after}");
        self.client.tell(&deployment.value, Notice::normal("ScalingReplicaSet", message)).await;
    }

    /// Creates a set; where that is refused, the Deployment says why.
    async fn create(&self, deployment: &Stored, sets: &GroupResource, set: Value) -> Result<(), Status> {
        let (name, size) = (object::name(&set).to_owned(), replicas(&set));
        let Err(status) = self.client.create(sets, set).await else {
            self.tell_scaled(deployment, &name, 0, size).await;
            return Ok(());
        };
        let now = self.client.store().clock().now();
        if status.reason != "AlreadyExists" && !object::is_namespace_ending(&status) {
            if let Some(report) = refused(&deployment.value, &name, &status.message, now) {
                // The creation will be tried again whether this comes through or not.
                let _reported = self.client.update_status(&deployment.key.resource, report).await;
            }
            let notice = Notice::warning(CREATE_FAILED, refusal(&name, &status.message));
            self.client.tell(&deployment.value, notice).await;
        }
        Err(status)
    }
}

fn replicas(set: &Value) -> i64 {
    set["spec"]["replicas"].as_i64().unwrap_or_default()
}

fn is_recreated(deployment: &Stored) -> bool {
    deployment.value["spec"]["strategy"]["type"] == "Recreate"
}
