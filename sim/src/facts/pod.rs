//! What a pod shows.

use std::time::Duration;

use serde_json::Value;

use super::{Change, text};

/// A pod of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// Its uid.
    pub uid: String,
    /// The number at the end of its name.
    pub ordinal: i32,
    /// The label `controller-revision-hash`.
    pub revision: String,
    /// The image of its first container.
    pub image: String,
    /// Since when it is ready, if it is.
    pub ready_since: Option<Duration>,
    /// Why its container waits.
    pub trouble: Option<String>,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Whether a foreign write, not the operator, put it on its revision.
    pub foreign: bool,
}

impl PodFacts {
    pub(super) fn read(change: &Change<'_>, before: Option<&Self>, foreign: bool) -> Self {
        let pod = change.new;
        let uid = text(&pod["metadata"]["uid"]);
        let before = before.filter(|before| before.uid == uid);
        let since = before.and_then(|before| before.ready_since).unwrap_or(change.at);
        Self {
            ordinal: ordinal(change.name),
            revision: text(&pod["metadata"]["labels"]["controller-revision-hash"]),
            image: text(&pod["spec"]["containers"][0]["image"]),
            ready_since: is_ready(pod).then_some(since),
            trouble: trouble(pod),
            terminating: pod["metadata"]["deletionTimestamp"].is_string(),
            foreign: before.map_or(foreign, |before| before.foreign),
            uid,
        }
    }

    /// Whether it is ready.
    pub fn ready(&self) -> bool {
        self.ready_since.is_some() && !self.terminating
    }
}

fn ordinal(name: &str) -> i32 {
    name.rsplit_once('-').and_then(|(_, ordinal)| ordinal.parse().ok()).unwrap_or(-1)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

fn trouble(pod: &Value) -> Option<String> {
    let reason = pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].as_str()?;
    (!["ContainerCreating", "PodInitializing"].contains(&reason)).then(|| reason.to_owned())
}
