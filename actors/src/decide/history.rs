//! Which ended runs are kept.

use super::{patch, run};
use crate::{api::RolloutRun, intent::HubWrite, view::RolloutView};

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
    HubWrite::DeleteRun {
        key: patch::key(&run.metadata),
        uid: run.metadata.uid.clone().unwrap_or_default(),
        resource_version: run.metadata.resource_version.clone().unwrap_or_default(),
    }
}
