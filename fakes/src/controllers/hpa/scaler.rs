//! The script: what metrics say of each autoscaler.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::controllers::worker::Name;

/// What metrics say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// So many replicas would do.
    Replicas(i64),
    /// Pods use this share of what they request, in percent.
    Utilization(i64),
}

/// A handle on what autoscalers are told. Clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct Scaler {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    demands: Mutex<BTreeMap<Name, Demand>>,
    bell: Arc<Notify>,
}

impl Scaler {
    /// From now on metrics say this to the autoscaler of this name.
    pub fn demand(&self, namespace: &str, name: &str, demand: Demand) {
        self.demands().insert((namespace.to_owned(), name.to_owned()), demand);
        self.shared.bell.notify_one();
    }

    /// From now on there are no metrics for it.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.demands().remove(&(namespace.to_owned(), name.to_owned()));
        self.shared.bell.notify_one();
    }

    pub(super) fn demanded(&self, name: &Name) -> Option<Demand> {
        self.demands().get(name).copied()
    }

    /// Rings with every change of the script.
    pub(super) fn bell(&self) -> Arc<Notify> {
        self.shared.bell.clone()
    }

    fn demands(&self) -> MutexGuard<'_, BTreeMap<Name, Demand>> {
        self.shared.demands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
