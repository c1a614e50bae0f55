//! How a Deployment goes through batches: by its own controller, without a webhook.
//!
//! Parked, it is paused: a new template makes no ReplicaSet. A step then goes from N - b old and b new pods to a larger b,
//! in moves no larger than the user's own strategy allows:
//!
//! | move | maxSurge | maxUnavailable | what its controller does |
//! |---|---|---|---|
//! | grow by s + u | s | b + u | old pods go down by u, new ones up by s + u |
//! | freeze | as it was | b | paused: nothing more, while the new pods become ready |
//! | trim to g new pods | 0 | g | old pods go down until there are N in all |
//!
//! Availability is held back meanwhile: with `minReadySeconds` at its maximum no new pod ever counts as available, so that
//! the controller has no reason to do more than the numbers say. Whether pods are available by the user's own
//! `minReadySeconds` is counted here, from the pods. What the user had is recorded on the Deployment in the same write that
//! first changes it, and stands there again when all pods have the new template.
//!
//! Each look decides from what is there: the sizes of the ReplicaSets, the pods and the numbers in force. So nothing is
//! remembered but what the annotation says, and a loss of the operator at any point leaves the Deployment where it is.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{patch, workload::update_pending};
use crate::{
    api::{
        IntOrString,
        intorpercent::{self, IntOrPercent},
        keys,
    },
    intent::Release,
    view::{ObjectKey, PodCounts, ReplicaSet, Workload},
    workloads::deployment::{HIDDEN, NO_DEADLINE, Ours, Record, Users},
};

/// What to change of a Deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Steering {
    /// Fields of `spec`, as a merge patch.
    pub(super) spec: Map<String, Value>,
    /// The new text of the record, if it changes.
    pub(super) record: Option<String>,
    /// A ReplicaSet to write first, with the merge patch.
    pub(super) set: Option<(ObjectKey, Value)>,
}

/// The sizes that a move is decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    /// `spec.replicas`.
    replicas: i32,
    /// What the ReplicaSet of the current template is to have.
    new: i32,
    /// What all others are to have.
    old: i32,
    /// New pods that are available by the user's own `minReadySeconds`, or passed over.
    available: i32,
}

/// The next move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    /// What is under way has to come to its end.
    Wait,
    /// Pause where it is.
    Freeze,
    /// Hold availability back before anything moves.
    Hide,
    Grow {
        surge: i32,
        unavailable: i32,
        goal: i32,
    },
    Trim {
        goal: i32,
    },
    /// All pods are new: give back what the user had.
    Finish,
}

/// Decides the next write to a Deployment that a Rollout controls.
pub(super) fn steer(
    release: &Release,
    workload: &Workload,
    counts: Option<PodCounts>,
    sets: Option<&[Arc<ReplicaSet>]>,
) -> Steering {
    let Some(record) = Record::read(workload.recorded_strategy.as_deref()) else {
        return park(workload, &Record { paused: workload.update_strategy["paused"].clone(), ..Record::default() });
    };
    let known = sets.zip(counts).map(|(sets, counts)| (sets, sizes(workload, sets, counts)));
    match release {
        Release::Parked => park(workload, &record),
        Release::Held { .. } if !update_pending(workload) => park(workload, &record),
        Release::Held { .. } => freeze(workload, &record, known.map(|(_, sizes)| sizes)),
        // The template has to be back before anything moves, and meanwhile nothing does.
        Release::Back { revision, moving, .. } if !moving || workload.updated_revision != *revision => {
            freeze(workload, &record, known.map(|(_, sizes)| sizes))
        }
        Release::Back { remaining, window, .. } => {
            step(workload, &record, workload.desired - remaining, window.as_ref(), known)
        }
        Release::Step { replicas, window, .. } => {
            step(workload, &record, replicas.scaled(workload.desired), window.as_ref(), known)
        }
    }
}

/// Decides the next move towards `target` pods of the current template.
fn step(
    workload: &Workload,
    record: &Record,
    target: i32,
    window: Option<&IntOrPercent>,
    known: Option<(&[Arc<ReplicaSet>], Sizes)>,
) -> Steering {
    let Some((sets, sizes)) = known.filter(|_| workload.halted.is_none()) else { return Steering::default() };
    if let Some(stuck) = stuck(workload, sets) {
        return Steering { set: Some(stuck), ..Steering::default() };
    }
    let force = in_force(workload, record);
    let under_way = !is_told(workload, sets) || force.as_ref().is_some_and(|force| force.moves(sizes));
    if let Some(force) = force.filter(|force| !under_way && force.is_interrupted(workload, sizes, target)) {
        return write(workload, record, false, force.ours);
    }
    let limit = limit(record, workload, window);
    let step = next(target, limit, sizes, is_hidden(workload, sets), under_way);
    carry_out(step, workload, record, sizes)
}

