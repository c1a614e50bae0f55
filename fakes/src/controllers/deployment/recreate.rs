//! The strategy Recreate: the old pods go, and only then the new ones come.

use serde_json::Value;

use super::Observed;
use super::draft::Draft;
use crate::controllers::{object, pod};

impl Draft<'_> {
    /// One step of a Recreate.
    pub(super) fn recreate(&mut self, seen: &Observed<'_>) {
        let old: Vec<usize> = self.active_old_sets().map(|(index, _)| index).collect();
        let shrunk = !old.is_empty();
        for index in old {
            self.resize(index, 0);
        }
        if shrunk || self.old_pods_run(seen) {
            return self.report_progress();
        }
        if self.new.is_none() && !self.create_set(seen) {
            return;
        }
        if let Some(index) = self.new {
            self.resize(index, self.spec.replicas);
        }
        if self.status.is_complete(&self.spec) {
            self.clean_up();
        }
        self.report_progress();
    }

    /// True while a pod of an old set runs, or an old set says so. A pod that is being deleted may still run.
    fn old_pods_run(&self, seen: &Observed<'_>) -> bool {
        let old = |pod: &Value| {
            let owner = object::controller_uid(pod);
            owner.is_some() && self.old_sets().any(|(_, set)| owner == Some(object::uid(&set.object)))
        };
        self.old_sets().any(|(_, set)| set.status.replicas > 0)
            || seen.pods.iter().any(|pod| !pod::is_finished(pod) && old(pod))
    }
}
