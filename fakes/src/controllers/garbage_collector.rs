//! The garbage collector: objects whose owners are gone go too, and owners wait or let go as they were told.
//!
//! The `graph` knows who owns whom and decides; the collector around it carries its steps out.

mod graph;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use self::graph::{Graph, Step};
use super::client::Client;
use super::object;
use super::queue::Queue;
use crate::delay::{Delay, Delays};
use crate::server::DeleteOptions;
use crate::status::Status;
use crate::store::{Event, EventType, Stored};

/// The finalizer of an owner that goes after its dependents.
pub const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an owner that lets its dependents live.
pub const ORPHAN: &str = "orphan";

/// An object before and after a change.
type Change = (Option<Arc<Stored>>, Option<Arc<Stored>>);
type Inbox = Arc<Mutex<Vec<Change>>>;

/// Runs until the task is dropped. Every look at an object comes `lag` after what made it necessary.
pub(crate) async fn run(client: Client, lag: Delay, delays: Delays) {
    let mut subscription = client.store().subscribe();
    let inbox = listen(&client);
    let queue = Queue::new(client.store().clock().clone());
    let (graph, undecided) = (Graph::default(), BTreeSet::new());
    let mut collector = Collector { client, lag, delays, graph, queue, undecided };
    collector.list();
    loop {
        let changes = std::mem::take(&mut *inbox.lock().unwrap_or_else(PoisonError::into_inner));
        for (old, new) in changes {
            collector.observe(old.as_deref(), new.as_deref());
        }
        while let Some(uid) = collector.queue.pop() {
            let result = collector.collect(&uid).await;
            collector.queue.done(uid, result.is_ok());
        }
        tokio::select! {
            biased;
            _ = subscription.changed() => {}
            () = collector.queue.wait() => {}
        }
    }
}

/// Gathers every change of the store. Nothing is gathered any more once the collector is gone.
fn listen(client: &Client) -> Inbox {
    let inbox = Inbox::default();
    let weak = Arc::downgrade(&inbox);
    client.store().observe(Box::new(move |event: &Event| {
        let Some(inbox) = weak.upgrade() else { return };
        let new = (event.kind != EventType::Deleted).then(|| event.new.clone());
        if graph::concerns(event.old.as_deref(), new.as_deref()) {
            inbox.lock().unwrap_or_else(PoisonError::into_inner).push((event.old.clone(), new));
        }
    }));
    inbox
}

struct Collector {
    client: Client,
    lag: Delay,
    delays: Delays,
    graph: Graph,
    queue: Queue<String>,
    /// Objects with an owner of a kind that nobody serves yet.
    undecided: BTreeSet<String>,
}

impl Collector {
    /// Takes in what was there before.
    fn list(&mut self) {
        for resource in self.client.resources() {
            for stored in self.client.store().list(&resource, None) {
                self.observe(None, Some(&stored));
            }
        }
    }

    fn observe(&mut self, old: Option<&Stored>, new: Option<&Stored>) {
        let mut affected = self.graph.observe(old, new);
        if new.is_some_and(|new| &*new.key.resource.plural == "customresourcedefinitions") {
            affected.append(&mut self.undecided);
        }
        for uid in affected {
            let delay = self.delays.draw(self.lag);
            self.queue.add(uid, delay);
        }
    }

    async fn collect(&mut self, uid: &str) -> Result<(), Status> {
        let resolve = |api_version: &str, kind: &str| {
            let resource = self.client.resource_of(api_version, kind)?;
            Some((resource.stored_as.clone(), resource.namespaced))
        };
        let Some(steps) = self.graph.decide(uid, &resolve) else {
            self.undecided.insert(uid.to_owned());
            return Ok(());
        };
        for (uid, step) in steps {
            self.take(&uid, &step).await?;
        }
        Ok(())
    }

    async fn take(&self, uid: &str, step: &Step) -> Result<(), Status> {
        let Some(key) = self.graph.key(uid) else { return Ok(()) };
        let Some(stored) = self.client.store().get(key).filter(|stored| object::uid(&stored.value) == uid) else {
            return Ok(());
        };
        let mut object = Value::clone(&stored.value);
        let done = match step {
            Step::Delete(propagation) => {
                let (uid, propagation) = (Some(uid.to_owned()), Some(*propagation));
                self.client.delete(key, &DeleteOptions { uid, propagation, ..DeleteOptions::default() }).await
            }
            edit => {
                apply(edit, &mut object);
                let same = object == *stored.value;
                if same { Ok(()) } else { self.client.update(&key.resource, object).await.map(drop) }
            }
        };
        // Somebody was faster: the object is gone, or its next change brings it back here.
        done.or_else(|status| if matches!(status.code, 404) { Ok(()) } else { Err(status) })
    }
}

fn apply(edit: &Step, object: &mut Value) {
    match edit {
        Step::Delete(_) => {}
        Step::RemoveOwners(owners) => {
            retain(object, "ownerReferences", |owner| !owner["uid"].as_str().is_some_and(|uid| owners.contains(uid)));
        }
        Step::UnblockOwners => unblock_owners(object),
        Step::RemoveFinalizer(finalizer) => retain(object, "finalizers", |found| found != finalizer),
    }
}

fn retain(object: &mut Value, list: &str, keep: impl Fn(&Value) -> bool) {
    if let Some(list) = object["metadata"][list].as_array_mut() {
        list.retain(|item| keep(item));
    }
}

fn unblock_owners(object: &mut Value) {
    for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
        owner["blockOwnerDeletion"] = false.into();
    }
}
