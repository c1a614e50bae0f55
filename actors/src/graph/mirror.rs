//! A reader's copy of some objects of one cluster.

use std::collections::{BTreeMap, BTreeSet};

/// Objects by key, and which of them are still to be confirmed after the cluster's actor began anew.
#[derive(Debug)]
pub(crate) struct Mirror<K, V> {
    items: BTreeMap<K, V>,
    unconfirmed: BTreeSet<K>,
    listed: bool,
}

impl<K: Ord, V> Default for Mirror<K, V> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), unconfirmed: BTreeSet::new(), listed: false }
    }
}

impl<K: Ord + Clone, V> Mirror<K, V> {
    /// The objects.
    pub(crate) fn items(&self) -> &BTreeMap<K, V> {
        &self.items
    }

    /// Whether absence means anything.
    pub(crate) fn is_listed(&self) -> bool {
        self.listed
    }

    /// Takes in what an object is now, and returns what it was.
    pub(crate) fn set(&mut self, key: K, value: Option<V>) -> Option<V> {
        self.unconfirmed.remove(&key);
        match value {
            Some(value) => self.items.insert(key, value),
            None => self.items.remove(&key),
        }
    }

    /// The list is complete: what was known before and did not come again is gone. Returns it.
    pub(crate) fn complete(&mut self) -> Vec<(K, V)> {
        self.listed = true;
        let gone = std::mem::take(&mut self.unconfirmed);
        gone.into_iter().filter_map(|key| self.items.remove_entry(&key)).collect()
    }

    /// The source begins anew: everything is to be told again.
    pub(crate) fn restart(&mut self) {
        self.listed = false;
        self.unconfirmed = self.items.keys().cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_again_is_gone_once_the_list_is_complete() {
        let mut mirror = Mirror::default();
        for key in ["a", "b", "c"] {
            mirror.set(key, Some(1));
        }
        assert_eq!(mirror.complete(), vec![]);
        mirror.restart();
        assert!(!mirror.is_listed());
        mirror.set("b", Some(2));
        assert_eq!(mirror.items().len(), 3, "nothing is gone before the list is complete");
        assert_eq!(mirror.complete(), vec![("a", 1), ("c", 1)]);
        assert_eq!(mirror.items(), &BTreeMap::from([("b", 2)]));
    }
}