/// Puts back what the user had, as far as that rolls nothing; otherwise it stays paused, with the record for whoever
/// releases it.
pub(super) fn give_back(workload: &Workload) -> Steering {
    let Some(record) = Record::read(workload.recorded_strategy.as_deref()) else { return Steering::default() };
    if update_pending(workload) {
        return park(workload, &record);
    }
    Steering { spec: changed(workload, users_fields(&record, true)), record: None, set: None }
}

/// The change of `spec` that lets a parked Deployment go as the user had it.
pub(super) fn released_spec(workload: &Workload) -> Value {
    let record = Record::read(workload.recorded_strategy.as_deref()).unwrap_or_default();
    Value::Object(users_fields(&record, true))
}

fn sizes(workload: &Workload, sets: &[Arc<ReplicaSet>], counts: PodCounts) -> Sizes {
    let sum = |new: bool| -> i32 {
        let wanted = sets.iter().filter(|set| (set.template_hash == workload.updated_revision) == new);
        wanted.map(|set| set.replicas).sum()
    };
    // A failed pod that is passed over is not waited for.
    let available = counts.updated_available + counts.tolerated;
    Sizes { replicas: workload.desired, new: sum(true), old: sum(false), available }
}

/// The most pods that a move may surge by, and the most it may take down.
fn limit(record: &Record, workload: &Workload, window: Option<&IntOrPercent>) -> (i32, i32) {
    let strategy = record.users.as_ref().map_or(&workload.update_strategy["strategy"], |users| &users.strategy);
    let rolling = &strategy["rollingUpdate"];
    let replicas = workload.desired.max(0);
    let surge = scaled(&rolling["maxSurge"], replicas, true);
    let unavailable = scaled(&rolling["maxUnavailable"], replicas, false);
    // Nothing would ever move; the Deployment's controller takes one down then, too.
    let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
    let most = window.map_or(i32::MAX, |window| window.scaled(replicas).max(1));
    let surge = surge.min(most);
    (surge, unavailable.min(most - surge))
}

/// A number or a share as a Deployment's controller counts it: shares of a surge up, of the unavailable down.
fn scaled(value: &Value, replicas: i32, up: bool) -> i32 {
    let value = serde_json::from_value(value.clone()).unwrap_or_else(|_| IntOrString::String("25%".to_owned()));
    match intorpercent::parse(&value) {
        Ok(IntOrPercent::Percent(percent)) if !up => replicas - IntOrPercent::Percent(100 - percent).scaled(replicas),
        Ok(count) => count.scaled(replicas),
        Err(_) => 0,
    }
}

/// The numbers that were written last, while they stand there.
#[derive(Clone, Debug)]
struct Force {
    ours: Ours,
    paused: bool,
}

impl Force {
    /// Whether sets have still to be sized by them, or are seen as they were before.
    fn moves(&self, sizes: Sizes) -> bool {
        let Sizes { replicas, new, old, available } = sizes;
        let Ours { surge, goal, .. } = self.ours;
        if self.paused {
            return new + old > replicas + surge;
        }
        // Without a surge a pause would take away pods that are too many on both sides, whether they serve or not.
        let trims = surge == 0 && new + old > replicas && (old > replicas - goal || available < new);
        new < goal || trims
    }

    /// Whether it was paused while it grew. What is seen may be of before then, and only its end is certain: so that is gone
    /// to first. Without a surge there is never a pod too many, and no harm in counting anew.
    fn is_interrupted(&self, workload: &Workload, sizes: Sizes, target: i32) -> bool {
        let Ours { surge, goal, template, .. } = &self.ours;
        let is_half_way = self.paused && *surge > 0 && sizes.new < *goal;
        is_half_way && *goal <= target && *template == workload.updated_revision
    }
}

fn in_force(workload: &Workload, record: &Record) -> Option<Force> {
    let is_ours = !is_foreign(workload, record) && workload.update_strategy["minReadySeconds"] == json!(HIDDEN);
    let ours = record.ours.clone().filter(|ours| is_ours && ours.replicas == workload.desired)?;
    Some(Force { ours, paused: is_paused(workload) })
}

fn is_paused(workload: &Workload) -> bool {
    workload.update_strategy["paused"] == json!(true)
}

