//! What one watch of a cluster has shown, and whether absence means anything in it.

use super::{
    cluster::{About, Fact, Listing, Subscription},
    mirror::Mirror,
    project::Projected,
};
use crate::view::{Health, ObjectKey};

/// One kind of object in one cluster.
pub(crate) struct Watched<V> {
    /// The watch, once there is a cluster's actor to ask.
    pub(crate) subscription: Option<Subscription>,
    health: Health,
    listing: Listing,
    objects: Mirror<ObjectKey, V>,
}

impl<V> Default for Watched<V> {
    fn default() -> Self {
        Self { subscription: None, health: Health::Syncing, listing: Listing::Pending, objects: Mirror::default() }
    }
}

impl<V> Watched<V> {
    /// The objects.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&ObjectKey, &V)> {
        self.objects.items().iter()
    }

    /// Takes in what is told, and says whether objects changed.
    pub(crate) fn take_in(&mut self, read: impl Fn(Projected) -> Option<V>) -> bool {
        let mut changed = false;
        for (about, fact) in self.subscription.as_ref().map(Subscription::drain).unwrap_or_default() {
            match (about, fact) {
                (_, Fact::Health(health)) => self.health = health,
                (About::Object(key), Fact::Object(object)) => {
                    self.objects.set(key, object.and_then(&read));
                    changed = true;
                }
                (_, Fact::Listing(listing)) => {
                    changed |= listing == Listing::Complete && !self.objects.complete().is_empty();
                    self.listing = listing;
                }
                _ => {}
            }
        }
        changed
    }

    /// The cluster's actor was begun anew: what is known stays known, but absence means nothing until it has listed.
    pub(crate) fn restart(&mut self) {
        let mut objects = std::mem::take(&mut self.objects);
        objects.restart();
        *self = Self { objects, ..Self::default() };
    }

    /// Whether the cluster knows the kind, as far as it has said.
    pub(crate) fn is_served(&self) -> bool {
        !matches!(self.listing, Listing::NotServed)
    }

    /// Whether it can be relied on.
    pub(crate) fn health(&self) -> Health {
        match (&self.health, &self.listing) {
            (Health::Unreachable { .. }, _) => self.health.clone(),
            (_, Listing::Refused { since, error }) => Health::Unreachable { since: *since, error: error.clone() },
            (_, Listing::Pending) | (Health::Syncing, _) => Health::Syncing,
            // Where a kind is not served there are no objects of it.
            (Health::Ready, Listing::Complete | Listing::NotServed) => Health::Ready,
        }
    }
}
