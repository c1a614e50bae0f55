//! The loop of a controller: changes queue keys, and each key is looked at when it is due.
//!
//! Such a controller keeps no objects of its own. It looks them up in the store when it needs them, so that one that has
//! nothing to do costs no memory, and sleeps until a resource it asked for is written.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future;

use super::client::Client;
use crate::delay::{Delay, Delays};
use crate::status::Status;
use crate::store::{EventType, GroupResource, Store, Stored, Subscription};

pub(crate) use super::cache::{Change, Name};
use super::queue::Queue;

/// What a controller does.
pub(crate) trait Controller {
    /// Its name, for logs.
    const NAME: &'static str;

    /// Queues every key there is: what changed is not known.
    fn observe_all(&mut self, work: &mut Work);

    /// Queues the keys that a change concerns.
    fn observe(&mut self, resource: &GroupResource, change: &Change, work: &mut Work);

    /// Resolves when something else than a write makes a look at every key necessary.
    fn woken(&self) -> impl Future<Output = ()> + Send + 'static {
        future::pending()
    }

    /// Brings one key to where it has to be. A failed one comes again after a pause.
    fn sync(&mut self, key: &Name, work: &mut Work) -> impl Future<Output = Result<(), Status>> + Send;
}

/// What a controller has to do.
pub(crate) struct Work {
    queue: Queue<Name>,
    lag: Delay,
    delays: Delays,
}

impl Work {
    /// Has the key looked at after the controller's usual lag.
    pub(crate) fn add(&mut self, key: Name) {
        let delay = self.delays.draw(self.lag);
        self.queue.add(key, delay);
    }

    /// Has the key looked at after this long at the latest.
    pub(crate) fn add_after(&mut self, key: Name, delay: Duration) {
        self.queue.add(key, delay);
    }
}

/// Runs a controller until the task is dropped. It is told of changes of `resources`.
pub(crate) async fn run<C: Controller>(
    mut controller: C,
    client: Client,
    resources: &[GroupResource],
    lag: Delay,
    delays: Delays,
) {
    let store = client.store();
    let mut feeds: Vec<Feed> = resources.iter().map(|resource| Feed::new(store, resource)).collect();
    let mut work = Work { queue: Queue::new(store.clock().clone()), lag, delays };
    loop {
        observe(&mut controller, &mut feeds, &mut work);
        while let Some(key) = work.queue.pop() {
            let result = controller.sync(&key, &mut work).await;
            if let Err(status) = &result {
                tracing::debug!("{} {}/{}: {status}", C::NAME, key.0, key.1);
            }
            work.queue.done(key, result.is_ok());
            observe(&mut controller, &mut feeds, &mut work);
        }
        tokio::select! {
            biased;
            () = controller.woken() => controller.observe_all(&mut work),
            _ = future::select_all(feeds.iter_mut().map(|feed| Box::pin(feed.subscription.changed()))) => {}
            () = work.queue.wait() => {}
        }
    }
}

fn observe<C: Controller>(controller: &mut C, feeds: &mut [Feed], work: &mut Work) {
    for feed in feeds {
        match feed.read() {
            None => controller.observe_all(work),
            Some(changes) => changes.iter().for_each(|change| controller.observe(&feed.resource, change, work)),
        }
    }
}

/// Changes of one resource.
pub(crate) struct Feed {
    store: Store,
    pub(crate) resource: GroupResource,
    pub(crate) subscription: Subscription,
    /// Everything up to this revision was read.
    revision: Option<u64>,
}

impl Feed {
    pub(crate) fn new(store: &Store, resource: &GroupResource) -> Self {
        let subscription = store.subscribe_to(resource);
        Self { store: store.clone(), resource: resource.clone(), subscription, revision: None }
    }

    /// What changed since the last look; none when the log does not reach back to it.
    pub(crate) fn read(&mut self) -> Option<Vec<Change>> {
        let read = self.revision.and_then(|revision| self.store.changes(revision, &self.resource).ok());
        let Some((events, revision)) = read else {
            self.revision = Some(self.store.revision());
            return None;
        };
        self.revision = Some(revision);
        let changes = events.iter().map(|event| {
            let new = (event.kind != EventType::Deleted).then(|| event.new.clone());
            // A deletion tells of the object as it was, whatever was done to it in the same moment.
            let old = if new.is_some() { event.old.clone() } else { Some(event.new.clone()) };
            Change { old, new }
        });
        Some(changes.collect())
    }
}

/// Namespace and name of an object.
pub(crate) fn name_of(stored: &Stored) -> Name {
    (stored.key.namespace.clone(), stored.key.name.clone())
}

impl Change {
    /// The object after the change, or its last state.
    pub(crate) fn latest(&self) -> Option<&Arc<Stored>> {
        self.new.as_ref().or(self.old.as_ref())
    }

    /// True when what `read` finds is not the same before and after, or the object came or went.
    pub(crate) fn differs<T: PartialEq>(&self, read: impl Fn(&Stored) -> T) -> bool {
        self.old.as_deref().map(&read) != self.new.as_deref().map(&read)
    }
}