/// Whether somebody has put other numbers in the place of ours.
fn is_foreign(workload: &Workload, record: &Record) -> bool {
    let rolling = &workload.update_strategy["strategy"]["rollingUpdate"];
    record.ours.as_ref().is_some_and(|ours| {
        rolling["maxSurge"] != json!(ours.surge) || rolling["maxUnavailable"] != json!(ours.unavailable)
    })
}

/// Whether no pod of the current template counts as available for the Deployment's controller.
fn is_hidden(workload: &Workload, sets: &[Arc<ReplicaSet>]) -> bool {
    let mut new = sets.iter().filter(|set| set.template_hash == workload.updated_revision && set.replicas > 0);
    new.all(|set| set.min_ready_seconds == HIDDEN && set.observed && set.available == 0)
}

/// Whether the controller has told every set the current size. Until then it scales, and rolls nothing.
fn is_told(workload: &Workload, sets: &[Arc<ReplicaSet>]) -> bool {
    let mut active = sets.iter().filter(|set| set.replicas > 0);
    active.all(|set| set.told_desired.is_none_or(|told| told == workload.desired))
}

/// The set that keeps a Deployment from ever rolling again, with its remedy. Scaled in the middle of a roll to just what
/// its only set with pods has left, it is told nothing by its controller, which then takes it for not scaled yet, for ever.
fn stuck(workload: &Workload, sets: &[Arc<ReplicaSet>]) -> Option<(ObjectKey, Value)> {
    let mut active = sets.iter().filter(|set| set.replicas > 0);
    let (only, None) = (active.next()?, active.next()) else { return None };
    let is_seen = workload.observed_generation >= workload.generation;
    let is_stuck = only.replicas == workload.desired && only.told_desired.is_some_and(|told| told != workload.desired);
    (is_seen && is_stuck).then(|| {
        let told = [(keys::ANNOTATION_DESIRED_REPLICAS, Some(workload.desired.to_string()))];
        (only.key.clone(), patch::annotations(&only.resource_version, told))
    })
}

/// The table.
fn next(target: i32, limit: (i32, i32), sizes: Sizes, hidden: bool, under_way: bool) -> Move {
    let Sizes { replicas, new, old, available } = sizes;
    let replaced = (replicas - old).clamp(0, replicas);
    if replicas == 0 || (old == 0 && new == replicas) {
        return Move::Finish;
    }
    if under_way {
        return Move::Wait;
    }
    if available < new {
        return Move::Freeze;
    }
    let go = |step| if hidden { step } else { Move::Hide };
    // Where there is no room for more new pods, it does not matter whether they count as available.
    if new >= replicas {
        return Move::Trim { goal: replicas };
    }
    if new > replaced {
        return go(Move::Trim { goal: new });
    }
    let (surge, unavailable) = limit;
    let left = target - replaced;
    if left <= 0 || new + old < replicas {
        return Move::Freeze;
    }
    let surge = surge.min(left);
    let down = unavailable.min(left - surge);
    go(Move::Grow { surge, unavailable: replaced + down, goal: replaced + surge + down })
}

fn carry_out(step: Move, workload: &Workload, record: &Record, sizes: Sizes) -> Steering {
    match step {
        Move::Wait => Steering::default(),
        Move::Freeze => freeze(workload, record, Some(sizes)),
        Move::Finish => park(workload, record),
        Move::Hide => write(workload, record, true, frozen(workload, record, sizes)),
        Move::Grow { surge, unavailable, goal } => {
            write(workload, record, false, ours(workload, surge, unavailable, goal))
        }
        Move::Trim { goal } => write(workload, record, false, ours(workload, 0, goal, goal)),
    }
}

/// Pauses a move where it is. A paused Deployment with two ReplicaSets is still scaled to N + maxSurge, so that the surge
/// has to be what there is.
fn freeze(workload: &Workload, record: &Record, sizes: Option<Sizes>) -> Steering {
    let paused = Map::from_iter([("paused".to_owned(), json!(true))]);
    // Before the first move the numbers are the user's, and parked as they are.
    if record.users.is_none() {
        return Steering { spec: changed(workload, paused), record: None, set: None };
    }
    match sizes {
        Some(sizes) if !is_paused(workload) || is_foreign(workload, record) => {
            write(workload, record, true, frozen(workload, record, sizes))
        }
        _ => Steering { spec: changed(workload, paused), record: None, set: None },
    }
}

