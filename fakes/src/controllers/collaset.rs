//! KusionStack's CollaSet: so many pods, each with an identity that outlives it, of which the partition's number stays on
//! the old revision. It is also what injects PodDecorations into pods, and replaces pods whose decorations change.
//!
//! An identity is an entry of a ResourceContext: what it says of revisions, a pod that comes back gets. It is written
//! before what follows from it.
//!
//! Pods are always updated by deleting them: neither in place, nor by replacing them first, nor through a lifecycle that
//! somebody else has a say in, so that pods are available as soon as they are ready and nothing bounds how many are
//! deleted at once. There are no volume claims, no pods that are included, excluded or deleted by name, and no finalizer:
//! pods and ResourceContext go as the garbage collector finds them. Nothing is adopted.

mod contexts;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use self::contexts::Contexts;
use super::custom::{Action, Observed, Plan, Workload};
use super::object::{self, int};
use super::pod;
use super::poddecoration::Decorations;
use super::replicaset::rank;
use super::revision::{self, History, REVISION_LABEL};
use crate::store::GroupResource;

/// The group of KusionStack's workloads.
pub(crate) const GROUP: &str = "apps.kusionstack.io";

/// The label with the number of a pod's identity.
pub const INSTANCE_LABEL: &str = "collaset.kusionstack.io/instance-id";
/// The label that has a pod updated when the update goes by label.
pub const INCLUDED_LABEL: &str = "collaset.kusionstack.io/update-included";

/// Revisions that are kept when the set does not say how many.
const HISTORY_LIMIT: i32 = 20;

/// The CollaSet controller.
pub(crate) struct CollaSet;

impl Workload for CollaSet {
    const NAME: &'static str = "collaset";

    fn resource() -> GroupResource {
        GroupResource::new(GROUP, "collasets")
    }

    fn related() -> Vec<GroupResource> {
        ["poddecorations", "resourcecontexts"].map(|plural| GroupResource::new(GROUP, plural)).into()
    }

    fn sync(seen: &Observed<'_>) -> Plan {
        sync(seen)
    }
}

/// A CollaSet's wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spec {
    replicas: i32,
    rule: Rule,
    paused: bool,
    history_limit: i32,
}

/// Which pods are to have the updated revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    All,
    /// All but so many.
    Partition(i32),
    /// Those with a label.
    Label,
}

/// What the controller reads of a pod.
#[derive(Debug, Clone, Copy)]
struct Pod<'a> {
    object: &'a Value,
    name: &'a str,
    revision: &'a str,
    ready: bool,
}

/// Decides what a CollaSet needs next.
pub fn sync(seen: &Observed<'_>) -> Plan {
    let spec = Spec::read(seen.object);
    let (history, mut actions) = seen.history();
    let pods: Vec<Pod<'_>> = seen.active_pods().map(Pod::read).collect();
    if !object::is_deleting(seen.object) && !spec.paused {
        let mut contexts = Contexts::read(seen);
        let step = Step { seen, spec: &spec, history: &history, decorations: Decorations::read(seen) };
        let moves = step.run(&mut contexts, &pods);
        actions.extend(contexts.written());
        actions.extend(moves);
        let in_use = |name: &str| contexts.remembers(name) || pods.iter().any(|pod| pod.revision == name);
        actions.extend(seen.surplus(&history, spec.history_limit, in_use));
    }
    Plan { actions, status: status::status(seen.object, &spec, &history, &pods), requeue_after: None }
}

/// One step of a set.
struct Step<'a> {
    seen: &'a Observed<'a>,
    spec: &'a Spec,
    history: &'a History<'a>,
    decorations: Decorations<'a>,
}

