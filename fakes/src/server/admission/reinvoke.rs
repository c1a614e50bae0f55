//! The second round: what has changed an object is asked again when something else changed it later.

use std::collections::BTreeSet;

use serde_json::Value;

/// What plug-ins of one sort did so far.
#[derive(Debug)]
pub(super) struct Round<K> {
    again: bool,
    /// Whether a second round is due.
    pub(super) due: bool,
    output: Option<Value>,
    /// Those that ran, want to be asked again, and have not been overtaken yet.
    ran: BTreeSet<K>,
    /// Those that something changed the object after.
    overtaken: BTreeSet<K>,
}

impl<K: Ord> Round<K> {
    pub(super) fn first() -> Self {
        Self { again: false, due: false, output: None, ran: BTreeSet::new(), overtaken: BTreeSet::new() }
    }

    pub(super) fn is_second(&self) -> bool {
        self.again
    }

    /// Goes over to the second round.
    pub(super) fn repeat(&mut self) {
        self.again = true;
    }

    /// Others may have changed the object since.
    pub(super) fn begin(&mut self, object: Option<&Value>) {
        if self.again && self.output.as_ref() != object {
            self.overtake();
        }
    }

    pub(super) fn end(&mut self, object: Option<&Value>) {
        self.output = object.cloned();
    }

    /// Whether it is its turn: in the second round only of those that were overtaken.
    pub(super) fn runs(&self, id: &K) -> bool {
        !self.again || self.overtaken.contains(id)
    }

    pub(super) fn ran(&mut self, id: K, wants_again: bool, changed: bool) {
        if changed {
            self.overtake();
            self.due = true;
        }
        if wants_again {
            self.ran.insert(id);
        }
    }

    fn overtake(&mut self) {
        self.overtaken.append(&mut self.ran);
    }
}
