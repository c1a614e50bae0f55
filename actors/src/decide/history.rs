//! Which ended runs are kept.

use super::{patch, run};
use crate::{
    api::RolloutRun,
    intent::{HubKind, HubWrite},
    view::RolloutView,
};

/// Deletes the oldest ended runs beyond `historyLimit`. The run that the status names never counts.
pub fn surplus(view: &RolloutView, named: &str) -> Vec<HubWrite> {
    let limit = match view.rollout.spec.history_limit {
        None | Some(i32::MAX) => return Vec::new(),
        Some(limit) => usize::try_from(limit).unwrap_or(0),
    };
    let ended = |run: &&std::sync::Arc<RolloutRun>| run::completed(run) && run.metadata.deletion_timestamp.is_none();
    let mut old: Vec<_> =
        view.runs.iter().filter(|(name, _)| *name != named).map(|(_, run)| run).filter(ended).collect();
    old.sort_by_key(|run| (run.metadata.creation_timestamp.as_ref().map(|time| time.0), run.metadata.name.clone()));
    old.iter().take(old.len().saturating_sub(limit)).map(|run| delete(run)).collect()
}

/// Deletes a run as it is known, and no other of its name.
pub fn delete(run: &RolloutRun) -> HubWrite {
    HubWrite::Delete {
        kind: HubKind::RolloutRun,
        key: patch::key(&run.metadata),
        uid: run.metadata.uid.clone().unwrap_or_default(),
        resource_version: run.metadata.resource_version.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decide::fixtures;

    #[test]
    fn the_oldest_ended_runs_beyond_the_limit_go() {
        let view = |limit: Option<i32>| {
            let mut view = fixtures::view(vec![]);
            let mut rollout = view.rollout.as_ref().clone();
            rollout.spec.history_limit = limit;
            view.rollout = std::sync::Arc::new(rollout);
            // Names do not follow age; one run is under way and one is on its way out.
            let runs = [("c", 1, "Succeeded"), ("b", 2, "Canceled"), ("a", 3, "Succeeded"), ("d", 4, "Progressing")];
            for (name, second, phase) in runs {
                let run = json!({ "metadata": { "name": name, "creationTimestamp": fixtures::at(second).to_string() },
                    "status": { "phase": phase } });
                view.runs.insert(name.to_owned(), fixtures::object(run));
            }
            let leaving = json!({ "metadata": { "name": "e", "creationTimestamp": fixtures::at(0).to_string(),
                "deletionTimestamp": fixtures::at(9).to_string() }, "status": { "phase": "Succeeded" } });
            view.runs.insert("e".to_owned(), fixtures::object(leaving));
            view
        };
        let gone = |limit, named| {
            let deleted = surplus(&view(limit), named);
            deleted.iter().map(|write| write.target().1.name.clone()).collect::<Vec<_>>().join(" ")
        };
        let table = [
            (None, "d", ""),
            (Some(i32::MAX), "d", ""),
            (Some(10), "d", ""),
            (Some(2), "d", "c"),
            (Some(1), "d", "c b"),
            (Some(0), "d", "c b a"),
            // The run that the status names never counts.
            (Some(1), "a", "c"),
            (Some(0), "a", "c b"),
            (Some(-1), "a", "c b"),
        ];
        for (limit, named, expected) in table {
            assert_eq!(gone(limit, named), expected, "limit {limit:?}, named {named}");
        }
    }
}
