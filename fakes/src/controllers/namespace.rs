//! The namespace controller: what is in a namespace goes before it does, pods first, as Kubernetes 1.36 does it.
//!
//! Unlike other controllers it comes back by time while something is left, as the real one does: nothing tells it when the
//! last object of any kind is gone.

mod conditions;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use self::conditions::Findings;
use super::client::Client;
use super::object;
use super::worker::{Change, Controller, Name, Work, name_of};
use crate::delay::{Delay, Delays};
use crate::server::{DeleteOptions, Propagation};
use crate::status::Status;
use crate::store::{GroupResource, Stored};

/// The finalizer in a namespace's spec that is this controller's.
pub const FINALIZER: &str = "kubernetes";
/// After its deletion a namespace is left alone for this long, so that every API server knows of it.
const GRACE: Duration = Duration::from_secs(5);
/// How long finalizers are expected to take.
const FINALIZERS_SECONDS: u64 = 15;

/// Runs until the task is dropped.
pub(crate) async fn run(client: Client, lag: Delay, delays: Delays) {
    let namespaces = GroupResource::new("", "namespaces");
    let controller = NamespaceController { client: client.clone(), namespaces: namespaces.clone() };
    super::worker::run(controller, client, &[namespaces], lag, delays).await;
}

struct NamespaceController {
    client: Client,
    namespaces: GroupResource,
}

/// What is left of one resource.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    objects: usize,
    finalizers: BTreeMap<String, usize>,
    /// Seconds until it may be gone.
    estimate: u64,
}

impl Controller for NamespaceController {
    const NAME: &'static str = "namespace";

    fn observe_all(&mut self, work: &mut Work) {
        for namespace in self.client.store().list(&self.namespaces, None) {
            enqueue(&namespace, work);
        }
    }

    fn observe(&mut self, _resource: &GroupResource, change: &Change, work: &mut Work) {
        change.new.iter().for_each(|namespace| enqueue(namespace, work));
    }

    async fn sync(&mut self, key: &Name, work: &mut Work) -> Result<(), Status> {
        let Some(namespace) = self.client.store().find(&self.namespaces, "", &key.1) else { return Ok(()) };
        let finalizers = object::list(&namespace.value["spec"]["finalizers"]);
        if !object::is_deleting(&namespace.value) || finalizers.is_empty() {
            return Ok(());
        }
        let estimate = self.delete_content(&namespace).await?;
        if estimate > 0 {
            work.add_after(key.clone(), Duration::from_secs(estimate / 2 + 1));
            return Ok(());
        }
        let left: Vec<Value> = finalizers.iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
        self.client.finalize(&key.1, &left)
    }
}

impl NamespaceController {
    /// Deletes everything in the namespace and answers in how many seconds to look again; zero when nothing is left.
    async fn delete_content(&self, namespace: &Stored) -> Result<u64, Status> {
        let pods = GroupResource::new("", "pods");
        let mut findings = Findings::default();
        let mut estimate = self.delete_resource(namespace, &pods, &mut findings).await;
        // Pods may need what is around them until they have ended.
        if !findings.has_left(&pods) {
            for resource in self.client.namespaced().into_iter().filter(|resource| *resource != pods) {
                estimate = estimate.max(self.delete_resource(namespace, &resource, &mut findings).await);
            }
            findings.tell_what_is_left();
        }
        let now = self.client.store().clock().now();
        // The namespace as it is now: its owner may have written to it meanwhile.
        if let Some(current) = self.client.store().get(&namespace.key) {
            let mut object = Value::clone(&current.value);
            if findings.write_conditions(&mut object["status"], now) {
                // Whoever wrote in between brings the namespace back here.
                drop(self.client.update_status(&self.namespaces, object).await);
            }
        }
        match findings.failure() {
            Some(why) => Err(Status::new(500, "InternalError", why)),
            None => Ok(estimate),
        }
    }

    async fn delete_resource(&self, namespace: &Stored, resource: &GroupResource, findings: &mut Findings) -> u64 {
        let estimate = self.estimate(namespace, resource);
        let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        for stored in self.client.store().list(resource, Some(&namespace.key.name)) {
            if let Err(status) = self.client.delete(&stored.key, &options).await {
                findings.fail(status.message);
                return estimate;
            }
        }
        let left = self.left(namespace, resource, estimate);
        let estimate = left.estimate;
        if left.objects > 0 && estimate == 0 {
            let name = &namespace.key.name;
            let version = self.client.version_of(resource);
            let kind =
                if resource.group.is_empty() { format!("/{version}") } else { format!("{}/{version}", resource.group) };
            findings.fail(format!(
                "unexpected items still remain in namespace: {name} for gvr: {kind}, Resource={}",
                resource.plural
            ));
        }
        findings.add(resource, left);
        estimate
    }

    fn left(&self, namespace: &Stored, resource: &GroupResource, estimate: u64) -> Left {
        let objects = self.client.store().list(resource, Some(&namespace.key.name));
        let mut finalizers = BTreeMap::new();
        for finalizer in objects.iter().flat_map(|stored| crate::object::finalizers(&stored.value)) {
            *finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
        let estimate = match estimate {
            _ if objects.is_empty() => 0,
            0 if !finalizers.is_empty() => FINALIZERS_SECONDS,
            estimate => estimate,
        };
        Left { objects: objects.len(), finalizers, estimate }
    }

    /// Pods take their grace period at most, counted from the namespace's deletion.
    fn estimate(&self, namespace: &Stored, resource: &GroupResource) -> u64 {
        if !resource.group.is_empty() || &*resource.plural != "pods" {
            return 0;
        }
        let store = self.client.store();
        let pods = store.list(resource, Some(&namespace.key.name));
        let runs = |pod: &&std::sync::Arc<Stored>| {
            !matches!(pod.value["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
        };
        let grace =
            pods.iter().filter(runs).filter_map(|pod| pod.value["spec"]["terminationGracePeriodSeconds"].as_u64());
        let longest = grace.max().unwrap_or_default();
        let deleted = object::timestamp(&namespace.value["metadata"]["deletionTimestamp"]);
        let since = deleted.map_or(SignedDuration::ZERO, |deleted| store.clock().now().duration_since(deleted));
        if u64::try_from(since.as_secs()).is_ok_and(|since| since >= longest) { 0 } else { longest }
    }
}

fn enqueue(namespace: &Stored, work: &mut Work) {
    if object::is_deleting(&namespace.value) {
        work.add_after(name_of(namespace), GRACE);
    }
}