/// The numbers under which a paused Deployment keeps the pods it has. Pods that somebody else's numbers have added are
/// taken away again.
fn frozen(workload: &Workload, record: &Record, sizes: Sizes) -> Ours {
    let Sizes { replicas, new, old, .. } = sizes;
    let there = (new + old - replicas).max(0);
    // What is seen may be of before the last move. With the surge that was in force, a pause adds no more new pods than the
    // move would have, and takes none away.
    let surge = match &record.ours {
        Some(_) if is_foreign(workload, record) && is_paused(workload) => 0,
        Some(_) if is_foreign(workload, record) => there,
        Some(ours) if ours.replicas == replicas && ours.template == workload.updated_revision => return ours.clone(),
        Some(ours) => ours.surge,
        None => there,
    };
    let replaced = (replicas - old).clamp(0, replicas);
    let unavailable = if surge == 0 { replaced.max(1) } else { replaced };
    ours(workload, surge, unavailable, new)
}

/// The numbers of a move, for what there is to move now.
fn ours(workload: &Workload, surge: i32, unavailable: i32, goal: i32) -> Ours {
    Ours { surge, unavailable, goal, replicas: workload.desired, template: workload.updated_revision.clone() }
}

/// Parked: paused, and everything else as the user had it, or as near to it as moves no pod.
fn park(workload: &Workload, record: &Record) -> Steering {
    let pending = update_pending(workload);
    let mut fields = match &record.users {
        Some(_) => users_fields(record, false),
        None => Map::new(),
    };
    if pending {
        // Between two templates other numbers would move pods.
        fields.remove("strategy");
    }
    fields.insert("paused".to_owned(), json!(true));
    let stable = if pending { record.stable.clone() } else { Some(workload.updated_revision.clone()) };
    let mut after = Record { stable, ..record.clone() };
    if !pending {
        (after.users, after.ours) = (None, None);
    }
    Steering { spec: changed(workload, fields), record: rewritten(workload, &after), set: None }
}

/// Writes the numbers of a move, and in the same write records what they replace.
fn write(workload: &Workload, record: &Record, paused: bool, ours: Ours) -> Steering {
    let fields = json!({
        "paused": paused,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": { "maxSurge": ours.surge, "maxUnavailable": ours.unavailable },
        },
        "minReadySeconds": HIDDEN,
        "progressDeadlineSeconds": NO_DEADLINE,
    });
    let Value::Object(fields) = fields else { return Steering::default() };
    let after = Record { users: Some(users(workload, record)), ours: Some(ours), ..record.clone() };
    Steering { spec: changed(workload, fields), record: rewritten(workload, &after), set: None }
}

/// What the user has: what is recorded, or what stands there and is not ours.
fn users(workload: &Workload, record: &Record) -> Users {
    let now = &workload.update_strategy;
    let Some(users) = &record.users else {
        return Users {
            strategy: now["strategy"].clone(),
            min_ready_seconds: now["minReadySeconds"].clone(),
            progress_deadline_seconds: now["progressDeadlineSeconds"].clone(),
        };
    };
    let mut users = users.clone();
    if is_foreign(workload, record) {
        users.strategy = now["strategy"].clone();
    }
    if now["minReadySeconds"] != json!(HIDDEN) {
        users.min_ready_seconds = now["minReadySeconds"].clone();
    }
    if now["progressDeadlineSeconds"] != json!(NO_DEADLINE) {
        users.progress_deadline_seconds = now["progressDeadlineSeconds"].clone();
    }
    users
}

/// The user's fields, with `paused` or without.
fn users_fields(record: &Record, with_paused: bool) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(users) = &record.users {
        fields.insert("strategy".to_owned(), users.strategy.clone());
        fields.insert("minReadySeconds".to_owned(), users.min_ready_seconds.clone());
        fields.insert("progressDeadlineSeconds".to_owned(), users.progress_deadline_seconds.clone());
    }
    if with_paused {
        fields.insert("paused".to_owned(), record.paused.clone());
    }
    fields
}

/// Those of `fields` that are not so already.
fn changed(workload: &Workload, fields: Map<String, Value>) -> Map<String, Value> {
    let is_same = |field: &str, wanted: &Value| {
        let now = &workload.update_strategy[field];
        let nothing = [json!(false), json!(0)];
        now == wanted || (now.is_null() && nothing.contains(wanted)) || (wanted.is_null() && nothing.contains(now))
    };
    fields.into_iter().filter(|(field, wanted)| !is_same(field, wanted)).collect()
}

/// The text of the record, if it is another one than there is.
fn rewritten(workload: &Workload, record: &Record) -> Option<String> {
    let text = json!(record).to_string();
    (workload.recorded_strategy.as_deref() != Some(&text)).then_some(text)
}