impl<'a> Step<'a> {
    /// What happens to pods; identities are changed on the way.
    fn run(&self, contexts: &mut Contexts<'_>, pods: &[Pod<'a>]) -> Vec<Action> {
        let mut ranked: Vec<&Value> = pods.iter().map(|pod| pod.object).collect();
        rank::sort(&mut ranked, &[], self.seen.now);
        let ranked = ranked.into_iter().map(Pod::read);
        let mut live: Vec<(i64, Pod<'_>)> = ranked.filter_map(|pod| Some((pod.instance()?, pod))).collect();
        let wanted = usize::try_from(self.spec.replicas).unwrap_or(0);
        contexts.allocate(wanted, object::name(&self.history.update), |updated| self.revision_of_new(updated));

        let surplus = live.len().saturating_sub(wanted);
        let mut deleted: Vec<Pod<'_>> = Vec::new();
        for (id, pod) in live.drain(..surplus) {
            contexts.release(id);
            deleted.push(pod);
        }
        let live: BTreeMap<i64, (usize, Pod<'_>)> =
            live.into_iter().enumerate().map(|(rank, (id, pod))| (id, (rank, pod))).collect();
        contexts.release_unused(wanted, |id| live.contains_key(&id));
        deleted.extend(self.update(contexts, &live));

        let missing: Vec<i64> = contexts.ids().filter(|id| !live.contains_key(id)).collect();
        let created: Vec<Action> = missing.into_iter().map(|id| Action::Create(self.new_pod(contexts, id))).collect();
        let deletions = deleted.into_iter().map(|pod| Action::DeletePod(pod.name.to_owned()));
        created.into_iter().chain(deletions).collect()
    }

    /// The revision of a new identity, when so many others have the updated one.
    fn revision_of_new(&self, updated: i32) -> &str {
        let current = match self.spec.rule {
            Rule::All => false,
            Rule::Label => true,
            Rule::Partition(kept) => updated >= self.spec.replicas.saturating_sub(kept),
        };
        object::name(if current { &self.history.current } else { &self.history.update })
    }

    /// Pods that are deleted to come back as their identities say from now on: those whose turn it is with the updated
    /// revision, others only with other decorations.
    fn update(&self, contexts: &mut Contexts<'_>, live: &BTreeMap<i64, (usize, Pod<'a>)>) -> Vec<Pod<'a>> {
        let update = object::name(&self.history.update);
        let mut order: Vec<i64> = contexts.ids().collect();
        order.sort_by_key(|id| match live.get(id) {
            Some((rank, pod)) => (pod.revision != update, false, *rank),
            None => (contexts.revision(*id) != Some(update), true, 0),
        });
        let count = match self.spec.rule {
            Rule::Partition(kept) if kept >= self.spec.replicas => return Vec::new(),
            Rule::Partition(kept) if kept > 0 => usize::try_from(self.spec.replicas - kept).unwrap_or(0),
            _ => order.len(),
        };
        let mut deleted = Vec::new();
        for (index, id) in order.into_iter().enumerate() {
            let pod = live.get(&id).map(|(_, pod)| *pod);
            let included = |pod: Pod<'_>| object::label(pod.object, INCLUDED_LABEL).is_some();
            let turn = if self.spec.rule == Rule::Label { pod.is_some_and(included) } else { index < count };
            let Some(pod) = pod else {
                if turn {
                    contexts.remember(id, update, None);
                }
                continue;
            };
            let decorations = self.decorations.wanted(pod.object);
            let revision = if turn { update } else { pod.revision };
            if pod.revision != revision || decorations != Decorations::on(pod.object) {
                contexts.remember(id, revision, Some(decorations));
                deleted.push(pod);
            }
        }
        deleted
    }

    /// The pod of an identity.
    fn new_pod(&self, contexts: &mut Contexts<'_>, id: i64) -> Value {
        let named = contexts.revision(id);
        let revision = self.seen.revisions.iter().find(|revision| Some(object::name(revision)) == named);
        let revision = revision.copied().unwrap_or(&self.history.update);
        let mut new = pod::from_template(&revision::template(revision), self.seen.object);
        new["metadata"]["labels"][REVISION_LABEL] = object::name(revision).into();
        new["metadata"]["labels"][INSTANCE_LABEL] = id.to_string().into();
        let decorations = contexts.decorations(id).unwrap_or_else(|| self.decorations.wanted(&new));
        self.decorations.inject(&mut new, &decorations);
        contexts.remember(id, object::name(revision), Some(decorations));
        new
    }
}

impl Spec {
    fn read(set: &Value) -> Self {
        let spec = &set["spec"];
        let rolling = &spec["updateStrategy"]["rollingUpdate"];
        let partition = int(&rolling["byPartition"]["partition"]);
        Self {
            replicas: int(&spec["replicas"]).unwrap_or(0).max(0),
            rule: match partition {
                _ if rolling["byLabel"].is_object() => Rule::Label,
                None => Rule::All,
                Some(kept) => Rule::Partition(kept),
            },
            paused: spec["paused"] == true,
            history_limit: int(&spec["historyLimit"]).filter(|limit| *limit > 0).unwrap_or(HISTORY_LIMIT),
        }
    }
}

impl<'a> Pod<'a> {
    fn read(object: &'a Value) -> Self {
        Self {
            object,
            name: object::name(object),
            revision: object::label(object, REVISION_LABEL).unwrap_or_default(),
            ready: pod::is_ready(object),
        }
    }

    fn instance(&self) -> Option<i64> {
        object::label(self.object, INSTANCE_LABEL)?.parse().ok()
    }
}
