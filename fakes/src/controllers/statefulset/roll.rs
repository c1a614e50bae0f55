//! One step of a set's pods: replicas in their order, then surplus pods, then the update.

use super::claims::{Claims, NotYet};
use super::pod::{self, Pod};
use super::spec::{Spec, Strategy};
use super::{Action, Deletion, StatefulSetStatus};
use crate::controllers::revision::History;
use crate::controllers::{self, object};

/// A place in the set's range of ordinals.
enum Replica<'a> {
    /// A pod is there.
    Found(&'a Pod<'a>),
    /// A pod of this ordinal is missing.
    Missing(i32),
}

/// The step ends here: something has to happen first.
struct Blocked;

/// Appends the writes of this step, and gives the status after them.
pub(super) fn roll(
    spec: &Spec<'_>,
    history: &History<'_>,
    pods: &[Pod<'_>],
    claims: &Claims<'_>,
    actions: &mut Vec<Action>,
) -> StatefulSetStatus {
    let mut status = StatefulSetStatus::new(spec, history);
    if spec.terminating {
        for pod in pods {
            status.count(pod);
        }
        return status;
    }
    let (replicas, condemned) = split(spec, pods);
    for pod in replicas.iter().filter_map(Replica::found).chain(condemned.iter().copied()) {
        status.count(pod);
    }
    let settled = process_replicas(spec, history, &replicas, claims, actions).and_then(|()| {
        actions.extend(condemned.iter().flat_map(|pod| claims.of_pod(pod, false)));
        process_condemned(spec, &condemned, actions)
    });
    if settled.is_ok() {
        status.current_replicas -= update(spec, history, &replicas, actions);
    }
    status
}

impl<'a> Replica<'a> {
    fn found(&self) -> Option<&'a Pod<'a>> {
        match self {
            Self::Found(pod) => Some(pod),
            Self::Missing(_) => None,
        }
    }

    fn is_unavailable(&self) -> bool {
        self.found().is_none_or(|pod| !pod.available || pod.terminating)
    }
}

/// The places of the set's range in their order, and the pods outside of it from the highest ordinal down.
fn split<'a>(spec: &Spec<'_>, pods: &'a [Pod<'a>]) -> (Vec<Replica<'a>>, Vec<&'a Pod<'a>>) {
    let range = spec.start..spec.start.saturating_add(spec.replicas);
    let mut replicas: Vec<Replica<'a>> = range.clone().map(Replica::Missing).collect();
    let mut condemned = Vec::new();
    for pod in pods {
        let Some(ordinal) = pod.ordinal else { continue };
        let index = ordinal.checked_sub(spec.start).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| replicas.get_mut(index)) {
            Some(place) => *place = Replica::Found(pod),
            None => condemned.push(pod),
        }
    }
    condemned.sort_by_key(|pod| std::cmp::Reverse(pod.ordinal));
    (replicas, condemned)
}

/// Creates what is missing and replaces what finished. An ordered set takes one step and waits for every pod.
fn process_replicas(
    spec: &Spec<'_>,
    history: &History<'_>,
    replicas: &[Replica<'_>],
    claims: &Claims<'_>,
    actions: &mut Vec<Action>,
) -> Result<(), Blocked> {
    let is_old =
        |replica: &&Replica<'_>| replica.found().is_some_and(|pod| pod.revision != object::name(&history.update));
    let mut old = replicas.iter().filter(is_old).count();
    for replica in replicas {
        let done = match replica {
            Replica::Missing(ordinal) => {
                let current = spec.starts_current(*ordinal, old);
                old += usize::from(current);
                let revision = if current { &history.current } else { &history.update };
                let pod = pod::new_pod(spec, revision, *ordinal);
                if let Ok(needed) = claims.before(&pod, *ordinal) {
                    actions.extend(needed);
                    actions.push(Action::CreatePod(pod));
                }
                false
            }
            Replica::Found(pod) if controllers::pod::is_finished(pod.object) => {
                if !pod.terminating {
                    actions.push(Action::DeletePod(pod.name.to_owned(), Deletion::Finished));
                }
                false
            }
            Replica::Found(pod) => {
                let done = !pod.terminating && pod.is_running_and_ready() && pod.available;
                if pod.phase == "Pending" {
                    let missing = pod.ordinal.map_or(Ok(Vec::new()), |ordinal| claims.missing(ordinal));
                    actions.extend(missing.map_err(|_: NotYet| Blocked)?);
                }
                if done || pod.phase == "Pending" || !spec.ordered {
                    actions.extend(claims.of_pod(pod, true));
                }
                if done || !spec.ordered {
                    actions.extend(pod.relabelled().map(Action::UpdatePod));
                }
                done
            }
        };
        if spec.ordered && !done {
            return Err(Blocked);
        }
    }
    Ok(())
}

/// Deletes pods outside the range. An ordered set deletes one at a time, and none while another pod is unavailable.
fn process_condemned(spec: &Spec<'_>, condemned: &[&Pod<'_>], actions: &mut Vec<Action>) -> Result<(), Blocked> {
    // An ordered set gets here only with every replica available, so the first unavailable pod is a condemned one.
    let first_unavailable = condemned.iter().rev().find(|pod| !pod.available || pod.terminating).map(|pod| pod.name);
    for pod in condemned {
        if pod.terminating {
            if spec.ordered {
                return Err(Blocked);
            }
            continue;
        }
        let healthy = pod.is_running_and_ready() && pod.available;
        if spec.ordered && !healthy && first_unavailable != Some(pod.name) {
            return Err(Blocked);
        }
        actions.push(Action::DeletePod(pod.name.to_owned(), Deletion::ScaleDown));
        if spec.ordered {
            return Err(Blocked);
        }
    }
    Ok(())
}

/// Deletes pods that have an old revision in their turn, until as many pods are unavailable as may be. Says how many it
/// deleted.
fn update(spec: &Spec<'_>, history: &History<'_>, replicas: &[Replica<'_>], actions: &mut Vec<Action>) -> i32 {
    let Strategy::RollingUpdate { partition } = spec.strategy else { return 0 };
    let update = object::name(&history.update);
    let (mut unavailable, mut deleted) = (0, 0);
    for replica in in_turn(spec, replicas, partition.unwrap_or(0), update) {
        match replica {
            Replica::Found(pod) if pod.revision != update && !pod.terminating => {
                actions.push(Action::DeletePod(pod.name.to_owned(), Deletion::Update));
                deleted += 1;
                unavailable += 1;
            }
            replica if replica.is_unavailable() => unavailable += 1,
            _ => {}
        }
        if unavailable >= spec.max_unavailable {
            break;
        }
    }
    deleted
}

/// The replicas that are to have the update revision: from the highest ordinal down, in an unordered update those first
/// that have it or are on their way to it.
fn in_turn<'a>(spec: &Spec<'_>, replicas: &'a [Replica<'a>], partition: i32, update: &str) -> Vec<&'a Replica<'a>> {
    let mut turn: Vec<&Replica<'_>> = replicas.iter().rev().collect();
    if spec.unordered {
        turn.sort_by_key(|replica| replica.found().is_some_and(|pod| pod.revision != update && !pod.terminating));
    }
    turn.truncate(replicas.len().saturating_sub(usize::try_from(partition).unwrap_or(0)));
    turn
}
