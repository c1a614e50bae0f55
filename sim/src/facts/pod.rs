//! What a pod shows.

use std::time::Duration;

use serde_json::Value;

use super::{Change, text};

/// A pod of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// Its uid.
    pub uid: String,
    /// Its place in the workload: the number at the end of its name, or one that it was given where names say nothing.
    pub ordinal: i32,
    /// The revision that its label names.
    pub revision: String,
    /// The image of the container that the workload's template names first.
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
    /// Reads a pod of a workload: `label` has its revision, `container` the name of the container that is looked at.
    pub(super) fn read(change: &Change<'_>, label: &str, container: &str, before: Option<&Self>) -> Self {
        let pod = change.new;
        let containers = pod["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let container = containers.iter().find(|found| found["name"] == container);
        let uid = text(&pod["metadata"]["uid"]);
        let before = before.filter(|before| before.uid == uid);
        let since = before.and_then(|before| before.ready_since).unwrap_or(change.at);
        Self {
            ordinal: before.map_or_else(|| ordinal(change.name), |before| before.ordinal),
            revision: text(&pod["metadata"]["labels"][label]),
            image: container.map(|container| text(&container["image"])).unwrap_or_default(),
            ready_since: is_ready(pod).then_some(since),
            trouble: trouble(pod),
            terminating: pod["metadata"]["deletionTimestamp"].is_string(),
            foreign: before.is_some_and(|before| before.foreign),
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
