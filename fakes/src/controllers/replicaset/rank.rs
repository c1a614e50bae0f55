//! Which pods go first when there are too many.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::controllers::{object, pod};

/// An annotation with a number: the pod of a lower one goes first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// What a pod is compared by.
struct Ranked<'a> {
    pod: &'a Value,
    scheduled: bool,
    phase: u8,
    ready: bool,
    cost: i32,
    /// Related pods on its node.
    neighbours: usize,
    ready_since: Option<Timestamp>,
    restarts: [i64; 2],
    created: Option<Timestamp>,
}

/// Sorts pods so that those to be deleted come first.
///
/// Pods of about the same age are ordered by uid, others not, so equality is not transitive and the order of all of them
/// depends on how they are sorted: by insertion, as the real controller does with a dozen pods or fewer.
pub(crate) fn sort(pods: &mut [&Value], related: &[&Value], now: Timestamp) {
    let mut on_node: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in related.iter().filter(|pod| pod::is_active(pod)) {
        *on_node.entry(node(pod)).or_default() += 1;
    }
    let mut ranked: Vec<Ranked<'_>> = Vec::with_capacity(pods.len());
    for pod in pods.iter() {
        let new = Ranked::read(pod, on_node.get(node(pod)).copied().unwrap_or(0));
        let place = ranked.iter().rposition(|before| !new.goes_before(before, now)).map_or(0, |index| index + 1);
        ranked.insert(place, new);
    }
    for (place, ranked) in pods.iter_mut().zip(ranked) {
        *place = ranked.pod;
    }
}

impl<'a> Ranked<'a> {
    fn read(pod: &'a Value, neighbours: usize) -> Self {
        Self {
            pod,
            scheduled: !node(pod).is_empty(),
            phase: match pod["status"]["phase"].as_str() {
                Some("Running") => 2,
                Some("Unknown") => 1,
                _ => 0,
            },
            ready: pod::is_ready(pod),
            cost: object::annotation(pod, DELETION_COST).and_then(|cost| cost.parse().ok()).unwrap_or(0),
            neighbours,
            ready_since: pod::ready_since(pod),
            restarts: restarts(pod),
            created: object::timestamp(&pod["metadata"]["creationTimestamp"]),
        }
    }

    fn goes_before(&self, other: &Self, now: Timestamp) -> bool {
        let first = self
            .scheduled
            .cmp(&other.scheduled)
            .then(self.phase.cmp(&other.phase))
            .then(self.ready.cmp(&other.ready))
            .then(self.cost.cmp(&other.cost))
            .then(other.neighbours.cmp(&self.neighbours));
        let ready = self.since(other, self.ready_since, other.ready_since, now);
        let created = self.since(other, self.created, other.created, now);
        first.then(ready).then(other.restarts.cmp(&self.restarts)).then(created) == Ordering::Less
    }

    /// The younger pod goes first. Ages count by their power of two; within one, the uid decides.
    fn since(&self, other: &Self, own: Option<Timestamp>, theirs: Option<Timestamp>, now: Timestamp) -> Ordering {
        let (Some(own), Some(theirs)) = (own, theirs) else { return own.is_some().cmp(&theirs.is_some()) };
        if own == theirs {
            return Ordering::Equal;
        }
        magnitude(now, own).cmp(&magnitude(now, theirs)).then_with(|| object::uid(self.pod).cmp(object::uid(other.pod)))
    }
}

fn node(pod: &Value) -> &str {
    pod["spec"]["nodeName"].as_str().unwrap_or_default()
}

/// The power of two of the nanoseconds since an instant; none for an instant to come.
fn magnitude(now: Timestamp, instant: Timestamp) -> Option<u32> {
    u128::try_from(now.duration_since(instant).as_nanos()).ok().filter(|age| *age > 0).map(u128::ilog2)
}

/// The most restarts of a container, and of a sidecar.
fn restarts(pod: &Value) -> [i64; 2] {
    let count = |status: &Value| status["restartCount"].as_i64().unwrap_or_default();
    let sidecar = |status: &&Value| {
        let mut containers = object::list(&pod["spec"]["initContainers"]).iter();
        containers.any(|it| it["name"] == status["name"] && it["restartPolicy"] == "Always")
    };
    let regular = object::list(&pod["status"]["containerStatuses"]).iter().map(count).max();
    let sidecars = object::list(&pod["status"]["initContainerStatuses"]).iter().filter(sidecar).map(count).max();
    [regular, sidecars].map(Option::unwrap_or_default)
}
